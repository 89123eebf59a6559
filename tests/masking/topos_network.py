"""The small network (network.py) in mode topos: gateways that share a store, and who stands around."""

import re
from collections.abc import Sequence
from typing import Any

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import load
from inline_topo.gateway import Ask, Verdict
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.effects import EffectFailed, Exchange
from inline_topo.stores.base import Store
from inline_topo.stores.memory import MemoryStore
from tests.masking.network import PEER, PROXY, RING, datagram, payload_of

ROUTES = [b"<sip:192.0.2.10;lr;ftag=1>", b"<sip:10.0.0.1;lr>"]


class Broken:
    """A store that fails."""

    def perform(self, effects: Sequence[Any]) -> list[Any]:
        return [EffectFailed("store", "is not there") for _ in effects]


class Node:
    """A gateway. `settings`: keys of the configuration, `__` for a dot; `exchanges` is what it asked
    its store for."""

    def __init__(
        self, store: Store | Broken | None = None, *, ring: KeyRing = RING, **settings: Any
    ) -> None:
        drain, leg = settings.pop("drain", False), settings.pop("leg", Leg.GATEWAY)
        values: dict[str, Any] = {
            "mode": "topos",
            "topos.store": "memory:",
            "inside": [PROXY, "10.0.0.0/8"],
            "own": [PROXY, "example.com"],
        }
        values |= {key.replace("__", "."): value for key, value in settings.items()}
        config = load(None, env={}, overrides=values, key_ring_given=True)
        self.gateway = assemble.gateway(config, leg, ring=ring, drain=drain)
        self.store = store or MemoryStore()
        self.exchanges: list[Exchange] = []

    def judge(self, packet: bytes, now: float = 0.0) -> Verdict:
        verdict = self.gateway.handle(packet, now)
        while isinstance(verdict, Ask):
            self.exchanges.append(verdict.effect)
            [answer] = self.store.perform([verdict.effect])
            verdict = verdict.resume(answer)
        return verdict

    def leave(self, message: bytes, *, peer: str = PEER, now: float = 0.0) -> bytes:
        verdict = self.judge(datagram(message, PROXY, peer), now)
        assert verdict.outcome in ("masked", "unchanged"), verdict.outcome
        return payload_of(verdict.packet)

    def enter(self, message: bytes, *, peer: str = PEER, now: float = 0.0) -> bytes:
        verdict = self.judge(datagram(message, peer, PROXY), now)
        assert verdict.outcome in ("unmasked", "unchanged"), verdict.outcome
        return payload_of(verdict.packet)


def lines(message: bytes, name: str) -> list[bytes]:
    """The values of a header field, one a line."""
    return re.findall(rb"^%s: (.*?)\r$" % name.encode(), message, re.MULTILINE)


def contact(message: bytes) -> bytes:
    """The URI in the Contact."""
    return lines(message, "Contact")[0].partition(b"<")[2].partition(b">")[0]


def request(
    method: str, uri: bytes, *fields: bytes, branch: str = "1", to_tag: str = "", cseq: int = 1,
    vias: Sequence[bytes] = (), from_tag: str = "1",
) -> bytes:  # fmt: skip
    """A request of the party with `from_tag`; `vias` are all of them, else one of the peer's own."""
    own = [b"SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK" + branch.encode()]
    return b"\r\n".join(
        [
            b"%s %s SIP/2.0" % (method.encode(), uri),
            *(b"Via: " + via for via in vias or own),
            b"From: <sip:x@example.com>;tag=" + from_tag.encode(),
            b"To: <sip:y@example.com>" + (b";tag=" + to_tag.encode() if to_tag else b""),
            b"Call-ID: abc",
            b"CSeq: %d %s" % (cseq, method.encode()),
            *fields,
            b"\r\n",
        ]
    )


def sent(method: str, uri: bytes, *fields: bytes, branch: str = "1", **more: Any) -> bytes:
    """A request as the proxy sends it out: its own Via, and those of two hops inside."""
    vias = [
        b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKp" + branch.encode(),
        b"SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKi" + branch.encode(),
        b"SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKu;rport=5062",
    ]
    return request(method, uri, *fields, vias=vias, **more)


def answer(status: str, to: bytes, *fields: bytes, tag: str = "2", routes: bool = True) -> bytes:
    """What a UAS answers: Vias, From, Call-ID, CSeq and Record-Routes are the request's."""
    names = ["Via", "Record-Route", "From", "Call-ID", "CSeq"]
    copied = [
        b"%s: %s" % (name.encode(), value)
        for name in names
        if routes or name != "Record-Route"
        for value in lines(to, name)
    ]
    who = lines(to, "To")[0]
    if b"tag=" not in who and not status.startswith("100"):
        who += b";tag=" + tag.encode()
    return b"\r\n".join([b"SIP/2.0 " + status.encode(), *copied, b"To: " + who, *fields, b"\r\n"])


def record_routes(routes: Sequence[bytes] = ROUTES) -> list[bytes]:
    """Header lines."""
    return [b"Record-Route: " + route for route in routes]
