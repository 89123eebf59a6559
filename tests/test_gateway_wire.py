"""What the gateway does to a packet beside its payload: fragmentation, ICMP errors."""
# mypy: allow-untyped-calls

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6TimeExceeded, IPv6, IPv6ExtHdrFragment
from scapy.packet import Packet, Raw

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.gateway import Action, Gateway, Verdict
from inline_topo.masking.codecs.keyring import KeyRing

INSIDE, OUTSIDE, ROUTER = "192.168.178.10", "203.0.113.9", "192.0.2.1"
INSIDE6, OUTSIDE6 = "2001:db8:1::10", "2001:db8:2::9"


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    config = load(None, env={}, overrides={"inside": [INSIDE, INSIDE6]}, key_ring_given=True)
    return assemble.gateway(config, ring=KeyRing.generate())


def judged(gateway: Gateway, packet: Packet) -> Verdict:
    verdict = gateway.handle(bytes(packet), 0.0)
    assert isinstance(verdict, Verdict)
    return verdict


def request(length: int) -> bytes:
    """A request that leaves and shows the inside, of this many bytes."""
    head = (
        f"INVITE sip:bob@{OUTSIDE} SIP/2.0\r\nVia: SIP/2.0/UDP {INSIDE};branch=z9hG4bKa\r\n"
        "Via: SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bKb\r\nFrom: <sip:a@x.com>;tag=1\r\n"
        "To: <sip:b@x.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nX: "
    )
    return f"{head}{'x' * (length - len(head) - 4)}\r\n\r\n".encode()


def packet(length: int, **fields: Any) -> Packet:
    return IP(src=INSIDE, dst=OUTSIDE, **fields) / UDP(sport=5060, dport=5060) / request(length)


def test_what_grows_past_the_mtu_may_be_fragmented(gateway: Gateway) -> None:
    sent = judged(gateway, packet(1465, flags="DF", id=0))
    seen = IP(sent.packet)
    assert sent.action is Action.REPLACE
    assert len(sent.packet) > 1500
    assert seen.flags.value == 0
    assert seen.id != 0
    checked = seen.copy()
    del checked.chksum, checked[UDP].chksum
    assert bytes(checked) == sent.packet


def test_its_identification_is_that_of_the_message(gateway: Gateway) -> None:
    first, again, other = (
        IP(judged(gateway, packet(length, flags="DF", id=number)).packet).id
        for length, number in ((1465, 0), (1465, 7), (1464, 0))
    )
    assert first == again != other


@pytest.mark.parametrize(("length", "flags"), [(1300, "DF"), (1465, "")])
def test_otherwise_flags_and_identification_stay(gateway: Gateway, length: int, flags: str) -> None:
    sent = IP(judged(gateway, packet(length, flags=flags, id=4711)).packet)
    assert (str(sent.flags), sent.id) == (flags, 4711)


def entered(source: str, target: str) -> Packet:
    return IP(src=source, dst=target) / UDP(sport=5060, dport=5060) / Raw(request(500))


@pytest.mark.parametrize("sender", [INSIDE, ROUTER])
def test_an_error_that_leaves_quotes_no_sip(gateway: Gateway, sender: str) -> None:
    quoted = entered(OUTSIDE, INSIDE)
    sent = judged(gateway, IP(src=sender, dst=OUTSIDE) / ICMP(type=3, code=3) / quoted)
    assert sent.outcome == "icmp_cut"
    assert sent.packet.endswith(bytes(quoted)[:28])


def test_nor_does_one_of_ipv6(gateway: Gateway) -> None:
    quoted = IPv6(src=OUTSIDE6, dst=INSIDE6) / UDP(sport=5060, dport=5060) / Raw(request(500))
    sent = judged(gateway, IPv6(src=INSIDE6, dst=OUTSIDE6) / ICMPv6DestUnreach() / quoted)
    assert sent.outcome == "icmp_cut"
    assert sent.packet.endswith(bytes(quoted)[:48])


def test_of_a_later_fragment_that_entered_an_error_quotes_nothing(gateway: Gateway) -> None:
    """Nobody can tell whether it is the tail of a message."""
    tail = b"Via: SIP/2.0/UDP 10.0.0.7:5062\r\n"
    later = IP(src=OUTSIDE, dst=INSIDE, proto=17, frag=185) / Raw(tail)
    sent = judged(gateway, IP(src=INSIDE, dst=OUTSIDE) / ICMP(type=11, code=1) / later)
    assert sent.outcome == "icmp_cut"
    assert len(sent.packet) == 20 + 8 + 20
    later6 = IPv6(src=OUTSIDE6, dst=INSIDE6) / IPv6ExtHdrFragment(nh=17, offset=185) / Raw(tail)
    sent = judged(gateway, IPv6(src=INSIDE6, dst=OUTSIDE6) / ICMPv6TimeExceeded(code=1) / later6)
    assert sent.outcome == "icmp_cut"
    assert len(sent.packet) == 40 + 8 + 40 + 8
    left = IP(src=INSIDE, dst=OUTSIDE, proto=17, frag=185) / Raw(tail)
    sent = judged(gateway, IP(src=OUTSIDE, dst=INSIDE) / ICMP(type=11, code=1) / left)
    assert sent.outcome == "not_udp"


@pytest.mark.parametrize(
    "error",
    [
        IP(src=OUTSIDE, dst=INSIDE) / ICMP(type=3) / entered(INSIDE, OUTSIDE),
        IP(src=INSIDE, dst=OUTSIDE) / ICMP(type=3) / IP(src=OUTSIDE, dst=INSIDE) / UDP() / b"\x80\0RTP",
        IP(src=ROUTER, dst=OUTSIDE) / ICMP(type=3) / entered(OUTSIDE, "198.51.100.1"),
    ],
    ids=["enters", "quotes no SIP", "between outsiders"],
)  # fmt: skip
def test_other_errors_stay(gateway: Gateway, error: Packet) -> None:
    sent = judged(gateway, error)
    assert (sent.action, sent.outcome) == (Action.ACCEPT, "not_udp")
