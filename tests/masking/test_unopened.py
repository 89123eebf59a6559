"""What has the form of a token and does not open is counted, by field; nothing else is."""
# mypy: allow-untyped-calls

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from inline_topo.gateway import Ask, Gateway
from inline_topo.masking.codecs.keyring import KeyRing
from tests.masking.network import CODECS, PEER, PROXY, datagram, gateway, judge, leave, wire

OTHER_RING = KeyRing({2: hashlib.sha512(b"other").digest()}, active=2, stable=2)
INVITE = wire(
    """
    INVITE sip:alice@198.51.100.20 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKp
    Via: SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKphone
    Record-Route: <sip:10.0.0.9;lr>
    Record-Route: <sip:192.0.2.10;lr>
    From: <sip:bob@10.0.0.5>;tag=1
    To: <sip:alice@example.org>
    Call-ID: 1@10.0.0.5
    CSeq: 1 INVITE
    Contact: <sip:bob@10.0.0.5:5062;ob>
    """
)


def with_another_key(codec: str, **settings: Any) -> Gateway:
    key: dict[str, Any] = {"topoh.mask_key": "another secret"} if codec == "kamailio" else {}
    return gateway(codec, ring=OTHER_RING, **key, **settings)


def lines(message: bytes, name: bytes) -> list[bytes]:
    return [line for line in message.split(b"\r\n") if line.startswith(name + b": ")]


def value(message: bytes, name: bytes) -> bytes:
    return lines(message, name)[0].partition(b": ")[2]


def answer_to(left: bytes) -> bytes:
    """The 200 of a peer, which echoes what it got."""
    echoed = [b"Via", b"Record-Route", b"From", b"To", b"Call-ID", b"CSeq"]
    fields = [line for name in echoed for line in lines(left, name)]
    return b"\r\n".join([b"SIP/2.0 200 OK", *fields, b"", b""])


def bye_after(left: bytes) -> bytes:
    """The BYE of a peer, to the Contact and by the routes that it got."""
    target = value(left, b"Contact").strip(b"<>")
    routes = [b"Route: " + value(line, b"Record-Route") for line in lines(left, b"Record-Route")]
    ends = [b"To: " + value(left, b"From"), b"From: <sip:alice@example.org>;tag=2"]
    first = [b"BYE " + target + b" SIP/2.0", b"Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bKx"]
    rest = [*lines(left, b"Call-ID"), b"CSeq: 1 BYE", b"", b""]
    return b"\r\n".join([*first, *routes[::-1], *ends, *rest])


def unopened(node: Gateway, message: bytes, **more: int) -> tuple[str, ...]:
    return judge(node, datagram(message, PEER, PROXY, **more)).unopened


SETTINGS: dict[str, Any] = {"topoh__mask_callid": True, "hide__from_to": True}


@pytest.mark.parametrize("codec", CODECS)
def test_tokens_of_another_key_are_counted_by_field(codec: str) -> None:
    ours, theirs = gateway(codec, **SETTINGS), with_another_key(codec, **SETTINGS)
    left = leave(theirs, INVITE)
    answer, bye = answer_to(left), bye_after(left)
    assert sorted(unopened(ours, answer)) == ["Call-ID", "From", "Record-Route", "Via"]
    assert sorted(unopened(ours, bye)) == ["Call-ID", "Request-URI", "Route", "To"]
    for message in (answer, bye):
        verdict = judge(ours, datagram(message, PEER, PROXY))
        assert (verdict.outcome, verdict.packet) == (
            "unchanged",
            datagram(message, PEER, PROXY),
        )
        assert unopened(theirs, message) == ()


@pytest.mark.parametrize("codec", CODECS)
def test_what_opens_is_not_counted_beside_what_does_not(codec: str) -> None:
    node = gateway(codec)
    bye = bye_after(leave(node, INVITE))
    strange = value(leave(with_another_key(codec), INVITE), b"Contact")
    target = b"BYE " + strange.strip(b"<>") + b" SIP/2.0"
    mixed = target + bye[bye.index(b"\r\n") :]
    verdict = judge(node, datagram(mixed, PEER, PROXY))
    assert (verdict.outcome, verdict.unopened) == ("unmasked", ("Request-URI",))
    assert unopened(node, bye) == ()  # nothing of the message before is left


def forged(token: bytes) -> bytes:
    return token[:-1] + (b"A" if token[-1:] != b"A" else b"B")


@pytest.mark.parametrize("change", [forged, lambda token: token[:-2]], ids=["forged", "cut"])
def test_a_token_that_was_changed_is_counted(change: Callable[[bytes], bytes]) -> None:
    node = gateway()
    left = leave(node, INVITE)
    token = left.partition(b"Contact: <sip:")[2].partition(b"@")[0]
    changed = left.replace(token, change(token))
    assert unopened(node, bye_after(changed)) == ("Request-URI",)


NO_TOKENS = [
    b"sip:bob@192.0.2.10",
    b"sip:0123456789012345678901234567890@198.51.100.99",  # long, at nobody's host
    b"sip:bob@192.0.2.10;gr=0123456789012345678901234567890",
    b"sip:012345678901234567890@192.0.2.10",
    b"tel:+4930123456789012345678901234567890",
    b"sip:bob@192.0.2.10;line=0123456789",
]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("uri", NO_TOKENS)
def test_what_has_not_the_form_of_a_token_is_not_counted(codec: str, uri: bytes) -> None:
    request = b"OPTIONS " + uri + b" SIP/2.0\r\nRoute: <" + uri + b">\r\nCall-ID: !!!:x\r\n\r\n"
    assert unopened(gateway(codec, topoh__mask_callid=True), request) == ()


@pytest.mark.parametrize("codec", CODECS)
def test_the_topmost_via_of_shape_nat(codec: str) -> None:
    nat: dict[str, Any] = {"shape": "nat", "public": "203.0.113.1", "inside": ["10.0.0.0/8"]}
    nat |= {"own": ["203.0.113.1"]}
    options = INVITE.replace(b"192.0.2.10", b"10.0.0.9")
    left = leave(with_another_key(codec, **nat), options, inside="10.0.0.9")
    answer = datagram(answer_to(left), PEER, "10.0.0.9")
    assert judge(gateway(codec, **nat), answer).unopened.count("Via") == 2  # and a lower one


def test_an_id_of_mode_topos_is_told_of_elsewhere() -> None:
    node = gateway(topos__store="memory:")
    bye = b"BYE sip:btpsh-" + b"0a" * 12 + b"@192.0.2.10 SIP/2.0\r\nCall-ID: 1\r\n\r\n"
    answer = node.handle(datagram(bye, PEER, PROXY), 0.0)
    while isinstance(answer, Ask):
        answer = answer.resume({})
    assert (answer.notes, answer.unopened) == (("unknown_id",), ())


def test_what_leaves_is_not_counted() -> None:
    token = b"A" * 40
    leaves = INVITE.replace(b"sip:alice@198.51.100.20", b"sip:" + token + b"@192.0.2.10")
    assert judge(gateway(), datagram(leaves, PROXY, PEER)).unopened == ()
