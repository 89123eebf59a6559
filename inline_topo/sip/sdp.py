"""SDP by span (RFC 8866): the lines that can name a host, the origin, and which messages carry it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from inline_topo.sip.message import Span

MEDIA_TYPE = b"application/sdp"

TEXTS = frozenset((b"s", b"i", b"u", b"e", b"p", b"tool"))
"""Lines for people, and what made the description."""

MEDIA = frozenset(
    (b"c", b"rtcp", b"candidate", b"remote-candidates", b"source-filter", b"path", b"alt")
)
"""Lines that say where media goes: RFC 8866 section 5.7, RFC 3605, RFC 8839, RFC 4570, RFC 4975, and
an `alt` of old."""

ORIGIN, SOURCE = b"o", b"ssrc"
"""`o=` (RFC 8866 section 5.2), and `a=ssrc` with its cname (RFC 5576 section 6.1)."""

_LINE = re.compile(
    rb"\n(?:([osiuepc])=|a=(tool|ssrc|rtcp|candidate|remote-candidates|source-filter|path|alt"
    rb"|[Xx]-[A-Za-z0-9_-]+):)([^\r\n]*)"
)
_ORIGIN = re.compile(
    rb"(?P<username>[^ \t]+)[ \t]+[^ \t]+[ \t]+[^ \t]+[ \t]+IN[ \t]+(?P<type>[^ \t]+)[ \t]+"
    rb"(?P<address>[^ \t]+)[ \t]*"
)
_WITH_SESSION = frozenset((b"INVITE", b"ACK", b"PRACK", b"UPDATE"))


class Origin(NamedTuple):
    """The spans of the parts of an `o=` value that can name a host."""

    username: Span
    address_type: Span
    address: Span


def lines(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The lines of the description data[start:end] that can name a host: kind (the letter, or the
    name of the attribute) and the span of the value.

    Lines end with CR LF or LF. The first one (`v=`) is none of them.
    """
    for match in _LINE.finditer(data, max(start - 1, 0), end):
        yield match[1] or match[2], match.start(3), match.end(3)


def origin(data: bytes, start: int, end: int) -> Origin | None:
    """The parts of the `o=` value data[start:end]; None where it does not parse."""
    match = _ORIGIN.fullmatch(data, start, end)
    return (
        Origin(match.span("username"), match.span("type"), match.span("address")) if match else None
    )


def is_exchanged(method: bytes, status: int) -> bool:
    """Whether a message of this kind carries an offer or an answer, if it carries SDP (RFC 3261
    section 13.2.1, RFC 3262 section 5, RFC 3311 section 5).

    `method` is that of the CSeq; `status` is 0 in a request.
    """
    if method not in _WITH_SESSION:
        return False
    if not status:
        return True
    return 200 <= status < 300 or (method == b"INVITE" and 100 < status < 200)
