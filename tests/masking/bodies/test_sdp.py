"""SDP: the origin is the same for one session, what a phone looks at stays, a relay's takes its place."""

import re
from typing import Any

import pytest

from inline_topo.assemble import Leg
from inline_topo.edits import splice
from inline_topo.masking.bodies import entity
from inline_topo.masking.bodies.walk import find_session
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.flow import Flows
from inline_topo.masking.topoh import Topoh
from inline_topo.sip import message as sip
from inline_topo.sip.names import FieldNames
from tests.masking.bodies.documents import MEDIA, SDP, multipart, notify, part
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
)

KIND = b"application/sdp"
each_codec = pytest.mark.parametrize("codec", CODECS)


def described(*lines: bytes) -> bytes:
    return notify(KIND, b"\r\n".join((b"v=0", *lines, b"t=0 0", b"")))


def line(message: bytes, letter: bytes) -> bytes:
    found = re.search(rb"(?m)^%s=(.*?)\r?$" % letter, message)
    assert found
    return found[1]


@each_codec
@pytest.mark.parametrize(
    "origin",
    [
        b"- 1 2 IN IP4 10.0.0.5",
        b"alice 53655765 2353687637 IN IP6 fd00::5",
        b"10.0.0.5 1 1 IN IP4 192.0.2.10",
        b"root 1 1 IN IP4 pbx.corp.example",
        b"root 1 1 IN IP6 FD00:0::5",
        b"x 1 1 IN IP4 203.0.113.30",
        b"mozilla...THIS_IS_SDPARTA-99.0 4294967296 0 IN IP4 10.0.0.5",
    ],
)
def test_an_origin_that_is_masked(codec: str, origin: bytes) -> None:
    message = described(b"o=" + origin, b"s=-")
    network = gateway(codec, inside=[PROXY, "10.0.0.0/8", "fd00::/16"])
    left = leave(network, message)
    user, session, version, *rest = line(left, b"o").split(b" ")
    assert [session, version] == origin.split(b" ")[1:3]
    assert rest == [b"IN", b"IP4", PROXY.encode()]
    assert re.fullmatch(rb"[!-~]{8,80}", user)
    assert enter(network, left) == message


@pytest.mark.parametrize(
    "origin",
    [b"- 1 1 IN IP4 192.0.2.10", b"a 1 1 IN IP4 198.51.100.20", b"a 1 1 IN IP4 sip.example.net"],
)
def test_an_origin_that_stays(origin: bytes) -> None:
    message = described(b"o=" + origin, b"s=-")
    assert leave(gateway(), message) == message


@pytest.mark.parametrize(
    "origin", [b"10.0.0.5", b"a  1 1 IN IP4 10.0.0.5", b"a 1 1 IN IP4 10.0.0.5 "]
)
def test_an_origin_that_is_none(origin: bytes) -> None:
    message = described(b"o=" + origin, b"s=-")
    left = leave(gateway(), message)
    assert b"10.0.0.5" not in left
    assert enter(gateway(), left) == message


def test_one_session_has_one_origin() -> None:
    """RFC 3264 section 8: but for the version, the origin of a later offer is the same."""
    first = leave(gateway(), described(b"o=a 5 1 IN IP4 10.0.0.5", b"s=-"))
    rotated = KeyRing(RING.keys, active=1, stable=RING.stable)
    later = leave(gateway(ring=rotated), described(b"o=a 5 2 IN IP4 10.0.0.5", b"s=-"))
    assert line(first, b"o").replace(b" 5 1 ", b" 5 2 ") == line(later, b"o")
    other = leave(gateway(), described(b"o=a 5 1 IN IP4 10.0.0.6", b"s=-"))
    assert line(other, b"o") != line(first, b"o")


def test_a_version_is_no_host() -> None:
    message = described(b"o=- 1 1 IN IP4 192.0.2.10", b"s=Phone 203.0.113.30", b"a=tool:x 1.2.3.4")
    assert leave(gateway(), message) == message


PLACES = [
    b"c=IN IP4 10.0.0.5",
    b"a=rtcp:53020 IN IP4 10.0.0.5",
    b"a=candidate:1 1 UDP 1 198.51.100.20 8998 typ srflx raddr 10.0.0.5 rport 8998",
    b"a=source-filter: incl IN IP4 * 10.0.0.5",
    b"a=path:msrp://pc.corp.example:7654/jshA7weztas;tcp",
    b"c=IN IP6 fd00::5",
]


@pytest.mark.parametrize("place", PLACES)
def test_where_media_goes_stays_and_is_noted(place: bytes) -> None:
    message = described(b"o=- 1 1 IN IP4 192.0.2.10", b"s=-", place)
    verdict = judge(
        gateway(inside=[PROXY, "10.0.0.0/8", "fd00::/16"]), datagram(message, PROXY, PEER)
    )
    assert (payload_of(verdict.packet), verdict.notes) == (message, ("media",))


@pytest.mark.parametrize(
    "place", [b"c=IN IP4 192.0.2.10", b"c=IN IP4 0.0.0.0", b"c=IN IP4 198.51.100.20"]
)
def test_a_place_that_is_not_hidden(place: bytes) -> None:
    verdict = judge(gateway(), datagram(described(b"s=-", place), PROXY, PEER))
    assert verdict.notes == ()


def test_what_enters_is_the_peers() -> None:
    message = described(b"o=- 1 1 IN IP4 203.0.113.9", b"s=203.0.113.9", b"c=IN IP4 10.9.9.9")
    for leg in Leg:
        verdict = judge(gateway(leg=leg), datagram(message, PEER, PROXY))
        assert payload_of(verdict.packet).endswith(message.partition(b"\r\n\r\n")[2])
        assert verdict.notes == ()


def test_without_the_switch_bodies_are_not_noted_either() -> None:
    verdict = judge(gateway(hide__sdp=False), datagram(notify(KIND, MEDIA), PROXY, PEER))
    assert (verdict.edits, verdict.notes) == ((), ())


# --- for a media relay ------------------------------------------------------------------------

RELAYED = b"v=0\r\no=jdoe 1 1 IN IP4 10.47.16.5\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"


def strategy() -> tuple[Topoh, Flows]:
    made = gateway()
    assert isinstance(made._strategy, Topoh)
    return made._strategy, made._find_flow.__self__  # type: ignore[attr-defined]


def parsed(data: bytes) -> sip.Message:
    names = FieldNames([])
    message = sip.parse(data, names, names)
    assert message
    return message


def endpoints(*parts: str) -> bytes:
    return b"".join(bytes(map(int, part.split("."))) for part in parts) + b"\x13\xc4\x13\xc4"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_relays_description_takes_its_place(wrapped: bool) -> None:
    body, kind = MEDIA, KIND
    if wrapped:
        body = multipart(b"b", part(b"text/plain", b"hello"), part(KIND, MEDIA, length=True))
        kind = b"multipart/mixed;boundary=b"
    topoh, flows = strategy()
    message = parsed(notify(kind, body))
    span = find_session(message)
    assert span
    assert message.data[slice(*span)] == MEDIA
    out = topoh.bodies.mask(message, flows.find(endpoints(PROXY, PEER)), session=RELAYED)
    left = splice(message.data, out)
    assert b"10.47.16.5" not in left
    assert b"c=IN IP4 192.0.2.10" in left
    assert message.notes == (("unseen_body",) if wrapped else ())
    again = parsed(left)
    found = find_session(again)
    assert found
    assert left[slice(*found)].startswith(b"v=0\r\no=")
    [(first, last)] = entity.of(again).lengths
    assert int(left[first:last]) == len(left) - again.body
    back = topoh.bodies.open(
        parsed(notify(kind, body)), flows.find(endpoints(PEER, PROXY)), session=RELAYED
    )
    assert RELAYED in splice(message.data, back)


def test_no_session_where_there_is_none() -> None:
    for data in (notify(b"text/plain", SDP), notify(KIND, b""), b"BYE sip:a@b SIP/2.0\r\n\r\n"):
        assert find_session(parsed(data)) is None


def test_a_third_party_is_hidden_too() -> None:
    peer = THIRD
    left = leave(
        gateway(), described(b"o=- 1 1 IN IP4 " + peer.encode(), b"s=-", b"e=a@" + peer.encode())
    )
    assert peer.encode() not in left


def test_settings_are_independent() -> None:
    sdp_only: dict[str, Any] = {"hide__sdp": True, "hide__bodies": False}
    others_only: dict[str, Any] = {"hide__sdp": False, "hide__bodies": True}
    xml = b'<a uri="sip:a@10.0.0.5"/>'
    message = notify(
        b"multipart/mixed;boundary=b", multipart(b"b", part(KIND, SDP), part(b"a/b+xml", xml))
    )
    left = leave(gateway(**sdp_only), message)
    assert (b"10.47.16.5" in left, xml in left) == (False, True)
    left = leave(gateway(**others_only), message)
    assert (b"10.47.16.5" in left, xml in left) == (True, False)


@pytest.mark.parametrize(
    "length",
    [b"Content-Length: %d", b"Content-Length:   %d", b"l: %d", b"content-length: %d",
     b"Content-Length:\r\n %d", b"Content-Length: %d\r\nContent-Disposition: session", b"X: y"],
)  # fmt: skip
def test_the_length_however_it_is_written(length: bytes) -> None:
    number = b"%d" % len(SDP)
    head = b"INVITE sip:bob@192.0.2.9 SIP/2.0\r\nContent-Type: application/sdp\r\n"
    data = head + length.replace(b"%d", number) + b"\r\n\r\n" + SDP
    topoh, flows = strategy()
    message = sip.parse(data, FieldNames([]), FieldNames([]))
    assert message
    out = splice(data, topoh.bodies.mask(message, flows.find(endpoints(PROXY, PEER))))
    body = out.partition(b"\r\n\r\n")[2]
    assert body != SDP
    expected = length.replace(b"%d", b"%d" % len(body))
    assert out.startswith(head + expected + b"\r\n\r\n")
