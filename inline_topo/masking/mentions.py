"""A quick search: whether a message names anything of the inside that is not own.

Every message that enters is searched, and most name nothing. So the bytes are searched for how an
address or a name of the inside begins; what is found is then looked at. It may say yes where there is
nothing to do, and never no where there is.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_named
from inline_topo.masking.hosts import Hosts

_IPV4: Final = re.compile(rb"[0-9]{1,3}\.[0-9]{0,3}\.[0-9]{0,3}\.[0-9]{0,3}(?![0-9])")
_IPV6: Final = re.compile(rb"[0-9A-Fa-f:.]*[0-9A-Fa-f:]")
_MOST_BEGINNINGS: Final = 16
_LONGEST_NAME: Final = 253
_OF_IPV6: Final = frozenset(b"0123456789abcdef:.")
_OF_NAME: Final = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz-_.")
_LEAST_HEXTET: Final = 0x1000  # smaller ones may lack their zeros


class Mentions:
    """Searches for the networks and names of `hosts`."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._beginnings: list[bytes] = []
        self._hextets: list[re.Pattern[bytes]] = []
        self._thorough = False
        for size, first, last in (*hosts.inside.ranges, *hosts.protected.ranges):
            self._add(size, first, last)
        self._thorough = self._thorough or len(self._beginnings) > _MOST_BEGINNINGS
        self._ipv4 = _beginning(self._beginnings, hosts.own_addresses)
        self._names = hosts.protected_names
        self._folds = bool(self._hextets or self._names)

    def _add(self, size: int, first: int, last: int) -> None:
        """The beginning of the addresses from `first` to `last`: the first octet of IPv4 (others may be
        written with zeros before them), the first 16 bits of IPv6."""
        if size == 4:
            octets = range(first >> 24, (last >> 24) + 1)
            found = [b"%d." % octet for octet in octets]
            self._beginnings += [each for each in found if each not in self._beginnings]
            return
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
        return b"%" in data and self._find(unquote_to_bytes(data), flow)

    def _find(self, data: bytes, flow: Flow) -> bool:
        if self._thorough:
            return any(is_named(host, flow) for host in self._hosts.named_in(data))
        if self._ipv4:
            begins = self._ipv4.search(data)
            while begins:
                at = begins.start()
                match = _IPV4.match(data, at)
                if match and is_named(self._hosts.find(match[0]), flow):
                    return True
                begins = self._ipv4.search(data, at + 1)
        return self._folds and self._find_folded(data.lower(), flow)

    def _find_folded(self, data: bytes, flow: Flow) -> bool:
        for hextet in self._hextets:
            for begins in hextet.finditer(data):
                start = _first(data, begins.start(), _OF_IPV6, 40)
                match = _IPV6.match(data, start, start + 64)
                if match and is_named(self._hosts.find(match[0].rstrip(b".")), flow):
                    return True
                if match and not self._hosts.find(match[0].rstrip(b".")).address:
                    return True  # more than an address: whoever looks closer shall say
        for name in self._names:
            at = data.find(name)
            while at >= 0:
                start, end = _first(data, at, _OF_NAME, _LONGEST_NAME), at + len(name)
                if is_named(self._hosts.find(data[start:end]), flow):
                    return True
                at = data.find(name, end)
        return False


def _beginning(octets: list[bytes], own: list[bytes]) -> re.Pattern[bytes] | None:
    """What finds how an address of the inside begins, but for those that are own."""
    if not octets:
        return None
    shown = [
        b".".join([b"%d" % number for number in address]) for address in own if len(address) == 4
    ]
    patterns = []
    for octet in octets:
        rests = [re.escape(text[len(octet) :]) for text in shown if text.startswith(octet)]
        but = b"(?!(?:%b)(?![0-9]))" % b"|".join(rests) if rests else b""
        patterns.append(re.escape(octet) + but)
    return re.compile(b"|".join(patterns))


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
