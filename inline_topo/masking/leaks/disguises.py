"""Text behind percent-encoding (RFC 3986), character references (XML) and backslashes (RFC 3261
section 25.1), a line at a time; and text in UTF-16 or UTF-32."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Line(NamedTuple):
    """The line data[start:end] as `text`, decoded. `shifts`: where in it each code stood, and the
    bytes that it took in the data more."""

    start: int
    end: int
    text: bytes
    shifts: list[tuple[int, int]]

    def place(self, position: int) -> int:
        """Where in the data stands what is at this position of the text."""
        return self.start + position + sum(more for at, more in self.shifts if at <= position)


def lines(data: bytes) -> Iterator[Line]:
    """The lines that hold codes, once for each kind of code in them."""
    for code, undo in _CODES:
        done = 0
        for match in code.finditer(data):
            if match.start() >= done:
                start = data.rfind(b"\n", 0, match.start()) + 1
                done = data.find(b"\n", match.start()) + 1 or len(data)
                yield Line(start, done, *_undone(data[start:done], code, undo))


def without_nulls(data: bytes) -> tuple[bytes, list[int]]:
    """What is left of ASCII in UTF-16 or UTF-32, and where in the data each byte of it stood."""
    return data.replace(b"\0", b""), [at for at, byte in enumerate(data) if byte]


def _undone(
    line: bytes, code: re.Pattern[bytes], undo: Callable[[re.Match[bytes]], bytes]
) -> tuple[bytes, list[tuple[int, int]]]:
    shifts: list[tuple[int, int]] = []
    pieces: list[bytes] = []
    position = size = 0
    for match in code.finditer(line):
        pieces += [line[position : match.start()], undo(match)]
        size += len(pieces[-2]) + len(pieces[-1])
        shifts.append((size, len(match[0]) - len(pieces[-1])))
        position = match.end()
    return b"".join([*pieces, line[position:]]), shifts


def _character(match: re.Match[bytes]) -> bytes:
    number = int(match[1], 16) if match[1] else int(match[2])
    return bytes((number,)) if number < 128 else b"?"


_CODES: tuple[tuple[re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]], ...] = (
    (re.compile(rb"%([0-9A-Fa-f]{2})"), lambda match: bytes.fromhex(match[1].decode())),
    (re.compile(rb"&#(?:[xX]([0-9A-Fa-f]{1,6})|([0-9]{1,7}));"), _character),
    (re.compile(rb"\\(.)"), lambda match: match[1]),
)
