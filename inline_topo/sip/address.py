"""name-addr and addr-spec (RFC 3261 section 20.10): where the URI stands in a field value."""

import re
from typing import Final, NamedTuple

from inline_topo.sip import names, values

ROUTES: Final = frozenset((names.ROUTE, names.RECORD_ROUTE, names.PATH, names.SERVICE_ROUTE))
"""The fields in which a URI without brackets is the whole value (RFC 3261 section 20.34)."""

_BEFORE_BRACKET: Final = re.compile(
    rb'(?:[^<"]+|"[^"\\]*(?:\\.[^"\\]*)*")*', re.DOTALL
)  # the texts in quotes as a whole
_BARE: Final = re.compile(  # no name that <> follow
    rb"(?:[A-Za-z][A-Za-z0-9+.-]*:[^;,?<>\"]*|[^\s:;,?<>\"@]+@[^\s;,?<>\"@]*)[;,?]"
)
_BARE_END: Final = re.compile(rb"[;\s,<>\"]")
_BARE_ROUTE_END: Final = re.compile(rb"[\s,<>\"]")
_NO_SCHEME: Final = re.compile(rb"[^\s:@]+@[^\s:@]+|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_BLANKS: Final = b" \t\r\n"
_LEFT: Final = ord("<")
_QUOTE: Final = ord('"')


class Address(NamedTuple):
    """The span of the URI in `<>` or, where `bare`, without them (parameters are the field's)."""

    start: int
    end: int
    bare: bool


def locate(data: bytes, start: int, end: int, *, route: bool = False) -> Address | None:
    """The URI of the single field value data[start:end]; None where the value has none.

    A URI that nothing precedes and that is not in brackets ends at the first `;` or `,`, or behind its
    headers part; with `route` (the field is one of ROUTES) parameters belong to it, up to one with quotes.
    Quotes are read from the start of the value. `*` (RFC 3261 section 10.2.2) has none, nor does a value
    with an unclosed quote or bracket.
    """
    if data[start : start + 1] == b"<":
        left = start
    elif _BARE.match(data, start, end):
        return _bare(data, start, end, route)
    else:
        left = _bracket(data, start, end)
        if left == end:
            return None if data[start : start + 1] == b'"' else _bare(data, start, end, route)
        if left < 0:
            return None
    right = data.find(b">", left, end)
    left += 1
    while left < right and data[left] in _BLANKS:
        left += 1
    while right > left and data[right - 1] in _BLANKS:
        right -= 1
    return Address(left, right, False) if right > left else None


def tag(data: bytes, start: int, end: int) -> bytes:
    """The tag of a From or To value; empty where it has none (RFC 3261 section 19.3)."""
    where = locate(data, start, end)
    span = values.parameter(data, where.end, end, b"tag") if where else None
    return data[span[0] : span[1]] if span else b""


def _bracket(data: bytes, start: int, end: int) -> int:
    """Where the first `<` outside quotes stands; `end` where there is none, -1 where a quote does not end."""
    plain = _BEFORE_BRACKET.match(data, start, end)
    found = plain.end() if plain else start
    return found if found == end or data[found] == _LEFT else -1


def _bare(data: bytes, start: int, end: int, route: bool) -> Address | None:
    stop = (_BARE_ROUTE_END if route else _BARE_END).search(data, start, end)
    stop_at = stop.start() if stop else end
    if stop and data[stop_at] == _QUOTE:  # of a parameter of the field, or behind a `?`
        stop_at = max(data.rfind(b";", start, stop_at), data.rfind(b"?", start, stop_at), start)
    if data.find(b":", start, stop_at) > start or _NO_SCHEME.fullmatch(data, start, stop_at):
        return Address(start, stop_at, True)
    return None
