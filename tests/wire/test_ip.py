"""IP packets: what decode sees is what scapy built, what encode writes is what scapy would build."""
# mypy: allow-untyped-calls

import random
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import (
    ICMP,
    IP,
    TCP,
    UDP,
    IPOption_LSRR,
    IPOption_NOP,
    IPOption_Router_Alert,
)
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.packet import Packet, Raw

from inline_topo.wire import ip
from inline_topo.wire.ip import Datagram

SOURCE4, TARGET4 = "192.0.2.1", "198.51.100.2"
SOURCE6, TARGET6 = "2001:db8::1", "2001:db8:1::2"
PACKED4 = socket.inet_aton(SOURCE4) + socket.inet_aton(TARGET4)
PACKED6 = socket.inet_pton(socket.AF_INET6, SOURCE6) + socket.inet_pton(socket.AF_INET6, TARGET6)
PORTS = (5062).to_bytes(2, "big") + (5060).to_bytes(2, "big")


def ipv4(**fields: Any) -> Packet:
    return IP(src=SOURCE4, dst=TARGET4, **fields)


def ipv6(**fields: Any) -> Packet:
    return IPv6(src=SOURCE6, dst=TARGET6, **fields)


def udp(payload: bytes, **fields: Any) -> Packet:
    return UDP(sport=5062, dport=5060, **fields) / Raw(payload)


def whole(packet: bytes) -> Datagram:
    datagram = ip.decode(packet)
    assert isinstance(datagram, Datagram)
    assert datagram.flaw == ip.WHOLE
    return datagram


def rewritten(packet: bytes, payload: bytes, addresses: bytes = b"") -> bytes:
    datagram = whole(packet)
    return ip.encode(datagram, payload, ip.checksum_state(datagram), addresses)


ROUTER_ALERT = {"options": [IPOption_Router_Alert()]}
DESTINATION = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])
ROUTED = IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=0)
HEADERS = {
    "IPv4": ipv4(),
    "IPv4 with an option": ipv4(**ROUTER_ALERT),
    "IPv4 with 40 bytes of options": ipv4(options=[IPOption_NOP()] * 40),
    "IPv4 with DF": ipv4(flags="DF", id=0xBEEF),
    "IPv6": ipv6(),
    "IPv6 hop-by-hop": ipv6() / IPv6ExtHdrHopByHop(),
    "IPv6 three extension headers": ipv6() / IPv6ExtHdrHopByHop() / ROUTED / DESTINATION,
    "IPv6 atomic fragment (RFC 6946)": ipv6() / IPv6ExtHdrFragment(offset=0, m=0, id=7),
}
each_header = pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())


@each_header
def test_a_datagram_is_seen_as_scapy_built_it(header: Packet) -> None:
    packet = bytes(header / udp(b"payload"))
    datagram = whole(packet)
    assert datagram.payload == b"payload"
    assert datagram.udp == len(packet) - 8 - len(b"payload")
    assert datagram.endpoints == (PACKED6 if datagram.is_ipv6 else PACKED4) + PORTS
    assert ip.checksum_state(datagram) == (ip.VALID, 0)


@each_header
@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 500, 501, 20000])
def test_another_payload_gives_what_scapy_would_build(header: Packet, size: int) -> None:
    payload = random.Random(size).randbytes(size)
    built = bytes(header / udp(payload))
    assert rewritten(bytes(header / udp(b"payload")), payload) == built
    assert rewritten(built, b"payload") == bytes(header / udp(b"payload"))


def test_an_authentication_header_counts_in_words_of_4_bytes() -> None:
    """RFC 4302 section 2.2: its length is in 32-bit words, minus 2; other headers count in 8 bytes."""
    datagram = bytes(ipv6() / udp(b"payload"))[40:]
    header = bytes((17, 4)) + bytes(10) + b"\x11" * 12  # 24 bytes: 6 words
    packet = bytes(ipv6(nh=51, plen=len(header + datagram))) + header + datagram
    assert whole(packet).udp == 40 + 24
    assert whole(packet).payload == b"payload"
    assert ip.checksum_state(whole(packet)) == (ip.VALID, 0)


@given(st.binary(max_size=1500), st.binary(max_size=1500), st.booleans())
def test_random_payloads_against_scapy(before: bytes, after: bytes, six: bool) -> None:
    header = ipv6() if six else ipv4(**ROUTER_ALERT)
    assert rewritten(bytes(header / udp(before)), after) == bytes(header / udp(after))


@pytest.mark.parametrize("family", [4, 6])
def test_a_computed_checksum_of_0_is_sent_as_ffff(family: int) -> None:
    """RFC 768: 0 means "none". The payload ends in the word that makes the sum 0."""
    header = ipv4() if family == 4 else ipv6()
    blank = bytes(header / udp(b"ab\0\0"))
    field = whole(blank).udp + 6
    payload = b"ab" + blank[field : field + 2]
    packet = rewritten(bytes(header / udp(b"something else")), payload)
    assert packet[field : field + 2] == b"\xff\xff"
    assert ip.checksum_state(whole(packet)) == (ip.VALID, 0)
    assert packet == bytes(header / udp(payload))


def test_without_a_checksum_on_ipv4_none_is_written() -> None:
    packet = bytes(ipv4() / udp(b"before", chksum=0))
    assert ip.checksum_state(whole(packet)) == (ip.ABSENT, 0)
    assert rewritten(packet, b"after!!") == bytes(ipv4() / udp(b"after!!", chksum=0))


def test_ipv6_has_no_absent_checksum() -> None:
    """RFC 8200 section 8.1: a datagram with 0 is to be discarded. It stays wrong, and is never 0."""
    packet = bytes(ipv6() / udp(b"before", chksum=0))
    assert ip.checksum_state(whole(packet))[0] == ip.CORRUPT
    after = rewritten(packet, b"something after")
    assert IPv6(after)[UDP].chksum not in (0, right_checksum(after))


def right_checksum(packet: bytes) -> int:
    parsed = IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)
    del parsed[UDP].chksum
    return int(type(parsed)(bytes(parsed))[UDP].chksum)


@given(
    st.binary(min_size=1, max_size=300),
    st.binary(max_size=300),
    st.integers(1, 0xFFFE),
    st.booleans(),
)
def test_corrupt_stays_corrupt_by_the_same_amount(
    before: bytes, after: bytes, error: int, six: bool
) -> None:
    header = ipv6() if six else ipv4()
    good = whole(bytes(header / udp(before)))
    right = int.from_bytes(good.packet[good.udp + 6 : good.udp + 8], "big")
    wrong = (right + error) % 0xFFFF
    packet = bytes(header / udp(before, chksum=wrong or 0xFFFF))
    if ip.checksum_state(whole(packet))[0] == ip.PARTIAL:  # one value in 65,535
        return
    assert ip.checksum_state(whole(packet)) == (ip.CORRUPT, error)
    there = rewritten(packet, after)
    state = ip.checksum_state(whole(there))
    assert state[1] == error
    if state[0] != ip.PARTIAL:
        assert rewritten(there, before) == packet


@pytest.mark.parametrize("family", [4, 6])
def test_an_unfinished_checksum_stays_unfinished(family: int) -> None:
    """Transmit offload: the field holds the folded sum of the pseudo-header, not its complement."""
    header, packed = (ipv4(), PACKED4) if family == 4 else (ipv6(), PACKED6)

    def offloaded(payload: bytes) -> bytes:
        pseudo = packed + (17).to_bytes(4, "big") + (8 + len(payload)).to_bytes(4, "big")
        total = sum(int.from_bytes(pseudo[i : i + 2], "big") for i in range(0, len(pseudo), 2))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return bytes(header / udp(payload, chksum=total))

    packet = offloaded(b"before")
    assert ip.checksum_state(whole(packet))[0] == ip.PARTIAL
    assert rewritten(packet, b"a longer payload") == offloaded(b"a longer payload")


def test_a_corrupt_ip_header_stays_corrupt_by_the_same_amount() -> None:
    packet = bytearray(bytes(ipv4() / udp(b"before")))
    packet[8] ^= 0x10  # the TTL, without its checksum
    after = rewritten(bytes(packet), b"something after")
    expected = bytearray(bytes(ipv4() / udp(b"something after")))
    expected[8] ^= 0x10
    assert after == bytes(expected)


@given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from([4, 6]))
def test_addresses_are_rewritten_as_scapy_would(before: bytes, after: bytes, family: int) -> None:
    if family == 4:
        packet = bytes(ipv4(**ROUTER_ALERT) / udp(before))
        new: Packet = IP(src="203.0.113.5", dst="10.1.2.3", options=[IPOption_Router_Alert()])
        packed = socket.inet_aton("203.0.113.5") + socket.inet_aton("10.1.2.3")
    else:
        packet = bytes(ipv6() / udp(before))
        new = IPv6(src="2001:db8:ffff::5", dst="fd00::1")
        packed = socket.inet_pton(socket.AF_INET6, "2001:db8:ffff::5")
        packed += socket.inet_pton(socket.AF_INET6, "fd00::1")
    assert rewritten(packet, after, packed) == bytes(new / udp(after))


def test_an_unfinished_checksum_follows_the_addresses() -> None:
    pseudo = sum(int.from_bytes(PACKED4[i : i + 2], "big") for i in range(0, 8, 2)) + 17 + 9
    packet = bytes(ipv4() / udp(b"x", chksum=pseudo % 0xFFFF))
    after = rewritten(packet, b"x", PACKED4[4:] + PACKED4[:4])
    assert ip.checksum_state(whole(after))[0] == ip.PARTIAL
    after = rewritten(packet, b"x", bytes((10, 1, 1, 1)) + PACKED4[4:])
    assert ip.checksum_state(whole(after))[0] == ip.PARTIAL


@pytest.mark.parametrize("family", [4, 6])
def test_bytes_after_the_datagram_stay(family: int) -> None:
    """Inside the IP packet but outside the UDP length (RFC 9868), and after the IP packet."""
    surplus, padding = b"surplus", b"\0" * 6
    header = ipv4() if family == 4 else ipv6()
    packet = bytes(header / UDP(sport=5062, dport=5060, len=14) / Raw(b"before" + surplus))
    datagram = whole(packet + padding)
    assert datagram.payload == b"before"
    after = ip.encode(datagram, b"something after", (ip.ABSENT, 0))
    assert after.endswith(b"something after" + surplus + padding)
    layer = (IP if family == 4 else IPv6)(after)
    assert layer[UDP].len == 8 + len(b"something after")
    in_packet = 8 + len(b"something after" + surplus)
    assert (layer.len - 20 if family == 4 else layer.plen) == in_packet
    assert whole(after).payload == b"something after"


@pytest.mark.parametrize(
    ("header", "overhead"), [(ipv4(), 28), (ipv4(**ROUTER_ALERT), 32), (ipv6(), 48)]
)
def test_the_longest_packet_and_one_byte_more(header: Packet, overhead: int) -> None:
    packet = bytes(header / udp(b"before"))
    longest = rewritten(packet, b"x" * (65535 - overhead))
    assert len(longest) == 65535
    assert whole(longest).payload == b"x" * (65535 - overhead)
    with pytest.raises(ip.TooLong, match="65536 bytes"):
        rewritten(packet, b"x" * (65536 - overhead))


@pytest.mark.parametrize("family", [4, 6])
def test_fragments_are_told(family: int) -> None:
    def piece(offset: int, more: int, payload: bytes) -> bytes:
        if family == 4:
            return bytes(ipv4(proto=17, frag=offset, flags=more) / Raw(payload))
        fragment = IPv6ExtHdrFragment(nh=17, offset=offset, m=more)
        return bytes(ipv6() / fragment / Raw(payload))

    upper = bytes(udp(b"x" * 100, len=500))
    first = ip.decode(piece(0, 1, upper))
    assert isinstance(first, Datagram)
    assert (first.flaw, first.endpoints[-4:], first.payload) == (ip.FRAGMENT, PORTS, b"x" * 100)
    for later in (piece(13, 1, b"y" * 96), piece(25, 0, b"y" * 5)):
        datagram = ip.decode(later)
        assert isinstance(datagram, Datagram)
        assert datagram.flaw == ip.FRAGMENT
        assert datagram.endpoints == (PACKED4 if family == 4 else PACKED6) + bytes(4)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("left", [0, 3, 7, 8, 50, 99])
def test_a_cut_packet_is_told(family: int, left: int) -> None:
    header = ipv4() if family == 4 else ipv6()
    packet = bytes(header / udp(b"x" * 92))
    cut = packet[: len(packet) - 100 + left]
    datagram = ip.decode(cut)
    assert isinstance(datagram, Datagram)
    assert datagram.flaw == ip.CUT
    assert datagram.endpoints[:-4] == (PACKED4 if family == 4 else PACKED6)
    assert datagram.payload in (b"x" * max(0, left - 8), cut[datagram.udp :])


NOT_OURS = {
    "nothing": (b"", ip.NOT_IP),
    "version 5": (b"\x55" + bytes(60), ip.NOT_IP),
    "ARP": (bytes.fromhex("0001080006040001"), ip.NOT_IP),
    "TCP": (bytes(ipv4() / TCP()), ip.NOT_UDP),
    "ICMP": (bytes(ipv4() / ICMP()), ip.NOT_UDP),
    "TCP over IPv6": (bytes(ipv6() / TCP()), ip.NOT_UDP),
    "ICMPv6": (bytes(ipv6() / ICMPv6EchoRequest()), ip.NOT_UDP),
    "a later fragment of ICMPv6": (
        bytes(ipv6() / IPv6ExtHdrFragment(nh=58, offset=9) / Raw(b"12345678")),
        ip.NOT_UDP,
    ),
    "IPv4 of 19 bytes": (bytes(ipv4() / udp(b""))[:19], ip.MALFORMED),
    "an IPv4 header of 4 words": (b"\x44" + bytes(ipv4() / udp(b"abc"))[1:], ip.MALFORMED),
    "an IPv4 length below the header": (bytes(ipv4(len=19) / udp(b"abc")), ip.MALFORMED),
    "an IPv4 length without room for UDP": (bytes(ipv4(len=27) / udp(b"abc")), ip.MALFORMED),
    "IPv6 of 39 bytes": (bytes(ipv6() / udp(b""))[:39], ip.MALFORMED),
    "an extension header beyond the packet": (
        bytes(ipv6() / IPv6ExtHdrHopByHop(len=9) / udp(b"abc")),
        ip.MALFORMED,
    ),
    "extension headers without end": (
        bytes(ipv6(nh=0)) + bytes(2000),
        ip.MALFORMED,
    ),
}


@pytest.mark.parametrize(("packet", "reason"), NOT_OURS.values(), ids=NOT_OURS.keys())
def test_what_is_no_whole_datagram_gives_its_reason(packet: bytes, reason: str) -> None:
    assert ip.decode(packet) == reason


@pytest.mark.parametrize("length", [0, 7, 12, 65535])
@pytest.mark.parametrize("header", [ipv4(), ipv6()], ids=["IPv4", "IPv6"])
def test_a_udp_length_that_does_not_fit_is_as_if_it_were_cut(header: Packet, length: int) -> None:
    """No receiver takes it, but who listens on the way reads it."""
    datagram = ip.decode(bytes(header / udp(b"abc", len=length)))
    assert isinstance(datagram, ip.Datagram)
    assert (datagram.flaw, datagram.payload) == (ip.CUT, b"abc")


@pytest.mark.parametrize(
    ("header", "last_hop"),
    [
        (
            ipv4(options=[IPOption_LSRR(routers=["203.0.113.77"])]),
            IP(src=SOURCE4, dst="203.0.113.77"),
        ),
        (
            ipv6() / IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=1),
            IPv6(src=SOURCE6, dst="2001:db8::9"),
        ),
    ],
    ids=["IPv4", "IPv6"],
)
def test_a_source_route_keeps_the_checksum_of_its_true_destination(
    header: Packet, last_hop: Packet
) -> None:
    """RFC 791, and RFC 8200, 8.1: with LSRR or segments left the checksum covers the last hop. It
    seems wrong here, and stays as wrong."""
    at = len(last_hop) + 6
    before, after = (
        bytes(last_hop / udp(payload))[at : at + 2] for payload in (b"before", b"and after")
    )
    packet = bytes(header / udp(b"before", chksum=int.from_bytes(before, "big")))
    there = rewritten(packet, b"and after")
    at = whole(there).udp + 6
    assert there[at : at + 2] == after


@given(st.binary(max_size=120))
def test_any_bytes_give_a_datagram_or_a_reason(data: bytes) -> None:
    for packet in (data, b"\x45" + data, b"\x60" + data):
        datagram = ip.decode(packet)
        if isinstance(datagram, str):
            assert datagram in (ip.NOT_IP, ip.NOT_UDP, ip.MALFORMED)
        else:
            assert len(datagram.endpoints) in (12, 36)
            assert datagram.payload in packet


def test_extension_headers_hide_nothing_however_many() -> None:
    options = 200
    chain = bytes((60, 0, 1, 4, 0, 0, 0, 0)) * (options - 1) + bytes((17, 0, 1, 4, 0, 0, 0, 0))
    whole = bytes(IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=5060) / Raw(b"SIP"))
    length = (len(whole) - 40 + len(chain)).to_bytes(2, "big")
    packet = whole[:4] + length + bytes((60,)) + whole[7:40] + chain + whole[40:]
    datagram = ip.decode(packet)
    assert isinstance(datagram, ip.Datagram)
    assert (datagram.payload, datagram.flaw, datagram.udp) == (b"SIP", "", 40 + 8 * options)


@pytest.mark.parametrize("at", [2, 4])
def test_a_length_of_0_means_all_there_is_and_stays(at: int) -> None:
    header = ipv4() if at == 2 else ipv6()
    packet = bytes(header / udp(b"before"))
    packet = packet[:at] + b"\0\0" + packet[at + 2 :]
    assert whole(packet).payload == b"before"
    longer = rewritten(packet, b"and longer")
    assert longer[at : at + 2] == b"\0\0"
    assert whole(longer).payload == b"and longer"
    assert rewritten(longer, b"before") == packet


def test_what_stands_behind_a_datagram_but_zeros() -> None:
    packet = bytes(ipv4() / udp(b"sip"))
    assert ip.surplus(whole(packet)) == ip.surplus(whole(packet + bytes(9))) == b""
    assert ip.surplus(whole(packet + b"\0x")) == b"\0x"


@pytest.mark.parametrize("header", [ipv4(proto=136), ipv6(nh=136), ipv6(nh=140)])
def test_udp_lite_is_told_and_shim6_is_skipped(header: Packet) -> None:
    packet = bytes(header / udp(b"sip"))
    six = header.version == 6
    if six and header.nh == 140:
        packet = bytes(ipv6(nh=140) / Raw(bytes((17, 0, 0, 0, 0, 0, 0, 0))) / udp(b"sip"))
        assert whole(packet).payload == b"sip"
    else:
        assert ip.decode(packet) == ip.UDP_LITE
    assert ip.addresses(packet) == (PACKED6 if six else PACKED4) + bytes(4)
    assert ip.addresses(packet[:19]) == b""
