"""What carries a body: a SIP message, one within another, a part of a multipart body (RFC 2045, 2046)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from inline_topo.edits import Edit
from inline_topo.masking.bodies.base import CONTENT_LENGTH
from inline_topo.sip import values
from inline_topo.sip.message import Span

MOST_PARTS = 32
"""Parts of one body that are looked into."""

_FIELD = re.compile(
    rb"\n(?:(content-type|c)|(content-length|l)|(content-encoding|content-transfer-encoding|e))"
    rb"[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)",
    re.IGNORECASE,
)
_TYPE = re.compile(rb"\s*([A-Za-z0-9!#$&.+^_-]+)\s*/\s*([A-Za-z0-9!#$&.+^_-]+)")
_LENGTH = re.compile(rb"\s*([0-9]{1,9})\s*\Z")
_PLAIN = frozenset((b"", b"identity", b"7bit", b"8bit", b"binary"))
EMPTY_LINE = re.compile(rb"(?<=\n)\r?\n")


class Entity(NamedTuple):
    """`media_type` in lower case, without parameters; `content_type` is the span of the whole value.

    `encoded`: the bytes are not those of the media type (Content-Encoding, base64). `lengths` are the
    spans of the numbers in Content-Length. The body is data[start:end]: what the greatest of them
    counts off, or all there is.
    """

    media_type: bytes
    content_type: Span
    encoded: bool
    lengths: Sequence[Span]
    start: int
    end: int


def read(data: bytes, headers: Span, start: int, end: int) -> Entity:
    """The entity whose header fields stand at `headers` (a line break before them) and whose body can
    be no more than data[start:end]."""
    media_type, content_type, encoded = b"", (0, 0), False
    lengths: list[Span] = []
    for match in _FIELD.finditer(data, max(headers[0] - 1, 0), headers[1]):
        span = match.span(4)
        if match[1]:
            found = None if media_type else _TYPE.match(data, *span)
            if found:
                media_type = (found[1] + b"/" + found[2]).lower()
                content_type = span
        elif match[2]:
            number = _LENGTH.match(data, *span)
            if number:
                lengths.append(number.span(1))
        else:
            encoded = encoded or match[4].strip().lower() not in _PLAIN
    if lengths:
        end = min(end, start + max(int(data[slice(*span)]) for span in lengths))
    return Entity(media_type, content_type, encoded, lengths, start, end)


def mend_lengths(data: bytes, entity: Entity, edits: Sequence[Edit], action: str) -> list[Edit]:
    """The edits that let each Content-Length count off what it did before `edits` in the body.

    A number that was wrong stays wrong by as much; leading zeros stay.
    """
    mended = []
    for start, end in entity.lengths:
        text = data[start:end]
        old = int(text)
        counted = entity.start + old
        new = old + sum(len(e.new) - (e.end - e.start) for e in edits if e.end <= counted)
        if new != old:
            zeros = text[: len(text) - len(b"%d" % old)]
            mended.append(Edit(start, end, zeros + b"%d" % new, CONTENT_LENGTH, action))
    return mended


def parts(data: bytes, entity: Entity) -> list[tuple[Span, int, int]]:
    """The parts of a multipart entity: header fields, start and end of what they are about.

    MOST_PARTS at most; none where there is no boundary.
    """
    boundary = _boundary(data, entity.content_type)
    if not boundary:
        return []
    delimiter = b"--" + boundary
    found: list[tuple[Span, int, int]] = []
    first = -1
    position = data.find(delimiter, entity.start, entity.end)
    while position >= 0 and len(found) < MOST_PARTS:
        stop = position + len(delimiter)
        starts_line = position == entity.start or data[position - 1] == 10
        if starts_line and data[stop : stop + 1] in (b"\r", b"\n", b" ", b"\t", b"-", b""):
            if first >= 0:
                found.append(_part(data, first, _before_line_break(data, first, position)))
            line_end = data.find(b"\n", stop, entity.end)
            first = line_end + 1
            if data.startswith(b"--", stop) or line_end < 0:
                return found
        position = data.find(delimiter, stop, entity.end)
    if first >= 0 and len(found) < MOST_PARTS:  # the last delimiter is missing
        found.append(_part(data, first, entity.end))
    return found


def _boundary(data: bytes, content_type: Span) -> bytes:
    span = values.parameter(data, *content_type, b"boundary")
    return data[slice(*span)].strip(b'" \t\r') if span else b""


def _before_line_break(data: bytes, first: int, position: int) -> int:
    """The line break before a delimiter is a part of it (RFC 2046 section 5.1.1)."""
    position -= 1
    if position > first and data[position - 1] == 13:
        position -= 1
    return max(position, first)


def _part(data: bytes, start: int, end: int) -> tuple[Span, int, int]:
    empty = EMPTY_LINE.search(data, start, end)
    if not empty:
        return (start, start), start, end
    return (start, empty.start()), empty.end(), end
