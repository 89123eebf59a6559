"""ICMP errors: what is cut, against what scapy reads and builds."""
# mypy: allow-untyped-calls

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.packet import Packet, Raw

from inline_topo.wire import icmp

PAYLOAD = b"OPTIONS sip:a@10.0.0.7 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7\r\n"
QUOTED = IP(src="203.0.113.9", dst="192.168.178.10") / UDP(sport=5062, dport=5060)
QUOTED6 = IPv6(src="2001:db8:2::9", dst="2001:db8:1::10") / UDP(sport=5062, dport=5060)


def error(payload: bytes = PAYLOAD, **fields: Any) -> bytes:
    outer = IP(src="192.168.178.10", dst="203.0.113.9", **fields)
    return bytes(outer / ICMP(type=3, code=3) / QUOTED / Raw(payload))


def error6(kind: Packet, payload: bytes = PAYLOAD) -> bytes:
    outer = IPv6(src="2001:db8:1::10", dst="2001:db8:2::9")
    return bytes(outer / kind / QUOTED6 / Raw(payload))


def cut(packet: bytes) -> bytes:
    parsed = icmp.parse(packet)
    assert parsed is not None
    return icmp.cut(parsed)


@given(st.binary(min_size=1, max_size=600))
def test_the_quote_ends_behind_the_udp_header(payload: bytes) -> None:
    packet = error(payload)
    short = cut(packet)
    assert len(short) == 20 + 8 + 20 + 8
    fresh = IP(packet[: len(short)])
    del fresh.len, fresh.chksum, fresh[ICMP].chksum
    assert short == bytes(fresh)


@pytest.mark.parametrize(
    "kind", [ICMPv6DestUnreach(code=4), ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded()]
)
@pytest.mark.parametrize("payload", [PAYLOAD, PAYLOAD + b"x"])
def test_the_same_in_ipv6(kind: Packet, payload: bytes) -> None:
    packet = error6(kind, payload)
    short = cut(packet)
    assert len(short) == 40 + 8 + 40 + 8
    fresh = IPv6(packet[: len(short)])
    del fresh.plen, fresh[type(kind)].cksum
    assert short == bytes(fresh)


def test_what_follows_the_quote_goes_with_its_length() -> None:
    packet = bytearray(error())
    packet[20 + 5] = 32  # RFC 4884: the quote has 32 words, an extension follows
    assert cut(bytes(packet))[20 + 5] == 0


def test_a_wrong_checksum_stays_wrong() -> None:
    packet = bytearray(error())
    packet[22] ^= 0x40
    short = cut(bytes(packet))
    fresh = IP(short)
    del fresh[ICMP].chksum
    assert bytes(fresh) != short


def test_says_what_is_quoted() -> None:
    parsed = icmp.parse(error())
    assert parsed is not None
    assert parsed.endpoints == bytes(QUOTED)[12:24]
    assert parsed.payload == PAYLOAD
    assert parsed.outer_endpoints == bytes([192, 168, 178, 10, 203, 0, 113, 9, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(IP() / UDP() / Raw(PAYLOAD)),
        bytes(IP() / ICMP(type=8) / Raw(PAYLOAD)),
        bytes(IP() / ICMP(type=3) / IP() / TCP()),
        bytes(IP() / ICMP(type=3) / IP(frag=10, proto=17) / Raw(PAYLOAD)),
        bytes(IP(flags="MF") / ICMP(type=3) / QUOTED / Raw(PAYLOAD)),
        error()[: 20 + 8 + 20 + 4],
        bytes(IP() / ICMP(type=3)),
        bytes(IPv6() / ICMPv6EchoRequest() / Raw(PAYLOAD)),
        bytes(IPv6() / UDP() / Raw(PAYLOAD)),
    ],
)
def test_all_else_is_no_error_that_quotes_udp(packet: bytes) -> None:
    assert icmp.parse(packet) is None


@given(st.binary(max_size=120))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    for packet in (data, error()[:28] + data, error6(ICMPv6DestUnreach())[:48] + data):
        if parsed := icmp.parse(packet):
            icmp.cut(parsed)
