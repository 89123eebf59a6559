"""Link layers with other addresses: Ethernet, Linux cooked; and ARP (RFC 826)."""

from inline_topo.anonymise.packets import Packets, scrub
from inline_topo.anonymise.pseudonyms import Pseudonyms
from inline_topo.wire.link import ETHERNET, LINUX_SLL, LINUX_SLL2, network_packet

_TAGS = frozenset((b"\x81\x00", b"\x88\xa8", b"\x91\x00"))
_ARP = b"\x08\x06"
_ARP_START = b"\x00\x01\x08\x00\x06\x04"  # of Ethernet and IPv4
_ARP_SIZE = 28
# where the protocol stands in a link header, its length, and where an address of 8 bytes stands
_LAYOUT = {ETHERNET: (12, 14, 0), LINUX_SLL: (14, 16, 6), LINUX_SLL2: (0, 20, 12)}


class Frames:
    """Rewrites frames. What stands behind a packet (padding, a check sequence) is left out."""

    def __init__(self, pseudonyms: Pseudonyms, packets: Packets) -> None:
        self._pseudonyms = pseudonyms
        self._packets = packets

    def strip(self, linktype: int, frame: bytes) -> tuple[bytes, int] | None:
        """A frame as it was captured: other addresses, no payload; and how many bytes behind the
        packet are gone. None where it is neither IP nor ARP."""
        span = network_packet(linktype, frame)
        if span:
            start, end = span
            new = self._packets.strip(frame[start:end])
            return self._head(linktype, frame[:start]) + new, len(frame) - end
        start = _arp(linktype, frame)
        if not start:
            return None
        arp = frame[start : start + _ARP_SIZE]
        new = arp[:8] + self._mac(arp[8:14]) + self._ip(arp[14:18])
        new += self._mac(arp[18:24]) + self._ip(arp[24:28])
        return self._head(linktype, frame[:start]) + new, len(frame) - start - _ARP_SIZE

    def finish(self, linktype: int, frame: bytes) -> tuple[bytes, int]:
        """The same for a frame whose packet has its new addresses and payload already."""
        span = network_packet(linktype, frame)
        if not span:
            raise AssertionError("a packet that was rewritten is none")
        start, end = span
        return self._head(linktype, frame[:start]) + scrub(frame[start:end]), len(frame) - end

    def ends(self, linktype: int, frame: bytes) -> tuple[list[bytes], list[bytes]]:
        """The MAC and the IP addresses that link header and ARP name: what must not show again."""
        macs, addresses = [], []
        if linktype == ETHERNET:
            macs = [frame[:6], frame[6:12]]
        elif linktype in _LAYOUT:
            _, _, at = _LAYOUT[linktype]
            macs = [frame[at : at + 6]] if frame[at - 1 : at] == b"\6" else []
        start = _arp(linktype, frame)
        if start:
            macs += [frame[start + 8 : start + 14], frame[start + 18 : start + 24]]
            addresses = [frame[start + 14 : start + 18], frame[start + 24 : start + 28]]
        return [mac for mac in macs if len(mac) == 6], addresses

    def _head(self, linktype: int, head: bytes) -> bytes:
        if linktype == ETHERNET:
            return self._mac(head[:6]) + self._mac(head[6:12]) + head[12:]
        if linktype in _LAYOUT:
            _, _, at = _LAYOUT[linktype]
            size = head[at - 1]
            address = self._mac(head[at : at + 6]) + bytes(2) if size == 6 else bytes(8)
            return head[:at] + address + head[at + 8 :]
        return head

    def _mac(self, packed: bytes) -> bytes:
        return self._pseudonyms.mac(packed)

    def _ip(self, packed: bytes) -> bytes:
        return self._pseudonyms.address(packed)


def _arp(linktype: int, frame: bytes) -> int:
    """Where ARP of Ethernet and IPv4 begins in a frame; 0 where there is none."""
    if linktype not in _LAYOUT:
        return 0
    at, start, _ = _LAYOUT[linktype]
    kind = frame[at : at + 2]
    while kind in _TAGS:
        kind = frame[start + 2 : start + 4]
        start += 4
    is_arp = kind == _ARP and frame.startswith(_ARP_START, start)
    return start if is_arp and len(frame) >= start + _ARP_SIZE else 0
