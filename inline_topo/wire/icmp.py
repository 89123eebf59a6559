"""ICMP errors (RFC 792, RFC 4443): what they quote of the packet that caused them."""

from typing import Final, NamedTuple

from inline_topo.wire.checksum import ones_sum

_ICMP, _ICMPV6, _UDP = 1, 58, 17
_ERRORS: Final = frozenset({3, 4, 5, 11, 12})
_ERRORS_V6: Final = frozenset({1, 2, 3, 4})
_HEADER: Final = 8
_IPV6_HEADER: Final = 40
_FRAGMENT, _AUTHENTICATION = 44, 51
_EXTENSIONS: Final = frozenset({0, 43, _FRAGMENT, _AUTHENTICATION, 60})
_MOST_EXTENSIONS: Final = 16


class Error(NamedTuple):
    """An ICMP error that quotes UDP.

    `icmp` is the offset of its header, `outer_endpoints` are its own addresses with ports 0.
    `endpoints` are those of the quoted datagram as in
    `ip.Datagram`, `payload` what is quoted of its data, `payload_at` its offset. `is_later`: the
    quote is a fragment from the midst of a datagram, without ports (0), and what its data are
    cannot be known.
    """

    packet: bytes
    icmp: int
    outer_endpoints: bytes
    endpoints: bytes
    payload: bytes
    payload_at: int
    is_later: bool


def parse(packet: bytes) -> Error | None:
    """The ICMP error in an IP packet; None for all else, for fragments, and where less than the
    quoted UDP header is quoted. The error's own extension headers are not looked behind."""
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
    addresses, udp, is_later = _quoted(packet, quote)
    payload_at = udp if is_later else udp + 8
    if not udp or payload_at > len(packet):
        return None
    endpoints = addresses + (bytes(4) if is_later else packet[udp : udp + 4])
    outer = packet[8:40] if types is _ERRORS_V6 else packet[12:20]
    payload = packet[payload_at:]
    return Error(packet, icmp, outer + bytes(4), endpoints, payload, payload_at, is_later)


def cut(error: Error) -> bytes:
    """The packet with its quote cut behind the UDP header (of a later fragment, behind the IP
    headers), checksums right where they were right.

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


def _quoted(packet: bytes, at: int) -> tuple[bytes, int, bool]:
    """Addresses of the quoted packet, the offset of its UDP header (0: none is there), and whether
    it is a later fragment: then what stands there is of the datagram's data."""
    if len(packet) >= at + 20 and packet[at] >> 4 == 4:
        is_later = bool(packet[at + 6] & 0x1F or packet[at + 7])
        length = (packet[at] & 15) * 4
        if packet[at + 9] == _UDP and length >= 20:
            return packet[at + 12 : at + 20], at + length, is_later
    elif len(packet) >= at + _IPV6_HEADER and packet[at] >> 4 == 6:
        udp, is_later = _behind_extensions(packet, packet[at + 6], at + _IPV6_HEADER)
        return packet[at + 8 : at + _IPV6_HEADER], udp, is_later
    return b"", 0, False


def _behind_extensions(packet: bytes, header: int, at: int) -> tuple[int, bool]:
    """Where UDP begins behind IPv6's extension headers, the first of them at `at` (RFC 8200)."""
    for _ in range(_MOST_EXTENSIONS):
        if header == _UDP:
            return at, False
        if header not in _EXTENSIONS or at + 8 > len(packet):
            break
        if header == _FRAGMENT:
            if packet[at + 2] or packet[at + 3] & 0xF8:
                return (at + 8, True) if packet[at] == _UDP else (0, False)
            length = 8
        elif header == _AUTHENTICATION:
            length = (packet[at + 1] + 2) * 4
        else:
            length = (packet[at + 1] + 1) * 8
        header, at = packet[at], at + length
    return 0, False


def _mended(checksum: bytes, before: int, after: int) -> bytes:
    """A checksum after the sum of what it covers changed (RFC 1624): a wrong one stays wrong."""
    return ((int.from_bytes(checksum, "big") + before - after) % 0xFFFF).to_bytes(2, "big")
