"""Hosts in any bytes and any spelling: the search of the audit, which is not the masker's.

It knows no fields and no grammar. An IPv4 or IPv6 literal counts wherever it stands (leading zeros,
read as decimal and as octal; long, short and mapped IPv6; capitals; percent-encoded, as a character
reference, with backslashes, in base64 of text, in UTF-16). What else inet_aton(3) reads as an address
(one number, hexadecimal) counts behind `@` and `//` alone, or every phone number would be one.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from inline_topo.masking.cache import Cache
from inline_topo.masking.flow import Flow
from inline_topo.masking.hosts import Host, Hosts
from inline_topo.masking.leaks import disguises, readings
from inline_topo.masking.leaks.base64_text import Base64Text

IPV4, IPV6, NAME = "ipv4", "ipv6", "name"

_REMEMBERED = 1 << 14
_LONGEST = 64

# Each begins with one character, or two, that re finds quickly; what stands before is looked at then.
_DOTS = re.compile(rb"\.(?=([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})(?![0-9]))")
_FIRST = re.compile(rb"(?<![0-9])[0-9]{1,4}\Z")
_COLONS = re.compile(rb":[0-9A-Fa-f]{0,4}:")
_AFTER = re.compile(rb"[0-9A-Fa-f:.]*")
_NUMBERS = tuple(
    re.compile(
        before + rb"(?![0-9]{1,4}(?:\.[0-9]{1,4}){3}(?![0-9A-Za-z.]))"
        rb"(?=([0-9][0-9A-Fa-fxX]*(?:\.[0-9][0-9A-Fa-fxX]*){0,3})(?![\w.@-]))"
    )
    for before in (b"@", b"//")
)
_DASHES = re.compile(rb"-(?=([0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3})\.[A-Za-z])")
_VERSION = re.compile(rb"(?:[\w)]/|[vV]|[0-9]\.)\Z")
_DOT_DIGIT = re.compile(rb"\.[0-9]")
_NAME = rb"(?<![A-Za-z0-9_.-])(?:[A-Za-z0-9_-]+\.)*%s(?![A-Za-z0-9_-])(?!\.[A-Za-z0-9])"
_HEX = b"0123456789ABCDEFabcdef"


class Sighting(NamedTuple):
    """A host that outsiders are not meant to see, at data[start:end].

    `kind` is IPV4, IPV6 or NAME; `shown` how it is spelled (decoded, where the data are encoded).
    `named`: it lies in `inside` or `protected`; otherwise it is a literal of some third party.
    `part`: a protected name in a longer word.
    """

    start: int
    end: int
    kind: str
    shown: bytes
    named: bool
    part: bool = False


class Sightings:
    """Finds hosts, by the definitions of own, inside and protected."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._names = [
            (name, re.compile(_NAME % re.escape(name), re.IGNORECASE))
            for name in hosts.protected_names
        ]
        self._base64 = Base64Text(any_text=bool(self._names))
        # by the bytes from five before the first dot on, so that one look-up does
        self._windows: Cache[bytes, tuple[int, tuple[Host, ...]]] = Cache(_REMEMBERED, _LONGEST)
        self._addresses: Cache[bytes, tuple[Host, ...]] = Cache(_REMEMBERED, _LONGEST)

    def find(self, data: bytes, flow: Flow) -> list[Sighting]:
        """The hosts in `data` that are neither own nor the flow's mask address or outside end, in
        order. Five numbers with dots, a number behind a product's name and slash, and one that runs
        into digits before it are no address unless it lies inside."""
        found = self._read(data, flow)
        if b"%" in data or b"&" in data or b"\\" in data:
            found += list(self._disguised(data, flow, found))
        if b"\0" in data:
            found += self._wide(data, flow)
        for start, end, text in self._base64.find(data):
            found += [Sighting(start, end, *one[2:]) for one in self._read(text, flow) if one.named]
        return sorted(found) if len(found) > 1 else found

    def _disguised(self, data: bytes, flow: Flow, found: list[Sighting]) -> Iterator[Sighting]:
        """What shows once percent-encoding, character references or backslashes are undone."""
        clear = {(data.rfind(b"\n", 0, s.start) + 1, s.kind, s.shown) for s in found}
        for line in disguises.lines(data):
            for one in self._read(line.text, flow):
                if (line.start, one.kind, one.shown) not in clear:
                    yield Sighting(line.place(one.start), line.place(one.end), *one[2:])

    def _wide(self, data: bytes, flow: Flow) -> Iterator[Sighting]:
        """What shows between null bytes, where it lies inside."""
        text, places = disguises.without_nulls(data)
        for one in self._read(text, flow):
            start, end = places[one.start], places[one.end - 1] + 1
            if one.named and end - start > one.end - one.start:
                yield Sighting(start, end, *one[2:])

    def _read(self, data: bytes, flow: Flow) -> list[Sighting]:
        found: list[Sighting] = []
        inner: set[int] = set()  # where IPv4 addresses end that are part of an IPv6 one
        for colon in _COLONS.finditer(data):
            found += self._ipv6(data, colon.start(), flow, inner)
        windows, outside = self._windows, flow.outside
        for dot in _DOTS.finditer(data):
            begin, end = max(dot.start() - 5, 0), dot.end(1)
            window = data[begin:end]
            known = windows.get(window)
            if known is None:
                known = self._look(window, dot.start() - begin)
            skip, hosts = known
            if hosts and hosts[0].address != outside and end not in inner:
                found += self._ipv4(data, begin + skip, end, hosts, flow)
        for pattern in _NUMBERS:
            for match in pattern.finditer(data):
                found += self._number(match, flow)
        for dash in _DASHES.finditer(data):
            found += self._dashed(data, dash, flow)
        if self._names:
            found += self._protected(data)
        return found

    def _look(self, window: bytes, dot: int) -> tuple[int, tuple[Host, ...]]:
        """Four numbers with dots, the first before `dot`: where they begin, and what they are."""
        first = _FIRST.search(window, 0, dot)
        skip = first.start() if first else 0
        packed = readings.quads(window[skip:]) if first else []
        known = skip, self._remember(window[skip:], packed)
        if not packed and window[dot - 1 : dot].isdigit():
            known = self._glued(window, dot)
        self._windows.remember(window, known, len(window))
        return known

    def _glued(self, window: bytes, dot: int) -> tuple[int, tuple[Host, ...]]:
        """The same where digits of another word stand before: a branch 4e41 and 192.168.1.2."""
        for begin in range(dot - 1, max(dot - 4, -1), -1):
            text = window[begin:]
            if window[begin:dot].isdigit():
                hosts = self._remember(text, readings.quads(text))
                if any(host.named for host in hosts):
                    return begin, hosts
        return 0, ()

    def _ipv4(
        self, data: bytes, start: int, end: int, hosts: tuple[Host, ...], flow: Flow
    ) -> Iterator[Sighting]:
        hidden = [host for host in hosts if self._is_hidden(host, flow)]
        named = any(host.named for host in hidden)
        if hidden and not named:
            is_version = _VERSION.search(data, max(start - 2, 0), start)
            if len(hidden) < len(hosts) or is_version or _DOT_DIGIT.match(data, end):
                return
        if hidden:
            yield Sighting(start, end, IPV4, data[start:end], named)

    def _ipv6(self, data: bytes, colon: int, flow: Flow, inner: set[int]) -> Iterator[Sighting]:
        start = colon
        while start and data[start - 1] in _HEX and colon - start < 4:
            start -= 1
        if start and data[start - 1 : start] == b":" and start < colon:
            return  # within what was read already
        end = colon + len(_AFTER.match(data, colon)[0])  # type: ignore[index]
        if data[end : end + 1].isalnum():
            return
        firsts: tuple[int, ...] = (start,)
        if start and (data[start - 1 : start].isalnum() or data[start - 1] in b"_."):
            firsts = (colon + 1,)  # a word, and a colon of its own: sip:fd00::1
        elif start == colon:
            firsts = (colon, colon + 1)
        for first in firsts:
            text = data[first:end]
            hosts = self._addresses.get(text)
            if hosts is None:
                hosts = self._remember(text, readings.ipv6(text))
            if hosts:
                shown = text if text.endswith(b"::") else text.rstrip(b".:")
                inner.add(first + len(shown))
                hidden = [host for host in hosts if self._is_hidden(host, flow)]
                if len(hidden) == len(hosts):  # not where it is an own one with a port
                    named = any(host.named for host in hidden)
                    yield Sighting(first, first + len(shown), IPV6, shown, named)
                return

    def _number(self, match: re.Match[bytes], flow: Flow) -> Iterator[Sighting]:
        text = match[1]
        hosts = self._addresses.get(text)
        if hosts is None:
            hosts = self._remember(text, readings.aton(text))
        for host in hosts:
            if host.named and self._is_hidden(host, flow):
                yield Sighting(*match.span(1), IPV4, text, True)

    def _dashed(self, data: bytes, dash: re.Match[bytes], flow: Flow) -> Iterator[Sighting]:
        """Names that providers make of addresses: ip-10-0-0-5.region.example."""
        first = _FIRST.search(data, max(dash.start() - 5, 0), dash.start())
        if first:
            text = data[first.start() : dash.end(1)]
            for host in self._remember(text, readings.quads(text.replace(b"-", b"."))):
                if host.named and self._is_hidden(host, flow):
                    yield Sighting(first.start(), dash.end(1), IPV4, text, True)
                    return

    def _remember(self, text: bytes, packed: Iterable[bytes]) -> tuple[Host, ...]:
        """What a spelling may stand for; nothing, where that is own."""
        hosts = tuple(self._hosts.literal(address) for address in dict.fromkeys(packed))
        if all(host.own for host in hosts):
            hosts = ()
        self._addresses.remember(text, hosts, len(text))
        return hosts

    def _is_hidden(self, host: Host, flow: Flow) -> bool:
        address = host.address
        return not (
            host.own
            or address == flow.mask_address
            or address == flow.outside
            or (not host.named and not any(address))  # 0.0.0.0 and :: are nobody's
        )

    # --- names --------------------------------------------------------------------------------

    def _protected(self, data: bytes) -> Iterator[Sighting]:
        lower = data.lower()
        for name, pattern in self._names:
            if name not in lower:
                continue
            words = [match.span() for match in pattern.finditer(data)]
            for start, end in words:
                shown = data[start:end]
                if not self._hosts.find(shown).own:
                    yield Sighting(start, end, NAME, shown, True)
            within = {end for _, end in words}
            for match in re.finditer(re.escape(name), lower):
                start, end = match.span()
                if end not in within:  # a word ends with the name
                    yield Sighting(start, end, NAME, data[start:end], True, True)
