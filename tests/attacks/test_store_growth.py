"""Mode topos keeps no more than a few times what leaves, and nothing of what does not leave."""

from pathlib import Path
from typing import Any

import pytest

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.gateway import Action, Ask, Verdict
from inline_topo.masking.effects import Exchange
from inline_topo.stores.memory import MemoryStore
from tests.masking.network import PEER, PROXY, RING, datagram, payload_of

INVITE = (
    b"INVITE sip:bob@198.51.100.20 SIP/2.0\r\n%bVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK%d\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK%d;rport\r\n"
    b"From: <sip:alice@example.com>;tag=%d\r\nTo: <sip:bob@example.com>\r\nCall-ID: %d@example.com\r\n"
    b"CSeq: 1 INVITE\r\nMax-Forwards: 69\r\n%b\r\n"
)
ROUTES = b"Record-Route: <sip:192.0.2.10;lr>\r\nRecord-Route: <sip:10.0.0.8;lr>\r\n"
CONTACT = b"Contact: <sip:alice@10.0.0.5:5060>\r\n"
MOST_TIMES = 4
MOST_TIMES_ON_DISK = 8


class Border:
    """A gateway in mode topos, and what it wrote."""

    def __init__(self, store: str = "memory:", **settings: Any) -> None:
        values: dict[str, Any] = {
            "inside": [PROXY, "10.0.0.0/8"],
            "own": [PROXY, "example.com"],
            "protected": ["corp.example"],
            "mode": "topos",
            "topos.store": store,
        }
        values |= {key.replace("__", "."): value for key, value in settings.items()}
        config = load(None, env={}, overrides=values, key_ring_given=True)
        self._gateway = assemble.gateway(config, ring=RING)
        self.store = assemble.store(config)
        self.written = 0
        self.fails = False

    def judge(self, text: bytes, source: str = PROXY, target: str = PEER) -> Verdict:
        answer = self._gateway.handle(datagram(text, source, target), 1000.0)
        while isinstance(answer, Ask):
            effect = answer.effect
            assert isinstance(effect, Exchange)
            self.written += sum(len(key) + len(value) for key, value, _ in effect.save)
            [result] = self.store.perform([effect])
            answer = answer.resume(result)
        return answer


def invite(number: int = 1, routes: bytes = ROUTES, more: bytes = CONTACT) -> bytes:
    return INVITE % (routes, number, number, number, number, more)


def many(line: bytes, size: int) -> bytes:
    return b"".join(line % (at // 250, at % 250) for at in range(size // len(line)))


def test_a_call_is_kept_and_comes_back() -> None:
    border = Border()
    left = payload_of(border.judge(invite()).packet)
    assert 0 < border.written <= MOST_TIMES * len(invite())
    response = left.replace(b"INVITE sip:bob@198.51.100.20 SIP/2.0", b"SIP/2.0 200 OK").replace(
        b"<sip:bob@example.com>", b"<sip:bob@example.com>;tag=b"
    )
    came = payload_of(border.judge(response, PEER, PROXY).packet)
    assert ROUTES in came
    assert b"10.0.0.5:5060;branch" in came


@pytest.mark.parametrize(
    ("routes", "more"),
    [
        (b"", many(b"Contact: <sip:a@10.0.%d.%d>\r\n", 7_000)),
        (ROUTES, many(b"Contact: <sip:a@10.0.%d.%d>\r\n", 7_000)),
        (many(b"Record-Route: <sip:10.0.%d.%d;lr>\r\n", 8_000), CONTACT),
        (b"Record-Route: " + many(b"<sip:10.0.%d.%d>,", 4_000) + b"<sip:10.0.0.9>\r\n", CONTACT),
        (b"Record-Route: " + b"a," * 250 + b"a\r\n", CONTACT),
        (b"Record-Route: <sip:%b@10.0.0.8;lr>\r\n" % (b"a" * 50_000), CONTACT),
        (b"Record-Route: <sip:%b@10.0.0.8;lr>\r\n" % (b"a" * 20_000), CONTACT * 200),
        (many(b"Record-Route: <sip:10.0.%d.%d;lr>\r\n", 8_000), CONTACT * 200),
        (b"", many(b"Via: SIP/2.0/UDP 10.0.%d.%d;branch=z9hG4bK1\r\n", 11_000) + CONTACT),
    ],
)
def test_no_packet_writes_many_times_its_bytes(routes: bytes, more: bytes) -> None:
    border = Border()
    text = invite(1, routes, more)
    verdict = border.judge(text)
    assert border.written <= MOST_TIMES * len(text)
    if verdict.action is Action.DROP:
        assert border.written == 0
    else:
        assert border.written > 0


REFUSED: dict[str, tuple[dict[str, Any], bytes]] = {
    "refused_too_long": (
        {"mtu": 1500},
        invite(1, ROUTES, CONTACT + many(b"Refer-To: <sip:a@10.0.%d.%d>\r\n", 6_000) + b"X: %b\r\n" % (
            b"y" * 57_900)),
    ),
    "refused_unmaskable": ({}, invite(1, ROUTES, b"Contact: <sip:10.0.0.5\r\n")),
    "refused_too_much": ({}, invite(1, ROUTES, CONTACT + b"Path: <sip:10.0.0.8;lr>\r\n" * 300)),
    "refused_leak": (
        {"audit": "enforce"},
        invite(1, ROUTES, CONTACT + b"Foo: 10.0.0.77\r\n"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("outcome", REFUSED)
def test_nothing_is_kept_of_what_does_not_leave(outcome: str) -> None:
    settings, text = REFUSED[outcome]
    border = Border(profile="strict" if outcome == "refused_leak" else "default", **settings)
    verdict = border.judge(text)
    assert verdict.outcome == outcome
    assert border.written == 0
    store = border.store
    assert isinstance(store, MemoryStore)
    assert list(store.records(1000.0)) == []


def test_a_corrupt_packet_that_is_dropped_leaves_nothing() -> None:
    border = Border(queue__on_corrupt="drop")
    packet = bytearray(datagram(invite(), PROXY, PEER))
    packet[26] ^= 0xFF  # its UDP checksum
    answer = border._gateway.handle(bytes(packet), 1000.0)
    assert isinstance(answer, Verdict)
    assert (answer.action, answer.outcome) == (Action.DROP, "refused_corrupt")


def test_the_file_of_a_thousand_calls(tmp_path: Path) -> None:
    path = tmp_path / "dialogs.db"
    border = Border(f"sqlite:///{path}")
    sent = 0
    for number in range(1000):
        text = invite(number)
        sent += len(text)
        assert border.judge(text).outcome == "masked"
    border.store.close()
    on_disk = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert border.written <= MOST_TIMES * sent
    assert on_disk <= MOST_TIMES_ON_DISK * sent
