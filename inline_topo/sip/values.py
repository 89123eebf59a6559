"""Field values in a list (RFC 3261 section 7.3.1): commas outside quotes and angle brackets."""

import re
from collections.abc import Iterator
from typing import Final

from inline_topo.sip.message import Span

_QUOTED, _BRACKETED = rb'"[^"\\]*(?:\\.[^"\\]*)*"', rb"<[^>]*>"
_ELEMENT: Final = {  # up to a comma, by the characters that open what is closed again
    b'"<': re.compile(rb'(?:[^,"<]+|' + _QUOTED + b"|" + _BRACKETED + b")*", re.DOTALL),
    b'"': re.compile(rb'(?:[^,"]+|' + _QUOTED + b")*", re.DOTALL),
    b"<": re.compile(rb"(?:[^,<]+|" + _BRACKETED + b")*"),
    b"": re.compile(rb"[^,]*"),
}
_COMMA: Final = 44
_PARAMETER: Final = re.compile(
    rb";[ \t\r\n]*([^\s;=,<>\"]+)(?:[ \t\r\n]*=[ \t\r\n]*"
    rb'("(?:[^"\\]|\\.)*"|[^\s;,"]*))?',
    re.DOTALL,
)
_BLANKS: Final = b" \t\r\n"


def split(data: bytes, spans: list[Span]) -> list[Span]:
    """The spans of the single values in field values that may be comma-separated lists.

    An empty element ("a, , b") is left out; an unclosed quote or bracket hides no comma after it.
    """
    if len(spans) == 1:
        start, end = spans[0]
        if data.find(b",", start, end) < 0:
            return spans
    values: list[Span] = []
    for start, end in spans:
        if data.find(b",", start, end) < 0:
            values.append((start, end))
            continue
        first = start
        if data.find(b"<", start, end) < 0 and data.find(b'"', start, end) < 0:
            for piece in data[start:end].split(b","):
                value = piece.lstrip(_BLANKS)
                begin = first + len(piece) - len(value)
                value = value.rstrip(_BLANKS)
                if value:
                    values.append((begin, begin + len(value)))
                first += len(piece) + 1
            continue
        for comma in _commas(data, start, end):
            _append(values, data, first, comma)
            first = comma + 1
        _append(values, data, first, end)
    return values


def _commas(data: bytes, start: int, end: int) -> Iterator[int]:
    """The offsets of the commas outside quotes and brackets, in linear time whatever the data.

    Where one quote or bracket is not closed, none after it is: they are looked for no more.
    """
    closed = b'"<'
    while start < end:
        match = _ELEMENT[closed].match(data, start, end)
        if match:
            start = match.end()
        if start < end:
            if data[start] == _COMMA:
                yield start
            else:
                closed = closed.replace(data[start : start + 1], b"")
            start += 1


def _append(values: list[Span], data: bytes, start: int, end: int) -> None:
    while start < end and data[start] in _BLANKS:
        start += 1
    while end > start and data[end - 1] in _BLANKS:
        end -= 1
    if start < end:
        values.append((start, end))


def parameter(data: bytes, start: int, end: int, name: bytes) -> Span | None:
    """The span of the value of the first `;name=value` between start and end (name in lower case).

    A parameter without a value gives an empty span at its end; None where there is no such name.
    """
    for match in _PARAMETER.finditer(data, start, end):
        if match[1].lower() == name:
            return match.span(2) if match.start(2) >= 0 else (match.end(), match.end())
    return None
