"""The header fields of a message: which lines they stand in, and the spans of their values (RFC 3261
section 7.3.1).
"""

import re
from typing import Final

from inline_topo.compiling import i64
from inline_topo.sip.names import CONTINUATION, INVALID, FieldNames

Span = tuple[int, int]
Fields = dict[str, list[Span]]

_COMPILED: Final = not __file__.endswith(".py")
_LF: Final = 10
_CR: Final = 13
_BLANK: Final = 32
_COLON: Final = 58
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")


class Malformed(Exception):
    """Looks like SIP and does not parse; the text says what is wrong, without message content."""


def find(data: bytes, start: int, end: int, names: FieldNames) -> tuple[Fields, int]:
    """Find the fields that `names` asks for in the header lines data[start:end], up to an empty line.

    Returns them by canonical name: the spans of its values, one for each line, in order, without the
    blanks around them (folds inside stay); and where the empty line begins (`end` if there is none).
    Raises Malformed where a line has no valid name.
    """
    if _COMPILED:
        return find_by_byte(data, start, end, names)
    return find_by_line(data, start, end, names)


def find_by_line(data: bytes, start: int, end: int, names: FieldNames) -> tuple[Fields, int]:
    """`find` as Python does it fast: the lines are split off in C."""
    end = _end(data, start, end)
    fields: Fields = {}
    last: list[Span] | None = None
    lines = data[start:end].split(b"\n")
    if not lines[-1]:
        del lines[-1]
    for line in lines:
        stop = start + len(line)
        word, colon, _ = line.partition(b":")
        name = names[word if colon else line[:1] + b"\r"]
        last = (
            None
            if name is None
            else _add(fields, last, name, data, start, start + len(word) + 1, stop)
        )
        start = stop + 1
    return fields, end


def _end(data: bytes, start: int, end: int) -> int:
    """Where the empty line begins; `end` if there is none."""
    if data[start : min(start + 1, end)] == b"\n" or data[start : min(start + 2, end)] == b"\r\n":
        return start
    empty = _EMPTY_LINE.search(data, start, end)
    return empty.start() + 1 if empty else end


def find_by_byte(data: bytes, start: int, end: int, names: FieldNames) -> tuple[Fields, int]:
    """`find` as a machine does it fast, once compiled."""
    fields: Fields = {}
    last: list[Span] | None = None
    position: i64 = start
    limit: i64 = end
    while position < limit:
        first = data[position]
        if first == _LF or (first == _CR and position + 1 < limit and data[position + 1] == _LF):
            return fields, position
        colon: i64 = position
        while colon < limit and data[colon] != _COLON and data[colon] != _LF:
            colon += 1
        stop: i64 = colon
        while stop < limit and data[stop] != _LF:
            stop += 1
        if colon < stop:
            name = names[data[position:colon]]
        else:
            name = names[data[position : min(position + 1, stop)] + b"\r"]
        last = None if name is None else _add(fields, last, name, data, position, colon + 1, stop)
        position = stop + 1
    return fields, end


def _add(
    fields: Fields,
    last: list[Span] | None,
    name: str,
    data: bytes,
    start: int,
    value: int,
    stop: int,
) -> list[Span] | None:
    """Add the line data[start:stop], whose value begins at `value`, to the spans of its field, which are
    returned; `last`: those of the line before. None stands for a field that is not wanted."""
    if name is CONTINUATION:
        if last:
            last[-1] = continued(data, last[-1], start, stop)
        return last
    if name is INVALID:
        raise Malformed("header line without a valid field name")
    first, end = value, stop
    if value < stop:
        if data[value] == _BLANK:
            value += 1
        if data[stop - 1] == _CR:
            stop -= 1
        if value >= stop or data[value] <= _BLANK or data[stop - 1] <= _BLANK:
            value, stop = trim(data, first, end)
    spans = fields.get(name)
    if spans is None:
        fields[name] = spans = [(value, stop)]
    else:
        spans.append((value, stop))
    return spans


def continued(data: bytes, value: Span, start: int, end: int) -> Span:
    """The span of a value that goes on in the line data[start:end]."""
    start, end = trim(data, start, end)
    if start == end:
        return value
    return (value[0] if value[0] < value[1] else start), end


def trim(data: bytes, start: int, end: int) -> Span:
    """The span without the blanks and line breaks at its ends."""
    while start < end and data[start] in b" \t\r\n":
        start += 1
    while end > start and data[end - 1] in b" \t\r\n":
        end -= 1
    return start, end
