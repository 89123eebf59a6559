"""A SIP message as its bytes plus the spans of the fields that someone asked for (RFC 3261 section 7).

Recognition is by content. What a receiver could still take for SIP is parsed: leading blank lines and
NULs, lines ended by LF alone, other SIP versions, blanks around the Request-URI, folded fields.
"""

import re
from collections.abc import Iterator
from typing import Final

from inline_topo.sip import fields
from inline_topo.sip.fields import Fields as Fields
from inline_topo.sip.fields import Malformed as Malformed
from inline_topo.sip.fields import Span as Span
from inline_topo.sip.names import FieldNames

_START_LINE: Final = re.compile(
    rb"(?:SIP/[0-9.]+[ \t]+(?P<status>[0-9]{3,10})(?![0-9])[^\n]*"
    rb"|(?P<method>[A-Za-z0-9.!%*_+`'~-]+)[ \t]+(?P<uri>\S(?:[^\n]*?\S)?)[ \t]+SIP/[0-9.]+[ \t]*\r?)"
    rb"(?:\n|\Z)",
    re.IGNORECASE,
)
_STATUS_LINES: Final = {b"SIP/2.0 %d " % status: status for status in range(100, 700)}
_VERSION: Final = re.compile(rb"SIP/[0-9]+\.[0-9]", re.IGNORECASE)
_BLANK: Final = 32
_SKIPPED: Final = b"\r\n\0 \t"
"""What Kamailio skips before a message."""

_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Message:
    """The spans of a parsed message.

    `method` is empty in a response, `status` 0 in a request. `request_uri` is (0, 0) in a response.
    `fields` maps the canonical name of each wanted field to the spans of its values, one for each
    header line, in order, without the blanks around them (folds inside stay). `headers` is the span
    of the header fields, `body` the offset after the empty line. `parse` counts the `commas` in the
    header fields, and sees whether a CR ends no line (`has_lone_cr`). `notes` is for what a strategy saw
    and left, by the name of a counter, `unopened` for the fields of tokens that did not open;
    `session` for the description that a media relay gave for that of the body.
    """

    __slots__ = (
        *("body", "commas", "data", "fields", "has_lone_cr", "headers", "method"),
        *("notes", "request_uri", "session", "status", "unopened"),
    )

    def __init__(self, data: bytes, method: bytes, status: int, request_uri: Span) -> None:
        self.data = data
        self.method = method
        self.status = status
        self.request_uri = request_uri
        self.headers: Span = (0, 0)
        self.body = 0
        self.commas = 0
        self.has_lone_cr = False
        self.fields: Fields = {}
        self.notes: tuple[str, ...] = ()
        self.unopened: tuple[str, ...] = ()
        self.session: bytes | None = None

    @property
    def is_request(self) -> bool:
        return bool(self.method)

    def first(self, name: str) -> bytes:
        """The value of the first field of this name, folds and all; empty where there is none."""
        spans = self.fields.get(name)
        return self.data[spans[0][0] : spans[0][1]] if spans else b""


def parse(data: bytes, request_names: FieldNames, response_names: FieldNames) -> Message | None:
    """The message in `data`, with the fields that the names of its kind ask for; None: not SIP.

    Raises Malformed where `data` looks like SIP and its start line or a header line does not parse.
    """
    start = _find_start_line(data)
    if start is None:
        return None
    message, position = start
    if data[position : position + 1] in (b" ", b"\t"):
        raise Malformed("the start line is folded")
    names = request_names if message.method else response_names
    found = fields.find(data, position, len(data), names)
    message.fields, end, message.commas, message.has_lone_cr = found
    message.headers = (position, end)
    message.body = min(end + (2 if data[end : end + 2] == b"\r\n" else 1), len(data))
    return message


def is_in_sight(data: bytes) -> bool:
    """Whether a version of SIP stands anywhere in `data`."""
    return _VERSION.search(data) is not None


def header_fields(message: Message) -> Iterator[tuple[bytes, Span]]:
    """Every header field in order: its name as spelled (blanks stripped) and the span of its value."""
    data = message.data
    position, end = message.headers
    pending: tuple[bytes, Span] | None = None
    while position < end:
        line_end = data.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end
        if data[position : position + 1] in (b" ", b"\t"):
            if pending:
                pending = pending[0], fields.continued(data, pending[1], position, line_end)
        else:
            if pending:
                yield pending
            colon = data.find(b":", position, line_end)
            if colon < 0:
                pending = None
            else:
                name = data[position:colon].rstrip(b" \t")
                pending = name, fields.trim(data, colon + 1, line_end)
        position = line_end + 1
    if pending:
        yield pending


def _find_start_line(data: bytes) -> tuple[Message, int] | None:
    """The message with its start line filled in, and the offset of the first header line."""
    eol = data.find(b"\n")
    status = _STATUS_LINES.get(data[:12])
    if status:
        return Message(data, b"", status, (0, 0)), eol + 1 if eol > 0 else len(data)
    if eol > 9 and data[eol - 9 : eol] == b" SIP/2.0\r":
        space = data.find(b" ")
        method = data[:space]
        if (
            space < eol - 10
            and method.isalpha()
            and data.find(b" ", space + 1) == eol - 9
            and data[space + 1] > _BLANK
            and data[eol - 10] > _BLANK
        ):
            return Message(data, method, 0, (space + 1, eol - 9)), eol + 1
    return _find_unusual_start_line(data)


def _find_unusual_start_line(data: bytes) -> tuple[Message, int] | None:
    version = _VERSION.search(data)
    if not version:
        return None
    position = len(data) - len(data.lstrip(_SKIPPED))
    begins = _START_LINE.match(data, position)
    if not begins and _BINARY.search(data, 0, version.start()):
        return None  # a tunnel that carries SIP (GTP-U, GRE, HEP ...), which no SIP receiver reads
    while position >= 0:
        while data[position : position + 1] in (b"\r", b"\n"):
            position += 1
        line = _START_LINE.match(data, position)
        if line:
            if line["status"]:
                message = Message(data, b"", int(line["status"]), (0, 0))
            else:
                message = Message(data, line["method"], 0, line.span("uri"))
            return message, line.end()
        position = data.find(b"\n", position) + 1 or -1
        if position > version.start():
            break
    raise Malformed("start line")


def find_fields(message: Message, names: FieldNames) -> Fields:
    """The fields of a message that `names` asks for, as in Message.fields. Raises Malformed."""
    start, end = message.headers
    return fields.find(message.data, start, end, names)[0]


def line_of(message: Message, span: Span) -> Span:
    """The whole header line that a value stands in, from its name to its line break, folds included."""
    data = message.data
    first, last = message.headers
    start = data.rfind(b"\n", first, span[0]) + 1 or first
    while start > first and data[start] in b" \t":
        start = data.rfind(b"\n", first, start - 1) + 1 or first
    end = span[1]
    while True:
        end = data.find(b"\n", end, last) + 1 or last
        if end >= last or data[end] not in b" \t":
            return start, end
