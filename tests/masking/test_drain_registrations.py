"""Drain: a registration made under its mask is called, refreshed and taken back, and leaves none behind.

The registrar is outside, and its bindings are kept by RFC 3261 section 10.3: one for each URI.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from inline_topo.gateway import Gateway
from inline_topo.stores.memory import MemoryStore
from tests.masking.network import CODECS, PROXY, enter, gateway, leave, wire
from tests.masking.topos_network import Node

PHONE = "sip:alice@10.0.0.7:5062;transport=udp"
CLEAR = f"<{PHONE}>"
OTHER = "<sip:alice@10.0.0.8>"
OWN = f"<sip:alice@{PROXY}>"

Pass = Callable[[bytes], bytes]


class Side(NamedTuple):
    """A gateway: what becomes of a message that leaves, and of one that enters."""

    out: Pass
    into: Pass


class Pair(NamedTuple):
    """It as it was, and as it drains."""

    live: Side
    drain: Side


def by_tokens(gateway: Gateway) -> Side:
    return Side(lambda message: leave(gateway, message), lambda message: enter(gateway, message))


def pair_of(kind: str, **settings: Any) -> Pair:
    """`kind`: a codec, or "topos"."""
    if kind == "topos":
        store = MemoryStore()
        nodes = [Node(store, drain=drain, **settings) for drain in (False, True)]
        return Pair(*(Side(node.leave, node.enter) for node in nodes))
    return Pair(*(by_tokens(gateway(kind, drain=drain, **settings)) for drain in (False, True)))


@pytest.fixture(params=[*CODECS, "topos"])
def kind(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture
def pair(kind: str) -> Pair:
    return pair_of(kind)


def register(*contacts: str, expires: int = 600) -> bytes:
    fields = "\n".join([*(f"Contact: {contact}" for contact in contacts), f"Expires: {expires}"])
    return wire(f"""
        REGISTER sip:carrier.example SIP/2.0
        Via: SIP/2.0/UDP {PROXY};branch=z9hG4bKp
        Via: SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bKu
        From: <sip:alice@carrier.example>;tag=1
        To: <sip:alice@carrier.example>
        Call-ID: abc
        CSeq: 1 REGISTER
        {fields}
        Content-Length: 0
    """)


def contacts_of(message: bytes) -> list[tuple[str, int | None]]:
    """The URIs of the Contacts, and what each says of its expiry."""
    found = []
    for line in re.findall(r"(?m)^Contact: (.*?)\r$", message.decode()):
        for inner, bare, parameters in re.findall(r"(?:<(.*?)>|(sip:[^;,]*))([^,]*)", line):
            expires = re.search(r";expires=(\d+)", parameters)
            found.append((inner or bare, int(expires[1]) if expires else None))
    return found


class Registrar:
    """One user's bindings: URI and expiry, in the order in which they came."""

    def __init__(self) -> None:
        self.bindings: dict[str, int] = {}

    def hear(self, request: bytes) -> bytes:
        """Do what a REGISTER asks for; the answer."""
        text = request.decode()
        header = re.search(r"(?m)^Expires: (\d+)", text)
        general = int(header[1]) if header else 3600
        if re.search(r"(?m)^Contact: \*\r$", text):
            assert general == 0
            self.bindings.clear()
        for uri, own in contacts_of(request):
            expires = general if own is None else own
            self.bindings.pop(uri, None)
            if expires:
                self.bindings[uri] = expires
        vias = "".join(f"{line}\n" for line in re.findall(r"(?m)^(Via: .*?)\r$", text))
        listed = "".join(f"Contact: <{uri}>;expires={n}\n" for uri, n in self.bindings.items())
        return wire(f"SIP/2.0 200 OK\n{vias}CSeq: 1 REGISTER\n{listed}Content-Length: 0")

    def call(self) -> list[bytes]:
        """An INVITE to each binding."""
        return [
            wire(f"""
                INVITE {uri} SIP/2.0
                Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bKcall{number}
                From: <sip:bob@carrier.example>;tag=2
                To: <sip:alice@carrier.example>
                Call-ID: call
                CSeq: 1 INVITE
                Contact: <sip:bob@198.51.100.20>
                Content-Length: 0
            """)
            for number, uri in enumerate(self.bindings)
        ]


def registered(side: Side, registrar: Registrar, *contacts: str, expires: int = 600) -> bytes:
    """The answer that the phone gets to its REGISTER through a gateway."""
    return side.into(registrar.hear(side.out(register(*contacts, expires=expires))))


def rung(side: Side, registrar: Registrar) -> list[str]:
    """The Request-URIs with which the phone is called."""
    return [side.into(invite).split(b" ")[1].decode() for invite in registrar.call()]


def test_a_masked_binding_is_called_as_it_drains(pair: Pair) -> None:
    registrar = Registrar()
    registered(pair.live, registrar, CLEAR)
    assert PHONE not in registrar.bindings
    assert rung(pair.drain, registrar) == [PHONE]


def test_a_refresh_moves_the_binding_out_of_its_mask(pair: Pair) -> None:
    registrar = Registrar()
    registered(pair.live, registrar, CLEAR)
    for expires in (300, 200):
        answer = registered(pair.drain, registrar, CLEAR, expires=expires)
        assert registrar.bindings == {PHONE: expires}
        assert contacts_of(answer) == [(PHONE, expires)]
    assert rung(pair.drain, registrar) == [PHONE]


@pytest.mark.parametrize("contact", [CLEAR, f"{CLEAR};expires=0", "*"])
def test_what_is_taken_back_is_gone(pair: Pair, contact: str) -> None:
    registrar = Registrar()
    registered(pair.live, registrar, CLEAR)
    answer = registered(pair.drain, registrar, contact, expires=0)
    assert registrar.bindings == {}
    assert contacts_of(answer) == []


def test_each_of_several_bindings_moves(pair: Pair) -> None:
    registrar = Registrar()
    registered(pair.live, registrar, f"{CLEAR};q=0.5", f'"desk" {OTHER};expires=60')
    assert len(registrar.bindings) == 2
    registered(pair.drain, registrar, f"{CLEAR};q=0.5, {OTHER}")
    assert list(registrar.bindings) == [PHONE, OTHER.strip("<>")]


def test_a_contact_without_brackets_too(pair: Pair) -> None:
    registrar = Registrar()
    registered(pair.live, registrar, "sip:alice@10.0.0.8;q=0.5")
    assert len(registrar.bindings) == 1
    registered(pair.drain, registrar, "sip:alice@10.0.0.8;q=0.5")
    assert list(registrar.bindings) == ["sip:alice@10.0.0.8"]


def test_the_phones_own_words_stay(pair: Pair) -> None:
    """What is added stands behind them, in the last Contact."""
    asked = register(CLEAR, OTHER)
    left = pair.drain.out(asked)
    head, tail = asked.split(f"{OTHER}".encode())
    assert left.startswith(head + OTHER.encode() + b", <sip:")
    assert left.endswith(b";expires=0" + tail)
    assert pair.drain.out(asked) == left


@pytest.mark.parametrize("contacts", [(), ("*",), (OWN,)], ids=["query", "star", "own"])
def test_where_nothing_was_masked_nothing_is_taken_back(
    pair: Pair, contacts: tuple[str, ...]
) -> None:
    asked = register(*contacts, expires=0)
    assert pair.drain.out(asked) == asked


def test_nor_what_registrations_that_are_left_alone_leave_clear(kind: str) -> None:
    """A Contact that lies inside is sealed in those too."""
    pair = pair_of(kind, hide__registers=False)
    asked = register("<sip:alice@203.0.113.30>")
    assert b"<sip:alice@203.0.113.30>\r\n" in pair.live.out(asked)
    assert pair.drain.out(asked) == asked
    registrar = Registrar()
    registered(pair.live, registrar, CLEAR)
    assert PHONE not in registrar.bindings
    registered(pair.drain, registrar, CLEAR)
    assert list(registrar.bindings) == [PHONE]


def test_nor_where_topoh_leaves_all_of_them() -> None:
    pair = pair_of("kamailio", profile="topoh")
    asked = register(CLEAR)
    assert pair.live.out(asked) == pair.drain.out(asked) == asked


@pytest.mark.parametrize(
    "rule", [{"method": ["REGISTER"]}, {"to_user": ["alice"]}, {"destination": ["198.51.100.20"]}]
)
def test_nor_where_a_rule_leaves_it_clear(kind: str, rule: dict[str, list[str]]) -> None:
    pair = pair_of(kind, rule=[{**rule, "action": "skip"}])
    asked = register(CLEAR)
    assert f"Contact: {CLEAR}\r\n".encode() in pair.live.out(asked)
    assert pair.drain.out(asked) == asked


def test_on_the_way_in_a_clear_binding_stays_and_is_called_too(pair: Pair) -> None:
    """To take it back would show it. Nothing tells it from what a stranger says: it has a mark inside."""
    registrar = Registrar()
    registrar.hear(register(CLEAR))
    registered(pair.live, registrar, CLEAR)
    assert PHONE in registrar.bindings
    marked, opened = rung(pair.live, registrar)
    assert [re.sub(r";out=[^;]+", "", marked), opened] == [PHONE, PHONE]


def test_other_methods_take_nothing_back(pair: Pair) -> None:
    asked = register(CLEAR).replace(b"REGISTER", b"SUBSCRIBE")
    assert pair.drain.out(asked) == asked
