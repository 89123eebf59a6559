"""The seam: every outcome, asking and resuming, and what happens when something is wrong with us."""
# mypy: allow-untyped-calls

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.edits import Edit
from inline_topo.gateway import CORRUPT, OUTCOMES, Action, Ask, Gateway, Verdict
from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.effects import KINDS, EffectFailed, Need
from inline_topo.masking.flow import Direction, Flow
from inline_topo.sip.message import Message
from inline_topo.sip.names import FieldNames
from tests.masking.network import (
    PEER,
    PROXY,
    THIRD,
    datagram,
    gateway,
    judge,
    leave,
    payload_of,
    wire,
)

CLEAR = wire("""
    INVITE sip:alice@198.51.100.20 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
    Contact: <sip:bob@10.0.0.5>
""")
CLAIM = wire("""
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
    Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2
""")
PLAIN = wire("OPTIONS sip:alice@198.51.100.20 SIP/2.0")
BAD_SPIRAL = wire(
    f"""
    BYE sip:bob@10.0.0.5<y SIP/2.0
    Via: SIP/2.0/UDP {PROXY};branch=z9hG4bK1
    Route: <sip:{PROXY};lr>
    """
)
BAD_URI = CLEAR.replace(b"sip:bob@10.0.0.5", b"sip:bob@10.0.0.5\x01")
BAD_START = CLEAR.replace(b"INVITE", b"INV{ITE")
RTP = b"\x80\0" + bytes(170)


def token() -> bytes:
    masked = judge(gateway(), datagram(CLEAR, PROXY, PEER))
    contact = payload_of(masked.packet).partition(b"Contact: <")[2].partition(b">")[0]
    return PLAIN.replace(b"sip:alice@198.51.100.20", contact)


def piece(source: str, target: str, payload: bytes, offset: int = 0) -> bytes:
    """A fragment that is not the last one."""
    if offset:
        return bytes(IP(src=source, dst=target, proto=17, frag=offset, flags="MF") / Raw(payload))
    upper = UDP(sport=5060, dport=5060, len=2000) / Raw(payload)
    return bytes(IP(src=source, dst=target, flags="MF") / upper)


def out(payload: bytes) -> bytes:
    return datagram(payload, PROXY, PEER)


def into(payload: bytes) -> bytes:
    return datagram(payload, PEER, PROXY)


VIAS = ", ".join(f"SIP/2.0/UDP 10.0.0.{n}:5062;rport;branch=z9hG4bKa{n}" for n in range(20))


def shrunk() -> bytes:
    """A response with a token of many Vias, as long as a packet can be."""
    masked = leave(gateway(), wire(f"OPTIONS sip:a@h SIP/2.0\nVia: SIP/2.0/UDP h, {VIAS}"))
    assert len(masked) < len(VIAS)
    response = masked.replace(b"OPTIONS sip:a@h SIP/2.0", b"SIP/2.0 200 OK")
    return response + b"x" * (65507 - len(response))


UDP_LITE = bytes(IP(src=PROXY, dst=PEER, proto=136) / UDP(sport=5060, dport=5060) / Raw(CLEAR))
MANY = CLEAR.replace(b"\r\n", b"\r\n" + b"Diversion: <sip:a@10.0.0.5>\r\n" * 300, 1)
LONG = CLEAR + b"x" * (65507 - len(CLEAR))  # with it the packet has 65,535 bytes

REACHED: dict[str, list[bytes]] = {
    "masked": [out(CLEAR), out(CLEAR) + bytes(6), out(CLEAR)[:2] + b"\0\0" + out(CLEAR)[4:]],
    "unmasked": [into(token()), into(CLEAR)],  # a stranger's words are marked
    "unchanged": [out(PLAIN), into(PLAIN)],
    "inside": [datagram(CLEAR, PROXY, "10.0.0.5")],
    "transit": [datagram(CLEAR, PEER, THIRD)],
    "not_sip": [out(RTP), into(RTP), out(b""), piece(PROXY, PEER, RTP), out(RTP)[:-1]],
    "not_udp": [bytes(IP(src=PROXY, dst=PEER) / ICMP() / Raw(CLEAR))],
    "not_ip": [b"", b"\x55" * 60],
    "malformed_packet": [
        bytes(IP(src=PROXY, dst=PEER, proto=17, len=24) / Raw(b"abcd")),
        bytes(IP(src=PEER, dst=PROXY, ihl=4, proto=17) / UDP() / Raw(CLEAR)),
    ],
    "udp_lite": [UDP_LITE.replace(b"SIP/", b"PIP/"), bytes(IP(src=PEER, dst=PROXY, proto=136))],
    "fragment": [piece(PEER, PROXY, CLEAR), piece(PEER, PROXY, CLEAR, 100)],
    "cut": [into(CLEAR)[:-1]],
    "malformed_sip": [into(BAD_START)],
    "too_long": [into(shrunk())],
    "refused_fragment": [
        piece(PROXY, PEER, CLEAR),
        piece(PROXY, PEER, BAD_START),
        piece(PROXY, PEER, RTP, 100),  # what a later fragment carries cannot be known
    ],
    "refused_cut": [
        out(CLEAR)[:-1],
        out(BAD_START)[:-1],
        out(CLEAR)[:24] + b"\0\7" + out(CLEAR)[26:],  # a UDP length of 7
        out(CLEAR) + b"sip:a@10.0.0.5",  # behind the datagram
        out(RTP) + CLEAR,
    ],
    "refused_malformed_packet": [
        UDP_LITE,
        bytes(IP(src=PROXY, dst=PEER, ihl=4, proto=17) / UDP() / Raw(CLEAR)),
        bytes(IP(src=PROXY, dst=PEER, len=27, proto=17) / UDP() / Raw(CLEAR)),
    ],
    "refused_malformed_sip": [out(BAD_START)],
    "refused_unmaskable": [out(BAD_URI), out(BAD_SPIRAL)],
    "refused_too_long": [out(LONG)],
    "refused_claim": [into(CLAIM)],
    "too_much": [into(MANY)],
    "refused_too_much": [out(MANY)],
}
# a defect, test_gateway_wire.py, what fails after an Ask, and policies that are not the default
ELSEWHERE = {
    "refused_error",
    "error",
    "icmp_cut",
    "refused_corrupt",
    "refused_leak",  # test_audited.py
    "refused_unread",  # tests/audit/test_not_read.py
    *("refused_" + kind for kind in KINDS),
}


def packets() -> Iterator[Any]:
    for outcome, examples in REACHED.items():
        for number, packet in enumerate(examples):
            yield pytest.param(outcome, packet, id=f"{outcome}-{number}")


def test_every_outcome_has_a_packet_here() -> None:
    assert set(REACHED) | ELSEWHERE == set(OUTCOMES)


@pytest.mark.parametrize(("outcome", "packet"), list(packets()))
def test_outcomes(outcome: str, packet: bytes) -> None:
    verdict = judge(gateway(), packet)
    assert verdict.outcome == outcome
    if outcome in ("masked", "unmasked"):
        assert verdict.action is Action.REPLACE
        assert verdict.edits
        assert verdict.packet != packet
    else:
        assert verdict.action is (Action.DROP if "refused" in outcome else Action.ACCEPT)
        assert verdict.packet is packet
        assert not verdict.edits


@pytest.mark.parametrize(
    "outcome", [name for name in REACHED if "refused_" in name and "claim" not in name]
)
def test_on_error_accept_lets_what_was_refused_out_in_clear(outcome: str) -> None:
    """What is refused as it enters is not meant by it (tests/masking/test_guard.py)."""
    for packet in REACHED[outcome]:
        verdict = judge(gateway(queue__on_error="accept"), packet)
        said = verdict.detail
        assert verdict == Verdict(Action.ACCEPT, packet, Direction.EGRESS, outcome, detail=said)


@pytest.mark.parametrize("key", ["fragment", "cut"])
@pytest.mark.parametrize("policy", [Action.ACCEPT, Action.DROP])
def test_what_leaves_flawed_has_a_policy_of_its_own(key: str, policy: Action) -> None:
    other = "accept" if policy is Action.DROP else "drop"
    settings: dict[str, Any] = {"queue__on_error": other, f"queue__on_{key}": policy.value}
    for packet in REACHED["refused_" + key]:
        verdict = judge(gateway(**settings), packet)
        assert verdict == Verdict(policy, packet, Direction.EGRESS, "refused_" + key)
    for packet in REACHED[key]:
        assert judge(gateway(**settings), packet).action is Action.ACCEPT
    [different] = {"fragment", "cut"} - {key}
    for packet in REACHED["refused_" + different]:
        assert judge(gateway(**settings), packet).action.value == other


@pytest.mark.parametrize("policy", [Action.ACCEPT, Action.DROP])
def test_a_corrupt_packet_is_left_as_it_is_where_the_policy_says_so(policy: Action) -> None:
    settings: dict[str, Any] = {"queue__on_corrupt": policy.value}
    hidden = gateway(**settings)
    for packet, direction in ((out(CLEAR), Direction.EGRESS), (into(token()), Direction.INGRESS)):
        wrong = IP(packet)
        wrong[UDP].chksum ^= 0x0F0F
        verdict = judge(hidden, bytes(wrong))
        assert verdict == Verdict(policy, bytes(wrong), direction, "refused_corrupt")
        assert judge(hidden, packet).action is Action.REPLACE


DIRECTIONS = {
    Direction.EGRESS: [
        "masked",
        "refused_cut",
        "refused_malformed_packet",
        "refused_malformed_sip",
        "refused_unmaskable",
    ],
    Direction.INGRESS: ["unmasked", "fragment", "cut", "malformed_sip", "too_long", "too_much"],
    Direction.INSIDE: ["inside"],
    Direction.TRANSIT: ["transit"],
    Direction.NONE: ["not_udp", "udp_lite", "not_ip", "malformed_packet"],
}


@pytest.mark.parametrize(("direction", "outcomes"), DIRECTIONS.items())
def test_directions(direction: Direction, outcomes: list[str]) -> None:
    for packet in (packet for outcome in outcomes for packet in REACHED[outcome]):
        assert judge(gateway(), packet).direction is direction


@pytest.mark.parametrize("family", [4, 6])
def test_a_rewritten_packet_has_the_lengths_and_checksums_that_scapy_would_write(
    family: int,
) -> None:
    inside, peer = ("fd00::5", "2001:db8::20") if family == 6 else (PROXY, PEER)
    message = CLEAR.replace(b"10.0.0.5", b"[fd00::5]") if family == 6 else CLEAR
    hidden = gateway(inside=["10.0.0.0/8", PROXY, "fd00::/8"], own=[PROXY, "2001:db8::1"])
    verdict = judge(hidden, datagram(message, inside, peer, 5062))
    assert verdict.outcome == "masked"
    assert verdict.packet == datagram(payload_of(verdict.packet), inside, peer, 5062)


def test_a_corrupt_packet_is_rewritten_and_stays_corrupt() -> None:
    for packet, outcome in ((out(CLEAR), "masked"), (into(token()), "unmasked")):
        wrong = IP(packet)
        wrong[UDP].chksum ^= 0x0F0F
        verdict = judge(gateway(), bytes(wrong))
        assert verdict.outcome == outcome + CORRUPT
        right = judge(gateway(), packet).packet
        assert payload_of(verdict.packet) == payload_of(right)
        assert verdict.packet != right


def test_no_checksum_on_ipv4_stays_none() -> None:
    packet = IP(src=PROXY, dst=PEER) / UDP(sport=5060, dport=5060, chksum=0) / Raw(CLEAR)
    verdict = judge(gateway(), bytes(packet))
    assert (verdict.outcome, IP(verdict.packet)[UDP].chksum) == ("masked", 0)


def test_the_same_message_twice_gives_the_same_bytes() -> None:
    first, again = gateway(), gateway()
    for _ in range(2):
        assert judge(first, out(CLEAR)) == judge(again, out(CLEAR))


class Fake:
    """A strategy that does what a test says."""

    def __init__(self, edits: Callable[[Message], Any], addresses: bytes = b"") -> None:
        self._edits, self._addresses = edits, addresses
        self.times: list[float] = []

    def field_names(self, direction: Direction) -> tuple[FieldNames, FieldNames]:
        return FieldNames(["Contact"]), FieldNames(["Contact"])

    def edits(self, message: Message, flow: Flow, now: float) -> Any:
        self.times.append(now)
        return self._edits(message)

    def reads_all(self, flow: Flow) -> bool:
        return False

    def admits(self, data: bytes, flow: Flow) -> bool:
        return True

    def addresses(self, message: Message, flow: Flow, edits: list[Edit]) -> bytes:
        return self._addresses


def with_fake(fake: Fake, **settings: Any) -> Gateway:
    keys = {"inside": [PROXY, "10.0.0.0/8"], "own": [PROXY]}
    config = load(None, env={}, overrides=keys, key_ring_given=True)
    flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))
    return Gateway(flows, fake, **settings)


def raises(error: Exception) -> Callable[[Any], Any]:
    def fail(_: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("accept", [False, True])
def test_a_defect_is_refused_on_egress_and_logged(
    accept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    fake = with_fake(Fake(raises(KeyError("a secret"))), accept_refused=accept)
    with caplog.at_level(logging.ERROR):
        verdict = judge(fake, out(CLEAR))
    assert verdict.outcome == "refused_error"
    assert verdict.action is (Action.ACCEPT if accept else Action.DROP)
    assert verdict.packet == out(CLEAR)
    (record,) = caplog.records
    assert record.exc_info
    assert record.exc_info[0] is KeyError


def test_a_defect_lets_through_what_enters(caplog: pytest.LogCaptureFixture) -> None:
    verdict = judge(with_fake(Fake(raises(ZeroDivisionError()))), into(CLEAR))
    assert (verdict.action, verdict.outcome) == (Action.ACCEPT, "error")
    assert len(caplog.records) == 1


def test_overlapping_edits_are_a_defect(caplog: pytest.LogCaptureFixture) -> None:
    edits = [Edit(0, 6, b"A", "x", "masked"), Edit(3, 9, b"B", "x", "masked")]
    assert judge(with_fake(Fake(lambda _: edits)), out(CLEAR)).outcome == "refused_error"
    assert caplog.records


def test_addresses_alone_make_a_new_packet() -> None:
    addresses = bytes((203, 0, 113, 5)) + bytes((198, 51, 100, 20))
    verdict = judge(with_fake(Fake(lambda _: [], addresses)), out(CLEAR))
    assert (verdict.action, verdict.outcome) == (Action.REPLACE, "unchanged")
    assert verdict.packet == datagram(CLEAR, "203.0.113.5", PEER)


EDIT = [Edit(0, 6, b"invite", "x", "masked")]


def test_asking_and_resuming() -> None:
    """Two effects, one after the other; nothing is judged before the last answer."""
    seen = []

    def second(answer: Any) -> Any:
        seen.append(answer)
        return EDIT

    def first(answer: Any) -> Any:
        seen.append(answer)
        return Need("second effect", second)

    fake = Fake(lambda _: Need("first effect", first))
    ask = with_fake(fake).handle(out(CLEAR), 17.5)
    assert isinstance(ask, Ask)
    assert (ask.effect, seen, fake.times) == ("first effect", [], [17.5])
    ask = ask.resume("one")
    assert isinstance(ask, Ask)
    assert (ask.effect, seen) == ("second effect", ["one"])
    verdict = ask.resume("two")
    assert isinstance(verdict, Verdict)
    assert seen == ["one", "two"]
    assert (verdict.action, verdict.outcome) == (Action.REPLACE, "masked")
    assert payload_of(verdict.packet) == CLEAR.replace(b"INVITE", b"invite")


@pytest.mark.parametrize(
    ("packet", "error", "action", "outcome"),
    [
        (out(CLEAR), SealError("no"), Action.DROP, "refused_unmaskable"),
        (out(CLEAR), KeyError("no"), Action.DROP, "refused_error"),
        (into(CLEAR), SealError("no"), Action.DROP, "refused_unmaskable"),
        (into(CLEAR), KeyError("no"), Action.ACCEPT, "error"),
    ],
)
def test_what_goes_wrong_after_an_answer(
    packet: bytes, error: Exception, action: Action, outcome: str
) -> None:
    ask = with_fake(Fake(lambda _: Need("effect", raises(error)))).handle(packet, 0.0)
    assert isinstance(ask, Ask)
    verdict = ask.resume(None)
    assert isinstance(verdict, Verdict)
    assert (verdict.action, verdict.outcome, verdict.packet) == (action, outcome, packet)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packet", [out(CLEAR), into(CLEAR)], ids=["leaves", "enters"])
@pytest.mark.parametrize("accept", [False, True])
def test_an_effect_that_fails_where_nothing_goes_on_without(
    kind: str, packet: bytes, accept: bool
) -> None:
    failure = EffectFailed(kind, "no answer in time")

    def resume(answer: Any) -> Any:
        assert answer is failure
        raise answer

    fake = with_fake(Fake(lambda _: Need("effect", resume)), accept_refused=accept)
    ask = fake.handle(packet, 0.0)
    assert isinstance(ask, Ask)
    verdict = ask.resume(failure)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome == "refused_" + kind
    assert verdict.outcome in OUTCOMES
    assert verdict.action is Action.DROP  # whatever on_error says
    assert verdict.packet is packet


def test_what_goes_on_without_its_effect_is_sent() -> None:
    fake = with_fake(Fake(lambda _: Need("effect", lambda answer: EDIT)))
    ask = fake.handle(out(CLEAR), 0.0)
    assert isinstance(ask, Ask)
    verdict = ask.resume(EffectFailed("store", "gone"))
    assert isinstance(verdict, Verdict)
    assert (verdict.action, verdict.outcome) == (Action.REPLACE, "masked")


def test_one_answer_may_come_twice() -> None:
    """resume keeps nothing: an edge that retries gets the same verdict."""
    ask = with_fake(Fake(lambda _: Need("effect", lambda answer: EDIT))).handle(out(CLEAR), 0.0)
    assert isinstance(ask, Ask)
    assert ask.resume(1) == ask.resume(1)


def test_ipv6_without_a_checksum_is_not_given_a_right_one() -> None:
    packet = IPv6(src="fd00::5", dst="2001:db8::20") / UDP(sport=5060, dport=5060, chksum=0)
    hidden = gateway(inside=["fd00::/8", "10.0.0.0/8"], own=["2001:db8::1"])
    verdict = judge(hidden, bytes(packet / Raw(CLEAR)))
    assert verdict.outcome == "masked" + CORRUPT
    right = datagram(payload_of(verdict.packet), "fd00::5", "2001:db8::20")
    assert verdict.packet[46:48] not in (b"\0\0", right[46:48])
