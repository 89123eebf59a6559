"""IP packets with other addresses and no payload: what stays is what a trace of headers shows.

Addresses are replaced in headers, in what ICMP errors quote and in neighbour discovery; options that
may hold more are overwritten. Checksums are those of a payload of zeros: the true ones would tell of it.
"""

from inline_topo.anonymise.pseudonyms import Pseudonyms
from inline_topo.wire.checksum import as_field, ones_sum

_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58
_ROUTING, _FRAGMENT = 43, 44
_EXTENSIONS = {0: (1, 8), _ROUTING: (1, 8), _FRAGMENT: (0, 8), 51: (2, 4), 60: (1, 8)}
_MOST_EXTENSIONS = 16
_ERRORS = {_ICMP: frozenset((3, 4, 5, 11, 12)), _ICMPV6: frozenset((1, 2, 3, 4))}
_ECHOES = {_ICMP: frozenset((0, 8)), _ICMPV6: frozenset((128, 129))}
_REDIRECT = 5
# Neighbour discovery (RFC 4861): where addresses stand, and where options begin.
_NEIGHBOURS: dict[int, tuple[tuple[int, ...], int]] = {
    133: ((), 8),
    134: ((), 16),
    135: ((8,), 24),
    136: ((8,), 24),
    137: ((8, 24), 40),
}
_TCP_KEPT = frozenset(
    (2, 3, 4, 5)
)  # maximum segment size, window scale, selective acknowledgements
_NOP = b"\1"


class Packets:
    """Rewrites packets. `zero`: the payloads of UDP, TCP and echoes become zeros instead of going."""

    def __init__(self, pseudonyms: Pseudonyms, *, zero: bool = False) -> None:
        self._pseudonyms = pseudonyms
        self._zero = zero

    def strip(self, packet: bytes) -> bytes:
        """An IP packet without its payload: cut behind its headers, whose lengths stay, so that it
        reads as one that was not captured whole."""
        return self._strip(packet, self._zero)

    def _strip(self, packet: bytes, zero: bool, *, quoted: bool = False) -> bytes:
        version = packet[0] >> 4 if packet else 0
        if version == 4 and len(packet) >= 20:
            start = max((packet[0] & 15) * 4, 20)
            total = packet[2] << 8 | packet[3] or len(packet)
            later = bool(packet[6] & 0x1F or packet[7])
            piece = later or bool(packet[6] & 0x20)
            addresses, protocol = self._addresses(packet[12:20]), packet[9]
            head = scrub(packet[:12] + addresses + packet[20:start], before=packet[:start])
        elif version == 6 and len(packet) >= 40:
            start, protocol, piece, later = _behind_extensions(packet)
            total = 40 + (packet[4] << 8 | packet[5])
            addresses = self._addresses(packet[8:40])
            head = scrub(packet[:8] + addresses + packet[40:start])
        else:
            return b""
        payload = packet[start:total]
        length = max(total - start, 0)
        if protocol == _UDP:
            kept = b"" if later else _udp(payload, addresses)
        elif piece:
            return head
        elif protocol == _TCP:
            kept = _tcp(payload, addresses, length)
        elif protocol == (_ICMP if version == 4 else _ICMPV6) and not quoted:
            kept = self._icmp(protocol, payload, addresses, length)
            zero = zero and payload[:1] in map(_byte, _ECHOES[protocol])
        else:
            kept, zero = b"", False
        return head + kept + bytes(len(payload) - len(kept) if zero else 0)

    def _addresses(self, two: bytes) -> bytes:
        half = len(two) // 2
        return self._pseudonyms.address(two[:half]) + self._pseudonyms.address(two[half:])

    def _icmp(self, protocol: int, message: bytes, addresses: bytes, length: int) -> bytes:
        if len(message) < 8:
            return b""
        kind = message[0]
        kept = message[:4] + bytes(4)
        if kind in _ECHOES[protocol]:
            kept = message[:8]
        elif kind in _ERRORS[protocol]:
            rest = message[4:8]
            if protocol == _ICMP:  # the length of RFC 4884 counts what goes
                rest = message[4:5] + b"\0" + message[6:8]
                if kind == _REDIRECT:
                    rest = self._pseudonyms.address(message[4:8])
            quote = self._strip(message[8:], False, quoted=True)
            kept = message[:4] + rest + quote
        elif protocol == _ICMPV6 and kind in _NEIGHBOURS:
            kept = self._neighbours(message, *_NEIGHBOURS[kind])
        pseudo = b"" if protocol == _ICMP else addresses
        covered = kept[:2] + bytes(2) + kept[4:]
        total = ones_sum(covered) + (ones_sum(pseudo) + protocol + length if pseudo else 0)
        return kept[:2] + _field(-total) + kept[4:]

    def _neighbours(self, message: bytes, targets: tuple[int, ...], start: int) -> bytes:
        kept = bytearray(message[:start])
        for at in targets:
            kept[at : at + 16] = self._pseudonyms.address(message[at : at + 16].ljust(16, b"\0"))
        while start + 8 <= len(message):
            kind, size = message[start], message[start + 1] * 8
            option = message[start : start + size]
            if not size or len(option) < size:
                break
            if kind in (1, 2):
                option = option[:2] + self._pseudonyms.mac(option[2:8]) + bytes(size - 8)
            elif kind == 3 and size == 32:
                option = option[:16] + self._pseudonyms.address(option[16:])
            elif kind != 5:
                option = option[:2] + bytes(size - 2)
            kept += option
            start += size
        return bytes(kept)


def scrub(packet: bytes, before: bytes = b"") -> bytes:
    """A packet whose header has no options of IPv4, and no contents of extension headers of IPv6. Its
    header checksum is right if that of `before` (or its own) was, else 0 or wrong by one."""
    if packet[0] >> 4 == 6:
        return _scrub6(packet)
    size = max((packet[0] & 15) * 4, 20)
    before = before or packet[:size]
    head = packet[:10] + bytes(2) + packet[12:20] + _NOP * (size - 20)
    was_right = not ones_sum(before)
    checksum = _field(-ones_sum(head) + (not was_right))
    if not any(before[10:12]) and not was_right:
        checksum = bytes(2)
    return head[:10] + checksum + head[12:] + packet[size:]


def _scrub6(packet: bytes) -> bytes:
    result, header, at = bytearray(packet), packet[6], 40
    for _ in range(_MOST_EXTENSIONS):
        if header not in _EXTENSIONS or at + 8 > len(packet):
            break
        more, unit = _EXTENSIONS[header]
        end = at + (packet[at + 1] + more) * unit if more else at + 8
        if header == _ROUTING:
            result[at + 3 : min(end, len(packet))] = bytes(min(end, len(packet)) - at - 3)
        elif header != _FRAGMENT:
            result[at + 2 : min(end, len(packet))] = bytes(min(end, len(packet)) - at - 2)
        if header == _FRAGMENT and (packet[at + 2] or packet[at + 3] & 0xF8):
            break  # what follows is of the payload
        header, at = packet[at], end
    return bytes(result)


def _behind_extensions(packet: bytes) -> tuple[int, int, bool, bool]:
    """Where the payload begins, its protocol; whether it is a piece of one, and not the first."""
    header, at, piece = packet[6], 40, False
    for _ in range(_MOST_EXTENSIONS):
        if header not in _EXTENSIONS or at + 8 > len(packet):
            break
        more, unit = _EXTENSIONS[header]
        if header == _FRAGMENT:
            piece = bool(packet[at + 2] or packet[at + 3] & 0xF9)
            if packet[at + 2] or packet[at + 3] & 0xF8:
                return at + 8, packet[at], True, True
        header, at = packet[at], at + ((packet[at + 1] + more) * unit if more else 8)
    return at, header, piece, False


def _udp(payload: bytes, addresses: bytes) -> bytes:
    if len(payload) < 8:
        return b""
    if not any(payload[6:8]) and len(addresses) == 8:
        return payload[:8]
    covered = ones_sum(addresses) + _UDP + ones_sum(payload[4:6]) + ones_sum(payload[:6])
    return payload[:6] + _field(-covered)


def _tcp(payload: bytes, addresses: bytes, length: int) -> bytes:
    size = (payload[12] >> 4) * 4 if len(payload) >= 20 else 0
    if not 20 <= size <= len(payload):
        return b""
    head = payload[:16] + bytes(2) + payload[18:20] + _tcp_options(payload[20:size])
    covered = ones_sum(addresses) + _TCP + length + ones_sum(head)
    return head[:16] + _field(-covered) + head[18:]


def _tcp_options(options: bytes) -> bytes:
    """Timestamps (how long a host has been up), keys and the addresses of multipath go."""
    result = bytearray(_NOP * len(options))
    at = 0
    while at + 1 < len(options) and options[at]:
        size = options[at + 1] if options[at] != 1 else 1
        if not size or (size == 1 and options[at] != 1) or at + size > len(options):
            break
        if options[at] in _TCP_KEPT:
            result[at : at + size] = options[at : at + size]
        at += size
    return bytes(result)


def _field(value: int) -> bytes:
    return as_field(value).to_bytes(2, "big")


def _byte(number: int) -> bytes:
    return bytes((number,))
