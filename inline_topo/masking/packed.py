"""Addresses in base64 or hexadecimal, in the user part or the parameters of a SIP URI.

Flow tokens hold them (RFC 5626 section 5.2): Kamailio's outbound module writes a HMAC, the transport, and
two addresses with their ports. Any four bytes are an address, so what is found by chance must be rare:

    all that was encoded       one address (`0a000005`, `CgAABQ==`)
    anywhere in it             an address of a network of `inside` or `protected` with 16 bits or more
    in a larger network        the same, if another one that is inside or own stands a port before it or
                               behind it

A user part or value that is the number of an address (`167772165`) is read with 16 bits or more, and not
with `user=phone`. Text that was encoded is read as text. The parameters `tag` and `ftag` stand in From.
"""

import re
from binascii import Error, a2b_base64
from typing import Final, NamedTuple

from inline_topo.bounds import MOST_HOSTS, MOST_ROUTING, TooMuch
from inline_topo.masking.hosts import Host, Hosts, readings

_LEAST_BITS: Final = 16
_SHORTEST: Final = 6  # four bytes in base64
_SHORTEST_TEXT: Final = 7
_URI: Final = re.compile(rb"sips?:(?:([^@\s<>\"]{0,255})@)?[^\s;?@<>\",]+((?:;[^?\s<>\"]*)?)", re.I)
_VALUE: Final = re.compile(rb";(?!f?tag=)[^;=]*=([^;]+)", re.IGNORECASE)
_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{6,}={0,2}")
_HEXADECIMAL: Final = re.compile(rb"[0-9A-Fa-f]{8,}")
_NUMBER: Final = re.compile(rb"(?<![\w.+-])[1-9][0-9]{7,9}(?![\w.-])")
_TEXT: Final = re.compile(rb"[\t -~]{%d,}" % _SHORTEST_TEXT)
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_MAY_HOLD: Final = re.compile(rb"@|;(?!f?tag=)[^;=>]+=[^;=>]{6}", re.IGNORECASE)


class Piece(NamedTuple):
    """A user part or the value of a parameter at text[start:end], and the hosts inside that it holds as
    bytes or as text."""

    start: int
    end: int
    hosts: tuple[Host, ...]
    texts: tuple[Host, ...]


class Packed:
    """Finds what names the inside in this way, by the definitions of `hosts`."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        ranges = [*hosts.inside.ranges, *hosts.protected.ranges]
        self._anywhere: list[re.Pattern[bytes]] = []
        self._pairs: list[tuple[int, re.Pattern[bytes]]] = []
        for size in (4, 16):
            known, narrow = [], []
            for length, first, last in ranges:
                if length == size:
                    known.append(_pattern(size, first, last))
                    if last - first < 1 << (8 * size - _LEAST_BITS):
                        narrow.append(known[-1])
            if narrow:
                self._anywhere.append(_compiled(_any(narrow)))
            if len(narrow) < len(known):
                own = [re.escape(one) for one in hosts.own_addresses if len(one) == size]
                either = _any([*known, *own])
                self._pairs.append((size, _compiled(either + b".." + either)))

    @staticmethod
    def may_be_in(value: bytes) -> bool:
        """Whether a field value may hold a URI with something packed: a quick look."""
        return _MAY_HOLD.search(value) is not None

    def find(self, user: bytes, parameters: bytes) -> tuple[tuple[Host, ...], tuple[Host, ...]]:
        """The hosts inside that the user part and the parameters of a URI hold as bytes, and as text.
        TooMuch where there are more values than MOST_HOSTS."""
        found: list[Host] = []
        texts: list[Host] = []
        for piece in self._pieces(user, 0, parameters, 0):
            found += piece.hosts
            texts += piece.texts
        return tuple(found), tuple(texts)

    def pieces(self, text: bytes) -> list[Piece]:
        """The pieces of all SIP URIs in a text that hold any. TooMuch as in `find`, and for URIs."""
        found: list[Piece] = []
        for count, uri in enumerate(_URI.finditer(text)):
            if count >= MOST_HOSTS:
                raise TooMuch("URIs in a text")
            found += self._pieces(uri[1] or b"", uri.start(1), uri[2], uri.start(2))
        return found

    def _pieces(self, user: bytes, first: int, parameters: bytes, second: int) -> list[Piece]:
        is_phone = b"user=phone" in parameters.lower()
        found: list[Piece] = []
        if len(user) >= _SHORTEST:
            self._piece(found, user, first, numbers=not is_phone)
        for count, value in enumerate(_VALUE.finditer(parameters)):
            if count >= MOST_HOSTS:
                raise TooMuch("parameters of a URI")
            if len(value[1]) >= _SHORTEST:
                self._piece(found, value[1], second + value.start(1), numbers=True)
        return found

    def _piece(self, found: list[Piece], piece: bytes, start: int, *, numbers: bool) -> None:
        """Add a piece that holds any. `numbers`: it may be the number of an address."""
        if len(piece) > MOST_ROUTING:
            raise TooMuch("bytes of a user or parameter")
        hosts: list[Host] = []
        texts: list[Host] = []
        for reading in readings(piece):
            for digits in _NUMBER.findall(reading) if numbers else ():
                if int(digits) >> 32 == 0:
                    hosts += self._in_bytes(int(digits).to_bytes(4, "big"), alone=False)
            self._read(reading, hosts, texts)
        if hosts or texts:
            found.append(Piece(start, start + len(piece), tuple(hosts), tuple(texts)))

    def _read(self, piece: bytes, hosts: list[Host], texts: list[Host]) -> None:
        for run in _RUN.findall(piece):
            for digits in _HEXADECIMAL.findall(run):
                for shift in (0, 1):
                    even = digits[shift : len(digits) - (len(digits) - shift) % 2]
                    alone = even == run and not even.isdigit()
                    hosts += self._in_bytes(bytes.fromhex(even.decode()), alone=alone)
            for shift in (0, 1, 2, 3):
                alone = not shift and run.endswith(b"=")
                content = _from_base64(run[shift:])
                hosts += self._in_bytes(content, alone=alone)
                for text in _TEXT.findall(content):
                    texts += self._named(self._hosts.named_in(text))

    def _in_bytes(self, content: bytes, *, alone: bool) -> list[Host]:
        """The hosts in what was encoded. `alone`: if that is one address, it counts."""
        found: list[Host] = []
        for pattern in self._anywhere:
            for match in pattern.finditer(content):
                found.append(self._hosts.literal(match[1]))
        for size, pattern in self._pairs:
            for match in pattern.finditer(content):
                pair = match[1]
                found.append(self._hosts.literal(pair[:size]))
                found.append(self._hosts.literal(pair[size + 2 :]))
        if alone and len(content) in (4, 16):
            found.append(self._hosts.literal(content))
        return self._named(found)

    @staticmethod
    def _named(hosts: list[Host]) -> list[Host]:
        return [host for host in hosts if host.named and not host.own]


def _pattern(size: int, first: int, last: int) -> bytes:
    """A pattern for the packed addresses of a network."""
    low, high = first.to_bytes(size, "big"), last.to_bytes(size, "big")
    parts = []
    for least, most in zip(low, high, strict=True):
        if least == most:
            parts.append(re.escape(bytes((least,))))
        elif (least, most) == (0, 255):
            parts.append(b".")
        else:
            parts.append(b"[\\x%02x-\\x%02x]" % (least, most))
    return b"".join(parts)


def _any(patterns: list[bytes]) -> bytes:
    return b"(?:%b)" % b"|".join(patterns)


def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    """One that finds what overlaps, too."""
    return re.compile(b"(?=(%b))" % pattern, re.DOTALL)


def _from_base64(run: bytes) -> bytes:
    """What a run of base64 or base64url stands for, with padding or without; empty for none."""
    digits = run.rstrip(b"=").translate(_TO_STANDARD)
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    try:
        return a2b_base64(digits + b"=" * (-len(digits) % 4))
    except Error:
        return b""
