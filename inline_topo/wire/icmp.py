"""ICMP errors (RFC 792, RFC 4443): what they quote of the packet that caused them."""

from typing import NamedTuple

from inline_topo.wire.checksum import ones_sum

_ICMP, _ICMPV6, _UDP = 1, 58, 17
_ERRORS = frozenset({3, 4, 5, 11, 12})
_ERRORS_V6 = frozenset({1, 2, 3, 4})
_HEADER = 8
_IPV6_HEADER = 40


class Error(NamedTuple):
    """An ICMP error that quotes UDP.

    `icmp` is the offset of its header, `outer_endpoints` are its own addresses with ports 0.
    `endpoints` are those of the quoted datagram as in
    `ip.Datagram`, `payload` what is quoted of its data, `payload_at` its offset.
    """

    packet: bytes
    icmp: int
    outer_endpoints: bytes
    endpoints: bytes
    payload: bytes
    payload_at: int


def parse(packet: bytes) -> Error | None:
    """The ICMP error in an IP packet; None for all else, for fragments, and where less than the
    quoted UDP header is quoted. Extension headers are not looked behind."""
    if len(packet) > 20 and packet[0] >> 4 == 4:
        icmp, total = (packet[0] & 15) * 4, packet[2] << 8 | packet[3]
        is_error = packet[9] == _ICMP and not (packet[6] & 0x3F or packet[7])
        types = _ERRORS
    elif len(packet) > _IPV6_HEADER and packet[0] >> 4 == 6:
        icmp, total = _IPV6_HEADER, _IPV6_HEADER + (packet[4] << 8 | packet[5])
        is_error = packet[6] == _ICMPV6
        types = _ERRORS_V6
    else:
        return None
    if not is_error or total != len(packet) or len(packet) <= icmp or packet[icmp] not in types:
        return None
    quote = icmp + _HEADER
    addresses, udp = _quoted(packet, quote)
    if not udp or udp + 8 > len(packet):
        return None
    endpoints = addresses + packet[udp : udp + 4]
    outer = packet[8:40] if types is _ERRORS_V6 else packet[12:20]
    return Error(packet, icmp, outer + bytes(4), endpoints, packet[udp + 8 :], udp + 8)


def cut(error: Error) -> bytes:
    """The packet with its quote cut behind the UDP header, checksums right where they were right.

    What follows the quote (RFC 4884) goes too, and its length with it.
    """
    packet, icmp, end = error.packet, error.icmp, error.payload_at
    is_ipv6 = packet[0] >> 4 == 6
    head = bytearray(packet[:icmp])
    if is_ipv6:
        head[4:6] = (end - _IPV6_HEADER).to_bytes(2, "big")
    else:
        head[2:4] = end.to_bytes(2, "big")
        head[10:12] = _mended(packet[10:12], len(packet), end)
    body = bytearray(packet[icmp:end])
    body[4 if is_ipv6 else 5] = 0
    before, after = ones_sum(packet[icmp:]), ones_sum(bytes(body))
    if is_ipv6:  # the pseudo-header counts the length
        before += len(packet) - icmp
        after += len(body)
    body[2:4] = _mended(packet[icmp + 2 : icmp + 4], before, after)
    return bytes(head + body)


def _quoted(packet: bytes, at: int) -> tuple[bytes, int]:
    """Addresses of the quoted packet, and the offset of its UDP header (0: none is there)."""
    if len(packet) >= at + 20 and packet[at] >> 4 == 4:
        is_first = not (packet[at + 6] & 0x1F or packet[at + 7])
        length = (packet[at] & 15) * 4
        if packet[at + 9] == _UDP and is_first and length >= 20:
            return packet[at + 12 : at + 20], at + length
    elif len(packet) >= at + _IPV6_HEADER and packet[at] >> 4 == 6 and packet[at + 6] == _UDP:
        return packet[at + 8 : at + _IPV6_HEADER], at + _IPV6_HEADER
    return b"", 0


def _mended(checksum: bytes, before: int, after: int) -> bytes:
    """A checksum after the sum of what it covers changed (RFC 1624): a wrong one stays wrong."""
    return ((int.from_bytes(checksum, "big") + before - after) % 0xFFFF).to_bytes(2, "big")
