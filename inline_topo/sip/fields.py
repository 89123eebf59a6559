"""The header fields of a message: which lines they stand in, and the spans of their values (RFC 3261
section 7.3.1).
"""

import re
from typing import Final

from inline_topo.compiling import i64
from inline_topo.sip.names import CONTINUATION, INVALID, FieldNames

Span = tuple[int, int]
Fields = dict[str, list[Span]]
Found = tuple[Fields, int, int, bool]
"""Fields, where the empty line behind them begins, commas, whether a CR ends no line."""

_COMPILED: Final = not __file__.endswith(".py")
_LF: Final = 10
_CR: Final = 13
_BLANK: Final = 32
_COMMA: Final = 44
_COLON: Final = 58
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")


class Malformed(Exception):
    """Looks like SIP and does not parse; the text says what is wrong, without message content."""


def find(data: bytes, start: int, end: int, names: FieldNames) -> Found:
    """Find the fields that `names` asks for in the header lines data[start:end], up to an empty line.

    Returns them by canonical name: the spans of their values, one for each line, in order, without the
    blanks around them (folds inside stay). With them: where the empty line begins (`end` if there is
    none), how many commas stand before it, and whether a CR does that ends no line.
    Raises Malformed where a line has no valid name.
    """
    if _COMPILED:
        return find_by_byte(data, start, end, names)
    return find_by_line(data, start, end, names)


def find_by_line(data: bytes, start: int, end: int, names: FieldNames) -> Found:
    """`find` as Python does it fast: the lines are split off in C."""
    first, end = start, _end(data, start, end)
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
    has_lone_cr = data.count(b"\r", first, end) != data.count(b"\r\n", first, end)
    return fields, end, data.count(b",", first, end), has_lone_cr


def _end(data: bytes, start: int, end: int) -> int:
    """Where the empty line begins; `end` if there is none."""
    if data[start : min(start + 1, end)] == b"\n" or data[start : min(start + 2, end)] == b"\r\n":
        return start
    empty = _EMPTY_LINE.search(data, start, end)
    return empty.start() + 1 if empty else end


def find_by_byte(data: bytes, start: int, end: int, names: FieldNames) -> Found:
    """`find` as a machine does it fast, once compiled."""
    fields: Fields = {}
    last: list[Span] | None = None
    position: i64 = start
    limit: i64 = end
    commas: i64 = 0
    has_lone_cr = False
    while position < limit:
        first = data[position]
        if first == _LF or (first == _CR and position + 1 < limit and data[position + 1] == _LF):
            break
        colon: i64 = limit
        crs: i64 = 0
        stop: i64 = position
        while stop < limit:
            byte = data[stop]
            if byte <= _COLON:  # most bytes are letters
                if byte == _LF:
                    break
                if byte == _COMMA:
                    commas += 1
                elif byte == _CR:
                    crs += 1
                elif byte == _COLON and colon == limit:
                    colon = stop
            stop += 1
        if crs and (crs > 1 or stop == limit or data[stop - 1] != _CR):
            has_lone_cr = True
        if colon < stop:
            name = names[data[position:colon]]
        else:
            colon = stop
            name = names[data[position : min(position + 1, stop)] + b"\r"]
        last = None if name is None else _add(fields, last, name, data, position, colon + 1, stop)
        position = stop + 1
    return fields, min(position, limit), commas, has_lone_cr


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
