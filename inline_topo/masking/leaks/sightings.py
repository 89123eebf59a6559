"""Hosts in any bytes and any spelling: the search of the audit, which is not the masker's.

It knows no fields and no grammar. An IPv4 or IPv6 literal counts wherever it stands (leading zeros,
read as decimal and as octal; long, short and mapped IPv6; capitals; percent-encoded, as a character
reference, with backslashes, in base64 of text). What else inet_aton(3) reads as an address (one
number, hexadecimal) counts behind `@` and `//` alone, or every phone number would be one.
"""

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from inline_topo.masking.cache import Cache
from inline_topo.masking.flow import Flow
from inline_topo.masking.hosts import Host, Hosts
from inline_topo.masking.leaks.base64_text import Base64Text

IPV4, IPV6, NAME = "ipv4", "ipv6", "name"

_REMEMBERED = 1 << 14
_LONGEST = 64
_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2
_TRANSLATED = bytes.fromhex("0064ff9b") + bytes(8)  # RFC 6052 section 2.1

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
        order. Five numbers with dots, and a number behind a product's name and slash, are no
        address unless it lies inside."""
        found = self._read(data, flow)
        if b"%" in data or b"&" in data or b"\\" in data:
            found += list(self._disguised(data, flow, found))
        for start, end, text in self._base64.find(data):
            found += [Sighting(start, end, *one[2:]) for one in self._read(text, flow) if one.named]
        return sorted(found) if len(found) > 1 else found

    def _disguised(self, data: bytes, flow: Flow, found: list[Sighting]) -> Iterator[Sighting]:
        """What shows once percent-encoding, character references or backslashes are undone."""
        for code, undo in _CODES:
            done = 0
            for match in code.finditer(data):
                if match.start() < done:
                    continue
                start = data.rfind(b"\n", 0, match.start()) + 1
                done = data.find(b"\n", match.start()) + 1 or len(data)
                text, shifts = _undone(data[start:done], code, undo)
                clear = {(one.kind, one.shown) for one in found if start <= one.start < done}
                for one in self._read(text, flow):
                    if (one.kind, one.shown) not in clear:
                        span = [start + _before(shifts, at) for at in one[:2]]
                        yield Sighting(span[0], span[1], *one[2:])

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
        known = skip, self._remember(window[skip:], _quads(window[skip:])) if first else ()
        self._windows.remember(window, known, len(window))
        return known

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
                hosts = self._remember(text, _ipv6_readings(text))
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
            hosts = self._remember(text, _aton(text))
        for host in hosts:
            if host.named and self._is_hidden(host, flow):
                yield Sighting(*match.span(1), IPV4, text, True)

    def _dashed(self, data: bytes, dash: re.Match[bytes], flow: Flow) -> Iterator[Sighting]:
        """Names that providers make of addresses: ip-10-0-0-5.region.example."""
        first = _FIRST.search(data, max(dash.start() - 5, 0), dash.start())
        if first:
            text = data[first.start() : dash.end(1)]
            for host in self._remember(text, _quads(text.replace(b"-", b"."))):
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
            for match in re.finditer(re.escape(name), lower):
                if not any(start <= match.start() < end for start, end in words):
                    yield Sighting(*match.span(), NAME, data[slice(*match.span())], True, True)


def _quads(text: bytes) -> list[bytes]:
    """Four numbers with dots: decimal, and with a leading zero octal too, as inet_aton has it."""
    parts = text.split(b".")
    readings = [[int(part) for part in parts]]
    if any(part[:1] == b"0" and len(part) > 1 for part in parts):
        try:
            octal = [int(part, 8) if part[:1] == b"0" else int(part) for part in parts]
        except ValueError:
            octal = []
        readings += [octal] if octal else []
    return [bytes(numbers) for numbers in readings if max(numbers) < 256]


def _aton(text: bytes) -> list[bytes]:
    """One to four numbers as inet_aton(3) takes them."""
    try:
        return [socket.inet_aton(text.decode())]
    except OSError:
        return []


def _ipv6_readings(text: bytes) -> list[bytes]:
    """What a run of hex digits, colons and dots may stand for: the whole, or an address before a
    port or a full stop; of one that holds an IPv4 address, that one."""
    bare = text.rstrip(b".:") if not text.endswith(b"::") else text
    candidates = [text, bare]
    host, _, port = bare.rpartition(b":")
    if port.isdigit() and host.count(b":") > 1 and b"." not in port:
        candidates.append(host)
    packed = []
    for candidate in candidates:
        try:
            address = socket.inet_pton(socket.AF_INET6, candidate.decode())
        except (OSError, ValueError):
            continue
        is_ipv4 = address.startswith((_MAPPED, _TRANSLATED))
        packed.append(address[12:] if is_ipv4 else address)
    return packed


def _undone(
    line: bytes, code: re.Pattern[bytes], undo: Callable[[re.Match[bytes]], bytes]
) -> tuple[bytes, list[tuple[int, int]]]:
    """`line` decoded, and where in the result each code stood, with the bytes it took there more."""
    shifts: list[tuple[int, int]] = []
    pieces: list[bytes] = []
    position = size = 0
    for match in code.finditer(line):
        pieces += [line[position : match.start()], undo(match)]
        size += len(pieces[-2]) + len(pieces[-1])
        shifts.append((size, len(match[0]) - len(pieces[-1])))
        position = match.end()
    return b"".join([*pieces, line[position:]]), shifts


def _before(shifts: list[tuple[int, int]], position: int) -> int:
    """The place in the line that a place in the decoded one had."""
    return position + sum(more for at, more in shifts if at <= position)


def _character(match: re.Match[bytes]) -> bytes:
    number = int(match[1], 16) if match[1] else int(match[2])
    return bytes((number,)) if number < 128 else b"?"


_CODES: tuple[tuple[re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]], ...] = (
    (re.compile(rb"%([0-9A-Fa-f]{2})"), lambda match: bytes.fromhex(match[1].decode())),
    (re.compile(rb"&#(?:[xX]([0-9A-Fa-f]{1,6})|([0-9]{1,7}));"), _character),
    (re.compile(rb"\\(.)"), lambda match: match[1]),
)
