"""Bodies in the outside leg, which masks what a peer would have echoed, and in the inside leg."""

import pytest

from inline_topo.assemble import Leg
from inline_topo.gateway import Gateway
from tests.masking.bodies.documents import DOCUMENTS, notify
from tests.masking.network import CODECS, PEER, PROXY, THIRD, datagram, gateway, judge, payload_of

each_codec = pytest.mark.parametrize("codec", CODECS)
DIALOG_INFO = "application/dialog-info+xml"

INVITE = b"""INVITE sip:watcher@198.51.100.20 SIP/2.0\r
Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r
Contact: <sip:bob@10.0.0.7:5062>\r
Call-ID: 1\r
\r
"""


def body(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[2]


def passed(gateway: Gateway, message: bytes, source: str, target: str) -> bytes:
    return payload_of(judge(gateway, datagram(message, source, target)).packet)


@each_codec
def test_a_uri_that_was_minted_in_a_header_is_masked_in_a_peers_body(codec: str) -> None:
    """A dialog-info in which the peer tells of its dialog with the inside."""
    leg, inside = gateway(codec, Leg.OUTSIDE), gateway(codec, Leg.INSIDE)
    invite = passed(leg, INVITE, PROXY, PEER)
    token = invite.partition(b"Contact: <")[2].partition(b">")[0]
    told = notify(DIALOG_INFO.encode(), b'<d><target uri="sip:bob@10.0.0.7:5062"/></d>')
    seen = passed(leg, told, PEER, PROXY)
    assert body(seen) == b'<d><target uri="' + token + b'"/></d>'
    assert passed(inside, seen, PEER, PROXY) == told
    # another outsider was never told
    assert body(passed(leg, told, THIRD, PROXY)) == body(told)


@each_codec
def test_a_uri_that_was_minted_in_a_body_is_masked_in_a_request(codec: str) -> None:
    """What a watcher learns from dialog-info it calls."""
    leg = gateway(codec, Leg.OUTSIDE)
    told = notify(DIALOG_INFO.encode(), b'<d><target uri="sip:bob@10.0.0.7:5062"/></d>')
    token = body(passed(leg, told, PROXY, PEER)).split(b'"')[1]
    called = passed(
        leg, b"INVITE sip:bob@10.0.0.7:5062 SIP/2.0\r\nTo: <sip:x@y>\r\n\r\n", PEER, PROXY
    )
    assert called.startswith(b"INVITE " + token + b" SIP/2.0\r\n")


@pytest.mark.parametrize("kind", DOCUMENTS, ids=str)
def test_the_legs_undo_each_other_in_both_directions(kind: bytes) -> None:
    leg = gateway(leg=Leg.OUTSIDE, topoh__mask_callid=True)
    inside = gateway(leg=Leg.INSIDE, topoh__mask_callid=True)
    message = notify(kind, DOCUMENTS[kind])
    for source, target in ((PROXY, PEER), (PEER, PROXY), (PROXY, PEER)):
        assert passed(inside, passed(leg, message, source, target), source, target) == message
