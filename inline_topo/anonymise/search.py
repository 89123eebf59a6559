"""The proof: every packet that was written, searched for every name of the original."""

import re
from collections.abc import Iterator
from ipaddress import ip_address

from inline_topo.anonymise.originals import Originals, hosts, is_nobody, literals, users
from inline_topo.edges.capture import Capture
from inline_topo.edges.records import Packet
from inline_topo.wire.link import ETHERNET, LINUX_SLL, LINUX_SLL2, network_packet

_MACS = {ETHERNET: (0, 6), LINUX_SLL: (6,), LINUX_SLL2: (12,)}
_WORD = re.compile(rb"[^\s,;=<>\"@()/:?&\[\]{}\\|']{3,}")
_PARTS = re.compile(rb"[A-Za-z0-9\x80-\xff]+")
_MOST_PARTS = 12
_ICMP, _ICMPV6 = b"\x01", b"\x3a"
_HEADERS = 240  # bytes that hold the headers of IPv6, and what they quote


class Search:
    """Looks through frames for what `originals` holds."""

    def __init__(self, originals: Originals) -> None:
        self._originals = originals
        nobody = {packed for packed in originals.addresses if is_nobody(packed)}
        self._addresses = originals.addresses - nobody
        self._macs = {packed for packed in originals.macs if any(packed) and not packed[0] & 1}

    def first(self, capture: Capture) -> tuple[int, str] | None:
        """The number of the first packet in which a name shows, and which; None: there is none."""
        for packet in capture.packets():
            found = next(self.frame(packet), None)
            if found:
                return packet.number, found
        return None

    def frame(self, packet: Packet) -> Iterator[str]:
        """What shows in one frame."""
        data = packet.data
        for at in _MACS.get(packet.linktype, ()):
            if data[at : at + 6] in self._macs:
                yield f"the MAC address {data[at : at + 6].hex(':')}"
        span = network_packet(packet.linktype, data)
        start = span[0] if span else min(14, len(data))
        yield from self._headers(data[start:])
        yield from self.text(data[start:])

    def _headers(self, packet: bytes) -> Iterator[str]:
        """Addresses of IP headers and ARP, and in what ICMP holds, wherever it stands there."""
        version = packet[0] >> 4 if packet else 0
        addresses, macs = [], []
        if version == 4:
            addresses = [packet[12:16], packet[16:20]]
            if packet[9:10] == _ICMP:
                addresses += _windows(packet[20:], 4)
        elif version == 6:
            addresses = _windows(packet[8:_HEADERS], 16)
            if packet[6:7] == _ICMPV6:
                macs = _windows(packet[40:], 6)
        elif packet[:2] == b"\0\1":
            addresses = [packet[14:18], packet[24:28]]
            macs = [packet[8:14], packet[18:24]]
        yield from (f"the address {_shown(one)}" for one in addresses if one in self._addresses)
        yield from (f"the MAC address {one.hex(':')}" for one in macs if one in self._macs)

    def text(self, data: bytes) -> Iterator[str]:
        """What shows in the text of a message: addresses in any place, names in theirs and, if they
        cannot be mistaken, in any."""
        originals = self._originals
        for packed in literals(data):
            if packed in self._addresses:
                yield f"the address {_shown(packed)}"
        for name in users(data):
            if name in originals.users:
                yield f"the user {_printable(name)}"
        for name in hosts(data):
            if name in originals.hosts:
                yield f"the host {_printable(name)}"
        for match in _WORD.finditer(data.lower()):
            for word in _pieces(match[0]):
                if originals.knows(word):
                    yield f"the name {_printable(word)}"


def _pieces(word: bytes) -> Iterator[bytes]:
    """A word, and what it is made of: pbx.corp of "pbx.corp-7"."""
    yield word
    spans = [match.span() for match in _PARTS.finditer(word)]
    for first in range(min(len(spans), _MOST_PARTS)):
        for last in range(first, min(len(spans), first + _MOST_PARTS)):
            yield word[spans[first][0] : spans[last][1]]


def _windows(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(len(data) - size + 1)]


def _shown(packed: bytes) -> str:
    return str(ip_address(packed))


def _printable(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")
