"""From and To: hidden in both directions of a dialog, and the same bytes come back."""

import hashlib
import re
from typing import Any

import pytest

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import load
from inline_topo.masking.codecs.keyring import KeyRing
from tests.masking.network import CODECS, PROXY, RING, enter, gateway, judge, leave, wire
from tests.masking.network import datagram as packet

ON: dict[str, Any] = {"hide__from_to": True}
TOKEN = rb"[A-Za-z0-9.*_-]+"
VALUES = [
    "<sip:bob@10.0.0.5>;tag=1",
    '"Bob" <sips:b%40ob:pw@10.0.0.5:5062;user=phone?Subject=x>;tag=1',
    "<sip:[fd00::5]>;tag=1",
    "<sip:bob@[FD00:0::5]:05060;x=1>;tag=1",
    "sip:bob@10.0.0.5;tag=1",
    "sip:PBX.corp.example:5062",
    "<sip:bob@203.0.113.30>;tag=1",
    "<sip:10.0.0.9@10.0.0.5>;tag=1",
    "<tel:7042;phone-context=pbx.corp.example>;tag=1",
    "<im:bob@10.0.0.5>;tag=1",
]
LEFT = [
    "<sip:bob@example.com>;tag=1",
    "sip:bob@198.51.100.20;tag=1",
    "<tel:+12155551212>;tag=1",
    "Anonymous <sip:anonymous@anonymous.invalid>;tag=1",
]
INVITE = """
    INVITE sip:alice@198.51.100.20 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
    From: {0}
    t: {1}
    Call-ID: 1
"""
OK = """
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
    From: {0}
    t: {1}
    Call-ID: 1
"""


def end(payload: bytes, name: bytes) -> str:
    match = re.search(rb"\r\n" + name + rb": ([^\r\n]*)", payload)
    assert match
    return match[1].decode()


# each once as the caller and, of those that are hidden, as the callee
PAIRS = [(value, VALUES[(n + 3) % len(VALUES)]) for n, value in enumerate([*VALUES, *LEFT])]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("value", "other"), PAIRS)
def test_a_dialog_begun_inside(codec: str, value: str, other: str) -> None:
    """The peer returns From and To in its response, and swaps them in its own requests."""
    masking = gateway(codec, **ON)
    clear = INVITE.format(value, other)
    left = leave(masking, wire(clear))
    assert not re.search(rb"10\.0\.0\.|corp\.example|203\.0|fd00:|FD00", left)
    ours, theirs = end(left, b"From"), end(left, b"t")
    back = enter(masking, wire(OK.format(ours, theirs)))
    assert back == wire(OK.format(value, other))
    request = enter(masking, wire(INVITE.format(theirs, ours)))
    assert request == wire(INVITE.format(other, value))
    # the response to that goes out as the peer asked
    assert leave(masking, wire(OK.format(other, value))) == wire(OK.format(theirs, ours))


@pytest.mark.parametrize("value", LEFT)
def test_what_is_not_hidden_is_left(value: str) -> None:
    text = wire(INVITE.format(value, value))
    assert leave(gateway(**ON), text) == text


@pytest.mark.parametrize("codec", CODECS)
def test_the_user_stays_readable(codec: str) -> None:
    left = leave(gateway(codec, **ON), wire(INVITE.format(VALUES[1], LEFT[0])))
    expected = rb'From: "Bob" <sips:b%40ob:pw@192\.0\.2\.10;hid=' + TOKEN
    assert re.search(expected + rb";user=phone\?Subject=x>;tag=1\r\n", left)


def test_the_token_outlives_the_rotation_of_the_active_key() -> None:
    keys = {n: hashlib.sha512(bytes((n,))).digest() for n in (1, 2, 3)}
    before, after = (
        leave(
            gateway(ring=KeyRing(keys, active=active, stable=1), **ON), wire(INVITE.format(*ends))
        )
        for active, ends in ((2, VALUES), (3, VALUES))
    )
    assert before == after


CHANGED = {
    "moved behind another parameter": ("(;hid=[^;>]*)(;user=phone)", r"\2\1"),
    "another case of its name": (";hid=", ";HID="),
    "a parameter before it": (";hid=", ";ob;hid="),
    "another host": ("@192.0.2.10", "@example.com:5060"),
    "the display name gone": ('"Bob" ', ""),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_token_opens_whatever_a_client_did_beside_it(change: str) -> None:
    masking = gateway(**ON)
    value = '"Bob" <sip:bob@10.0.0.5:5062;user=phone>;tag=1'
    left = end(leave(masking, wire(INVITE.format(value, LEFT[0]))), b"From")
    sent = re.sub(*CHANGED[change], left)
    opened = end(enter(masking, wire(OK.format(sent, LEFT[0]))), b"From")
    assert "sip:bob@10.0.0.5:5062" in opened
    assert "hid=" not in opened.lower()


def test_brackets_that_a_client_dropped() -> None:
    masking = gateway(**ON)
    left = end(leave(masking, wire(INVITE.format("<sip:bob@10.0.0.5>;tag=1", LEFT[0]))), b"From")
    opened = enter(masking, wire(OK.format(re.sub("[<>]", "", left), LEFT[0])))
    assert end(opened, b"From") == "sip:bob@10.0.0.5;tag=1"


@pytest.mark.parametrize("token", ["", "x", "A" * 30, "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
def test_what_is_no_token_of_ours_stays(token: str) -> None:
    text = wire(INVITE.format(f"<sip:bob@192.0.2.10;hid={token}>;tag=1", LEFT[0]))
    assert enter(gateway(**ON), text) == text


def test_its_token_opens_as_nothing_else() -> None:
    masking = gateway(**ON)
    left = leave(masking, wire(INVITE.format(VALUES[0], LEFT[0])))
    token = re.search(rb"hid=([^>]+)", left)
    assert token
    lines = "Refer-To: <sip:{0}@192.0.2.10>\nCall-ID: !!:{0}\n".format(token[1].decode())
    text = wire(INVITE.format(LEFT[0], LEFT[0]) + lines)
    assert enter(gateway(**ON, topoh__mask_callid=True), text) == text


def test_a_registrar_elsewhere_knows_its_users_by_to() -> None:
    text = INVITE.replace("INVITE", "REGISTER").format(*["<sip:bob@203.0.113.30>"] * 2)
    assert leave(gateway(**ON), wire(text)) == wire(text)


def test_a_drain_neither_opens_nor_masks() -> None:
    """Dialogs are found by their tags; what opens would leave in clear."""
    left = leave(gateway(**ON), wire(INVITE.format(VALUES[0], LEFT[0])))
    settings = {"inside": [PROXY, "10.0.0.0/8"], "own": [PROXY], "hide.from_to": True}
    config = load(None, env={}, overrides=settings, key_ring_given=True)
    draining = assemble.gateway(config, ring=RING, drain=True)
    response = wire(OK.format(end(left, b"From"), LEFT[0]))
    assert enter(draining, response) == response
    clear = wire(INVITE.format(VALUES[0], LEFT[0]))
    assert leave(draining, clear) == clear


@pytest.mark.parametrize("codec", CODECS)
def test_the_outside_leg_masks_what_a_peer_returned_and_nothing_else(codec: str) -> None:
    outside, inside = (gateway(codec, leg, **ON) for leg in (Leg.OUTSIDE, Leg.INSIDE))
    value = "sip:bob@10.0.0.5;tag=1"
    stranger = wire(INVITE.format("<sip:x@10.0.0.7>;tag=9", "<sip:bob@10.0.0.6>"))
    assert enter(outside, stranger) == stranger
    left = leave(outside, wire(INVITE.format(value, LEFT[0])))
    response = packet(wire(OK.format(value, LEFT[0])), "198.51.100.20", PROXY)
    seen = judge(outside, response).packet
    assert end(seen, b"From") == end(left, b"From") != value
    assert judge(inside, seen).packet == response
