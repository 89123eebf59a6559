"""The values of header fields as the audit parts them: lists, addresses, hosts (RFC 3261 section 25.1).

Each function takes time that grows with the length of its value alone. Where a value is odd, less of
it counts as what may be excused.
"""

import re
import socket
from typing import Final, NamedTuple

Span = tuple[int, int]

MOST_VALUES: Final = 1024
"""Values of one list that are parted; the rest counts as one."""

_MARKS: Final = re.compile(rb'[",<>\\]')
_BLANKS: Final = b" \t\r\n"
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_DISPLAY_NAME: Final = re.compile(rb'[^:;@"<>,=?]*+')
_URI_ENDS: Final = re.compile(rb"[;,\s]")
_SCHEME: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):(?://)?")
_HOST: Final = re.compile(rb"\[([0-9A-Fa-f:.]+)[^\]]*\]|([^\s:;?/>,\[]+)")
_VIA: Final = re.compile(
    rb"\s*[^\s/;,]+\s*/\s*[^\s/;,]+\s*/\s*[^\s/;,]+\s+"
    rb"(\[[^\]\s]*\]|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*|[^\s:;,\[\]]+)(?:\s*:\s*[0-9]{1,10})?"
    rb"(?=\s*(?:;|\Z))"
)
_BRANCH: Final = re.compile(rb";\s*branch\s*=\s*([^\s;,\"]+)", re.IGNORECASE)


class Address(NamedTuple):
    """A value with a URI: the span of the URI, without brackets. What stands before it is a display
    name, what stands behind it are parameters."""

    start: int
    end: int


class Via(NamedTuple):
    """A via-parm: the span of its host, the end of host and port, and the span of its branch (empty
    where there is none)."""

    host: Span
    sent_by_end: int
    branch: Span


def split(data: bytes, spans: list[Span]) -> list[Span]:
    """The spans of the values in comma-separated lists; commas in quotes or brackets part nothing,
    unless a quote or bracket is left open."""
    found: list[Span] = []
    for start, end in spans:
        commas = _commas(data, start, end)
        first = start
        for comma in commas:
            _append(found, data, first, comma)
            first = comma + 1
        _append(found, data, first, end)
    return found


def _commas(data: bytes, start: int, end: int) -> list[int]:
    if data.find(b",", start, end) < 0:
        return []
    commas: list[int] = []
    is_quoted = is_bracketed = False
    escaped = -1
    for match in _MARKS.finditer(data, start, end):
        at = match.start()
        mark = data[at]
        if at == escaped:
            continue
        if is_quoted:
            if mark == 92:
                escaped = at + 1
            elif mark == 34:
                is_quoted = False
        elif is_bracketed:
            is_bracketed = mark != 62
        elif mark == 34:
            is_quoted = True
        elif mark == 60:
            is_bracketed = True
        elif mark == 44:
            commas.append(at)
            if len(commas) >= MOST_VALUES:
                return commas
    if is_quoted or is_bracketed:
        commas, at = [], data.find(b",", start, end)
        while at >= 0 and len(commas) < MOST_VALUES:
            commas.append(at)
            at = data.find(b",", at + 1, end)
    return commas


def _append(found: list[Span], data: bytes, start: int, end: int) -> None:
    while start < end and data[start] in _BLANKS:
        start += 1
    while end > start and data[end - 1] in _BLANKS:
        end -= 1
    if start < end:
        found.append((start, end))


def address(data: bytes, start: int, end: int) -> Address | None:
    """The URI of a name-addr or addr-spec; None where it is not sure where that stands.

    In an addr-spec it ends at the first semicolon: what follows are parameters of the field (RFC
    3261 section 20.10), whatever brackets and quotes they hold.
    """
    if data[start : start + 1] == b'"':
        quoted = _QUOTED.match(data, start, end)
        if quoted is None:
            return None
        opens = quoted.end()
        while opens < end and data[opens] in _BLANKS:
            opens += 1
        if data[opens : opens + 1] != b"<":
            return None
    else:
        name = _DISPLAY_NAME.match(data, start, end)
        opens = name.end() if name else start
    if opens < end and data[opens] == 60:
        closes = data.find(b">", opens, end)
        if closes < 0:
            return None
        behind = closes + 1
        while behind < end and data[behind] in _BLANKS:
            behind += 1
        if behind < end and data[behind] != 59:
            return None
        return Address(opens + 1, closes)
    stop = _URI_ENDS.search(data, start, end)
    return Address(start, stop.start() if stop else end)


def host_of(uri: bytes) -> bytes:
    """The host of a URI in one spelling: packed, or a name in lower case; empty where there is none."""
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return b""
    rest = uri[scheme.end() :].partition(b"?")[0]
    host = _HOST.match(rest.rpartition(b"@")[2])
    return plain_host(host[1] or host[2]) if host else b""


def plain_host(host: bytes) -> bytes:
    """A host in one spelling: packed, or a name in lower case without its final dot."""
    text = host.strip(b"[]")
    try:
        family = socket.AF_INET6 if b":" in text else socket.AF_INET
        return socket.inet_pton(family, text.decode("ascii"))
    except (OSError, ValueError):
        return text.lower().rstrip(b".")


def via(data: bytes, start: int, end: int) -> Via | None:
    """The parts of a via-parm; None where it does not parse."""
    match = _VIA.match(data, start, end)
    if match is None:
        return None
    branch = _BRANCH.search(data, match.end(), end)
    return Via(match.span(1), match.end(), branch.span(1) if branch else (end, end))


def parameter(data: bytes, start: int, end: int, name: bytes) -> Span | None:
    """The value of the first parameter of this name, without quotes."""
    match = re.compile(rb";\s*%s\s*=\s*(\"?)([^\s;,\"]*)" % name, re.IGNORECASE).search(
        data, start, end
    )
    return match.span(2) if match else None
