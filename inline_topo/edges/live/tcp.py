"""SIP over TCP as it passes a queue: its connections, told once each, and its segments without their data."""

from collections import OrderedDict
from typing import Final

from inline_topo.wire.checksum import as_field, mend_ipv4_header, ones_sum

MOST_CONNECTIONS: Final = 1024
"""That are remembered; one that comes again after as many others is told again."""

_PROTOCOL: Final = 6
_HEADER, _CHECKSUM = 20, 16  # of TCP: the shortest one; where its checksum stands
_IPV4, _IPV6 = 20, 40


def is_tcp(packet: bytes) -> bool:
    """Whether a whole IP packet holds TCP. Of IPv6 only without extension headers, which the rules do not
    look behind either."""
    if len(packet) < _IPV4:
        return False
    return packet[6 if packet[0] >> 4 == 6 else 9] == _PROTOCOL


class Connections:
    """Which TCP connections were seen already."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def is_new(self, packet: bytes) -> bool:
        """Whether the connection of a TCP packet is seen for the first time, in either direction."""
        start = _start(packet)
        addresses = packet[8:40] if start == _IPV6 else packet[12:20]
        half = len(addresses) // 2
        source = addresses[:half] + packet[start : start + 2]
        destination = addresses[half:] + packet[start + 2 : start + 4]
        ends = min(source, destination) + max(source, destination)
        if ends in self._seen:
            self._seen.move_to_end(ends)
            return False
        self._seen[ends] = None
        if len(self._seen) > MOST_CONNECTIONS:
            self._seen.popitem(last=False)
        return True


def without_data(packet: bytes) -> bytes | None:
    """A segment's headers alone, with lengths and checksums that are right where they were; the packet
    itself where it has no data, None where its lengths do not fit or it is a fragment."""
    start = _start(packet)
    is_ipv6 = start == _IPV6
    total = (
        int.from_bytes(packet[4:6], "big") + _IPV6
        if is_ipv6
        else int.from_bytes(packet[2:4], "big")
    )
    if not is_ipv6 and int.from_bytes(packet[6:8], "big") & 0x3FFF:
        return None
    if total != len(packet) or start + _HEADER > total:
        return None
    end = start + (packet[start + 12] >> 4) * 4
    if not start + _HEADER <= end <= total:
        return None
    if end == total:
        return packet
    bare = bytearray(packet[:end])
    if is_ipv6:
        bare[4:6] = (end - _IPV6).to_bytes(2, "big")
    else:
        bare[2:4] = end.to_bytes(2, "big")
        header = mend_ipv4_header(int.from_bytes(packet[10:12], "big"), total, end)
        bare[10:12] = header.to_bytes(2, "big")
    place = start + _CHECKSUM
    # The checksum covers the data and, in the pseudo-header, the length (RFC 9293 section 3.1).
    covered = ones_sum(packet[end:]) + total - end
    checksum = as_field(int.from_bytes(packet[place : place + 2], "big") + covered)
    bare[place : place + 2] = checksum.to_bytes(2, "big")
    return bytes(bare)


def _start(packet: bytes) -> int:
    """Where the TCP header begins."""
    return _IPV6 if packet[0] >> 4 == 6 else (packet[0] & 15) * 4
