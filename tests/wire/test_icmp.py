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
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.ipsec import AH
from scapy.packet import Packet, Raw

from inline_topo.wire import icmp

PAYLOAD = b"OPTIONS sip:a@10.0.0.7 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7\r\n"
QUOTED = IP(src="203.0.113.9", dst="192.168.178.10") / UDP(sport=5062, dport=5060)
QUOTED6 = IPv6(src="2001:db8:2::9", dst="2001:db8:1::10") / UDP(sport=5062, dport=5060)


def error(payload: bytes = PAYLOAD, **fields: Any) -> bytes:
    outer = IP(src="192.168.178.10", dst="203.0.113.9", **fields)
    return bytes(outer / ICMP(type=3, code=3) / QUOTED / Raw(payload))


def error6(kind: Packet, payload: bytes = PAYLOAD, quoted: Packet | None = None) -> bytes:
    outer = IPv6(src="2001:db8:1::10", dst="2001:db8:2::9")
    return bytes(outer / kind / (quoted or QUOTED6 / Raw(payload)))


def rebuilt6(packet: bytes, kind: type[Packet]) -> bytes:
    """The error with the length and the checksum that scapy gives it."""
    fresh = IPv6(packet)
    del fresh.plen, fresh[kind].cksum
    return bytes(fresh)


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
    assert short == rebuilt6(packet[: len(short)], type(kind))


LATER = IP(src="203.0.113.9", dst="192.168.178.10", proto=17, frag=181)
FAR = IP(src="203.0.113.9", dst="192.168.178.10", proto=17, frag=256)  # its low byte is 0
LATER6 = QUOTED6[IPv6].copy()
LATER6.remove_payload()


@pytest.mark.parametrize("payload", [PAYLOAD, b""])
@pytest.mark.parametrize("later", [LATER, FAR], ids=["near", "far"])
def test_of_a_later_fragment_nothing_but_its_header_stays(later: Packet, payload: bytes) -> None:
    outer = IP(src="192.168.178.10", dst="203.0.113.9")
    packet = bytes(outer / ICMP(type=11, code=1) / later / Raw(payload))
    parsed = icmp.parse(packet)
    assert parsed is not None
    assert (parsed.is_later, parsed.payload) == (True, payload)
    assert parsed.endpoints == bytes(later)[12:20] + bytes(4)
    short = icmp.cut(parsed)
    assert len(short) == 20 + 8 + 20
    fresh = IP(packet[: len(short)])
    del fresh.len, fresh.chksum, fresh[ICMP].chksum
    assert short == bytes(fresh)


EXTENSIONS = [
    IPv6ExtHdrFragment(id=7, m=1),
    IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(20))]) / IPv6ExtHdrDestOpt(),
    IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=0) / IPv6ExtHdrFragment(id=7, m=1),
    AH(nh=17, payloadlen=4, spi=9, seq=1, icv=bytes(12)),
]


@pytest.mark.parametrize("extensions", EXTENSIONS, ids=[one.summary() for one in EXTENSIONS])
def test_udp_is_found_behind_the_quotes_extension_headers(extensions: Packet) -> None:
    quoted = LATER6 / extensions / UDP(sport=5062, dport=5060) / Raw(PAYLOAD)
    packet = error6(ICMPv6TimeExceeded(), quoted=quoted)
    parsed = icmp.parse(packet)
    assert parsed is not None
    assert (parsed.is_later, parsed.payload) == (False, PAYLOAD)
    assert parsed.endpoints == bytes(QUOTED6)[8:44]
    short = icmp.cut(parsed)
    assert short == rebuilt6(packet[: len(short)], ICMPv6TimeExceeded)
    assert len(short) == len(packet) - len(PAYLOAD)


def test_a_later_fragment_of_ipv6_is_cut_behind_its_fragment_header() -> None:
    quoted = LATER6 / IPv6ExtHdrFragment(nh=17, id=7, offset=181) / Raw(PAYLOAD)
    packet = error6(ICMPv6TimeExceeded(code=1), quoted=quoted)
    parsed = icmp.parse(packet)
    assert parsed is not None
    assert (parsed.is_later, parsed.payload) == (True, PAYLOAD)
    assert parsed.endpoints == bytes(LATER6)[8:40] + bytes(4)
    short = icmp.cut(parsed)
    assert len(short) == 40 + 8 + 40 + 8
    assert short == rebuilt6(packet[: len(short)], ICMPv6TimeExceeded)


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
        bytes(IP() / ICMP(type=3) / IP(frag=10, proto=6) / Raw(PAYLOAD)),
        bytes(
            IPv6()
            / ICMPv6DestUnreach()
            / IPv6()
            / IPv6ExtHdrFragment(nh=6, offset=9)
            / Raw(PAYLOAD)
        ),
        bytes(IPv6() / ICMPv6DestUnreach() / IPv6() / IPv6ExtHdrDestOpt() / TCP()),
        bytes(IPv6() / ICMPv6DestUnreach() / IPv6() / IPv6ExtHdrDestOpt())[:-4],
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
