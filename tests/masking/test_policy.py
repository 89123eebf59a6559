"""Policy rules: the first that matches decides, over masking alone."""

from typing import Any

import pytest

from inline_topo.assemble import Leg
from tests.masking.network import CODECS, PEER, PROXY, THIRD, enter, gateway, leave, wire

SKIP, MASK = {"action": "skip"}, {"action": "mask"}


def request(method: str = "INVITE", uri: str = "sip:alice@198.51.100.20", **names: str) -> bytes:
    users = {"From": "<sip:bob@example.com>;tag=1", "To": "<sip:alice@example.com>"} | names
    return wire(f"""
        {method} {uri} SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        From: {users["From"]}
        To: {users["To"]}
        Call-ID: abc@10.0.0.5
        CSeq: 1 {method}
        Contact: <sip:bob@10.0.0.5>
    """)


def response(method: str = "INVITE", status: int = 200) -> bytes:
    return wire(f"""
        SIP/2.0 {status} Whatever
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
        From: <sip:alice@example.com>;tag=1
        To: <sip:bob@example.com>
        Call-ID: abc@10.0.0.5
        CSeq: 1 {method}
        Contact: <sip:bob@10.0.0.5>
    """)


def is_masked(message: bytes, rules: list[dict[str, Any]], **settings: Any) -> bool:
    left = leave(gateway(rule=rules, **settings.pop("config", {})), message, **settings)
    return b"sip:bob@10.0.0.5" not in left


MATCHES: dict[str, tuple[dict[str, Any], bytes, dict[str, Any], bool]] = {
    "no condition": ({}, request(), {}, True),
    "source": ({"source": [PROXY]}, request(), {}, True),
    "another source": ({"source": [PROXY]}, request(), {"inside": "10.0.0.3"}, False),
    "a network as source": ({"source": ["10.0.0.0/24"]}, request(), {"inside": "10.0.0.3"}, True),
    "destination": ({"destination": [THIRD, PEER]}, request(), {}, True),
    "another destination": ({"destination": [THIRD]}, request(), {}, False),
    "both": ({"source": [PROXY], "destination": [PEER]}, request(), {}, True),
    "only one of both": ({"source": [PROXY], "destination": [THIRD]}, request(), {}, False),
    "method": ({"method": ["BYE", "invite"]}, request(), {}, True),
    "another method": ({"method": ["BYE"]}, request(), {}, False),
    "the method of a response is its CSeq's": ({"method": ["INVITE"]}, response(), {}, True),
    "another method in CSeq": ({"method": ["INVITE"]}, response("BYE"), {}, False),
    "From user": ({"from_user": ["bob"]}, request(), {}, True),
    "another From user": ({"from_user": ["alice"]}, request(), {}, False),
    "users are told apart by case": ({"from_user": ["Bob"]}, request(), {}, False),
    "To user": ({"to_user": ["alice"]}, request(), {}, True),
    "To user of a response": ({"to_user": ["bob"]}, response(), {}, True),
    "a display name is no user": (
        {"from_user": ["bob"]},
        request(From='"bob" <sip:x@example.com>'),
        {},
        False,
    ),
    "a user up to password and parameters": (
        {"from_user": ["bob"]},
        request(From="<sip:bob:secret@example.com>"),
        {},
        True,
    ),
    "a user with parameters": ({"to_user": ["+49"]}, request(To="<sip:+49;x=1@h>"), {}, True),
    "a number": ({"to_user": ["+49123"]}, request(To="<tel:+49123;phone-context=x>"), {}, True),
    "a bare address": ({"to_user": ["carol"]}, request(To="sip:carol@h;tag=1"), {}, True),
    "Request-URI user": ({"request_uri_user": ["alice"]}, request(), {}, True),
    "another Request-URI user": ({"request_uri_user": ["bob"]}, request(), {}, False),
    "a response has no Request-URI": ({"request_uri_user": ["bob"]}, response(), {}, False),
    "requests": ({"message": "request"}, request(), {}, True),
    "requests only": ({"message": "request"}, response(), {}, False),
    "responses": ({"message": "response"}, response(), {}, True),
    "responses only": ({"message": "response"}, request(), {}, False),
    "all conditions hold": ({"method": ["INVITE"], "to_user": ["alice"]}, request(), {}, True),
    "one does not": ({"method": ["INVITE"], "to_user": ["carol"]}, request(), {}, False),
}


@pytest.mark.parametrize(("rule", "message", "words", "is_met"), MATCHES.values(), ids=MATCHES)
def test_conditions(
    rule: dict[str, Any], message: bytes, words: dict[str, Any], is_met: bool
) -> None:
    assert is_masked(message, [{**rule, **SKIP}], **words) == (not is_met)
    # And the other way about: everything is skipped but for what the rule says.
    assert is_masked(message, [{**rule, **MASK}, SKIP], **words) == is_met


def test_the_first_rule_that_matches_decides() -> None:
    invite = {"method": ["INVITE"]}
    assert not is_masked(request(), [{**invite, **SKIP}, {**invite, **MASK}])
    assert is_masked(request(), [{**invite, **MASK}, {**invite, **SKIP}])
    assert is_masked(request(), [{"method": ["BYE"], **SKIP}])
    assert not is_masked(request(), [{"method": ["BYE"], **MASK}, {"from_user": ["bob"], **SKIP}])


@pytest.mark.parametrize("codec", CODECS)
def test_opening_is_unconditional(codec: str) -> None:
    """A message that is skipped must not strand the rest of its dialog (kamailio issues 1573, 2437)."""
    masked = leave(gateway(codec), request())
    contact = masked.partition(b"Contact: <")[2].partition(b">")[0].decode()
    skipping = gateway(codec, rule=[SKIP])
    bye = request("BYE", contact)
    assert b"sip:bob@10.0.0.5 SIP/2.0" in enter(skipping, bye)


def test_call_ids_are_for_the_addresses_of_rules_alone_to_decide() -> None:
    """Every message of a dialog must be treated alike, so a method or a user cannot."""
    config: dict[str, Any] = {"topoh__mask_callid": True}
    for rule, kept in (
        ({"destination": [PEER]}, True),
        ({"source": [PROXY]}, True),
        ({}, True),
        ({"method": ["INVITE"]}, False),
        ({"to_user": ["alice"]}, False),
        ({"destination": [PEER], "message": "request"}, False),
        ({"destination": [THIRD]}, False),
    ):
        left = leave(gateway(rule=[{**rule, **SKIP}], **config), request())
        assert (b"Call-ID: abc@10.0.0.5" in left) == kept, rule
    left = leave(gateway(rule=[{"method": ["INVITE"], **MASK}, SKIP], **config), request())
    assert b"Call-ID: abc@10.0.0.5" in left
    assert b"Contact: <sip:bob@10.0.0.5>" not in left


def test_a_peer_without_masked_call_ids_is_not_escaped() -> None:
    """What it sends with an inside name in its Call-ID is a dialog that left in clear."""
    skipping = gateway(rule=[{"destination": [PEER], **SKIP}], topoh__mask_callid=True)
    theirs = request("BYE", "sip:bob@192.0.2.10")
    assert enter(skipping, theirs) == theirs
    other = enter(skipping, theirs, peer=THIRD)
    assert b"Call-ID: !!!:abc@10.0.0.5" in other
    assert leave(skipping, other.replace(b"Contact", b"X"), peer=THIRD).count(b"!!!:") == 0


@pytest.mark.parametrize("leg", [Leg.GATEWAY, Leg.OUTSIDE])
def test_via1_is_for_addresses_alone_to_decide(leg: Leg) -> None:
    """INVITE, CANCEL and ACK have one Via: all or none of them is masked."""
    config: dict[str, Any] = {
        "shape": "nat",
        "public": "203.0.113.5",
        "own": ["203.0.113.5"],
        "inside": ["10.0.0.0/8"],
    }
    message = request().replace(b"UDP 192.0.2.10", b"UDP 10.0.0.5")
    for rule, kept in (({"destination": [PEER]}, True), ({"method": ["INVITE"]}, False)):
        router = gateway(rule=[{**rule, **SKIP}], leg=leg, **config)
        left = leave(router, message, inside="10.0.0.5")
        assert (b"UDP 10.0.0.5" in left) == kept
