"""The search for names of the inside in bytes, in every spelling that a reader could undo."""

import binascii
import html
import ipaddress
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){8,}")
_QUAD = re.compile(rb"(?<![0-9])(?=([0-9]{1,6}(?:([.~_-])[0-9]{1,6})(?:\2[0-9]{1,6}){2})(?![0-9]))")
_HEX_QUAD = re.compile(rb"(?:0x[0-9a-f]{1,4}\.){3}0x[0-9a-f]{1,4}")
_NUMBER = re.compile(rb"(?<![0-9a-fx])(?:0x[0-9a-f]{6,8}|[0-9]{8,10})(?![0-9a-f])")
_IPV6 = re.compile(rb"(?<![0-9a-f:])[0-9a-f]{0,4}:[0-9a-f:]*:[0-9a-f:]*[0-9a-f](?:[0-9.]*)")
_ROUNDS = 3  # how often what is encoded in itself is undone


class Secrets:
    """What must not show: addresses, and words (users, host names) of at least five characters."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(set(names))
        self._addresses: dict[bytes, str] = {}
        self._words: dict[bytes, str] = {}
        for name in self.names:
            try:
                self._addresses[ipaddress.ip_address(name).packed] = name
            except ValueError:
                self._words[name.lower().encode()] = name
        self._known: dict[bytes, set[str]] = {}

    def shown(self, data: bytes) -> set[str]:
        """The names that show in a message, as they are or behind an encoding that needs no key.

        Header lines are searched each for itself, and remembered; the body as one.
        """
        head, _, body = data.partition(b"\r\n\r\n")
        found: set[str] = set()
        for piece in (*head.split(b"\r\n"), body):
            names = self._known.get(piece)
            if names is None:
                names = self._known[piece] = self._search(piece)
            found |= names
        return found

    def _search(self, data: bytes) -> set[str]:
        found: set[str] = set()
        for text in _readings(data):
            lower = text.lower()
            found |= {name for word, name in self._words.items() if word in lower}
            for packed in _addresses(lower):
                name = self._addresses.get(packed)
                if name:
                    found.add(name)
        return found

    def without(self, names: Iterable[str]) -> "Secrets":
        """These but for some."""
        return Secrets(set(self.names) - set(names))


def _addresses(text: bytes) -> Iterator[bytes]:
    """The addresses, packed, in a text in lower case; in all forms that some parser takes."""
    for match in _QUAD.finditer(text):
        parts = match[1].split(match[2])
        for base in (10, 8):
            try:
                numbers = [int(part, base) for part in parts]
            except ValueError:
                continue
            if max(numbers) < 256:
                yield bytes(numbers)
                yield bytes(numbers[::-1])
    for match in _NUMBER.finditer(text):
        yield _packed(int(match[0], 0 if match[0].startswith(b"0x") else 10))
    if b"0x" in text:
        for match in _HEX_QUAD.finditer(text):
            numbers = [int(part, 16) for part in match[0].split(b".")]
            if max(numbers) < 256:
                yield bytes(numbers)
    for match in _IPV6.finditer(text):
        try:
            packed = ipaddress.IPv6Address(match[0].decode()).packed
        except ValueError:
            continue
        yield packed
        yield packed[12:]  # mapped, or otherwise embedded


def _packed(number: int) -> bytes:
    return number.to_bytes(4, "big") if number < 1 << 32 else b""


def _readings(data: bytes) -> Iterator[bytes]:
    """The bytes as they are, with percent signs, character references and backslashes undone, and what
    base64 and hexadecimal in them hold."""
    seen = {data}
    waiting = [data]
    for _ in range(_ROUNDS):
        fresh = []
        for text in waiting:
            yield text
            for reading in _undone(text):
                if reading not in seen:
                    seen.add(reading)
                    fresh.append(reading)
        waiting = fresh
    for text in list(seen):
        held = b"\n".join(_held(text))
        if held:
            yield held


def _undone(text: bytes) -> Iterator[bytes]:
    if b"%" in text:
        yield unquote_to_bytes(text)
    if b"&" in text:
        yield html.unescape(text.decode("latin-1")).encode("latin-1", "replace")
    if b"\\" in text:
        yield re.sub(rb"\\(.)", rb"\1", text)


def _held(text: bytes) -> Iterator[bytes]:
    for match in _BASE64.finditer(text):
        yield _decoded(match[0])
    for match in _HEX.finditer(text):
        yield bytes.fromhex(match[0].decode())


@lru_cache(1 << 12)
def _decoded(run: bytes) -> bytes:
    """What base64 makes of a run of its characters, from each of four starts."""
    run = run.translate(_URL_SAFE)
    found = []
    for start in range(4):
        rest = run[start:]
        rest = rest[:-1] if len(rest) % 4 == 1 else rest  # no byte ends there
        found.append(binascii.a2b_base64(rest + b"=" * (-len(rest) % 4)))
    return b"\n".join(found)
