"""Addresses that base64 or hexadecimal digits hold, in the users and parameters of SIP URIs (RFC 5626
section 5.2: flow tokens).

Digits are read as bits, and a window is moved over them. Four bytes read as an address of a small network
by chance once in 2**16 or more; in a network with fewer than 16 bits, a window counts if it is all there
is, or if a second address, own or inside, stands 16 bits (a port) from it.

Not read: the parameters `tag` and `ftag`, which From and To show; the ids of mode topos; numbers with
`user=phone`; parameters of a URI without brackets, which are the field's.
"""

import re
from typing import Final, NamedTuple

from inline_topo.audit.hosts import Host, Hosts
from inline_topo.audit.work import Work

_REMEMBERED: Final = 2048
_LONGEST_REMEMBERED: Final = 128
_LONGEST: Final = 8 << 10
_WELL_KNOWN_BITS: Final = 16
_PORT: Final = 16
_SCHEME: Final = re.compile(rb"sips?:", re.IGNORECASE)
_ENDS: Final = re.compile(rb"[\s<>\"]")
_TOPOS: Final = re.compile(rb"[ab]tpsh-[0-9a-f]+\Z", re.IGNORECASE)
_SHOWN_ANYWAY: Final = frozenset((b"tag", b"ftag"))
_DIGITS: Final = re.compile(rb"[A-Za-z0-9+/_-]{6,}=*")
_HEX_DIGITS: Final = re.compile(rb"[A-Fa-f0-9]{8,}")
_DECIMAL: Final = re.compile(rb"(?<![\w.+-])[1-9][0-9]{7,9}(?![\w.-])")
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_VALUES: Final = {digit: value for value, digit in enumerate(_ALPHABET)} | {45: 62, 95: 63}


class Run(NamedTuple):
    """A piece text[start:end] of a URI, and a host inside that it holds."""

    start: int
    end: int
    host: Host


class Packed:
    """Finds such hosts by the definitions of own, inside and protected."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._known: dict[tuple[bytes, bool], tuple[Host, ...]] = {}

    def find(self, text: bytes, exempt: tuple[bytes, ...], work: Work) -> list[Run]:
        """Those in the start line and the header fields. `exempt`: packed addresses that are known
        anyway."""
        head = min(
            [at for at in (text.find(b"\r\n\r\n"), text.find(b"\n\n")) if at >= 0] or [len(text)]
        )
        line = text.find(b"\n")
        found: list[Run] = []
        position = 0
        while match := _SCHEME.search(text, position, head):
            start = match.end()
            stop = _ENDS.search(text, start, head)
            position = end = stop.start() if stop else head
            if not work.look():
                break
            is_whole = match.start() < line or text[match.start() - 1 : match.start()] == b"<"
            for first, last, numbers in _pieces(text, start, end, is_whole):
                for host in self._hosts_in(text[first:last], numbers, work):
                    if host.address not in exempt:
                        found.append(Run(first, last, host))
                        break
        return found

    def _hosts_in(self, piece: bytes, numbers: bool, work: Work) -> tuple[Host, ...]:
        known = self._known.get((piece, numbers))
        if known is None:
            if len(piece) > _LONGEST or not work.take(len(piece)):
                work.is_spent = True
                return ()
            known = tuple(dict.fromkeys(self._read(piece, numbers)))
            if len(piece) <= _LONGEST_REMEMBERED:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[piece, numbers] = known
        return known

    def _read(self, piece: bytes, numbers: bool) -> list[Host]:
        found: list[Host] = []
        if numbers:
            for match in _DECIMAL.finditer(piece):
                number = int(match[0])
                if number < 1 << 32:
                    found += self._windows(number, 32, (0,), is_all=False)
        for match in _HEX_DIGITS.finditer(piece):
            digits = match[0]
            is_all = _DIGITS.fullmatch(piece) is not None and digits == piece
            is_all = is_all and not digits.isdigit()
            found += self._windows(int(digits, 16), 4 * len(digits), (0, 4), is_all=is_all)
        for match in _DIGITS.finditer(piece):
            digits = match[0].rstrip(b"=")
            number = 0
            for digit in digits:
                number = number << 6 | _VALUES[digit]
            is_all = len(digits) < len(match[0])
            found += self._windows(number, 6 * len(digits), (0, 6, 12, 18), is_all=is_all)
        return found

    def _windows(
        self, number: int, bits: int, firsts: tuple[int, ...], *, is_all: bool
    ) -> list[Host]:
        """The hosts inside in a number of so many bits, whole bytes behind each of `firsts`."""
        found: list[Host] = []
        for size in (4, 16):
            width = 8 * size
            for first in firsts:
                for at in range(first, bits - width + 1, 8):
                    host = self._hosts.find(_cut(number, bits, at, size))
                    if not host.named:
                        continue
                    alone = is_all and at == 0 and bits - width < 8
                    if (
                        alone
                        or self._hosts.bits(host.address) >= _WELL_KNOWN_BITS
                        or self._is_known(number, bits, at - width - _PORT, size, first)
                        or self._is_known(number, bits, at + width + _PORT, size, first)
                    ):
                        found.append(host)
        return found

    def _is_known(self, number: int, bits: int, at: int, size: int, first: int) -> bool:
        """Whether an address that is own or inside stands there."""
        if at < first or at + 8 * size > bits:
            return False
        host = self._hosts.find(_cut(number, bits, at, size))
        return host.own or host.named


def _pieces(text: bytes, start: int, end: int, is_whole: bool) -> list[tuple[int, int, bool]]:
    """The user and the values of the parameters of the URI at text[start:end], each with whether it may
    be a number. Not `is_whole`: the user alone."""
    question = text.find(b"?", start, end)
    at = text.find(b"@", start, end if is_whole else _first_of(text, b";,", start, end))
    found: list[tuple[int, int, bool]] = []
    behind = start if at < 0 else at + 1
    stop = end if question < behind else question
    if at >= 0 and not _TOPOS.match(text[start:at]):
        found.append((start, at, b";user=phone" not in text[behind:stop].lower()))
    position = text.find(b";", behind, stop) if is_whole else -1
    while position >= 0:
        following = text.find(b";", position + 1, stop)
        last = stop if following < 0 else following
        equals = text.find(b"=", position, last)
        name = text[position + 1 : equals].strip().lower() if equals > 0 else b"tag"
        if name not in _SHOWN_ANYWAY and not _TOPOS.match(text[equals + 1 : last]):
            found.append((equals + 1, last, True))
        position = following
    return found


def _first_of(text: bytes, marks: bytes, start: int, end: int) -> int:
    for mark in marks:
        at = text.find(bytes((mark,)), start, end)
        end = at if at >= 0 else end
    return end


def _cut(number: int, bits: int, at: int, size: int) -> bytes:
    """So many bytes of a number of so many bits, from a bit on."""
    return (number >> (bits - at - 8 * size) & ((1 << 8 * size) - 1)).to_bytes(size, "big")
