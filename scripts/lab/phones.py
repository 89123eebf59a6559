"""The call that is measured: one Grandstream GXV3140 calls a snom370, with the header fields and the SDP
that the slides' phones send."""

from lab.sipp import CALLEE_AGENT, CALLER_AGENT, Party, session

_ENDS = ("IP[local_ip_type] [local_ip]", "IP[media_ip_type] [media_ip]")
CALLER_SDP = session(*_ENDS, 0, 8, 9, 101) + "a=sendrecv\n"
CALLEE_SDP = session(*_ENDS, 0, 101)
SNOM = CALLEE_AGENT.splitlines()[:2]


def grandstream(talk: int) -> Party:
    """alice calls bob and hangs up after `talk` milliseconds."""
    alice = Party("alice", calls="bob")
    plain = alice.contact
    alice.contact = f'"alice" {plain}'
    alice.cseq = 49
    alice.send("INVITE", body=CALLER_SDP)
    alice.answered(100, 180, 200)
    alice.send("ACK")
    alice.pause(talk)
    alice.send("BYE", f"Contact: {plain}", CALLER_AGENT.splitlines()[0])
    alice.answered(200)
    return alice


def snom(ring: int) -> Party:
    """bob rings for `ring` milliseconds, answers, and is hung up on."""
    bob = Party("bob")
    plain = bob.contact
    bob.contact = "<sip:bob@[local_ip]:[local_port];line=mu3z2i1j>;reg-id=1"
    bob.asked("INVITE")
    bob.reply("180 Ringing")
    bob.pause(ring)
    bob.reply("200 Ok", *SNOM, body=CALLEE_SDP)
    bob.asked("ACK")
    bob.asked("BYE")
    bob.contact = plain
    bob.reply("200 OK", tag=False)
    return bob
