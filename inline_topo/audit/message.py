"""A SIP message as the audit reads it: start line, header fields, body (RFC 3261 section 7)."""

import re
from typing import Final

Span = tuple[int, int]

CALL_ID: Final = "Call-ID"

_COMPACT: Final = {
    b"v": "Via", b"m": "Contact", b"f": "From", b"t": "To", b"i": CALL_ID, b"l": "Content-Length",
    b"r": "Refer-To", b"b": "Referred-By", b"o": "Event", b"k": "Supported", b"u": "Allow-Events",
    b"a": "Accept-Contact", b"j": "Reject-Contact", b"d": "Request-Disposition", b"c": "Content-Type",
    b"e": "Content-Encoding", b"s": "Subject", b"x": "Session-Expires", b"y": "Identity",
}  # fmt: skip
_KNOWN: Final = {
    name.lower().encode(): name
    for name in (
        *_COMPACT.values(),
        *("Route", "Record-Route", "Path", "Service-Route", "CSeq", "Replaces", "Join"),
        *("Target-Dialog", "In-Reply-To", "Reply-To", "Alert-Info", "Call-Info", "Error-Info"),
        *("History-Info", "Diversion", "Refer-Events-At", "Policy-Contact", "P-Asserted-Identity"),
        *("P-Preferred-Identity", "Additional-Identity", "Remote-Party-ID", "P-Associated-URI"),
        *("P-Called-Party-ID", "P-Charge-Info", "Warning", "Reason", "User-Agent", "Server"),
        *("Organization", "Authorization", "Proxy-Authorization"),
    )
}
_STATUS_LINE: Final = re.compile(rb"SIP/[0-9.]+[ \t]+([0-9]{3,10})(?![0-9])[^\n]*(?:\n|\Z)", re.I)
_REQUEST_LINE: Final = re.compile(
    rb"([A-Za-z0-9.!%*_+`'~-]+)[ \t]+(\S[^\n]*?)[ \t]+SIP/[0-9.]+[ \t]*\r?(?:\n|\Z)", re.IGNORECASE
)
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_NAME: Final = re.compile(rb"[A-Za-z0-9.!%*_+`'~-]+")
_BLANKS: Final = b" \t\r\n"
_LONGEST_REMEMBERED: Final = 64
_REMEMBERED: Final = 1024

_names: dict[bytes, str] = {}


class Field:
    """A header field: its name for reports, its span from the name on, and where its value begins."""

    __slots__ = ("end", "name", "start", "value")

    def __init__(self, name: str, start: int, value: int, end: int) -> None:
        self.name = name
        self.start = start
        self.value = value
        self.end = end


class Message:
    """`uri` is the span of the Request-URI, empty in a response, whose `status` is not 0."""

    __slots__ = ("body", "data", "fields", "head", "method", "status", "uri")

    def __init__(self, data: bytes, method: bytes, status: int, uri: Span) -> None:
        self.data = data
        self.method = method
        self.status = status
        self.uri = uri
        self.head = 0  # where the header fields begin
        self.body = len(data)
        self.fields: list[Field] = []

    def spans(self, name: str) -> list[Span]:
        """The values of the fields of this name, in order."""
        return [(one.value, one.end) for one in self.fields if one.name == name]

    def last(self, name: str) -> bytes:
        """The value of the last field of this name; empty where there is none."""
        spans = self.spans(name)
        return self.data[spans[-1][0] : spans[-1][1]] if spans else b""


def read(data: bytes) -> Message | None:
    """The message in `data`; None where it does not parse."""
    position = len(data) - len(data.lstrip(b"\r\n\0 \t"))
    status = _STATUS_LINE.match(data, position)
    request = None if status else _REQUEST_LINE.match(data, position)
    if status:
        message, position = Message(data, b"", int(status[1]), (0, 0)), status.end()
        cseq = True
    elif request:
        message = Message(data, request[1].upper(), 0, request.span(2))
        position, cseq = request.end(), False
    else:
        return None
    message.head = position
    if data[position : position + 1] == b"\n" or data[position : position + 2] == b"\r\n":
        end = position
    else:
        empty = _EMPTY_LINE.search(data, position)
        end = empty.start() + 1 if empty else len(data)
    message.body = min(end + (2 if data[end : end + 2] == b"\r\n" else 1), len(data))
    if not _fields(message, position, end):
        return None
    if cseq:
        words = message.last("CSeq").split()
        message.method = words[-1].upper() if words else b""
    return message


def _fields(message: Message, position: int, end: int) -> bool:
    """Fill in the header fields; whether all of their lines are well formed."""
    data, fields = message.data, message.fields
    while position < end:
        stop = data.find(b"\n", position, end)
        stop = end if stop < 0 else stop
        if data[position] == 32 or data[position] == 9:
            if not fields:
                return False
            fields[-1].end = stop
        else:
            colon = data.find(b":", position, stop)
            name = _name(data[position:colon]) if colon > 0 else ""
            if not name:
                return False
            fields.append(Field(name, position, colon + 1, stop))
        position = stop + 1
    for one in fields:
        while one.value < one.end and data[one.value] in _BLANKS:
            one.value += 1
        while one.end > one.value and data[one.end - 1] in _BLANKS:
            one.end -= 1
    return True


def _name(spelled: bytes) -> str:
    """The name of a field for reports; empty where it is none."""
    name = _names.get(spelled)
    if name is None:
        bare = spelled.rstrip(b" \t")
        if not _NAME.fullmatch(bare):
            return ""
        lower = bare.lower()
        name = _COMPACT.get(lower) or _KNOWN.get(lower) or bare.decode("ascii", "replace")
        if len(spelled) <= _LONGEST_REMEMBERED:
            if len(_names) >= _REMEMBERED:
                _names.clear()
            _names[spelled] = name
    return name
