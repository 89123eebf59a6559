"""Rule 5 of trust, for responses: lower Vias that name the inside in clear do not enter.

We sealed those of every request that left, so nobody honest has them: a proxy would send the response
to whom they name.
"""

from typing import Any

import pytest

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import load
from inline_topo.gateway import Action, Ask
from tests.masking.network import (
    CODECS,
    PEER,
    PROXY,
    RING,
    datagram,
    enter,
    gateway,
    judge,
    leave,
    wire,
)
from tests.masking.topos_network import Node

ANSWER = """
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP {proxy};branch=z9hG4bKanything
    Via: {lower}
    From: <sip:eve@example.com>;tag=1
    To: <sip:eve@example.com>;tag=2
    Call-ID: 1
    CSeq: 1 {method}
"""

CLAIMS = (
    "SIP/2.0/UDP 10.0.0.77:22",
    "SIP/2.0/UDP pbx.corp.example",
    "SIP/2.0/UDP 010.00.0.077",
    "SIP/2.0/UDP 198.51.100.20;received=10.0.0.77",
    "SIP/2.0/UDP 198.51.100.20;maddr=10.0.0.77",
    "SIP/2.0/TCP [fd00::5]:5061;branch=1",
    "SIP/2.0/UDP 198.51.100.20;branch=1, SIP/2.0/UDP 10.0.0.77",
    "SIP/2.0/UDP 198.51.100.20;x=10.0.0.77~22~1",
    "not a via of 10.0.0.77",
)
NO_CLAIMS = (
    "SIP/2.0/UDP 198.51.100.20;branch=1",
    "SIP/2.0/UDP 192.0.2.10;branch=1",  # own, though it lies inside
    "SIP/2.0/UDP example.com;branch=1;received=203.0.113.30",
    "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
)


def answer(lower: str, method: str = "INVITE", proxy: str = PROXY) -> bytes:
    return wire(ANSWER.format(lower=lower, method=method, proxy=proxy))


SETTINGS: list[dict[str, Any]] = [{}, {"profile": "strict", "audit": 0}, {"profile": "topoh"}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("lower", CLAIMS)
def test_a_response_that_claims_to_know_the_inside(lower: str, settings: dict[str, Any]) -> None:
    network = gateway(inside=[PROXY, "10.0.0.0/8", "fd00::/8"], **settings)
    for on_error in ("drop", "accept"):
        if settings.get("profile") != "strict":
            network = gateway(
                inside=[PROXY, "10.0.0.0/8", "fd00::/8"], queue__on_error=on_error, **settings
            )
        verdict = judge(network, datagram(answer(lower), PEER, PROXY))
        assert (verdict.outcome, verdict.action) == ("refused_claim", Action.DROP)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("lower", NO_CLAIMS)
def test_what_claims_nothing_enters_as_it_is(lower: str, codec: str) -> None:
    assert enter(gateway(codec), answer(lower)) == answer(lower)


def test_the_mask_address_is_no_claim() -> None:
    """It may lie inside and be nobody's own."""
    network = gateway(topoh__mask_ip="10.1.1.10")
    lower = "SIP/2.0/UDP 10.1.1.10;branch=z9hG4bK" + "A" * 40
    assert enter(network, answer(lower)) == answer(lower)


def test_codec_kamailio() -> None:
    """As with the other; in profile topoh it is topoh."""
    packet = datagram(answer(CLAIMS[0]), PEER, PROXY)
    assert judge(gateway("kamailio"), packet).outcome == "refused_claim"
    assert judge(gateway("kamailio", profile="topoh"), packet).outcome == "unchanged"


def test_mode_topos() -> None:
    node = Node(protected=["corp.example"])
    verdict = node.gateway.handle(datagram(answer(CLAIMS[0]), PEER, PROXY), 0.0)
    assert getattr(verdict, "outcome", None) == "refused_claim"


def test_shape_nat() -> None:
    network = gateway(shape="nat", inside=["10.0.0.0/8"], public=PROXY)
    packet = datagram(answer(CLAIMS[0]), PEER, "10.0.0.5")
    assert judge(network, packet).outcome == "refused_claim"


BEYOND = (
    b"X: y\r\n" * 1100,
    b"Via: SIP/2.0/UDP 203.0.113.30\r\n" * 300,
    b"Alert-Info: <sip:a@%b.example>\r\n" % (b"a" * 600),  # found when the field is opened
)


@pytest.mark.parametrize("lines", BEYOND)
def test_what_is_beyond_the_bounds_does_not_pass_by_it(lines: bytes) -> None:
    """Nobody looks at its Vias."""
    first, _, rest = answer(CLAIMS[0]).partition(b"\r\n")
    packet = datagram(first + b"\r\n" + lines + rest, PEER, PROXY)
    verdict = judge(gateway(), packet)
    assert (verdict.outcome, verdict.action) == ("refused_too_much", Action.DROP)
    asked = Node().gateway.handle(packet, 0.0)  # mode topos: before the store is asked, or after
    while isinstance(asked, Ask):
        asked = asked.resume({})
    assert (asked.outcome, asked.action) == ("refused_too_much", Action.DROP)


def test_requests_are_not_judged_by_it() -> None:
    text = answer(CLAIMS[0]).replace(b"SIP/2.0 200 OK", b"INVITE sip:a@example.com SIP/2.0")
    assert judge(gateway(), datagram(text, PEER, PROXY)).outcome == "unchanged"


@pytest.mark.parametrize(
    "rule",
    [{"destination": [PEER]}, {"method": ["OPTIONS"]}, {"request_uri_user": ["bob"]}],
    ids=str,
)
def test_not_where_a_rule_leaves_vias_clear(rule: dict[str, Any]) -> None:
    network = gateway(rule=[{"action": "skip", **rule}])
    request = wire(f"""
        OPTIONS sip:bob@{PEER} SIP/2.0
        Via: SIP/2.0/UDP {PROXY};branch=z9hG4bK1
        Via: SIP/2.0/UDP 10.0.0.77:5062;branch=z9hG4bK2
        CSeq: 1 OPTIONS
    """)
    assert leave(network, request) == request
    back = answer("SIP/2.0/UDP 10.0.0.77:5062;branch=z9hG4bK2", "OPTIONS")
    assert enter(network, back) == back


@pytest.mark.parametrize("registers", [True, False])
def test_the_answer_to_a_registration(registers: bool) -> None:
    """Its lower Vias are sealed whatever `hide.registers` says."""
    network = gateway(hide__registers=registers)
    back = answer(CLAIMS[0], "REGISTER")
    assert judge(network, datagram(back, PEER, PROXY)).outcome == "refused_claim"


def test_not_where_topoh_leaves_registrations_in_clear() -> None:
    back = answer(CLAIMS[0], "REGISTER")
    assert enter(gateway("kamailio", profile="topoh"), back) == back


def test_not_in_a_drain_nor_in_the_legs() -> None:
    """Nor in a dry run, which sends on what it has judged as it was."""
    back = answer(CLAIMS[0])
    values = {"inside": [PROXY, "10.0.0.0/8"], "own": [PROXY]}
    config = load(None, env={}, overrides=values, key_ring_given=True)
    assert enter(assemble.gateway(config, ring=RING, dry_run=True), back) == back
    assert enter(gateway(drain=True), back) == back
    assert enter(gateway(leg=Leg.INSIDE), back) == back
    assert b"10.0.0.77" not in enter(gateway(leg=Leg.OUTSIDE), back)
