"""The names of parts of a message (RFC 2392): Content-ID and Message-ID, and what refers to them.

They look like addresses, and nobody goes there. `cid:` and `mid:` in header fields (RFC 6442, RFC 3261
section 20.9) and XML, `start` of a multipart/related body (RFC 2387), `cid` of Referred-By (RFC 3892) and of
resource lists (RFC 4662) say the same name, so a host in it becomes the same token in all of them, or in
none: where one names the inside in a body that is not looked into, or is spelled with escapes.
"""

import re
from collections.abc import Iterable
from typing import Final

from inline_topo.bounds import MOST_PARTS, TooMuch
from inline_topo.edits import Edit
from inline_topo.masking.callid import CALL_IDS
from inline_topo.sip import names
from inline_topo.sip.message import Message, Span, header_fields, line_of

PART_NAME: Final = "part name"
"""What the edits are called."""

_MOST: Final = 4 * MOST_PARTS
_SDP: Final = b"v=0"
_MARKS: Final = (b"cid:", b"mid:", b"content-id", b"message-id", b"cid=", b"start=")
_NAME: Final = re.compile(
    rb"(?:\n(?:content|message)-id[ \t]*:[ \t]*(?:\r?\n[ \t]+)?<?|(?<![a-z0-9+.-])[cm]id:"
    rb"|[;\s](?:cid|start)\s{0,9}=\s{0,9}[\"']?<?)([^\s\"'<>;,&]{1,1000})",
    re.IGNORECASE,
)
_OTHERS: Final = frozenset(
    {
        *(*CALL_IDS, names.VIA, names.ROUTE, names.RECORD_ROUTE, names.PATH, names.SERVICE_ROUTE),
        *(names.CONTACT, names.FROM, names.TO, names.CSEQ, names.IDENTITY, "RAck", "Session-ID"),
        *("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"),
        *("Authentication-Info", "Proxy-Authentication-Info", "SIP-ETag", "SIP-If-Match", "Date"),
    }
)
"""Header fields that name no part."""


def may_have(message: Message) -> bool:
    """Whether a message may name parts of its own: a quick look. One without a body has none, and in one
    whose body is a session description alone only Content-ID, in its usual spelling, makes them."""
    data, body = message.data, message.body
    if body >= len(data):
        return False
    if data.startswith(_SDP, body):
        return data.find(b"\nContent-ID", 0, body) >= 0
    text = data.lower()
    for mark in _MARKS:  # noqa: SIM110 (compiled, a generator costs more)
        if text.find(mark) >= 0:
            return True
    return False


def in_text(data: bytes, span: Span) -> list[Span]:
    """The names in data[start:end]. TooMuch where they are more than a message may have."""
    found = []
    for match in _NAME.finditer(data, *span):
        found.append(match.span(1))
        if len(found) > _MOST:
            raise TooMuch("names of parts")
    return found


def in_description(data: bytes, span: Span) -> list[Span]:
    """The names in a session description: cid: alone (RFC 5547's file-icon); mid: is another thing there."""
    return [one for one in in_text(data, span) if data[one[0] - 4 : one[0]].lower() == b"cid:"]


def in_header(message: Message) -> list[Span]:
    """The names in the header fields of a message, or of one of its parts."""
    found: list[Span] = []
    data = message.data
    for spelled, (start, end) in header_fields(message):
        if names.field_name(spelled) not in _OTHERS:
            line = line_of(message, (start, end))[0]
            found += in_text(data, (max(line - 1, 0), end))
    return found


def outside(message: Message, edits: list[Edit]) -> list[Edit]:
    """The edits in header fields that touch no name of a part; all where the message has no parts."""
    if not edits or not may_have(message):
        return edits
    spans = in_header(message)
    return [one for one in edits if not _is_in(spans, one)]


def _is_in(spans: Iterable[Span], edit: Edit) -> bool:
    return any(start <= edit.start and edit.end <= end for start, end in spans)
