"""What holds for every message in mode topos."""

import random
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import load
from inline_topo.edits import splice
from inline_topo.gateway import Ask, Gateway, Verdict
from inline_topo.stores.memory import MemoryStore
from tests.masking.network import PEER, PROXY, RING, datagram, payload_of
from tests.properties.messages import MESSAGE, ROUTE, VIA

SHORT = 300
"""Bytes: less than any message has that somebody answers (Via, From, To, Call-ID, CSeq)."""

KEYS: dict[str, Any] = {
    "mode": "topos",
    "topos.store": "memory:",
    "inside": [PROXY, "10.0.0.0/8"],
    "own": [PROXY, "example.com"],
    "protected": ["corp.example"],
    "topoh.mask_callid": True,
}
NAT: dict[str, Any] = {
    "shape": "nat",
    "public": "203.0.113.5",
    "own": ["203.0.113.5"],
    "inside": ["10.0.0.0/8"],
}
TIMES = count(1)


def gateway(leg: Leg = Leg.GATEWAY, **more: Any) -> Gateway:
    keys = KEYS | {key.replace("__", "."): value for key, value in more.items()}
    return assemble.gateway(load(None, env={}, overrides=keys, key_ring_given=True), leg, ring=RING)


def judge(gateway: Gateway, store: MemoryStore, packet: bytes, now: float = 0.0) -> Verdict:
    verdict = gateway.handle(packet, now)
    while isinstance(verdict, Ask):
        [answer] = store.perform([verdict.effect])
        verdict = verdict.resume(answer)
    return verdict


STORE = MemoryStore()
OUTSIDE, INSIDE = gateway(Leg.OUTSIDE), gateway(Leg.INSIDE)
NODES = [(gateway(), MemoryStore()), (gateway(), MemoryStore())]


def undone(message: bytes) -> None:
    now = float(next(TIMES))
    for source, target in ((PROXY, PEER), (PEER, PROXY)):
        packet = datagram(message, source, target)
        seen = judge(OUTSIDE, STORE, packet, now)
        if seen.outcome == "refused_too_much":  # a record's own bytes count, beside so few
            assert len(message) < SHORT
            continue
        assert seen.outcome in ("masked", "unmasked", "unchanged"), seen.outcome
        back = judge(INSIDE, STORE, seen.packet, now)
        assert payload_of(back.packet) == message
        if source == PROXY:
            assert back.packet == packet


@settings(max_examples=150)
@given(MESSAGE)
def test_the_inside_leg_undoes_the_outside_leg(message: bytes) -> None:
    """In whatever layout, with a store."""
    undone(message)


@pytest.mark.full
@settings(max_examples=2_500)
@given(MESSAGE)
def test_the_inside_leg_undoes_the_outside_leg_at_length(message: bytes) -> None:
    undone(message)


@given(MESSAGE)
def test_edits_are_apart_and_nodes_agree(message: bytes) -> None:
    for source, target in ((PROXY, PEER), (PEER, PROXY)):
        packet = datagram(message, source, target)
        verdicts = [judge(*node, packet) for node in NODES for _ in range(2)]
        assert len({verdict.packet for verdict in verdicts}) == 1
        assert "error" not in verdicts[0].outcome
        edits = sorted(verdicts[0].edits)
        assert all(first.end <= second.start for first, second in pairwise(edits))
        assert splice(message, edits) == payload_of(verdicts[0].packet)


def laid_out(name: str, values: list[str], commas: list[bool], spelling: str) -> str:
    """Values on lines of their own, or with commas."""
    text = f"{spelling}: {values[0]}"
    for value, comma in zip(values[1:], commas, strict=False):
        text += f", {value}" if comma else f"\r\n{name}: {value}"
    return text + "\r\n"


COMMAS = st.lists(st.booleans(), min_size=4, max_size=4)


@settings(max_examples=100)
@given(
    st.lists(VIA.filter(lambda via: "," not in via), max_size=3),
    st.lists(ROUTE.filter(lambda route: "," not in route), max_size=3),
    COMMAS,
    COMMAS,
    st.sampled_from(["Via", "v", "VIA", "Via "]),
    st.booleans(),
)
def test_a_response_brings_everything_back(
    lower: list[str], routes: list[str], by_comma: list[bool], by_comma2: list[bool],
    spelling: str, joins: bool,
) -> None:  # fmt: skip
    """By the live rules: whatever stood below the topmost Via, and the Record-Routes, in order."""
    node, store = gateway(), MemoryStore()
    topmost = f"SIP/2.0/UDP {PROXY};branch=z9hG4bKtop"
    vias = [topmost, *lower]
    head = laid_out("Via", vias, by_comma, spelling)
    if routes:
        head += laid_out("Record-Route", routes, by_comma2, "record-route")
    rest = "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    request = f"INVITE sip:x@{PEER} SIP/2.0\r\n{head}{rest}\r\n".encode()
    left = payload_of(judge(node, store, datagram(request, PROXY, PEER)).packet)
    assert values_of(left, "via", "v") == [topmost]
    assert values_of(left, "record-route") == []
    response = f"SIP/2.0 200 OK\r\nVia: {topmost};received=192.0.2.10\r\n{rest}\r\n".encode()
    if joins:
        response = response.replace(b"\r\n", b"\n")
    entered = payload_of(judge(node, store, datagram(response, PEER, PROXY)).packet)
    assert values_of(entered, "via", "v") == [f"{topmost};received=192.0.2.10", *lower]
    assert values_of(entered, "record-route") == routes


def values_of(message: bytes, *names: str) -> list[str]:
    """The values of a field, by its lines and commas."""
    found = []
    for line in message.decode().replace("\r\n", "\n").split("\n\n")[0].split("\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() in names:
            found += [part.strip() for part in value.split(",")]
    return found


FUZZED = [
    (gateway(leg, **more), MemoryStore())
    for leg in Leg
    for more in ({}, NAT, {"mode": "topoh"}, {"topos__contact_mode": 1})
]


def spoil(message: bytes, seed: int) -> bytes:
    """A message with bytes changed, cut and doubled."""
    chance = random.Random(seed)
    data = bytearray(message)
    for _ in range(chance.randrange(6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randrange(20)]
            case 2:
                data[at:at] = data[at : at + chance.randrange(60)]
            case _:
                data[at:at] = chance.choice([b"\r\n", b"\n ", b",", b'"', b"<", b"atpsh-", b"\0"])
    return bytes(data)


@settings(max_examples=150)
@given(MESSAGE, st.integers(0, 1 << 32), st.sampled_from(range(len(FUZZED))))
def test_anything_has_a_verdict(message: bytes, seed: int, number: int) -> None:
    a_verdict(spoil(message, seed), FUZZED[number : number + 1])


@pytest.mark.full
@settings(max_examples=300)
@given(MESSAGE, st.integers(0, 1 << 32))
def test_anything_has_a_verdict_everywhere(message: bytes, seed: int) -> None:
    a_verdict(spoil(message, seed), FUZZED)


def a_verdict(data: bytes, nodes: list[tuple[Gateway, MemoryStore]]) -> None:
    for node, store in nodes:
        for source, target in ((PROXY, PEER), (PEER, PROXY), ("10.0.0.5", PEER)):
            verdict = judge(node, store, datagram(data, source, target))
            assert "error" not in verdict.outcome
