"""What strangers say of the inside's range: marked, swapped, given back, and equal to nothing that is ours.

10.0.0.0/8 is inside; the phone PHONE outside has an address of the same range, behind PEER's NAT.
"""

import re
from typing import Any

import pytest

from inline_topo.assemble import Leg
from inline_topo.gateway import Gateway
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.stores.memory import MemoryStore
from tests.masking.network import (
    CODECS,
    PEER,
    PROXY,
    RING,
    THIRD,
    datagram,
    enter,
    gateway,
    judge,
    leave,
    payload_of,
    unmarked,
    wire,
)
from tests.masking.topos_network import Node

PHONE = "sip:a@10.1.1.30:5062"
PLACE = f"{PEER}:5060"
_T = re.compile(rb"out=[A-Za-z0-9_.*~-]+")


def plain(message: bytes) -> str:
    """A message with T for each token of a mark."""
    return _T.sub(b"out=T", message).decode()


def request(method: str, uri: str, *fields: str, tag: str = "") -> bytes:
    to = f";tag={tag}" if tag else ""
    lines = "\n".join(fields)
    return wire(f"""
        {method} {uri} SIP/2.0
        Via: SIP/2.0/UDP 10.1.1.30:5062;branch=z9hG4bKa1b2c3d4e5f6a7b8c9d0e1;rport
        From: <sip:a@example.com>;tag=1
        To: <sip:b@example.com>{to}
        Call-ID: x@10.1.1.30
        CSeq: 1 {method}
        {lines}
    """)


def response(status: str, method: str, *fields: str) -> bytes:
    lines = "\n".join(fields)
    return wire(f"""
        SIP/2.0 {status}
        Via: SIP/2.0/UDP {PROXY};branch=z9hG4bKa1b2c3d4e5f6a7b8c9d0e1
        From: <sip:a@example.com>;tag=1
        To: <sip:b@example.com>;tag=2
        Call-ID: x
        CSeq: 1 {method}
        {lines}
    """)


def line(message: bytes, name: str) -> str:
    found = re.search(rf"(?m)^{name}: (.*?)\r$", plain(message))
    return found[1] if found else ""


# --- setting --------------------------------------------------------------------------------------

HERE, THERE = f"<sip:a@{PLACE};out=T;ob>", "<sip:a@10.1.1.30:5062;out=T;ob>"
OWN_WORDS = f"<{PHONE};ob>"


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("method", "name", "expected"),
    [
        ("INVITE", "Contact", HERE),
        ("SUBSCRIBE", "Contact", HERE),
        ("REGISTER", "Contact", THERE),
        ("INVITE", "Record-Route", HERE),
        ("REGISTER", "Path", HERE),
        ("INVITE", "Route", THERE),
        ("REFER", "Refer-To", THERE),
        ("INVITE", "Referred-By", f"<sip:a@{PLACE};ob>"),
        ("INVITE", "P-Asserted-Identity", f"<sip:a@{PLACE};ob>"),
        ("INVITE", "X-Unknown", f"<sip:a@{PLACE};ob>"),
        ("INVITE", "In-Reply-To", OWN_WORDS),
        ("INVITE", "Authorization", OWN_WORDS),
        ("INVITE", "Replaces", OWN_WORDS),
    ],
)
def test_requests(method: str, name: str, expected: str, codec: str) -> None:
    entered = enter(gateway(codec), request(method, "sip:b@192.0.2.10", f"{name}: {OWN_WORDS}"))
    assert line(entered, name) == expected
    assert line(entered, "Via").startswith("SIP/2.0/UDP 10.1.1.30:5062;")
    assert line(entered, "Call-ID") == "x@10.1.1.30"


@pytest.mark.parametrize(
    ("status", "method", "name", "expected"),
    [
        ("200 OK", "INVITE", "Contact", HERE),
        ("302 Moved", "INVITE", "Contact", THERE),
        ("200 OK", "REGISTER", "Contact", THERE),
        ("200 OK", "INVITE", "Record-Route", HERE),
        ("200 OK", "REGISTER", "Service-Route", HERE),
        ("200 OK", "INVITE", "Reply-To", f"<sip:a@{PLACE};ob>"),
    ],
)
def test_responses(status: str, method: str, name: str, expected: str) -> None:
    entered = enter(gateway(), response(status, method, f"{name}: {OWN_WORDS}"))
    assert line(entered, name) == expected


def test_the_request_uri_keeps_its_host() -> None:
    entered = enter(gateway(), request("INVITE", "sip:b@10.0.0.9:5070;x?a=b"))
    assert plain(entered).startswith("INVITE sip:b@10.0.0.9:5070;out=T;x?a=b SIP/2.0\r\n")


def test_from_and_to_where_their_hosts_are_hidden() -> None:
    ends = {"f": "sip:a@10.1.1.30", "t": "sip:b@10.0.0.9"}
    told = request("INVITE", "sip:b@192.0.2.10").replace(b"sip:a@example.com", b"sip:a@10.1.1.30")
    told = told.replace(b"<sip:b@example.com>", b'"10.1.1.30" <sip:b@10.0.0.9>;tag=10.0.0.9')
    assert enter(gateway(), told) == told
    entered = enter(gateway(hide__from_to=True), told)
    assert line(entered, "From") == f"<{ends['f']};out=T>;tag=1"
    assert line(entered, "To") == f'"{PEER}" <{ends["t"]};out=T>;tag=10.0.0.9'
    signed = told.replace(b"CSeq:", b"Identity: x\r\nCSeq:")
    assert enter(gateway(hide__from_to=True), signed) == signed
    back = leave(gateway(hide__from_to=True), entered.replace(b'"198.51.100.20" ', b""))
    assert line(back, "From") == f"<{ends['f']}>;tag=1"
    assert line(back, "To") == f"<{ends['t']}>;tag=10.0.0.9"


def test_what_stands_beside_and_behind() -> None:
    beside = '"10.1.1.30" <sip:a@10.1.1.30?Subject=10.1.1.30&Replaces=x%4010.1.1.30>;x="10.1.1.30"'
    entered = enter(gateway(), request("REFER", "sip:b@192.0.2.10", f"Refer-To: {beside}"))
    assert line(entered, "Refer-To") == (
        f'"{PEER}" <sip:a@10.1.1.30;out=T?Subject={PEER}&Replaces=x%4010.1.1.30>;x="{PEER}"'
    )


def test_lists_folds_and_bare_uris() -> None:
    told = request(
        "REGISTER",
        "sip:192.0.2.10",
        "m: sip:a@10.1.1.30;expires=60, <sip:a@203.0.113.9>,",
        "Contact: *",
        'Contact: "A" <sip:a@10.1.1.31>;q=0.5',
    ).replace(b",\r\n", b",\r\n <sip:a@10.1.1.32:5062>\r\n")
    entered = plain(enter(gateway(), told))
    assert "m: <sip:a@10.1.1.30;out=T>;expires=60, <sip:a@203.0.113.9>,\r\n" in entered
    assert " <sip:a@10.1.1.32:5062;out=T>\r\n" in entered
    assert 'Contact: "A" <sip:a@10.1.1.31;out=T>;q=0.5' in entered


def test_what_is_no_sip_uri_is_swapped() -> None:
    told = request("REFER", "sip:b@192.0.2.10", "Refer-To: <http://10.1.1.30:80/x>")
    assert line(enter(gateway(), told), "Refer-To") == f"<http://{PLACE}/x>"


@pytest.mark.parametrize("uri", ["sip:192.0.2.10", "sip:b@EXAMPLE.com", "sip:10.1.1.30@192.0.2.10"])
def test_own_hosts_are_not_marked(uri: str) -> None:
    told = request("INVITE", uri, f"Route: <{uri};lr>", f"Contact: <{uri}>")
    for profile in ("default", "strict"):  # strict refuses claims
        verdict = judge(gateway(profile=profile, audit=0), datagram(told, PEER, PROXY))
        assert {edit.field for edit in verdict.edits} <= {"Call-ID"}  # its bijection (strict)


def test_what_opens_is_not_marked() -> None:
    net = gateway()
    left = leave(net, request("INVITE", "sip:b@198.51.100.20", f"Contact: {OWN_WORDS}"))
    token = line(left, "Contact")
    told = request("BYE", token.strip("<>"), f"Route: {token}", tag="2")
    entered = enter(net, told)
    assert b"out=" not in entered
    assert line(entered, "Route") == OWN_WORDS


def test_other_spellings() -> None:
    for host in ("010.1.01.30", "10.1.1.30.", "10.1.1.30.nip.example", "[::ffff:10.1.1.30]"):
        entered = enter(gateway(), request("INVITE", f"sip:b@{host}", f"Contact: <sip:a@{host}>"))
        assert plain(entered).startswith(f"INVITE sip:b@{host};out=T SIP/2.0")
        assert line(entered, "Contact") == f"<sip:a@{PLACE};out=T>"


# --- who is not marked ----------------------------------------------------------------------------


def stranger() -> bytes:
    fields = f"Contact: {OWN_WORDS}", f"Route: {OWN_WORDS}", "Referred-By: <sip:10.1.1.30>"
    return request("INVITE", "sip:b@10.0.0.9", *fields)


@pytest.mark.parametrize("leg", [Leg.OUTSIDE, Leg.INSIDE])
def test_the_other_legs_mark_nothing(leg: Leg) -> None:
    verdict = judge(gateway(leg=leg), datagram(stranger(), PEER, PROXY))
    assert b"out=" not in verdict.packet


def test_nor_topoh_itself() -> None:
    assert enter(gateway("kamailio", profile="topoh"), stranger()) == stranger()
    assert b"out=" in enter(gateway(profile="topoh"), stranger())


def test_nor_those_that_a_rule_leaves_clear() -> None:
    rules = [{"destination": [PEER], "action": "skip"}]
    assert enter(gateway(rule=rules), stranger()) == stranger()
    assert b"out=" in enter(gateway(rule=rules), stranger(), peer=THIRD)
    by_user = [{"destination": [PEER], "method": ["INVITE"], "action": "skip"}]
    assert b"out=" in enter(gateway(rule=by_user), stranger())


def test_without_the_switch_all_is_swapped() -> None:
    told = request(
        "INVITE", "sip:b@192.0.2.10", f"Contact: {OWN_WORDS}", "Referred-By: <sip:10.1.1.30>"
    )
    entered = enter(gateway(hide__strangers=False, hide__claims="refuse"), told)
    assert b"out=" not in entered
    assert line(entered, "Contact") == f"<sip:a@{PLACE};ob>"
    assert line(entered, "Referred-By") == f"<sip:{PEER}>"


# --- restoring ------------------------------------------------------------------------------------


def marked(uri: str, name: str = "Contact", method: str = "INVITE") -> str:
    """What the inside gets for a URI of the stranger's."""
    entered = enter(gateway(), request(method, "sip:b@192.0.2.10", f"{name}: <{uri}>"))
    found = re.search(rf"(?m)^{name}: <(.*)>\r$", entered.decode())
    assert found
    return found[1]


@pytest.mark.parametrize("peer", [PEER, THIRD])
@pytest.mark.parametrize("settings", [{}, {"profile": "strict", "audit": 0}, {"profile": "topoh"}])
def test_requests_get_their_words_back(settings: dict[str, Any], peer: str) -> None:
    uri, route = marked(f"{PHONE};ob"), marked("sip:10.1.1.1;lr", "Record-Route")
    told = request("BYE", uri, f"Route: <{route}>, <sip:{PEER};lr>", f"Path: <{route}>", tag="2")
    left = leave(gateway(**settings), told, peer=peer)
    assert left.startswith(f"BYE {PHONE};ob SIP/2.0\r\n".encode())
    assert line(left, "Route") == f"<sip:10.1.1.1;lr>, <sip:{PEER};lr>"
    assert line(left, "Path") == "<sip:10.1.1.1;lr>"


def test_a_registration_comes_back() -> None:
    bare = enter(gateway(), request("REGISTER", "sip:192.0.2.10", f"Contact: {PHONE};expires=60"))
    listed = line(bare, "Contact")
    assert listed == f"<{PHONE};out=T>;expires=60"
    contact = re.search(rb"(?m)^Contact: (.*?);expires", bare)
    assert contact
    told = response("200 OK", "REGISTER", f"Contact: {contact[1].decode()};q=1;expires=60")
    left = leave(gateway(), told)
    assert line(left, "Contact") == f"{PHONE};q=1;expires=60"


def test_record_routes_of_a_response_from_the_last_own_one_down() -> None:
    """Those above it are others', and their receiver has them for his Routes."""
    theirs, others = (
        marked("sip:10.1.1.1;lr", "Record-Route"),
        marked("sip:10.2.2.2;lr", "Record-Route"),
    )
    routes = f"Record-Route: <{others}>, <sip:{PROXY};lr>, <{theirs}>"
    left = leave(gateway(), response("200 OK", "INVITE", routes))
    above, own, below = line(left, "Record-Route").split(", ")
    assert (own, below) == (f"<sip:{PROXY};lr>", "<sip:10.1.1.1;lr>")
    assert "out=" not in above
    assert re.fullmatch(rf"<sip:[\w-]+@{PROXY};lr>", above)
    back = enter(gateway(), request("BYE", f"sip:b@{PROXY}", f"Route: {above}", tag="2"))
    assert f"Route: <{others}>".encode() in back
    left = leave(gateway(), response("200 OK", "INVITE", f"Record-Route: <{theirs}>"))
    assert line(left, "Record-Route") == "<sip:10.1.1.1;lr>"


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("INVITE", "Contact"),
        ("REGISTER", "Contact"),
        ("INVITE", "Record-Route"),
        ("REFER", "Refer-To"),
        ("INVITE", "Reply-To"),
    ],
)
@pytest.mark.parametrize("uri", ["sip:a@10.0.0.5:5062", f"sip:a@{PROXY};maddr=10.0.0.5"])
def test_elsewhere_it_is_sealed_whole_and_equal_to_nothing(
    uri: str, method: str, name: str
) -> None:
    """The guess: what alice's own URI becomes must not be what a stranger's equal one becomes."""
    net = gateway()
    hers = leave(net, request(method, "sip:c@203.0.113.30", f"{name}: <{uri}>"), peer=THIRD)
    guess = f"{name}: <{marked(uri)}>"
    guessed = leave(net, request(method, "sip:c@203.0.113.30", guess), peer=THIRD)
    assert b"out=" not in guessed
    assert b"10.0.0.5" not in guessed.partition(b"\r\n" + name.encode())[2]
    assert line(guessed, name) != line(hers, name)
    token = re.search(r"<(.*?)>", line(guessed, name))
    assert token
    back = enter(net, request("INVITE", token[1]), peer=THIRD)
    assert back.startswith(f"INVITE {marked(uri)} SIP".encode())


def test_a_mark_at_a_host_of_the_inside_that_is_not_the_strangers_is_not_restored() -> None:
    uri = marked(PHONE).replace(PLACE, "10.0.0.77")
    left = leave(gateway(), request("INVITE", uri))
    token = left.split(b" ")[1].decode()
    assert re.fullmatch(rf"sip:[\w-]+@{PROXY}", token)
    assert enter(gateway(), request("INVITE", token)).startswith(f"INVITE {uri} SIP/2.0".encode())


def test_forged_and_nested_marks() -> None:
    forged = f"{PHONE};out=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    once = marked(forged)
    assert once.count("out=") == 1
    assert leave(gateway(), request("BYE", once)).startswith(f"BYE {forged} SIP".encode())
    harmless = f"sip:a@{PEER};out=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    assert enter(gateway(), request("BYE", harmless)).startswith(f"BYE {harmless} SIP".encode())
    # Two gateways in series, with one key.
    twice = marked(marked(PHONE))
    assert twice != marked(PHONE)
    outer = leave(gateway(), request("BYE", twice))
    assert outer.startswith(f"BYE {marked(PHONE)} SIP".encode())
    assert leave(gateway(), outer).startswith(f"BYE {PHONE} SIP".encode())


def test_a_peer_left_clear_gets_his_own_words_too() -> None:
    rules = [{"destination": [PEER], "action": "skip"}]
    uri = marked(PHONE)
    left = leave(gateway(rule=rules), request("BYE", uri, f"Contact: {OWN_WORDS}"))
    assert left.startswith(f"BYE {PHONE} SIP".encode())
    assert line(left, "Contact") == OWN_WORDS


# --- the way out: a drain -------------------------------------------------------------------------


def test_a_drain_restores_and_marks_nothing() -> None:
    draining = gateway(drain=True)
    assert enter(draining, stranger()) == stranger()
    left = leave(draining, request("BYE", marked(PHONE), tag="2"))
    assert left.startswith(f"BYE {PHONE} SIP".encode())


@pytest.mark.parametrize("contact", [OWN_WORDS, f"{PHONE};expires=60"])
def test_a_drain_takes_marked_bindings_back(contact: str) -> None:
    told = request("REGISTER", "sip:192.0.2.10", f"Contact: {contact}")
    before, now = enter(gateway(), told).decode(), enter(gateway(drain=True), told).decode()
    registered = re.search(r"(?m)^Contact: <(.*?)>", before)
    assert registered
    assert f"Contact: {contact}, <{registered[1]}>;expires=0\r\n" in now
    # Through to a registrar outside: it knows the Contact by the token of the marked one.
    outside = leave(gateway(), before.encode(), peer=THIRD).decode()
    token = re.search(r"(?m)^Contact: <(.*?)>", outside)
    assert token
    plain_one = leave(gateway(drain=True), told, peer=THIRD).decode()
    assert f"<{token[1]}>;expires=0" in plain_one


# --- bodies ---------------------------------------------------------------------------------------


def with_body(kind: str, body: str, method: str = "INVITE") -> bytes:
    told = request(
        method, "sip:b@192.0.2.10", f"Content-Type: {kind}", f"Content-Length: {len(body)}"
    )
    return told + body.encode()


def body_of(message: bytes) -> tuple[int, str]:
    head, _, body = message.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length
    assert int(length[1]) == len(body)
    return len(body), body.decode()


def test_descriptions() -> None:
    sdp = (
        "v=0\r\no=10.1.1.30 1 2 IN IP4 10.1.1.30\r\ns=10.1.1.30\r\nc=IN IP4 10.1.1.30\r\nt=0 0\r\n"
        "m=audio 4000 RTP/AVP 0\r\na=rtcp:4001 IN IP4 10.1.1.30\r\na=tool:x 10.1.1.30:5\r\n"
    )
    _, body = body_of(enter(gateway(), with_body("application/sdp", sdp)))
    assert body == (
        f"v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns={PEER}\r\nc=IN IP4 10.1.1.30\r\nt=0 0\r\n"
        f"m=audio 4000 RTP/AVP 0\r\na=rtcp:4001 IN IP4 10.1.1.30\r\na=tool:x {PLACE}\r\n"
    )


def test_fragments_and_xml() -> None:
    frag = (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.1.1.30:5;branch=1\r\nFrom: <sip:a@10.1.1.30>;tag=10.1.1.30\r\n"
        "Call-ID: 10.1.1.30\r\nContact: <sip:a@10.1.1.30>\r\n"
    )
    _, body = body_of(enter(gateway(), with_body("message/sipfrag", frag, "NOTIFY")))
    assert body == (
        f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {PLACE};branch=1\r\nFrom: <sip:a@{PEER}>;tag=10.1.1.30\r\n"
        f"Call-ID: 10.1.1.30\r\nContact: <sip:a@{PEER}>\r\n"
    )
    xml = (
        '<dialog id="1" call-id="x@10.1.1.30" local-tag="10.1.1.30"><target uri="sip:a@10.1.1.30:5062"/>'
        "<note>10.1.1.30</note></dialog>"
    )
    _, body = body_of(enter(gateway(), with_body("application/dialog-info+xml", xml, "NOTIFY")))
    assert body == (
        f'<dialog id="1" call-id="x@10.1.1.30" local-tag="10.1.1.30"><target uri="sip:a@{PLACE}"/>'
        f"<note>{PEER}</note></dialog>"
    )


def test_bodies_that_nobody_reads_stay() -> None:
    told = with_body("application/octet-stream", "10.1.1.30")
    assert enter(gateway(), told) == told


# --- a life ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["topoh", "topos"])
def test_a_remote_phone_is_called(mode: str) -> None:
    """It registers, moves to another port of its NAT, refreshes, is called, and hangs up."""

    class Tokens:
        net: Gateway = gateway()

        def enter(self, message: bytes, **ends: Any) -> bytes:
            return enter(self.net, message, **ends)

        def leave(self, message: bytes, **ends: Any) -> bytes:
            return leave(self.net, message, **ends)

    net = Node(MemoryStore()) if mode == "topos" else Tokens()
    register = request("REGISTER", "sip:192.0.2.10", f"Contact: {OWN_WORDS}")
    bindings = [
        re.search(rb"(?m)^Contact: <(.*?)>", net.enter(register, peer=peer))
        for peer in (PEER, THIRD)
    ]
    assert bindings[0]
    assert bindings[1]
    assert bindings[0][1] == bindings[1][1]
    binding = bindings[0][1].decode()
    listed = net.leave(response("200 OK", "REGISTER", f"Contact: <{binding}>;expires=60"))
    assert line(listed, "Contact") == f"{OWN_WORDS};expires=60"
    invite = request(
        "INVITE", binding, f"Contact: <sip:b@{PROXY}>", f"Record-Route: <sip:{PROXY};lr>"
    )
    invite = invite.replace(b"10.1.1.30:5062;branch", PROXY.encode() + b";branch")
    called = net.leave(invite, peer=THIRD)
    assert called.startswith(f"INVITE {PHONE};ob SIP/2.0\r\n".encode())
    ok = response("200 OK", "INVITE", f"Contact: {OWN_WORDS}", f"Record-Route: <sip:{PROXY};lr>")
    answered = net.enter(ok, peer=THIRD)
    target = re.search(rb"(?m)^Contact: <(.*?)>", answered)
    assert target
    assert target[1].startswith(f"sip:a@{THIRD}:5060;out=".encode())
    for method in ("ACK", "INVITE", "REFER", "BYE"):
        within = net.leave(request(method, target[1].decode(), tag="2"), peer=THIRD)
        assert within.startswith(f"{method} {PHONE};ob SIP/2.0\r\n".encode())


def test_edits_are_told_apart() -> None:
    verdict = judge(gateway(), datagram(stranger(), PEER, PROXY))
    assert {(edit.field, edit.action) for edit in verdict.edits} == {
        ("Request-URI", "marked"),
        ("Contact", "marked"),
        ("Route", "marked"),
        ("Referred-By", "swapped"),
    }
    assert unmarked(payload_of(verdict.packet)) != stranger()


# --- the way out, and a start in two steps --------------------------------------------------------


def clear_words() -> bytes:
    fields = (
        f"Route: <sip:10.1.1.1;lr>, <sip:{THIRD};lr>",
        f"Path: {OWN_WORDS}",
        f"Contact: {OWN_WORDS}",
    )
    return request("INVITE", PHONE, *fields, f"Refer-To: {OWN_WORDS}")


@pytest.mark.parametrize("profile", ["default", "strict", "topoh"])
@pytest.mark.parametrize("codec", CODECS)
def test_nothing_that_routes_names_the_inside_as_it_leaves(codec: str, profile: str) -> None:
    left = leave(gateway(codec, profile=profile, audit=0), clear_words()).decode()
    shown = {text.partition(":")[0] for text in left.split("\r\n")[1:] if "10.1.1" in text}
    if (codec, profile) == ("kamailio", "topoh"):
        assert {"Route", "Path", "Refer-To"} <= shown
        assert left.startswith(f"INVITE {PHONE} ")
        return
    assert shown <= {"Via", "Call-ID"}  # the sender's own; without mask_callid
    assert "10.1.1" not in left.partition("\r\n")[0]
    assert f"<sip:{THIRD};lr>" in left


def test_a_response_below_our_own_entry() -> None:
    routes = f"Record-Route: <sip:{PROXY};lr>, <sip:10.1.1.1;lr>, <sip:{THIRD};lr>"
    left = leave(gateway(), response("200 OK", "INVITE", routes))
    assert re.fullmatch(
        rf"<sip:{PROXY};lr>, <sip:[\w-]+@{PROXY};lr>, <sip:{THIRD};lr>", line(left, "Record-Route")
    )


def test_a_request_and_its_cancel_have_the_same_request_uri_across_a_rotation() -> None:
    rotated = KeyRing(RING.keys, active=1, stable=1)
    one, other = (
        leave(gateway(ring=ring), request(method, PHONE)).split(b" ")[1]
        for ring, method in ((RING, "INVITE"), (rotated, "CANCEL"))
    )
    assert one == other


def test_what_does_not_parse_and_names_the_inside_does_not_leave() -> None:
    for told in (
        request("INVITE", "sip:a@10.1.1.30<x"),
        request("INVITE", "sip:c@h", "Refer-To: <sip:10.1.1.30"),
    ):
        verdict = judge(gateway(), datagram(told, PROXY, PEER))
        assert verdict.outcome == "refused_unmaskable"


def test_fill_lets_a_clear_request_uri_and_routes_leave() -> None:
    left = leave(gateway(fill=True), clear_words())
    assert left.startswith(f"INVITE {PHONE} SIP/2.0".encode())
    assert line(left, "Route") == f"<sip:10.1.1.1;lr>, <sip:{THIRD};lr>"
    assert "10.1.1" not in line(left, "Path") + line(left, "Contact") + line(left, "Refer-To")
    assert b"out=" in enter(gateway(fill=True), stranger())
    enforced = gateway(profile="strict", audit="enforce", fill=True)
    via = b"UDP 10.1.1.30:5062", b"UDP " + PROXY.encode()
    text = request("INVITE", PHONE, f"Route: <sip:10.1.1.1;lr>, <sip:{THIRD};lr>").replace(*via)
    assert leave(enforced, text).startswith(f"INVITE {PHONE} SIP/2.0".encode())
    leak = request("INVITE", PHONE)  # its topmost Via is the phone's
    assert judge(enforced, datagram(leak, PROXY, PEER)).outcome == "refused_leak"


@pytest.mark.parametrize("drains", [True, False])
def test_a_drain_and_a_dry_run_let_them_too(drains: bool) -> None:
    net = gateway(drain=drains, dry_run=not drains)
    assert leave(net, clear_words()).startswith(f"INVITE {PHONE} SIP/2.0".encode())
    assert enter(net, stranger()) == stranger()


def test_the_outside_leg_leaves_what_the_same_peer_said_before() -> None:
    net = gateway(leg=Leg.OUTSIDE)
    assert PHONE.encode() not in leave(net, request("INVITE", PHONE)).partition(b"\r\n")[0]
    said = request("REGISTER", "sip:192.0.2.10", f"Contact: <{PHONE}>")
    assert enter(net, said) == said
    assert leave(net, request("INVITE", PHONE)).startswith(f"INVITE {PHONE} SIP".encode())
    other = leave(net, request("INVITE", PHONE), peer=THIRD)
    assert PHONE.encode() not in other.partition(b"\r\n")[0]


# --- claims ---------------------------------------------------------------------------------------

PUBLIC = "sip:b@192.0.2.10"
CLAIMS = {
    "Request-URI": request("INVITE", "sip:x@10.0.0.77:22"),
    "Request-URI, maddr": request("INVITE", f"{PUBLIC};maddr=10.0.0.77"),
    "Request-URI, alias": request("INVITE", f"{PUBLIC};alias=10.0.0.77~22~1"),
    "Request-URI, name": request("INVITE", "sip:x@A.corp.Example"),
    "Request-URI, one number": request("INVITE", "sip:x@167772237"),
    "Request-URI, hexadecimal": request("INVITE", "sip:0x0a00004d;lr"),
    "Request-URI, zeros": request("INVITE", "sip:010.00.0.77"),
    "Route": request("INVITE", PUBLIC, "Route: <sip:192.0.2.10;lr>, <sip:10.0.0.9;lr>"),
    "Route, number": request("INVITE", PUBLIC, "Route: <sip:167772237;lr>"),
    "Route, received": request(
        "INVITE", PUBLIC, "Route: <sip:192.0.2.10;lr;received=sip:10.0.0.9:5>"
    ),
    "Refer-To": request("REFER", PUBLIC, "r: <sip:c@10.0.0.9>"),
    "Via": request("OPTIONS", PUBLIC).replace(b";rport", b";MADDR=10.0.0.77"),
    "3xx": response("302 Moved", "INVITE", "Contact: <sip:c@203.0.113.9>, <sip:c@10.0.0.9>"),
    "a mark": request("INVITE", marked(PHONE)),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_claims_do_not_enter(claim: str) -> None:
    refusing = gateway(hide__claims="refuse")
    verdict = judge(refusing, datagram(CLAIMS[claim], PEER, PROXY))
    assert (verdict.outcome, verdict.action.value) == ("refused_claim", "drop")
    assert judge(gateway(), datagram(CLAIMS[claim], PEER, PROXY)).action.value != "drop"
    for other in (
        gateway(hide__claims="refuse", fill=True),
        gateway(hide__claims="refuse", drain=True),
        gateway(hide__claims="refuse", rule=[{"destination": [PEER], "action": "skip"}]),
        gateway(hide__claims="refuse", leg=Leg.OUTSIDE),
    ):
        assert judge(other, datagram(CLAIMS[claim], PEER, PROXY)).outcome != "refused_claim"


def test_what_is_no_claim_enters() -> None:
    net = gateway(hide__claims="refuse")
    token = leave(net, request("INVITE", PUBLIC, f"Contact: {OWN_WORDS}"))
    uri = re.search(rb"(?m)^Contact: <(.*?)>", token)
    assert uri
    for told in (
        request("BYE", uri[1].decode(), f"Route: <{uri[1].decode()}>", tag="2"),
        request(
            "INVITE",
            "sip:10.0.0.77@192.0.2.10".replace("10.0.0.77", "4930123"),
            "Contact: <sip:10.0.0.9>",
        ),
        request("INVITE", "sip:b@EXAMPLE.com", "Route: <sip:192.0.2.10;lr>"),
        response("200 OK", "INVITE", "Contact: <sip:c@10.0.0.9>"),
    ):
        assert judge(net, datagram(told, PEER, PROXY)).outcome == "unmasked" or told.startswith(
            b"INV"
        )
    own = request("INVITE", "sip:b@10.0.0.5")  # the packet's own destination
    assert judge(net, datagram(own, PEER, "10.0.0.5")).outcome == "unmasked"


def test_where_claims_are_refused_a_registered_contact_is_nowhere() -> None:
    net = gateway(hide__claims="refuse")
    for peer in (PEER, THIRD):
        told = request("REGISTER", "sip:192.0.2.10", f"Contact: {OWN_WORDS}")
        entered = enter(net, told, peer=peer)
        assert line(entered, "Contact") == "<sip:a@out.invalid;out=T;ob>"
    found = re.search(rb"(?m)^Contact: <(.*?)>", entered)
    assert found
    called = leave(net, request("INVITE", found[1].decode()), peer=THIRD)
    assert called.startswith(f"INVITE {PHONE};ob SIP/2.0\r\n".encode())
    drained = enter(gateway(hide__claims="refuse", drain=True), told).decode()
    assert f"<{found[1].decode()}>;expires=0" in drained
