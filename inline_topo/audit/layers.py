"""Texts within texts: what is behind percent-encoding, character references, backslashes and
quoted-printable, in UTF-16 and UTF-32, in base64, in compressed bodies.

Each layer says where in the message its text stood. That is looked up only where something is found,
so that a layer costs little more than its decoding.
"""

import re
import zlib
from binascii import a2b_base64
from bisect import bisect_right
from itertools import islice
from typing import Final

from inline_topo.audit.work import Work

_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")  # RFC 3986 section 2.1
_REFERENCE: Final = re.compile(rb"&#(?:[xX]([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")  # XML 1.0, 4.1
_BACKSLASH: Final = re.compile(rb"\\(?:[xX]([0-9A-Fa-f]{2})|u00([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_PRINTABLE: Final = re.compile(rb"=(?:([0-9A-Fa-f]{2})|[ \t]*\r?\n)")  # RFC 2045 section 6.7
_QUOTED: Final = b"quoted-printable"
_BYTES: Final = {b"%02x" % n: bytes((n,)) for n in range(256)}

_MARKUP: Final = re.compile(rb"<!\[CDATA\[|\]\]>|<!--[^<>]*>|<\?[^<>]*>")  # XML 1.0, 2.5 to 2.7

_CODES: Final = ((b"%", _PERCENT), (b"&#", _REFERENCE), (b"\\", _BACKSLASH), (b"<", _MARKUP))

_NOT_BASE64: Final = bytes(
    n for n in range(256) if not (chr(n).isascii() and (chr(n).isalnum() or chr(n) in "+/-_"))
)
_TO_STANDARD: Final = bytes.maketrans(b"-_" + _NOT_BASE64, b"+/" + b"A" * len(_NOT_BASE64))
_TEXT: Final = re.compile(rb"[\x00\t\n\r -~]{7,}")  # the shortest address has seven characters
_NO_TEXT: Final = re.compile(rb"[\x00\s]*\Z")
_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{10}")
_WRAPPED: Final = re.compile(rb"\n[ \t]*[A-Za-z0-9+/_-]{4,}+={0,2}[ \t]*\r?\n")
_WIDE: Final = re.compile(rb"[ -~]\0{1,3}[ -~]\0{1,3}[ -~]\0{1,3}[ -~]")
_BREAK: Final = re.compile(rb"[ \t]*\r?\n[ \t]*")

MOST_CODES: Final = 4096
"""Codes that are undone in one text."""

MOST_UNPACKED: Final = 1 << 17
"""Bytes that a compressed body may have; of more, that many are read."""

_ANY_HEADER: Final = 47  # zlib's word for: gzip's or its own
_NO_HEADER: Final = -15


class Layer:
    """A text of a message, and its place there. This one is the message itself.

    `is_content`: the text is the body, or a part of it, as its receiver reads it. `is_guess`: it may
    be text by chance. `depth`: how many decodings lie around it.
    """

    def __init__(self, text: bytes, within: "Layer | None" = None) -> None:
        self.text = text
        self.within = within
        self.is_content: bool = within is not None and within.is_content
        self.is_guess: bool = within is not None and within.is_guess
        self.depth: int = within.depth if within is not None else 0

    def place(self, at: int) -> int:
        """Where in the message stands what is at this position of the text."""
        if self.within is None:
            return at
        return self.within.place(self._outward(at))

    def _outward(self, at: int) -> int:
        return at


class Unescaped(Layer):
    """A text with one kind of code undone."""

    def __init__(self, within: Layer, code: re.Pattern[bytes]) -> None:
        super().__init__(code.sub(_undo, within.text, MOST_CODES), within)
        self._code = code
        self._ends: list[int] | None = None
        self._shifts: list[int] = []

    def _outward(self, at: int) -> int:
        ends = self._ends
        if ends is None:
            ends = self._ends = []
            position = size = shift = 0
            assert self.within is not None
            for match in islice(self._code.finditer(self.within.text), MOST_CODES):
                new = len(_undo(match))
                size += match.start() - position + new
                position = match.end()
                shift += position - match.start() - new
                ends.append(size)
                self._shifts.append(shift)
        behind = bisect_right(ends, at)
        return at + (self._shifts[behind - 1] if behind else 0)


class WithoutNulls(Layer):
    """What is left of ASCII in UTF-16 or UTF-32."""

    def __init__(self, within: Layer) -> None:
        super().__init__(within.text.replace(b"\0", b""), within)
        self.is_guess = True
        self.depth += 1
        self._places: list[int] | None = None

    def _outward(self, at: int) -> int:
        places = self._places
        if places is None:
            assert self.within is not None
            places = self._places = [i for i, byte in enumerate(self.within.text) if byte]
        return places[at] if at < len(places) else at


class Joined(Layer):
    """A text without its line breaks."""

    def __init__(self, within: Layer) -> None:
        super().__init__(_BREAK.sub(b"", within.text), within)
        self._starts: list[int] | None = None
        self._shifts: list[int] = []

    def _outward(self, at: int) -> int:
        starts = self._starts
        if starts is None:
            starts = self._starts = []
            shift = 0
            assert self.within is not None
            for match in _BREAK.finditer(self.within.text):
                starts.append(match.start() - shift)
                shift += match.end() - match.start()
                self._shifts.append(shift)
        behind = bisect_right(starts, at)
        return at + (self._shifts[behind - 1] if behind else 0)


class FromBase64(Layer):
    """The texts in base64 or base64url (RFC 4648), wherever they begin: the whole is decoded once
    for each of the four ways in which it can be parted into fours, and what reads as text is kept."""

    def __init__(self, within: Layer) -> None:
        self._starts: list[int] = []
        self._places: list[int] = []
        pieces: list[bytes] = []
        size = 0
        standard = within.text.translate(_TO_STANDARD)
        for shift in range(min(4, len(standard))):
            digits = standard[shift:]
            decoded = a2b_base64(digits + b"A" * (-len(digits) % 4))
            for match in _TEXT.finditer(decoded):
                text = match[0]
                if not _NO_TEXT.match(text):
                    self._starts.append(size)
                    self._places.append(shift + match.start() // 3 * 4)
                    pieces += [text, b"\n"]
                    size += len(text) + 1
        super().__init__(b"".join(pieces), within)
        self.is_guess = True
        self.is_content = False
        self.depth += 1

    def _outward(self, at: int) -> int:
        piece = bisect_right(self._starts, at) - 1
        if piece < 0:
            return 0
        assert self.within is not None
        place = self._places[piece] + (at - self._starts[piece]) * 4 // 3
        return min(place, len(self.within.text) - 1)


class Decoded(Layer):
    """The content of a body or a part of it, which begins at `start`."""

    def __init__(self, text: bytes, within: Layer, start: int) -> None:
        super().__init__(text, within)
        self.is_content = True
        self.is_guess = False
        self.depth += 1
        self.start = start

    def _outward(self, at: int) -> int:
        return self.start


def unescaped(layer: Layer, rounds: int, work: Work) -> list[Layer]:
    """The texts that come of undoing codes one kind after the other, so many times, as far as `work`
    allows."""
    found: list[Layer] = []
    for _ in range(rounds):
        before = layer
        for mark, code in _CODES:
            if mark == b"<" and not _has_markup(layer.text):
                continue
            if mark in layer.text and code.search(layer.text) and work.take(len(layer.text)):
                if layer.text.count(mark) > MOST_CODES:
                    work.is_spent = True
                layer = Unescaped(layer, code)
                found.append(layer)
        if layer is before:
            break
    return found


def _has_markup(text: bytes) -> bool:
    """Whether something may part a word of an XML document; its declaration does not."""
    return b"<!" in text or b"]]>" in text or text.count(b"<?") > text.count(b"<?xml ")


def unquoted(layer: Layer, work: Work) -> list[Layer]:
    """The text with quoted-printable undone, where any part of it says that it is that."""
    text = layer.text
    if _QUOTED not in text.lower() or not work.take(len(text)):
        return []
    if text.count(b"=") > MOST_CODES:
        work.is_spent = True
    return [Unescaped(layer, _PRINTABLE)]


def may_be_base64(text: bytes) -> bool:
    """Whether there is a run that may hold the shortest address."""
    return _RUN.search(text) is not None


def is_wide(text: bytes) -> bool:
    """Whether there may be text in UTF-16 or UTF-32."""
    return b"\0" in text and _WIDE.search(text) is not None


def is_wrapped(text: bytes) -> bool:
    """Whether there are lines that may be base64 in several lines (RFC 2045 section 6.8)."""
    return _WRAPPED.search(text) is not None


def unpack(data: bytes) -> tuple[bytes, bool]:
    """What gzip or deflate (with its header or without) holds, and whether that is all of it."""
    for window in (_ANY_HEADER, _NO_HEADER):
        one = zlib.decompressobj(window)
        try:
            text = one.decompress(data, MOST_UNPACKED)
        except zlib.error:
            continue
        return text, one.eof and not one.unused_data.strip(b"\r\n")
    return b"", False


def _undo(match: re.Match[bytes]) -> bytes:
    code = match[0]
    if code.startswith((b"<", b"]")):
        return b""
    if code.startswith((b"%", b"=")):
        return _BYTES[match[1].lower()] if match[1] else b""
    if code.startswith(b"\\"):
        hexadecimal = match[1] or match[2]
        return _BYTES[hexadecimal.lower()] if hexadecimal else match[3]
    number = int(match[1], 16) if match[1] else int(match[2])
    return bytes((number,)) if number < 128 else b"?"
