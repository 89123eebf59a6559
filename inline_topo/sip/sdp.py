"""SDP by span (RFC 8866): the lines that can name a host, the origin, and which messages carry it."""

import re
from collections.abc import Iterator
from typing import Final

MEDIA_TYPE: Final = b"application/sdp"

TEXTS: Final = frozenset((b"s", b"i", b"u", b"e", b"p", b"tool"))
"""Lines for people, and what made the description."""

MEDIA: Final = frozenset(
    (b"c", b"rtcp", b"candidate", b"remote-candidates", b"source-filter", b"path", b"alt")
)
"""Lines that say where media goes: RFC 8866 section 5.7, RFC 3605, RFC 8839, RFC 4570, RFC 4975, and
an `alt` of old."""

ORIGIN, SOURCE = b"o", b"ssrc"
"""`o=` (RFC 8866 section 5.2), and `a=ssrc` with its cname (RFC 5576 section 6.1)."""

_LINE: Final = re.compile(
    rb"\n(?:([osiuepc])=|a=(tool|ssrc|rtcp|candidate|remote-candidates|source-filter|path|alt"
    rb"|[Xx]-[A-Za-z0-9_-]+):)(?!-?\r?\n)([^\r\n]*)"
)
USUAL: Final = re.compile(
    rb"v=0\r\no=([^ \r\n]+) ([^ \r\n]+ [^ \r\n]+ IN) (IP[46] [^ \r\n]+)\r\n"
    rb"(s=[^\r\n]*\r\n(?:c=[^\r\n]*\r\n)?)"
)
"""How most descriptions begin: the user name of the origin, its numbers, its address, and the lines of
the session that may name a host."""

_WITH_SESSION: Final = frozenset((b"INVITE", b"ACK", b"PRACK", b"UPDATE"))


def lines(data: bytes, start: int, end: int) -> Iterator[re.Match[bytes]]:
    """The lines of the description data[start:end] that can name a host: a letter (group 1) or the
    name of an attribute (2), and the value (3), which is not empty and no dash.

    Lines end with CR LF or LF. The first one (`v=`) is none of them.
    """
    return _LINE.finditer(data, max(start - 1, 0), end)


def has_lines(data: bytes, start: int, end: int) -> bool:
    """Whether there is any of those lines."""
    return _LINE.search(data, max(start - 1, 0), end) is not None


def origin(value: bytes) -> list[bytes] | None:
    """The six words of an `o=` value: user name, session's id and version, IN, address type, address.

    None where it is not written as RFC 8866 has it.
    """
    words = value.split(b" ")
    return words if len(words) == 6 and words[3] == b"IN" and all(words) else None


def is_exchanged(method: bytes, status: int) -> bool:
    """Whether a message of this kind carries an offer or an answer, if it carries SDP (RFC 3261
    section 13.2.1, RFC 3262 section 5, RFC 3311 section 5).

    `method` is that of the CSeq; `status` is 0 in a request.
    """
    if method not in _WITH_SESSION:
        return False
    if not status or method == b"ACK":
        return not status
    return 200 <= status < 300 or (method == b"INVITE" and 100 < status < 200)
