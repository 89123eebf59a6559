"""Rule 1 of trust: where something routes nothing names the inside, in any part of a value."""

import html
import re
from typing import Any
from urllib.parse import unquote

import pytest

from inline_topo.gateway import Action
from tests.masking.network import CODECS, PEER, PROXY, datagram, gateway, judge, payload_of, wire
from tests.masking.topos_network import Node

INSIDE = [PROXY, "10.0.0.0/8", "fd00::/8"]
NAMED = re.compile(r"(?<![0-9])10\.0\.37|corp|fd00", re.IGNORECASE)

REQUEST = """
    INVITE {uri} SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKa1b2c3d4e5f6a7b8c9d0e1
    From: <sip:a@example.com>;tag=1
    To: <sip:b@carrier.example>;tag=2
    Call-ID: x
    CSeq: 1 INVITE
    {line}
"""
RESPONSE = """
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bKa1b2c3d4e5f6a7b8c9d0e1
    From: <sip:a@example.com>;tag=1
    To: <sip:b@example.com>;tag=2
    Call-ID: x
    CSeq: 1 {method}
    {line}
"""

SPELLED = {
    "address": "10.0.37.102",
    "name": "pbx1.Corp.Example",
    "IPv6": "fd00::5",
    "IPv6, capitals": "FD00:0:0::5",
    "IPv4 in IPv6": "::ffff:10.0.37.102",
    "percent": "%31%30.0.37.102",
    "percent, twice": "%253%31%30.0.37.102",
    "references": "&#49;0.0.37.102",
}
FIELDS = ("Route", "Record-Route", "Path", "Service-Route", "Contact", "Refer-To")
BESIDE = (
    "<sip:k@carrier.example?Route=%3Csip:{}%3E>",
    "<sip:k@carrier.example?Subject=x&Route={}>",
    "<sip:k@carrier.example?{}=x>",
    "<sip:k@carrier.example>;received={}",
    '<sip:k@carrier.example>;received="{}"',
    "sip:k@carrier.example;maddr={}",
    'sip:k@carrier.example;x="{}"',
    '"{}" <sip:k@carrier.example>',
    "<sip:k@carrier.example;maddr={}>",
    "<sip:{}@carrier.example>",
    "<sip:k@10.0.37.9?Route=%3Csip:{}%3E>;x={}",
)
SETTINGS: list[dict[str, Any]] = [
    {},
    {"profile": "strict", "audit": 0},
    {"hide.spirals": False, "hide.texts": False, "hide.paths": False, "hide.references": False},
]


def left(network: Any, text: str) -> bytes:
    """What leaves; nothing of a message that is refused."""
    verdict = judge(network, datagram(wire(text), PROXY, PEER))
    if verdict.action is Action.DROP:
        assert verdict.outcome == "refused_unmaskable"
        return b""
    return payload_of(verdict.packet)


def shows(text: bytes) -> list[bytes]:
    """The lines that name the inside, but for tokens."""
    clear = re.sub(rb"sips?:[A-Za-z0-9_-]{24,}@", b"", text)
    return [line for line in clear.split(b"\r\n") if NAMED.search(decoded(line.decode()))]


def decoded(text: str) -> str:
    return html.unescape(unquote(unquote(text)))


@pytest.mark.parametrize("settings", SETTINGS, ids=["default", "strict", "switches off"])
@pytest.mark.parametrize("spelling", SPELLED)
def test_nothing_shows_beside_a_uri(spelling: str, settings: dict[str, Any]) -> None:
    network = gateway(inside=INSIDE, **settings)
    for form in BESIDE:
        value = form.replace("{}", SPELLED[spelling])
        for field in FIELDS:
            line = f"{field}: {value}"
            assert shows(left(network, REQUEST.format(uri="sip:b@x.example", line=line))) == [], (
                line
            )
        below = f"Record-Route: <sip:{PROXY};lr>, {value}"
        for line, method in ((below, "INVITE"), (f"Contact: {value}", "REGISTER")):
            assert shows(left(network, RESPONSE.format(method=method, line=line))) == [], line


@pytest.mark.parametrize("spelling", SPELLED)
@pytest.mark.parametrize("profile", ["default", "strict"])
def test_nothing_shows_in_a_request_uri(spelling: str, profile: str) -> None:
    network = gateway(inside=INSIDE, profile=profile, audit=0)
    host = SPELLED[spelling]
    for uri in (
        f"sip:k@carrier.example?Route=%3Csip:{host}%3E",
        f"sip:k@carrier.example?x={host}",
        f"sip:k@10.0.37.9?x={host}",
        f"sip:k@carrier.example;x={host}",
        f"sip:k@carrier.example?Replaces=1%40{host}",
        f"sip:{host}",
        host,
    ):
        assert shows(left(network, REQUEST.format(uri=uri, line="")).partition(b"\r\n")[0]) == []


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("number", ["167781734", "0xa002566", "0xa.0.0x25.102", "10.9574"])
def test_numbers_that_resolvers_take_for_an_address(number: str, codec: str) -> None:
    network = gateway(codec, inside=INSIDE)
    for value in (f"sip:k@{number}", f"sip:{number};lr", f"sip:k@x.example;maddr={number}"):
        text = left(network, REQUEST.format(uri=value, line=f"Route: <{value}>"))
        assert text
        assert number.encode() not in text
    for value in (f"sip:{number}@x.example", f"sip:x.example;did={number}"):  # no host
        text = left(network, REQUEST.format(uri=value, line=f"Route: <{value}>"))
        assert text.count(number.encode()) == 2


def test_a_headers_part_goes_from_where_none_may_stand() -> None:
    network = gateway(inside=INSIDE)
    uri = "sip:k@carrier.example;x?Route=%3Csip:10.0.37.1%3E&Subject=y"
    for line in ("Route", "Record-Route"):
        text = left(network, REQUEST.format(uri=uri, line=f"{line}: <{uri}>;y"))
        assert text.startswith(b"INVITE sip:k@carrier.example;x SIP/2.0\r\n")
        assert b": <sip:k@carrier.example;x>;y\r\n" in text or b"@192.0.2.10;lr>;y\r\n" in text
    kept = "sip:k@carrier.example;x?Subject=y"
    text = left(network, REQUEST.format(uri=kept, line=f"Route: <{kept}>"))
    assert text.count(kept.encode()) == 2


def test_headers_of_a_transfer_are_swapped_but_for_its_dialog() -> None:
    network = gateway(inside=INSIDE)
    ids = "Replaces=1%4010.0.37.5%3Bto-tag%3D1"
    line = f"Refer-To: <sip:c@carrier.example?{ids}&Route=%3Csip:10.0.37.1:5070%3E&Subject=y>"
    text = left(network, REQUEST.format(uri="sip:b@x.example", line=line))
    assert f"?{ids}&Route=%3Csip:{PROXY}%3E&Subject=y>".encode() in text
    odd = line.replace("10.0.37.1:", "%31%30.0.37.1:")
    text = left(network, REQUEST.format(uri="sip:b@x.example", line=odd))
    assert f"Refer-To: <sip:c@carrier.example?{ids}>".encode() in text


def test_mode_topos() -> None:
    node = Node(inside=INSIDE)
    uri = "sip:k@carrier.example?Route=%3Csip:10.0.37.1%3E"
    for line in (
        f"Route: <{uri}>",
        "Contact: <sip:a@10.0.37.2>;x=10.0.37.3",
        "Route: sip:a@b;x=10.0.37.3",
    ):
        text = node.leave(wire(REQUEST.format(uri=uri, line=line)))
        assert b"10.0.37" not in text, line


def test_own_hosts_are_left_alone() -> None:
    network = gateway(inside=INSIDE)
    uri = f"sip:k@carrier.example;maddr={PROXY}?Route=%3Csip:{PROXY}%3E"
    lines = f"Route: <{uri}>;x={PROXY}"
    text = wire(REQUEST.format(uri=uri, line=lines))
    assert left(network, REQUEST.format(uri=uri, line=lines)) == text


@pytest.mark.parametrize("between", [", ", ",\r\n ", ",\n\t \n "])
def test_no_bracket_is_closed_that_another_opened(between: str) -> None:
    """Brackets around a token would close one that stands open before it, and it would not open again."""
    network = gateway(inside=INSIDE)
    line = "Alert-Info: a<b@sip:a@10.0.37.1"
    text = wire(REQUEST.format(uri="sip:b@x.example", line=line))
    text = text.replace(b"<b@", b"<b" + between.encode())
    verdict = judge(network, datagram(text, PROXY, PEER))
    assert (verdict.outcome, verdict.action) == ("refused_unmaskable", Action.DROP)


@pytest.mark.parametrize("codec", CODECS)
def test_what_routes_is_bounded(codec: str) -> None:
    network = gateway(codec, inside=INSIDE)
    for value, refused in (
        ("<sip:a@carrier.example?x=%s>" % ("10.0.37.5&" * 50), False),
        (", ".join([f"<sip:{i}@carrier.example;lr>" for i in range(200)]), False),
        ("<sip:a@carrier.example;x=%s>" % ("a" * 9000), True),
        ("<sip:a@carrier.example;x=%s>" % ("%31" * 800), True),
    ):
        message = wire(REQUEST.format(uri="sip:k@carrier.example", line=f"Path: {value}"))
        outcome = judge(network, datagram(message, PROXY, PEER)).outcome
        assert (outcome == "refused_too_much") is refused, value[:60]


@pytest.mark.parametrize("field", ["Path", "Service-Route"])  # those that may be named there
@pytest.mark.parametrize("change", ["swap", "strip"])
def test_beside_what_a_configuration_changes(field: str, change: str) -> None:
    settings: dict[str, Any] = {f"hide__{change}": [field]}
    network = gateway(inside=INSIDE, **settings)
    for value in (
        "<sip:a@carrier.example;maddr=10.0.37.9>",
        "<sip:a@10.0.37.9;x=10.0.37.8?y=10.0.37.7>;z=10.0.37.6",
        "sip:a@10.0.37.9;x=10.0.37.8",
        '"10.0.37.5" <sip:10.0.37.5@10.0.37.9>',
    ):
        text = left(network, REQUEST.format(uri="sip:k@carrier.example", line=f"{field}: {value}"))
        assert text
        assert b"10.0.37." not in text
