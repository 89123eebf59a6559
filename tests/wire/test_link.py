"""Frames are scapy's; what an IP packet in them is, scapy says too."""

from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Loopback
from scapy.layers.l2 import Ether as EtherHeader
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet, Raw

from inline_topo.errors import CaptureError
from inline_topo.wire.link import network_packet, path, replace


def Ether(src: str = "02:00:00:00:00:0a", **fields: Any) -> Packet:
    """scapy's, with addresses: it would ask the network for those that are missing."""
    return EtherHeader(src=src, dst="02:00:00:00:00:0b", **fields)


V4 = IP(src="192.0.2.1", dst="198.51.100.2") / UDP(sport=5060, dport=5060) / Raw(b"x" * 300)
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=5060, dport=5060) / Raw(b"x" * 300)

FRAMES = {
    "ethernet": (1, Ether() / V4),
    "ethernet6": (1, Ether() / V6),
    "vlan": (1, Ether() / Dot1Q(vlan=7) / V4),
    "vlan6": (1, Ether() / Dot1Q(vlan=7, prio=5) / V6),
    "qinq": (1, Ether() / Dot1AD(vlan=7) / Dot1Q(vlan=9) / V4),
    "qinq_9100": (1, Ether(type=0x9100) / Dot1Q(vlan=7) / Dot1Q(vlan=9) / V4),
    "pppoe": (1, Ether() / PPPoE(sessionid=17) / PPP() / V4),
    "pppoe6": (1, Ether() / PPPoE(sessionid=17) / PPP() / V6),
    "vlan_pppoe": (1, Ether() / Dot1Q(vlan=7) / PPPoE(sessionid=17) / PPP() / V4),
    "pppoe_short": (1, Ether() / PPPoE(sessionid=17) / Raw(b"\x21") / V4),
    "pppoe6_short": (1, Ether() / PPPoE(sessionid=17) / Raw(b"\x57") / V6),
    "sll": (113, CookedLinux() / V4),
    "sll6": (113, CookedLinux() / V6),
    "sll_vlan": (113, CookedLinux() / Dot1Q(vlan=3) / V4),
    "sll2": (276, CookedLinuxV2() / V4),
    "sll2_6": (276, CookedLinuxV2() / V6),
    "raw": (101, V4),
    "raw6": (101, V6),
    "raw_bsd": (12, V4),
    "raw_openbsd": (14, V6),
    "ipv4": (228, V4),
    "ipv6": (229, V6),
    "null_big": (0, Loopback(type=2) / V4),
    "null6_freebsd": (0, Loopback(type=28) / V6),
    "loop": (108, Loopback(type=2) / V4),
}


@pytest.mark.parametrize("name", FRAMES)
def test_finds_the_packet_and_puts_another_in(name: str) -> None:
    linktype, layers = FRAMES[name]
    frame = bytes(layers)
    network = layers[IP] if IP in layers else layers[IPv6]
    padded = frame + b"\xaa" * 9
    span = network_packet(linktype, padded)
    assert span is not None
    offset, end = span
    assert padded[offset:end] == bytes(network)

    longer = network.copy()
    longer[UDP].payload = Raw(b"y" * 423)
    expected = layers.copy()
    (expected[IP] if IP in expected else expected[IPv6])[UDP].payload = Raw(b"y" * 423)
    assert replace(padded, offset, end, bytes(longer)) == bytes(expected) + b"\xaa" * 9
    assert network_packet(linktype, bytes(expected)) == (offset, len(bytes(expected)))
    there = replace(padded, offset, end, bytes(longer))
    assert replace(there, offset, offset + len(bytes(longer)), bytes(network)) == padded


def test_null_in_the_other_byte_order() -> None:
    assert network_packet(0, b"\x02\0\0\0" + bytes(V4)) == (4, 4 + len(bytes(V4)))
    assert network_packet(0, b"\x1e\0\0\0" + bytes(V6)) == (4, 4 + len(bytes(V6)))


def test_a_frame_cut_by_the_capture_ends_with_the_capture() -> None:
    frame = bytes(Ether() / V4)[:100]
    assert network_packet(1, frame) == (14, 100)


def test_offloaded_total_length_of_zero_reaches_to_the_end() -> None:
    packet = bytearray(bytes(V4))
    packet[2:4] = b"\0\0"
    assert network_packet(101, bytes(packet)) == (0, len(packet))


def test_so_does_a_payload_length_of_zero() -> None:
    packet = bytearray(bytes(V6))
    packet[4:6] = b"\0\0"
    assert network_packet(101, bytes(packet)) == (0, len(packet))


def test_so_does_a_total_length_that_no_header_has() -> None:
    frame = bytes(Ether(type=0x0800)) + b"\x45\0\0\x13" + bytes(40)
    assert network_packet(1, frame) == (14, len(frame))


@pytest.mark.parametrize(
    ("linktype", "frame"),
    [
        (1, b""),
        (1, bytes(13)),
        (1, bytes(Ether(type=0x0806)) + bytes(46)),
        (1, bytes(Ether(type=0x0800)) + bytes(46)),  # no IP version
        (1, bytes(Ether(type=0x86DD)) + bytes(V4)),
        (1, bytes(Ether() / Dot1Q(vlan=1))),
        (1, bytes(Ether() / Dot1Q(vlan=1))[:16]),
        (1, bytes(Ether() / PPPoE() / PPP(proto=0xC021)) + bytes(40)),
        (113, bytes(10)),
        (276, bytes(10)),
        (101, b"\x45"),
        (0, b"\0\0\0"),
        (0, b"\x11\x22\x33\x44" + bytes(V4)),
    ],
)
def test_no_packet(linktype: int, frame: bytes) -> None:
    assert network_packet(linktype, frame) is None


def test_an_unknown_link_type_is_named() -> None:
    with pytest.raises(CaptureError, match="link type 189"):
        network_packet(189, bytes(100))


def test_too_long_for_pppoe() -> None:
    frame = bytes(Ether() / PPPoE() / PPP() / V4)
    span = network_packet(1, frame)
    assert span is not None
    with pytest.raises(CaptureError, match="PPPoE"):
        replace(frame, *span, bytes(65535))


def test_path_tells_hops_apart_but_not_lengths() -> None:
    def path_of(frame: Packet) -> bytes:
        data = bytes(frame)
        span = network_packet(1, data)
        assert span is not None
        return path(data, span[0])

    short = IP(src="192.0.2.1", dst="198.51.100.2") / UDP() / Raw(b"x")
    for link in (Ether(), Ether() / PPPoE(sessionid=1) / PPP()):
        assert path_of(link / V4) == path_of(link / short)
    assert path_of(Ether(src="02:00:00:00:00:01") / V4) != path_of(Ether() / V4)
