"""Segments of TCP without a kernel; scapy judges lengths and checksums."""
# mypy: allow-untyped-calls

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from inline_topo.edges.live.tcp import MOST_CONNECTIONS, Connections, is_tcp, without_data

IPV4 = IP(src="192.168.178.10", dst="203.0.113.9", options=b"\x01" * 4)
IPV6 = IPv6(src="2001:db8:1::10", dst="2001:db8:2::9")
HEADER = TCP(sport=40000, dport=5060, flags="PA", seq=1, ack=2, options=[("MSS", 1400)])


@pytest.mark.parametrize("network", [IPV4, IPV6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("data", [b"x", b"SIP" * 400, b"\xff\xff" * 3])
def test_a_segment_loses_its_data_alone(network: Packet, data: bytes) -> None:
    bare = without_data(bytes(network / HEADER / Raw(data)))
    assert bare == bytes(network / HEADER)


@pytest.mark.parametrize("network", [IPV4, IPV6], ids=["IPv4", "IPv6"])
def test_a_wrong_checksum_stays_wrong(network: Packet) -> None:
    right = bytes(network / HEADER)
    wrong = bytearray(bytes(network / HEADER / Raw(b"data")))
    place = len(right) - len(bytes(HEADER)) + 16
    wrong[place : place + 2] = b"\x12\x34"
    bare = without_data(bytes(wrong))
    assert bare is not None
    assert (bare[:place], bare[place + 2 :]) == (right[:place], right[place + 2 :])
    assert bare[place : place + 2] != right[place : place + 2]


def test_what_has_no_data_is_itself_and_what_is_odd_is_nothing() -> None:
    bare = bytes(IPV4 / HEADER)
    assert without_data(bare) is bare
    whole = bytes(IPV4 / HEADER / Raw(b"data"))
    assert without_data(whole[:-1]) is None
    assert without_data(bytes(IP(flags="MF") / HEADER / Raw(b"data"))) is None
    short = bytearray(whole)
    short[24 + 12] = 0x40  # a header of 16 bytes
    assert without_data(bytes(short)) is None


def test_a_connection_is_new_once_in_both_directions() -> None:
    connections = Connections()
    there = bytes(IPV6 / HEADER)
    back = bytes(IPv6(src=IPV6.dst, dst=IPV6.src) / TCP(sport=5060, dport=40000))
    assert [connections.is_new(packet) for packet in (there, there, back)] == [True, False, False]
    for port in range(MOST_CONNECTIONS):
        assert connections.is_new(bytes(IPV4 / TCP(sport=port, dport=5060)))
    assert connections.is_new(there)
    assert is_tcp(there)
    assert not is_tcp(there[:19])
