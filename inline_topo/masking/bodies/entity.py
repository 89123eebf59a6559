"""What carries a body: a SIP message, one within another, a part of a multipart body (RFC 2045, 2046)."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Final, NamedTuple

from inline_topo.bounds import LONGEST_NAME, MOST_PARTS, TooMuch
from inline_topo.edits import Edit
from inline_topo.masking.cache import Cache
from inline_topo.sip import names, values
from inline_topo.sip.message import Malformed, Message, Span, find_fields
from inline_topo.sip.names import FieldNames

_NUMBER: Final = re.compile(rb"[0-9]{1,9}")
_TYPE: Final = re.compile(rb"\s*([A-Za-z0-9!#$&.+^_-]+\s*/\s*[A-Za-z0-9!#$&.+^_-]+)")
_NAMES: Final = FieldNames(names.OF_BODY)
_CODINGS: Final = (names.CONTENT_ENCODING, names.CONTENT_TRANSFER_ENCODING)
_PLAIN: Final = frozenset((b"", b"identity", b"7bit", b"8bit", b"binary"))
_BODY_FIELD: Final = re.compile(rb"\n((?:[cCeElL][ \t]*:|[cC][oO][nN][tT][eE][nN][tT]-)[^\n]*)")
_SDP_TYPE: Final = b"Content-Type: application/sdp\r"
EMPTY_LINE: Final = re.compile(rb"(?<=\n)\r?\n")
_media_types: Final[Cache[bytes, bytes]] = Cache(1 << 10, LONGEST_NAME)


class Entity(NamedTuple):
    """`media_type` in lower case, without parameters; `content_type` is the span of the whole value.

    `encoded`: the bytes are not those of the media type (Content-Encoding, base64). `lengths` are the
    spans of the numbers in Content-Length. The body is data[start:end]: what the greatest of them
    counts off, or all there is. `head`: the header fields of a part; none of a whole message.
    """

    media_type: bytes
    content_type: Span
    encoded: bool
    lengths: Sequence[Span]
    start: int
    end: int
    head: Span = (0, 0)


def of(message: Message) -> Entity:
    """The entity that a message is, whatever it was parsed for."""
    return read(message, find_fields(message, _NAMES))


def read(message: Message, fields: dict[str, list[Span]]) -> Entity:
    """The entity that a message is, from the fields of its body."""
    data, start = message.data, message.body
    end = len(data)
    types = fields.get(names.CONTENT_TYPE)
    content_type = types[0] if types else (0, 0)
    lengths = fields.get(names.CONTENT_LENGTH, [])
    numbers = [data[first:last] for first, last in lengths]
    if numbers and not all(map(_NUMBER.fullmatch, numbers)):
        lengths = [span for span in lengths if _NUMBER.fullmatch(data, *span)]
        numbers = [data[span[0] : span[1]] for span in lengths]
    if numbers:
        end = min(end, start + max(map(int, numbers)))
    encoded = False
    for name in _CODINGS:
        if name in fields:
            encoded = encoded or _is_coded(data, fields[name])
    media_type = _media_type(data[content_type[0] : content_type[1]])
    return Entity(media_type, content_type, encoded, lengths, start, end)


def length_of_sdp(message: Message) -> Span | None:
    """The span of the Content-Length of a message that is nothing but SDP, plainly written: one
    length, and the right one, and the type. None for any other."""
    data = message.data
    first, last = message.headers
    lines = _BODY_FIELD.findall(data, first - 1, last)
    if len(lines) != 2 or _SDP_TYPE not in lines:
        return None
    line = lines[lines[0] == _SDP_TYPE]
    number = b"%d" % (len(data) - message.body)
    if not line.startswith(b"Content-Length:") or line[15:].strip() != number:
        return None
    start = data.find(number, data.find(b"\n" + line, first - 1))
    is_folded = data[data.find(b"\n", start) + 1] in b" \t"
    return None if is_folded else (start, start + len(number))


def end_of_body(message: Message) -> int:
    """Where the body of a message ends: what stands behind it in a datagram is to be discarded (RFC 3261
    section 18.3)."""
    data = message.data
    first, last = message.headers
    if data.find(b"\nContent-Length: %d\r" % (len(data) - message.body), first - 1, last) >= 0:
        return len(data)
    return of(message).end


def _is_coded(data: bytes, spans: list[Span]) -> bool:
    return any(data[span[0] : span[1]].lower() not in _PLAIN for span in spans)


def _media_type(value: bytes) -> bytes:
    known = _media_types.get(value)
    if known is None:
        found = _TYPE.match(value)
        known = b"".join(found[1].split()).lower() if found else b""
        _media_types.remember(value, known, len(value))
    return known


def mend_lengths(data: bytes, entity: Entity, edits: Sequence[Edit], action: str) -> list[Edit]:
    """The edits that let each Content-Length count off what it did before `edits` in the body.

    A number that was wrong stays wrong by as much; leading zeros stay.
    """
    mended = []
    grown = sorted((last, len(new) - last + first) for first, last, new, _, _ in edits)
    ends = [last for last, _ in grown]
    sums = [0, *accumulate(by for _, by in grown)]
    for start, end in entity.lengths:
        text = data[start:end]
        old = int(text)
        new = old + sums[bisect_right(ends, entity.start + old)]
        if new != old:
            number = b"%d" % new
            if text[:1] == b"0":
                number = text[: len(text) - len(b"%d" % old)] + number
            mended.append(Edit(start, end, number, names.CONTENT_LENGTH, action))
    return mended


def parts(data: bytes, entity: Entity) -> list[Entity]:
    """The parts of a multipart entity; none where there is no boundary. TooMuch where there are more
    than MOST_PARTS."""
    boundary = _boundary(data, entity.content_type)
    if not boundary:
        return []
    delimiter = b"--" + boundary
    found: list[Entity] = []
    first = -1
    position = data.find(delimiter, entity.start, entity.end)
    while position >= 0:
        stop = position + len(delimiter)
        starts_line = position == entity.start or data[position - 1] == 10
        if starts_line and data[stop : stop + 1] in (b"\r", b"\n", b" ", b"\t", b"-", b""):
            if first >= 0:
                if len(found) == MOST_PARTS:
                    raise TooMuch("parts of a body")
                found.append(_part(data, first, _before_line_break(data, first, position)))
            line_end = data.find(b"\n", stop, entity.end)
            first = line_end + 1
            if data.startswith(b"--", stop) or line_end < 0:
                return found
        position = data.find(delimiter, stop, entity.end)
    if len(found) == MOST_PARTS:
        raise TooMuch("parts of a body")
    if first >= 0:  # the last delimiter is missing
        found.append(_part(data, first, entity.end))
    return found


def _boundary(data: bytes, content_type: Span) -> bytes:
    span = values.parameter(data, *content_type, b"boundary")
    return data[span[0] : span[1]].strip(b'" \t\r') if span else b""


def _before_line_break(data: bytes, first: int, position: int) -> int:
    """The line break before a delimiter is a part of it (RFC 2046 section 5.1.1)."""
    position -= 1
    if position > first and data[position - 1] == 13:
        position -= 1
    return max(position, first)


def _part(data: bytes, start: int, end: int) -> Entity:
    part = Message(data, b"", 0, (0, 0))
    empty = EMPTY_LINE.search(data, start, end)
    part.headers = (start, empty.start() if empty else start)
    part.body = empty.end() if empty else start
    with suppress(Malformed):
        part.fields = find_fields(part, _NAMES)
    entity = read(part, part.fields)
    return entity._replace(end=min(entity.end, end), head=part.headers)
