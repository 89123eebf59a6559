"""The outside leg (what a peer would have seen and echoed) and the inside leg, which opens it all."""

from typing import Any

import pytest

from inline_topo.assemble import Leg
from inline_topo.gateway import Gateway
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
    inside_view,
    judge,
    leave,
    outside_pattern,
    outside_view,
    payload_of,
    topoh_token,
    wire,
)
from tests.masking.topos_network import Node

each_codec = pytest.mark.parametrize("codec", CODECS)


def outside(codec: str, **settings: Any) -> Gateway:
    return gateway(codec, Leg.OUTSIDE, **settings)


def check_entered(codec: str, leg: Gateway, text: str, **words: Any) -> None:
    """What enters is masked in «…», and opened again by the inside leg."""
    clear = inside_view(text)
    seen = enter_masked(leg, clear, **words)
    if codec == "kamailio":
        assert seen == outside_view(text, codec)
    else:
        assert outside_pattern(text).fullmatch(seen), seen.decode()
    assert enter(gateway(codec, Leg.INSIDE), seen, **words) == clear


def passed(network: Gateway | Node, packet: bytes) -> bytes:
    verdict = network.judge(packet) if isinstance(network, Node) else judge(network, packet)
    assert verdict.outcome in ("masked", "unmasked"), verdict.outcome
    return payload_of(verdict.packet)


def enter_masked(leg: Gateway, message: bytes, peer: str = PEER) -> bytes:

    verdict = judge(leg, datagram(message, peer, PROXY))
    assert "error" not in verdict.outcome
    return payload_of(verdict.packet)


INVITE = """
    INVITE sip:alice@198.51.100.20 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
    Via: «SIP/2.0/UDP 10.0.0.5:5062⟦;TH=div⟧;branch=z9hG4bK2»
    Record-Route: <sip:192.0.2.10;lr>, <«sip:10.0.0.1;lr»>
    Contact: <«sip:bob@10.0.0.5:5062»>
    From: <sip:bob@example.com>;tag=1
    To: <sip:alice@example.com>
    CSeq: 1 INVITE
"""


@each_codec
def test_what_leaves_is_masked_as_by_the_gateway(codec: str) -> None:
    clear = inside_view(INVITE)
    assert leave(outside(codec), clear) == leave(gateway(codec), clear)


@each_codec
def test_the_answer_has_the_vias_and_routes_that_were_minted(codec: str) -> None:
    leg = outside(codec)
    leave(leg, inside_view(INVITE))
    check_entered(
        codec,
        leg,
        """
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        Via: «SIP/2.0/UDP 10.0.0.5:5062⟦;TH=div⟧;branch=z9hG4bK2»
        Record-Route: <sip:198.51.100.7;lr>, <sip:192.0.2.10;lr>, <«sip:10.0.0.1;lr»>
        Contact: <sip:alice@198.51.100.20>
        CSeq: 1 INVITE
        """,
    )


@each_codec
def test_an_answer_to_what_was_not_seen_is_minted_afresh(codec: str) -> None:
    check_entered(
        codec,
        outside(codec),
        """
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        Via: «SIP/2.0/UDP 10.0.0.5:5062⟦;TH=dcv⟧;branch=z9hG4bK2»
        CSeq: 1 INVITE
        """,
    )


@each_codec
def test_a_request_within_a_dialog_comes_to_tokens(codec: str) -> None:
    check_entered(
        codec,
        outside(codec),
        """
        BYE «sip:bob@10.0.0.5:5062» SIP/2.0
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
        Route: <sip:10.0.0.3;lr>, <sip:192.0.2.10;lr>, <«sip:10.0.0.1;lr»>
        To: <sip:bob@example.com>;tag=2
        """,
    )


@each_codec
def test_a_request_out_of_a_dialog_comes_to_what_was_minted_alone(codec: str) -> None:
    leg = outside(codec)
    text = """
        OPTIONS {} SIP/2.0
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
        To: <sip:bob@example.com>
    """
    check_entered(codec, leg, text.format("sip:bob@10.0.0.5:5062"))
    leave(leg, inside_view(INVITE))
    check_entered(codec, leg, text.format("«sip:bob@10.0.0.5:5062»"))
    # To one peer only: another has not seen it.
    check_entered(codec, leg, text.format("sip:bob@10.0.0.5:5062"), peer=THIRD)


@each_codec
def test_a_call_to_a_registered_binding_comes_to_its_token(codec: str) -> None:
    """The same as in the REGISTER, which is sealed under the stable key."""
    leg = outside(codec)
    sent = leave(
        leg,
        wire("""
            REGISTER sip:198.51.100.20 SIP/2.0
            Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
            CSeq: 1 REGISTER
            Contact: <sip:bob@10.0.0.5:5062>;expires=60
        """),
    )
    binding = sent.partition(b"<")[2].partition(b">")[0]
    call = wire("""
        INVITE sip:bob@10.0.0.5:5062 SIP/2.0
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
        To: <sip:bob@example.com>
    """)
    assert enter_masked(leg, call).startswith(b"INVITE " + binding + b" SIP/2.0")


@each_codec
def test_a_spiral_brings_back_the_vias_that_left(codec: str) -> None:
    leg = outside(codec)
    leave(leg, inside_view(INVITE))
    check_entered(
        codec,
        leg,
        """
        INVITE sip:alice@192.0.2.10 SIP/2.0
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK9
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        Via: «SIP/2.0/UDP 10.0.0.5:5062⟦;TH=div⟧;branch=z9hG4bK2»
        """,
    )


@each_codec
def test_a_registrar_lists_what_was_registered(codec: str) -> None:
    leg = outside(codec)
    registered = wire("""
        REGISTER sip:198.51.100.20 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        CSeq: 1 REGISTER
        Contact: <sip:bob@10.0.0.5:5062>;expires=60
        Path: <sip:10.0.0.1;lr>
    """)
    sent = leave(leg, registered)
    text = wire("""
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        CSeq: 1 REGISTER
        Path: <sip:10.0.0.1;lr>
        Contact: <sip:bob@10.0.0.5:5062>;expires=60, <sip:bob@203.0.113.9>;expires=10
    """)
    seen = enter_masked(leg, text)
    for name in (b"Contact: ", b"Path: "):
        value = sent.partition(name)[2].partition(b">")[0]
        assert name + value + b">" in seen
    assert b"<sip:bob@203.0.113.9>;expires=10" in seen
    assert b"10.0.0." not in seen
    assert enter(gateway(codec, Leg.INSIDE), seen) == text


@pytest.mark.parametrize("mode", ["topoh", "topos"])
@pytest.mark.parametrize("method", ["REGISTER", "PUBLISH"])
def test_what_leaves_clear_of_a_registration_comes_back_so(method: str, mode: str) -> None:
    """hide.registers = false: what lies inside is a token on both ways, what does not is in neither."""
    settings: dict[str, Any] = {"profile": "topoh"}
    store = MemoryStore()
    outside, inside = (
        Node(store, leg=leg, protected=[], **settings)
        if mode == "topos"
        else gateway(leg=leg, **settings)
        for leg in (Leg.OUTSIDE, Leg.INSIDE)
    )
    asked = wire(f"""
        {method} sip:198.51.100.20 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2
        From: <sip:bob@example.com>;tag=b
        To: <sip:bob@example.com>
        Call-ID: 1
        CSeq: 1 {method}
        Contact: <sip:bob@10.0.0.5:5062>;expires=60, <sip:bob@203.0.113.9>;expires=10
        Path: <sip:10.0.0.1;lr>
    """)
    answered = wire(f"""
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2
        From: <sip:bob@example.com>;tag=b
        To: <sip:bob@example.com>;tag=a
        Call-ID: 1
        CSeq: 1 {method}
        Contact: <sip:bob@10.0.0.5:5062>;expires=60, <sip:bob@203.0.113.9>;expires=10
        Path: <sip:10.0.0.1;lr>
    """)
    left = passed(outside, datagram(asked, PROXY, PEER))
    came = passed(outside, datagram(answered, PEER, PROXY))
    assert b"10.0.0." not in left
    assert b"<sip:bob@203.0.113.9>;expires=10" in left
    assert passed(inside, datagram(left, PROXY, PEER)) == asked
    binding = left.partition(b"Contact: <")[2].partition(b">")[0]
    via = left.partition(b"z9hG4bK1\r\nVia: ")[2].partition(b"\r")[0]
    assert (b"<" + binding + b">" in came) is (method == "REGISTER")
    assert b"\r\nVia: " + via + b"\r\n" in came
    assert passed(inside, datagram(came, PEER, PROXY)) == answered


@each_codec
def test_fields_that_name_what_was_minted_are_echoed(codec: str) -> None:
    leg = outside(codec)
    leave(leg, inside_view(INVITE))
    for start in ("REFER sip:x@192.0.2.10 SIP/2.0", "SIP/2.0 302 Moved"):
        check_entered(
            codec,
            leg,
            f"""
            {start}
            Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
            Refer-To: <«sip:bob@10.0.0.5:5062»>, <sip:carol@10.0.0.5>
            CSeq: 1 INVITE
            """,
        )


@each_codec
@pytest.mark.parametrize(("more", "is_signed"), [(b"", False), (b"Identity: x\r\n", True)])
def test_what_is_signed_comes_back_as_it_left(codec: str, more: bytes, is_signed: bool) -> None:
    """RFC 8224: an Identity header signs From and To, which leave in clear, whatever else names them."""
    settings: dict[str, Any] = {"profile": "strict", "audit": 0}
    leg, page = outside(codec, **settings), b"<http://10.0.0.5:80/x>"
    message = (
        b"INVITE sip:alice@198.51.100.20 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n"
        b"Contact: %b\r\nFrom: %b;tag=1\r\nCSeq: 1 INVITE\r\n%b\r\n" % (page, page, more)
    )
    assert page not in leave(leg, message).split(b"Contact", 1)[1].split(b"\r\n")[0]
    seen = enter_masked(leg, message)
    assert (b"From: " + page in seen) is is_signed
    assert enter(gateway(codec, Leg.INSIDE, **settings), seen) == message


def test_kamailios_cookie_is_remembered_by_branch() -> None:
    """A request that came in within a dialog and leaves again: topoh wrote its cookie at the door."""
    leg = outside("kamailio")
    enter_masked(
        leg,
        wire("""
            BYE sip:x@192.0.2.10 SIP/2.0
            Via: SIP/2.0/UDP 203.0.113.30;branch=z9hG4bKb
            Route: <sip:192.0.2.10;lr;ftag=a>
            From: <sip:bob@example.com>;tag=b
            To: <sip:alice@example.com>;tag=a
        """),
        peer=THIRD,
    )
    sent = leave(
        leg,
        wire("""
            BYE sip:alice@198.51.100.20 SIP/2.0
            Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
            Via: SIP/2.0/UDP 203.0.113.30;branch=z9hG4bKb
            From: <sip:bob@example.com>;tag=b
            To: <sip:alice@example.com>;tag=a
        """),
    )
    assert topoh_token("SIP/2.0/UDP 203.0.113.30;TH=ucv;branch=z9hG4bKb").encode() in sent


@each_codec
def test_what_policy_left_clear_is_echoed_clear(codec: str) -> None:
    leg = outside(codec, rule=[{"method": ["INVITE"], "action": "skip"}])
    message = inside_view(INVITE)
    assert leave(leg, message) == message
    bye = wire("""
        BYE sip:bob@10.0.0.5:5062 SIP/2.0
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
        Route: <sip:192.0.2.10;lr>, <sip:10.0.0.1;lr>
        To: <sip:bob@example.com>;tag=2
    """)
    assert enter_masked(leg, bye) == bye
    refer = wire("""
        REFER sip:x@192.0.2.10 SIP/2.0
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
        Refer-To: <sip:bob@10.0.0.5:5062>
    """)
    assert enter_masked(leg, refer) == refer


@each_codec
def test_call_ids_leave_and_enter_alike(codec: str) -> None:
    leg = outside(codec, topoh__mask_callid=True)
    sent = leave(leg, wire("OPTIONS sip:a@h SIP/2.0\nCall-ID: abc@10.0.0.5"))
    answered = enter_masked(leg, wire("SIP/2.0 200 OK\nCall-ID: abc@10.0.0.5"))
    assert b"10.0.0.5" not in sent
    assert sent.partition(b"Call-ID")[2] == answered.partition(b"Call-ID")[2]


@each_codec
def test_the_inside_leg_opens_whatever_opens(codec: str) -> None:
    """In both directions, requests and responses, every field."""
    text = """
        {}
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        Via: «SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2»
        Record-Route: <«sip:10.0.0.1;lr»>
        Route: <«sip:10.0.0.1;lr»>
        Path: <«sip:10.0.0.1;lr»>
        Service-Route: <«sip:10.0.0.1;lr»>
        Contact: <«sip:bob@10.0.0.5»>
        Refer-To: <«sip:bob@10.0.0.5»>
        Call-ID: «abc@10.0.0.5»
        CSeq: 1 INVITE
    """
    leg = gateway(codec, Leg.INSIDE, topoh__mask_callid=True)
    for start in ("INVITE «sip:bob@10.0.0.5» SIP/2.0", "SIP/2.0 200 OK"):
        message = text.format(start)
        for go in (leave, enter):
            assert go(leg, outside_view(message, codec)) == inside_view(message)


def test_the_inside_leg_opens_what_a_rule_would_skip() -> None:
    message = "INVITE «sip:bob@10.0.0.5» SIP/2.0"
    leg = gateway(leg=Leg.INSIDE, rule=[{"action": "skip"}])
    assert leave(leg, outside_view(message, "aes-siv")) == inside_view(message)


def test_a_leg_under_another_key_opens_nothing() -> None:
    other = type(RING)({9: bytes(range(64))}, active=9, stable=9)
    message = outside_view("INVITE «sip:bob@10.0.0.5» SIP/2.0", "aes-siv")
    assert enter(gateway(leg=Leg.INSIDE, ring=other), message) == message


def test_memory_of_what_was_minted_is_bounded() -> None:
    leg = outside("aes-siv")
    strategy: Any = leg._strategy
    for number in range(70_000):
        strategy._minted[b"peer", b"%d" % number] = True
    assert len(strategy._minted) == 1 << 16
    assert (b"peer", b"69999") in strategy._minted
    assert (b"peer", b"0") not in strategy._minted
