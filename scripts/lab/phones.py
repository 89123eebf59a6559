"""The call that is measured: one Grandstream GXV3140 calls a snom370, with the header fields and the SDP
that the slides' phones send."""

from lab.sipp import CALLER_AGENT, Party

CALLER_SDP = """\
v=0
o=user1 53655765 2353687637 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 8 9 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:9 G722/8000
a=rtpmap:101 telephone-event/8000
a=sendrecv
"""
CALLEE_SDP = """\
v=0
o=user1 53655765 2353687637 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
"""
SNOM = (
    "User-Agent: snom370/8.4.18",
    "Allow: INVITE, ACK, CANCEL, BYE, REFER, OPTIONS, NOTIFY, SUBSCRIBE, PRACK, MESSAGE, INFO, UPDATE",
)


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


def snom() -> Party:
    """bob rings, answers, and is hung up on."""
    bob = Party("bob")
    plain = bob.contact
    bob.contact = "<sip:bob@[local_ip]:[local_port];line=mu3z2i1j>;reg-id=1"
    bob.asked("INVITE")
    bob.reply("180 Ringing")
    bob.reply("200 Ok", *SNOM, body=CALLEE_SDP)
    bob.asked("ACK")
    bob.asked("BYE")
    bob.contact = plain
    bob.reply("200 OK", tag=False)
    return bob
