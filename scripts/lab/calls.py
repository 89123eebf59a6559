"""The calls, one function each: hosts, proxies, parties and what they do."""

from collections.abc import Callable
from typing import NamedTuple

from lab.live import Lab
from lab.sipp import SDP, Party

# The slides' network: a proxy between two phones.
PROXY = "192.168.178.10"
ALICE = "192.168.178.27"
BOB = "192.168.178.22"
CAROL = "192.168.178.23"

# A network with an edge: its proxy has an inside and an outside address.
EDGE = "203.0.113.5"
INNER = "192.168.178.11"
MIDDLE = "192.168.178.12"
FAR = "198.51.100.22"  # bob, outside


class Call(NamedTuple):
    """How to make one capture, and which of them Kamailio's topoh can hide."""

    make: Callable[[Lab], None]
    suffix: str = ".pcap"
    topoh: bool = True


def basic(lab: Lab) -> None:
    """INVITE, 180, 200, ACK, BYE."""
    _one_proxy(lab)
    lab.party("bob", BOB, answering_bob())
    lab.party("alice", ALICE, calling_alice(), via=PROXY)


def reinvite(lab: Lab) -> None:
    """A re-INVITE by the caller, one by the callee, BYE by the callee."""
    _one_proxy(lab, nanoseconds=True)
    bob = _ringing_bob()
    bob.asked("INVITE")
    bob.reply("200 OK", body=SDP, tag=False)
    bob.asked("ACK")
    bob.pause(100)
    bob.send("INVITE", body=SDP)
    bob.answered(100, 200)
    bob.send("ACK")
    bob.pause(100)
    bob.send("BYE")
    bob.answered(200)
    alice = Party("alice", calls="bob")
    alice.send("INVITE", body=SDP)
    alice.answered(100, 180, 200)
    alice.send("ACK")
    alice.pause(100)
    alice.send("INVITE", body=SDP.replace("sendrecv", "sendonly"))
    alice.answered(100, 200)
    alice.send("ACK")
    alice.asked("INVITE")
    alice.reply("200 OK", body=SDP, tag=False)
    alice.asked("ACK")
    alice.asked("BYE")
    alice.reply("200 OK", tag=False)
    lab.party("bob", BOB, bob)
    lab.party("alice", ALICE, alice, via=PROXY)


def cancel(lab: Lab) -> None:
    """The caller gives up while the phone rings."""
    _one_proxy(lab)
    bob = Party("bob")
    bob.asked("INVITE")
    bob.reply("180 Ringing")
    bob.asked("CANCEL")
    bob.reply("200 OK")
    bob.reply("487 Request Terminated", first=True)
    bob.asked("ACK")
    alice = Party("alice", calls="bob")
    alice.send("INVITE", body=SDP)
    alice.answered(100, 180)
    alice.pause(100)
    alice.send("CANCEL")
    alice.answered(200)
    alice.answered(487)
    alice.send("ACK")
    lab.party("bob", BOB, bob)
    lab.party("alice", ALICE, alice, via=PROXY)


def refer(lab: Lab) -> None:
    """An attended transfer: alice talks to bob and to carol, then joins them by a REFER to bob
    whose Refer-To carries Replaces."""
    _one_proxy(lab)
    lab.net.host("carol", CAROL)
    carol = Party("carol")
    carol.asked("INVITE")
    carol.reply("200 OK", body=SDP)
    carol.asked("ACK")
    carol.asked("BYE")
    carol.reply("200 OK", tag=False)
    consulted = lab.party("carol", CAROL, carol, more=("-m", "2"))
    consult = Party("alice", calls="carol")
    consult.send("INVITE", body=SDP)
    consult.answered(100, 200, keep="Contact", tag_keep=True)
    consult.send("ACK")
    consult.pause(2500)
    consult.send("BYE")
    consult.answered(200)
    consulting = lab.party("alice", ALICE, consult, via=PROXY, port=5062, call_id="consult-%u")
    target = lab.kept(consulting, "Contact")
    to_tag, from_tag = lab.kept(consulting, "tags").split()
    del consulted

    bob = _ringing_bob()
    bob.asked("REFER", keep="Refer-To")
    bob.reply("202 Accepted", tag=False)
    notify = ("Event: refer", "Subscription-State: active;expires=60")
    bob.send("NOTIFY", *notify, body="SIP/2.0 100 Trying\n", kind="message/sipfrag")
    bob.answered(200)
    bob.pause(1000)
    ended = ("Event: refer", "Subscription-State: terminated;reason=noresource")
    bob.send("NOTIFY", *ended, body="SIP/2.0 200 OK\n", kind="message/sipfrag")
    bob.answered(200)
    bob.asked("BYE")
    bob.reply("200 OK", tag=False)
    referred = lab.party("bob", BOB, bob)

    alice = Party("alice", calls="bob")
    alice.send("INVITE", body=SDP)
    alice.answered(100, 180, 200)
    alice.send("ACK")
    alice.pause(100)
    replaces = f"consult-1%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{from_tag}"
    alice.send("REFER", f"Refer-To: <{target}?Replaces={replaces}>",
               "Referred-By: <sip:alice@server.com>")  # fmt: skip
    alice.answered(202)
    alice.asked("NOTIFY")
    alice.reply("200 OK", tag=False)
    alice.asked("NOTIFY")
    alice.reply("200 OK", tag=False)
    alice.send("BYE")
    alice.answered(200)
    lab.party("alice", ALICE, alice, via=PROXY)

    refer_to = lab.kept(referred, "Refer-To").split("?")[0]
    joining = Party("bob", calls="carol", uri=refer_to)
    joining.send("INVITE", f"Replaces: consult-1;to-tag={to_tag};from-tag={from_tag}", body=SDP)
    joining.answered(100, 200)
    joining.send("ACK")
    joining.pause(2500)
    joining.send("BYE")
    joining.answered(200)
    lab.party("bob", BOB, joining, via=PROXY, port=5062)


def subscribe(lab: Lab) -> None:
    """SUBSCRIBE, NOTIFY; a SUBSCRIBE that ends it, and the last NOTIFY."""
    _one_proxy(lab)
    kind = "application/simple-message-summary"
    bob = Party("bob")
    bob.asked("SUBSCRIBE")
    bob.reply("200 OK", "Expires: 600")
    active = ("Event: message-summary", "Subscription-State: active;expires=600")
    bob.send("NOTIFY", *active, body="Messages-Waiting: yes\n", kind=kind)
    bob.answered(200)
    bob.asked("SUBSCRIBE")
    bob.reply("200 OK", "Expires: 0", tag=False)
    ended = ("Event: message-summary", "Subscription-State: terminated;reason=timeout")
    bob.send("NOTIFY", *ended, body="Messages-Waiting: no\n", kind=kind)
    bob.answered(200)
    alice = Party("alice", calls="bob")
    alice.send("SUBSCRIBE", "Event: message-summary", f"Accept: {kind}", "Expires: 600")
    alice.answered(100, 200)
    alice.asked("NOTIFY")
    alice.reply("200 OK", tag=False)
    alice.pause(100)
    alice.send("SUBSCRIBE", "Event: message-summary", f"Accept: {kind}", "Expires: 0")
    alice.answered(200)
    alice.asked("NOTIFY")
    alice.reply("200 OK", tag=False)
    lab.party("bob", BOB, bob)
    lab.party("alice", ALICE, alice, via=PROXY)


def register(lab: Lab) -> None:
    """Two phones of alice's register and refresh, bob calls her at one, she takes all back."""
    _one_proxy(lab)
    lab.net.host("desk", "192.168.178.28")
    for host, address in (("desk", "192.168.178.28"), ("alice", ALICE)):
        phone = _registering("alice")
        phone.send("REGISTER", "Expires: 600")
        phone.answered(200)
        lab.party(host, address, phone, via=PROXY)
        lab.done()
    phone = _answering("alice")
    lab.party("alice", ALICE, phone)
    lab.party("bob", BOB, _calling("bob", "alice"), via=PROXY)
    lab.done()
    phone = _registering("alice")
    phone.contact = "*"
    phone.send("REGISTER", "Expires: 0")
    phone.answered(200)
    lab.party("alice", ALICE, phone, via=PROXY)


def register_outside(lab: Lab) -> None:
    """A phone inside registers with a registrar outside, through two proxies that add a Path.
    Then bob, outside, calls the phone through that registrar."""
    registrar = "198.51.100.60"
    _edge_hosts(lab)
    lab.net.host("registrar", registrar)
    lab.net.host("inner", INNER)
    lab.proxy("registrar", f"{registrar}:5060", hide=False)
    defines = {"PATH": "", "NEXT": f'"sip:{PROXY}:5060"'}
    lab.proxy("inner", f"{INNER}:5060", hide=False, defines=defines)
    defines = {"PATH": "", "NEXT": f'"sip:{registrar}:5060"'}
    lab.proxy("edge", f"{EDGE}:5060", f"{PROXY}:5060", defines=defines)
    _capture_edge(lab)
    phone = _registering("alice")
    phone.send("REGISTER", "Expires: 600", "Supported: path")
    phone.answered(200)
    lab.party("alice", ALICE, phone, via=INNER)
    lab.done()
    lab.party("alice", ALICE, _answering("alice"))
    lab.party("bob", FAR, _calling("bob", "alice"), via=registrar)


def redirect(lab: Lab) -> None:
    """302 with two Contacts, one with an address and one with a carrier's name; alice follows."""
    _one_proxy(lab)
    lab.net.host("carol", CAROL)
    bob = Party("bob")
    bob.asked("INVITE")
    contacts = f"<sip:bob@{CAROL}:5060>;q=0.9, <sip:bob@sip.carrier.example>;q=0.5"
    bob.reply("302 Moved Temporarily", f"Contact: {contacts}")
    bob.asked("ACK")
    alice = Party("alice", calls="bob")
    alice.send("INVITE", body=SDP)
    alice.answered(100, 302, keep="Contact")
    alice.send("ACK")
    lab.party("bob", BOB, bob)
    lab.party("carol", CAROL, _answering("bob"))
    redirected = lab.party("alice", ALICE, alice, via=PROXY)
    target = lab.kept(redirected, "Contact")
    again = _calling("alice", "bob", uri=target)
    lab.party("alice", ALICE, again, via=PROXY, port=5062)


def prack(lab: Lab) -> None:
    """A reliable 183 and its PRACK."""
    _one_proxy(lab)
    bob = Party("bob")
    bob.asked("INVITE")
    bob.reply("183 Session Progress", "Require: 100rel", "RSeq: 4711", body=SDP)
    bob.asked("PRACK")
    bob.reply("200 OK", tag=False)
    bob.pause(100)
    bob.reply("200 OK", first=True)
    bob.asked("ACK")
    bob.asked("BYE")
    bob.reply("200 OK", tag=False)
    alice = Party("alice", calls="bob")
    alice.send("INVITE", "Require: 100rel", body=SDP)
    alice.answered(100, 183)
    alice.send("PRACK", "RAck: 4711 1 INVITE")
    alice.answered(200)
    alice.answered(200)
    alice.send("ACK")
    alice.pause(100)
    alice.send("BYE")
    alice.answered(200)
    lab.party("bob", BOB, bob)
    lab.party("alice", ALICE, alice, via=PROXY)


def two_proxies(lab: Lab) -> None:
    """A phone inside, an inner proxy with two ports, the edge with two addresses, bob outside;
    a call out and a call in."""
    _edge(lab, INNER)


def three_proxies(lab: Lab) -> None:
    """The same with a middle proxy, with two ports too, between the inner one and the edge."""
    _edge(lab, INNER, MIDDLE)


def spiral(lab: Lab) -> None:
    """The proxy sends a call to an application server outside, which sends it back: each request
    passes the proxy twice."""
    server = "198.51.100.50"
    lab.net.host("server", server)
    lab.proxy("server", f"{server}:5060", hide=False, defines={"BACK": f'"sip:{PROXY}:5060"'})
    _one_proxy(lab, spiral=server)
    lab.party("bob", BOB, answering_bob())
    lab.party("alice", ALICE, calling_alice(), via=PROXY)


def remote_phone(lab: Lab) -> None:
    """carol's phone stands behind NAT at home, with the private address that bob's has inside: it
    registers, calls bob, and is called by him."""
    lab.net.host("edge", EDGE, PROXY)
    lab.net.host("bob", BOB)
    lab.net.home("carol", BOB, "192.168.178.1", "198.51.100.7")
    defines = {"NAT": "", "BOB": f'"sip:bob@{BOB}:5060"'}
    lab.proxy("edge", f"{EDGE}:5060", f"{PROXY}:5060", defines=defines)
    _capture_edge(lab)
    phone = _registering("carol")
    phone.send("REGISTER", "Expires: 600")
    phone.answered(200)
    lab.party("carol", BOB, phone, via=EDGE)
    lab.done()
    lab.party("bob", BOB, answering_bob())
    lab.party("carol", BOB, _calling("carol", "bob"), via=EDGE)
    lab.done()
    lab.party("carol", BOB, _answering("carol"))
    lab.party("bob", BOB, _calling("bob", "carol"), via=PROXY)


def ipv6(lab: Lab) -> None:
    """A basic call over IPv6."""
    _one_proxy_ipv6(lab)
    lab.party("bob", "2001:db8:178::22", answering_bob())
    lab.party("alice", "2001:db8:178::27", calling_alice(), via="[2001:db8:178::10]:5060")


def compact(lab: Lab) -> None:
    """A basic call whose caller writes compact header names; the callee echoes them."""
    _one_proxy(lab)
    bob = Party("bob", echo=True)
    bob.asked("INVITE")
    bob.reply("180 Ringing")
    bob.reply("200 OK", body=SDP)
    bob.asked("ACK")
    bob.asked("BYE")
    bob.reply("200 OK", tag=False)
    lab.party("bob", BOB, bob)
    lab.party("alice", ALICE, calling_alice(compact=True), via=PROXY)


def fragments(lab: Lab) -> None:
    """A call whose INVITE is 3,500 bytes long and travels in IP fragments."""
    _one_proxy(lab)
    lab.party("bob", BOB, answering_bob())
    lab.party("alice", ALICE, calling_alice(body=LONG_SDP), via=PROXY)


def fragments6(lab: Lab) -> None:
    """The same over IPv6, where only the senders may fragment."""
    _one_proxy_ipv6(lab)
    lab.party("bob", "2001:db8:178::22", answering_bob())
    alice = calling_alice(body=LONG_SDP)
    lab.party("alice", "2001:db8:178::27", alice, via="[2001:db8:178::10]:5060")


def callid(lab: Lab) -> None:
    """A phone inside whose Call-IDs carry its address; a call out."""
    _edge_hosts(lab)
    defines = {"CALLID": "", "BOB": f'"sip:bob@{FAR}:5060"'}
    lab.proxy("edge", f"{EDGE}:5060", f"{PROXY}:5060", defines=defines)
    _capture_edge(lab)
    lab.party("bob", FAR, answering_bob())
    lab.party("alice", ALICE, calling_alice(), via=PROXY, call_id="%u-%p@%s")


def nat(lab: Lab) -> None:
    """A phone system inside, behind a router that translates: it registers with a carrier, calls
    bob, and is called by him. Captured inside, before the translation."""
    carrier = "198.51.100.60"
    lab.net.host("carrier", carrier)
    lab.net.host("bob", FAR)
    lab.net.home("pbx", PROXY, "192.168.178.1", EDGE)
    defines = {"NAT": "", "BOB": f'"sip:bob@{FAR}:5060"'}
    lab.proxy("carrier", f"{carrier}:5060", hide=False, defines=defines)
    lab.capture("pbx")
    pbx = _registering("alice")
    pbx.send("REGISTER", "Expires: 600")
    pbx.answered(200)
    lab.party("pbx", PROXY, pbx, via=carrier)
    lab.done()
    lab.party("bob", FAR, answering_bob())
    lab.party("pbx", PROXY, calling_alice(), via=carrier)
    lab.done()
    lab.party("pbx", PROXY, _answering("alice"))
    lab.party("bob", FAR, _calling("bob", "alice"), via=carrier)


CALLS: dict[str, Call] = {
    "basic": Call(basic),
    "reinvite": Call(reinvite),
    "cancel": Call(cancel),
    "refer": Call(refer),
    "subscribe": Call(subscribe),
    "register": Call(register),
    "register-outside": Call(register_outside),
    "redirect": Call(redirect),
    "prack": Call(prack, suffix=".pcapng"),
    "two-proxies": Call(two_proxies),
    "three-proxies": Call(three_proxies),
    "spiral": Call(spiral),
    "remote-phone": Call(remote_phone),
    "ipv6": Call(ipv6),
    "compact": Call(compact),
    "fragments": Call(fragments),
    "fragments6": Call(fragments6),
    "callid": Call(callid),
    "nat": Call(nat, topoh=False),
}

# What a browser or a soft phone with ICE offers: candidates until the INVITE has 3,500 bytes.
LONG_SDP = SDP + "".join(
    f"a=candidate:{n} 1 udp {2130706431 - n} [media_ip] {40000 + n} typ host generation 0\n"
    for n in range(37)
)


def _one_proxy(lab: Lab, *, nanoseconds: bool = False, spiral: str = "") -> None:
    lab.net.host("srv", PROXY)
    lab.net.host("alice", ALICE)
    lab.net.host("bob", BOB)
    users = {"BOB": f'"sip:bob@{BOB}:5060"', "CAROL": f'"sip:carol@{CAROL}:5060"'}
    through = {"SPIRAL": f'"{spiral}"'} if spiral else {}
    lab.proxy("srv", f"{PROXY}:5060", defines=users | through)
    lab.capture("srv", nanoseconds)


def _one_proxy_ipv6(lab: Lab) -> None:
    lab.net.host("srv", "2001:db8:178::10")
    lab.net.host("alice", "2001:db8:178::27")
    lab.net.host("bob", "2001:db8:178::22")
    defines = {"BOB": '"sip:bob@[2001:db8:178::22]:5060"'}
    lab.proxy("srv", "[2001:db8:178::10]:5060", defines=defines)
    lab.capture("srv")


def _edge_hosts(lab: Lab) -> None:
    lab.net.host("edge", EDGE, PROXY)
    lab.net.host("alice", ALICE)
    lab.net.host("bob", FAR)


def _capture_edge(lab: Lab) -> None:
    """Both of its sides in clear; with topoh the outer one, for it hides the one from the other."""
    lab.capture("edge", only=EDGE if lab.topoh else "")


def _edge(lab: Lab, *chain: str) -> None:
    """The proxies of `chain`, from alice outwards, behind the edge; a call out and a call in."""
    _edge_hosts(lab)
    outwards = [*chain[1:], PROXY]
    inwards = ["", *chain[:-1]]
    for address, out, back in zip(chain, outwards, inwards, strict=True):
        host = f"proxy{address.rpartition('.')[2]}"
        lab.net.host(host, address)
        defines = {"TWO_PORTS": "", "NEXT": f'"sip:{out}:5060"'}
        if back:
            defines["INWARD"] = f'"sip:{back}:5070"'
        else:
            defines["ALICE"] = f'"sip:alice@{ALICE}:5060"'
        lab.proxy(host, f"{address}:5060", f"{address}:5070", hide=False, defines=defines)
    defines = {"BOB": f'"sip:bob@{FAR}:5060"', "INWARD": f'"sip:{chain[-1]}:5070"'}
    lab.proxy("edge", f"{EDGE}:5060", f"{PROXY}:5060", defines=defines)
    _capture_edge(lab)
    bob = _ringing_bob()
    bob.pause(200)
    bob.send("BYE")
    bob.answered(200)
    alice = Party("alice", calls="bob")
    alice.send("INVITE", body=SDP)
    alice.answered(100, 180, 200)
    alice.send("ACK")
    alice.asked("BYE")
    alice.reply("200 OK", tag=False)
    lab.party("bob", FAR, bob)
    lab.party("alice", ALICE, alice, via=chain[0])
    lab.done()
    lab.party("alice", ALICE, _answering("alice"))
    lab.party("bob", FAR, _calling("bob", "alice"), via=EDGE)


def _registering(user: str) -> Party:
    return Party(user, calls=user, uri="sip:server.com")


def _calling(user: str, other: str, uri: str = "") -> Party:
    party = Party(user, calls=other, uri=uri)
    party.send("INVITE", body=SDP)
    party.answered(100, 180, 200)
    party.send("ACK")
    party.pause(200)
    party.send("BYE")
    party.answered(200)
    return party


def _answering(user: str) -> Party:
    party = Party(user)
    party.asked("INVITE")
    party.reply("180 Ringing")
    party.reply("200 OK", body=SDP)
    party.asked("ACK")
    party.asked("BYE")
    party.reply("200 OK", tag=False)
    return party


def calling_alice(compact: bool = False, body: str = SDP, talk: int = 200, most: int = 0) -> Party:
    """alice calls bob and hangs up after `talk` milliseconds; with `most` between the two."""
    alice = Party("alice", calls="bob", compact=compact)
    alice.contact = '"alice" <sip:alice@[local_ip]:[local_port]>'
    alice.send("INVITE", body=body)
    alice.answered(100, 180, 200)
    alice.send("ACK")
    alice.pause(talk, most)
    alice.send("BYE")
    alice.answered(200)
    return alice


def _ringing_bob(ring: int = 0, *, is_patient: bool = False) -> Party:
    bob = Party("bob")
    bob.contact = "<sip:bob@[local_ip]:[local_port];line=mu3z2i1j>;reg-id=1"
    bob.asked("INVITE")
    bob.reply("180 Ringing")
    if ring:
        bob.pause(ring)
    bob.reply("200 OK", body=SDP)
    bob.asked("ACK", optional=is_patient)
    return bob


def answering_bob(ring: int = 0, *, is_patient: bool = False) -> Party:
    """bob rings for `ring` milliseconds, answers, and is hung up on. `is_patient`: also by a BYE that
    comes though the ACK was lost, as RFC 3261 section 15.1.2 has it."""
    bob = _ringing_bob(ring, is_patient=is_patient)
    bob.asked("BYE")
    bob.reply("200 OK", tag=False)
    return bob
