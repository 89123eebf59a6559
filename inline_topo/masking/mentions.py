"""A quick search: whether a message names anything of the inside that is not own.

Every message that enters is searched, and most name nothing. So the bytes are searched for how an
address or a name of the inside begins; what is found is then looked at. It may say yes where there is
nothing to do, and never no where there is.
"""

import re
import socket
from ipaddress import IPv4Address
from typing import Final
from urllib.parse import unquote_to_bytes

from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_named
from inline_topo.masking.hosts import TO_DOTS, Hosts

_IPV4: Final = re.compile(  # with a 0 before it a number may be octal, and longer
    rb"(?:0[0-9]{1,3}|[0-9]{1,3})(?:[._-](?:0[0-9]{1,3}|[0-9]{0,3})){3}(?![0-9])"
)
_SEPARATOR: Final = b"[._-]"
_IPV6: Final = re.compile(rb"[0-9A-Fa-f:.]*[0-9A-Fa-f:]")
_ESCAPED: Final = re.compile(b"%[0-9A-Fa-f]{2}")
_MOST_BEGINNINGS: Final = 16
_LONGEST_NAME: Final = 253
_OF_IPV6: Final = frozenset(b"0123456789abcdef:.")
_OF_NAME: Final = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz-_.")
_LEAST_HEXTET: Final = 0x1000  # smaller ones may lack their zeros


class Mentions:
    """Searches for the networks and names of `hosts`."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._hextets: list[re.Pattern[bytes]] = []
        self._thorough = False
        own = [socket.inet_ntoa(each) for each in hosts.own_addresses if len(each) == 4]
        by_octet: dict[int, list[bytes]] = {}
        for size, first, last in (*hosts.inside.ranges, *hosts.protected.ranges):
            if size == 4:
                self._add_ipv4(by_octet, own, IPv4Address(first), IPv4Address(last))
            else:
                self._add_ipv6(first, last)
        self._thorough = self._thorough or len(by_octet) > _MOST_BEGINNINGS
        # A literal is found fast: each first octet, as inet_aton(3) reads it in decimal and in octal.
        self._ipv4 = [
            (number, re.compile(number + _SEPARATOR + b"(?:%b)" % b"|".join(rests)))
            for octet, rests in by_octet.items()
            for number in (b"%d" % octet, b"0%o" % octet)
        ]
        self._names = hosts.protected_names
        self._folds = bool(self._hextets or self._names)

    @staticmethod
    def _add_ipv4(
        by_octet: dict[int, list[bytes]], own: list[str], first: IPv4Address, last: IPv4Address
    ) -> None:
        """What follows the first octet of the addresses from `first` to `last`, but for those that are own:
        the octets that all of them have, with zeros before them or without, or in octal. A 0 may be left
        out: Kamailio reads 10..0.5 as 10.0.0.5."""
        fixed = [a for a, b in zip(first.packed, last.packed, strict=True) if a == b]
        octets = [
            b"(?:0{0,2}%d|0{1,3}%o)" % (octet, octet) if octet else b"0{0,4}" for octet in fixed[1:]
        ]
        rest = b"".join([octet + _SEPARATOR for octet in octets[:2]])
        if len(fixed) == 4:
            rest += octets[2] + b"(?![0-9])"
        begins = "".join([f"{octet}." for octet in fixed[:3]])
        but = [
            re.escape(text[len(begins) :].encode())
            for text in own
            if first <= IPv4Address(text) <= last
        ]
        if but and len(fixed) == 4:
            return
        if but:
            rest += b"(?!(?:%b)(?![0-9]))" % b"|".join(but)
        for octet in range(first.packed[0], last.packed[0] + 1):
            by_octet.setdefault(octet, []).append(rest)

    def _add_ipv6(self, first: int, last: int) -> None:
        """The first 16 bits of the addresses from `first` to `last`."""
        low, high = first >> 112, last >> 112
        if low < _LEAST_HEXTET:
            self._thorough = True
            return
        digits = [_class(a, b) for a, b in zip(_nibbles(low), _nibbles(high), strict=True)]
        self._hextets.append(re.compile(b"".join(digits) + b":"))

    def found(self, data: bytes, flow: Flow) -> bool:
        """Whether `data`, or what it escapes with `%`, names something of the inside."""
        if self._find(data, flow):
            return True
        if data.find(b"%") < 0 or not _ESCAPED.search(data):
            return False
        return self._find(unquote_to_bytes(data), flow)

    def _find(self, data: bytes, flow: Flow) -> bool:
        if self._thorough:
            return any(is_named(host, flow) for host in self._hosts.named_in(data))
        for number, pattern in self._ipv4:
            at = data.find(number)
            begins = pattern.search(data, at) if at >= 0 else None
            while begins:
                at = begins.start()
                match = _IPV4.match(data, at)
                if match and is_named(self._hosts.find(match[0].translate(TO_DOTS)), flow):
                    return True
                begins = pattern.search(data, at + 1)
        return self._folds and self._find_folded(data.lower(), flow)

    def _find_folded(self, data: bytes, flow: Flow) -> bool:
        for hextet in self._hextets:
            for begins in hextet.finditer(data):
                start = _first(data, begins.start(), _OF_IPV6, 40)
                match = _IPV6.match(data, start, start + 64)
                text = match[0].rstrip(b".") if match else b""
                host = self._hosts.find(text)
                if is_named(host, flow) or (text and not host.address):
                    return True  # more than an address: whoever looks closer shall say
                # What stands before the first colon may be no part of it.
                if is_named(self._hosts.find(text.partition(b":")[2]), flow):
                    return True
        for name in self._names:
            at = data.find(name)
            while at >= 0:
                start, end = _first(data, at, _OF_NAME, _LONGEST_NAME), at + len(name)
                if is_named(self._hosts.find(data[start:end]), flow):
                    return True
                at = data.find(name, end)
        return False


def _nibbles(number: int) -> list[int]:
    return [number >> shift & 15 for shift in (12, 8, 4, 0)]


def _class(low: int, high: int) -> bytes:
    return b"[%b]" % b"".join([b"%x" % nibble for nibble in range(low, high + 1)])


def _first(data: bytes, at: int, characters: frozenset[int], most: int) -> int:
    """Where the run of these characters begins that `at` stands in, no more than `most` before it."""
    least = max(at - most, 0)
    while at > least and data[at - 1] in characters:
        at -= 1
    return at
