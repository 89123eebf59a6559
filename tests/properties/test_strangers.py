"""Whatever strangers write, in through the gateway, sent on by a proxy inside, out: it has an outcome, and
nothing that names the inside but what the receiver wrote himself."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import load
from inline_topo.gateway import Ask, Gateway, Verdict
from inline_topo.stores.memory import MemoryStore
from tests.masking.network import PEER, RING, THIRD, datagram, payload_of
from tests.properties.messages import HOST

PROXY = "10.0.0.9"
PUBLIC = "203.0.113.5"
INNER = ["10.0.37.1", "10.0.37.2:5062", "[fd00::5]", "pbx.corp.example"]
WAYS: list[dict[str, Any]] = [
    {"mode": mode, "shape": shape, "profile": profile, "audit": 0}
    for mode in ("topoh", "topos")
    for shape in ("router", "host", "nat")
    for profile in ("default", "topoh", "strict")
]
BEHIND = [
    "",
    ";lr",
    ";out=AY",
    ";maddr=10.0.37.1",
    ";x=10.0.37.9",
    "?Replaces=x%4010.0.37.1",
    "?a=10.0.37.1",
]
URI = st.builds(
    lambda user, host, behind: f"sip:{user}{host}{behind}",
    st.sampled_from(["", "u@", "10.0.37.7@"]),
    st.one_of(st.sampled_from([*INNER, PROXY, THIRD, "carrier.example"]), HOST),
    st.sampled_from(BEHIND),
)
VALUE = st.builds(
    lambda uri, form: form.format(uri),
    URI,
    st.sampled_from(["<{}>", "{}", '"10.0.37.8" <{}>', "<{}>;received=10.0.37.6", "<{}>;tag=1"]),
)
FIELDS = [
    "Record-Route",
    "Route",
    "Path",
    "Service-Route",
    "Contact",
    "Refer-To",
    "From",
    "To",
    "Diversion",
]
START = [
    *("INVITE {} SIP/2.0", "REGISTER {} SIP/2.0", "PUBLISH {} SIP/2.0", "REFER {} SIP/2.0"),
    *("SIP/2.0 180 Ringing", "SIP/2.0 200 OK", "SIP/2.0 302 Moved"),
]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message of a stranger's, its values one a line or with commas; each field may come twice."""
    start = draw(st.sampled_from(START)).format(draw(URI))
    method = (
        start.partition(" ")[0]
        if "{" in start or not start.startswith("SIP")
        else draw(st.sampled_from(["INVITE", "REGISTER"]))
    )
    lines = [
        start,
        f"Via: SIP/2.0/UDP {PEER};branch=z9hG4bK{'a' * 24}",
        "Call-ID: 1",
        f"CSeq: 1 {method}",
    ]
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=6)):
        said = draw(st.lists(VALUE, min_size=1, max_size=3))
        lines.append(f"{name}: {', '.join(said)}")
    return "\r\n".join([*lines, "", ""]).encode()


def gateway(
    leg: Leg = Leg.GATEWAY, *, drain: bool = False, fill: bool = False, **more: Any
) -> Gateway:
    values = {
        "inside": ["10.0.0.0/8", "fd00::/8"],
        "own": [PUBLIC] if more["shape"] == "nat" else [PROXY],
        "protected": ["corp.example"],
        "topoh.mask_callid": True,
        **({"public": PUBLIC} if more["shape"] == "nat" else {}),
        **({"topos.store": "memory:"} if more["mode"] == "topos" else {}),
        **more,
    }
    config = load(None, env={}, overrides=values, key_ring_given=True)
    return assemble.gateway(config, leg, ring=RING, drain=drain, fill=fill)


def judge(gateway: Gateway, store: MemoryStore, packet: bytes) -> Verdict:
    verdict = gateway.handle(packet, 0.0)
    while isinstance(verdict, Ask):
        [answer] = store.perform([verdict.effect])
        verdict = verdict.resume(answer)
    assert not verdict.outcome.endswith("error"), verdict
    return verdict


def sent_on(message: bytes, own_first: bool) -> bytes:
    """What a proxy inside makes of it: it adds itself to the Record-Routes, on top or below."""
    head, rest = message.split(b"\r\n", 1)
    mine = b"Record-Route: <sip:%b;lr>\r\n" % PROXY.encode()
    if own_first:
        return head + b"\r\n" + mine + rest
    return message[:-2] + mine + b"\r\n"


GATEWAYS = {
    str(way): [
        *(gateway(leg, **way) for leg in Leg),
        gateway(drain=True, **way),
        gateway(fill=True, **way),
    ]
    for way in WAYS
}


def there_and_back(way: dict[str, Any], message: bytes, own_first: bool) -> None:
    for network in GATEWAYS[str(way)]:
        store = MemoryStore()
        entered = judge(network, store, datagram(message, PEER, PROXY))
        for target in (PEER, THIRD):
            told = sent_on(payload_of(entered.packet), own_first)
            left = judge(network, store, datagram(told, PROXY, target))
            judge(network, store, datagram(payload_of(left.packet), target, PROXY))


@pytest.mark.parametrize(
    "way",
    [
        # Without --full each mode, shape and profile meets each of the others' once.
        pytest.param(way, marks=[pytest.mark.full] if number % 2 else [])
        for number, way in enumerate(WAYS)
    ],
    ids=lambda way: "/".join(map(str, way.values())),
)
@settings(max_examples=30)
@given(messages(), st.booleans())
def test_whatever_strangers_write_has_an_outcome(
    way: dict[str, Any], message: bytes, own_first: bool
) -> None:
    there_and_back(way, message, own_first)


@pytest.mark.nightly
@pytest.mark.parametrize("way", WAYS, ids=lambda way: "/".join(map(str, way.values())))
@settings(max_examples=1_000)
@given(messages(), st.booleans())
def test_whatever_strangers_write_has_an_outcome_at_length(
    way: dict[str, Any], message: bytes, own_first: bool
) -> None:
    there_and_back(way, message, own_first)


_WORDS = re.compile(rb"10\.0\.37\.|fd00::5|pbx\.corp\.example")
_BARE = re.compile(rb"(?im)^(?:Via|Call-ID)[ \t]*:.*$")


@pytest.mark.parametrize("way", [way for way in WAYS if way["profile"] == "strict"], ids=str)
@settings(max_examples=50)
@given(messages(), st.booleans())
def test_others_see_nothing_that_was_opened(
    way: dict[str, Any], message: bytes, own_first: bool
) -> None:
    """Under strict with claims refused, what enters in clear leaves as its writer wrote it, or sealed: an
    inside address in what leaves stands in a field in which he wrote it."""
    # One of its own: in mode topos it remembers what the request of another example lost.
    network, store = gateway(**way), MemoryStore()
    entered = judge(network, store, datagram(message, PEER, PROXY))
    if entered.outcome.startswith("refused"):
        return
    told = sent_on(payload_of(entered.packet), own_first)
    left = judge(network, store, datagram(told, PROXY, THIRD))
    if left.outcome.startswith("refused"):
        return
    for line in _BARE.sub(b"", payload_of(left.packet)).split(b"\r\n"):
        for word in _WORDS.findall(line):
            name = line.partition(b":")[0] if b" SIP/2.0" not in line else message.split(b" ")[0]
            said = [other for other in message.split(b"\r\n") if other.startswith(name)]
            assert any(word in other for other in said), line
