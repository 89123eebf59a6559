"""One IP packet (no link layer) as a UDP datagram, and back with another payload.

IPv4: RFC 791, with options. IPv6: RFC 8200, with extension headers. UDP: RFC 768.
"""

from typing import Final

from inline_topo.wire.checksum import PROTOCOL_UDP, as_field, mend_ipv4_header, ones_sum

NOT_IP: Final = "not_ip"
NOT_UDP: Final = "not_udp"
UDP_LITE: Final = "udp_lite"
MALFORMED: Final = "malformed_packet"

WHOLE: Final = ""
FRAGMENT: Final = "fragment"
CUT: Final = "cut"

VALID: Final = "valid"
ABSENT: Final = "absent"
PARTIAL: Final = "partial"
CORRUPT: Final = "corrupt"

MAX_PACKET: Final = 0xFFFF


class TooLong(ValueError):
    """A packet that would exceed MAX_PACKET bytes."""


_IPV4_MORE_OR_OFFSET: Final = 0x3FFF
_DONT_FRAGMENT: Final = 0x40  # in the first byte of flags and offset

_IPV6_HEADER: Final = 40
_FRAGMENT, _AUTHENTICATION = 44, 51
_SKIPPED_IPV6: Final = (0, 43, 60, _AUTHENTICATION, 135, 139, 140)  # RFC 7045 section 4
_UDP_LITE: Final = 136  # RFC 3828


class Datagram:
    """A view of a UDP datagram inside an IP packet.

    `udp` is the offset of its UDP header, `payload` its data. `endpoints` is source address,
    destination address, source port and destination port as they stand in the packet (12 bytes for
    IPv4, 36 for IPv6). `flaw` is empty for a whole datagram; FRAGMENT or CUT (the bytes are not as
    many as the headers say) tell why it must not be rewritten; the ports of a later fragment are 0.
    """

    __slots__ = ("endpoints", "flaw", "packet", "payload", "udp")

    def __init__(
        self, packet: bytes, udp: int, payload: bytes, endpoints: bytes, flaw: str
    ) -> None:
        self.packet = packet
        self.udp = udp
        self.payload = payload
        self.endpoints = endpoints
        self.flaw = flaw

    @property
    def is_ipv6(self) -> bool:
        return len(self.endpoints) == 36


def decode(packet: bytes) -> Datagram | str:
    """The UDP datagram in an IP packet, or why there is none: NOT_IP, NOT_UDP, UDP_LITE or MALFORMED.

    A length of 0 in the IP header (a capture from before the network card cut a large packet up)
    means: all there is.
    """
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return _decode_ipv4(packet)
    if version == 6:
        return _decode_ipv6(packet)
    return NOT_IP


def addresses(packet: bytes) -> bytes:
    """Source and destination of an IP packet, and ports of 0, as in Datagram.endpoints; empty where it
    is too short."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        return packet[12:20] + bytes(4)
    return packet[8:40] + bytes(4) if version == 6 and len(packet) >= _IPV6_HEADER else b""


def surplus(datagram: Datagram) -> bytes:
    """What stands behind a whole UDP datagram in its packet, if that is more than padding with zeros."""
    packet = datagram.packet
    end = datagram.udp + 8 + len(datagram.payload)
    return packet[end:] if end < len(packet) and packet[end:].strip(b"\0") else b""


def _decode_ipv4(packet: bytes) -> Datagram | str:
    available = len(packet)
    if available < 20:
        return MALFORMED
    if packet[9] != PROTOCOL_UDP:
        return UDP_LITE if packet[9] == _UDP_LITE else NOT_UDP
    udp = (packet[0] & 0x0F) * 4
    total = _u16(packet, 2) or available
    fragment = _u16(packet, 6)
    if udp < 20 or total < udp:
        return MALFORMED
    if fragment & _IPV4_MORE_OR_OFFSET:
        later = bool(fragment & 0x1FFF)
        return _partial(packet, udp, packet[12:20], total, FRAGMENT, later)
    if available < total:
        return _partial(packet, udp, packet[12:20], total, CUT, False)
    if total < udp + 8:
        return MALFORMED
    length = _u16(packet, udp + 4)
    end = udp + length
    if length < 8 or end > total:
        return _partial(packet, udp, packet[12:20], total, CUT, False)
    endpoints = packet[12:24] if udp == 20 else packet[12:20] + packet[udp : udp + 4]
    return Datagram(packet, udp, packet[udp + 8 : end], endpoints, WHOLE)


def _decode_ipv6(packet: bytes) -> Datagram | str:
    available = len(packet)
    if available < _IPV6_HEADER:
        return MALFORMED
    total = _IPV6_HEADER + _u16(packet, 4)
    if total == _IPV6_HEADER:
        total = available
    header, offset, flaw, later = packet[6], _IPV6_HEADER, WHOLE, False
    while header != PROTOCOL_UDP:  # each has eight bytes at least
        if offset + 8 > min(available, total):
            return MALFORMED
        if header == _FRAGMENT:
            # An atomic fragment (RFC 6946) has neither offset nor more: it is whole.
            field = _u16(packet, offset + 2)
            if field & 0xFFF9:
                flaw, later = FRAGMENT, bool(field & 0xFFF8)
            header, offset = packet[offset], offset + 8
            if later:
                if header != PROTOCOL_UDP:
                    return UDP_LITE if header == _UDP_LITE else NOT_UDP
                break
        elif header in _SKIPPED_IPV6:
            unit = 4 if header == _AUTHENTICATION else 8
            extra = 2 if header == _AUTHENTICATION else 1
            header, offset = packet[offset], offset + (packet[offset + 1] + extra) * unit
        else:
            return UDP_LITE if header == _UDP_LITE else NOT_UDP
    if flaw:
        return _partial(packet, offset, packet[8:40], total, FRAGMENT, later)
    if available < total:
        return _partial(packet, offset, packet[8:40], total, CUT, False)
    if total < offset + 8:
        return MALFORMED
    length = _u16(packet, offset + 4)
    end = offset + length
    if length < 8 or end > total:
        return _partial(packet, offset, packet[8:40], total, CUT, False)
    endpoints = packet[8:40] + packet[offset : offset + 4]
    return Datagram(packet, offset, packet[offset + 8 : end], endpoints, WHOLE)


def _partial(
    packet: bytes, udp: int, addresses: bytes, total: int, flaw: str, later: bool
) -> Datagram:
    begin = udp if later or len(packet) < udp + 4 else udp + 8
    ports = bytes(4) if begin == udp else packet[udp : udp + 4]
    return Datagram(packet, udp, packet[begin : max(begin, total)], addresses + ports, flaw)


def checksum_state(datagram: Datagram) -> tuple[str, int]:
    """What the UDP checksum of a whole datagram is, and the sum over all that it covers.

    VALID (the sum is 0), ABSENT (the field is 0; legal on IPv4 only), PARTIAL (the field holds only
    the sum of the pseudo-header: left to the network card, and captured before it got there), or
    CORRUPT (also where a source route makes it that of another destination: RFC 791, RFC 8200, 8.1).
    A partial checksum that happens to be right counts as VALID.
    """
    packet, udp, endpoints = datagram.packet, datagram.udp, datagram.endpoints
    length, field = _u16(packet, udp + 4), _u16(packet, udp + 6)
    if not field and len(endpoints) == 12:
        return ABSENT, 0
    pseudo = ones_sum(endpoints[:-4]) + PROTOCOL_UDP + length
    total = (pseudo + ones_sum(packet[udp : udp + length])) % 0xFFFF
    if not total:
        return VALID, 0
    if field == as_field(pseudo):
        return PARTIAL, total
    return CORRUPT, total


def encode(
    datagram: Datagram, payload: bytes, state: tuple[str, int], addresses: bytes = b""
) -> bytes:
    """The packet of a whole `datagram` with another payload (and other `addresses`, if given).

    `state` is `checksum_state(datagram)`: a valid checksum comes out valid, an absent one absent, a
    partial one partial, and a corrupt one wrong by the same amount, so that the receiver still sees
    the damage. A length of 0 in the IP header stays 0. Bytes after the UDP datagram stay. Raises
    TooLong where the packet would exceed 65,535 bytes. `addresses`: source and destination, as long
    as those of the datagram.
    """
    packet, udp, endpoints = datagram.packet, datagram.udp, datagram.endpoints
    old_length, field = _u16(packet, udp + 4), _u16(packet, udp + 6)
    length = 8 + len(payload)
    tail = packet[udp + old_length :]
    if udp + length + len(tail) > MAX_PACKET:
        raise TooLong(f"the packet would have {udp + length + len(tail)} bytes")
    kind, error = state
    if kind != ABSENT:
        covered = ones_sum(addresses or endpoints[:-4]) + PROTOCOL_UDP + length
        if kind == PARTIAL:
            field = as_field(covered)
        else:
            covered += ones_sum(endpoints[-4:]) + length + ones_sum(payload)
            field = as_field(error - covered)
    udp_end = (length << 16 | field).to_bytes(4, "big")
    if len(endpoints) == 36:
        old_total = _u16(packet, 4)
        total = old_total + length - old_length if old_total else 0
        length_field = total.to_bytes(2, "big")
        head = packet[6:8] + addresses if addresses else packet[6:40]
        return b"".join(
            (packet[:4], length_field, head, packet[40 : udp + 4], udp_end, payload, tail)
        )
    old_total = _u16(packet, 2)
    total = old_total + length - old_length if old_total else 0
    header_sum = mend_ipv4_header(_u16(packet, 10), old_total, total)
    if addresses:
        header_sum = (header_sum + ones_sum(endpoints[:8]) - ones_sum(addresses)) % 0xFFFF
        head = addresses + packet[20 : udp + 4]
    else:
        head = packet[12 : udp + 4]
    return b"".join(
        (packet[:2], total.to_bytes(2, "big"), packet[4:10], header_sum.to_bytes(2, "big"), head,
         udp_end, payload, tail)
    )  # fmt: skip


def may_be_fragmented(packet: bytes, identification: int) -> bytes:
    """An IPv4 packet without its Don't Fragment bit; itself where there is none, or of IPv6.

    With the bit it may have had no identification that means anything (RFC 6864), so it gets this
    one. The header checksum is mended: a wrong one stays wrong.
    """
    if packet[0] >> 4 != 4 or not packet[6] & _DONT_FRAGMENT:
        return packet
    old = packet[4:8]
    new = identification.to_bytes(2, "big") + bytes((packet[6] & ~_DONT_FRAGMENT, packet[7]))
    checksum = (_u16(packet, 10) + ones_sum(old) - ones_sum(new)) % 0xFFFF
    return b"".join((packet[:4], new, packet[8:10], checksum.to_bytes(2, "big"), packet[12:]))


def _u16(data: bytes, position: int) -> int:
    return data[position] << 8 | data[position + 1]
