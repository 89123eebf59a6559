"""name-addr and addr-spec (RFC 3261 section 20.10): where the URI stands in a field value."""

import re
from typing import Final, NamedTuple

from inline_topo.sip import values

_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BARE_END: Final = re.compile(rb"[;\s,]")


class Address(NamedTuple):
    """The span of the URI in `<>` or, where `bare`, without them (parameters are the field's)."""

    start: int
    end: int
    bare: bool


def locate(data: bytes, start: int, end: int) -> Address | None:
    """The URI of the single field value data[start:end]; None where the value has none.

    `*` (RFC 3261 section 10.2.2) has none, nor does a value with an unclosed quote or bracket.
    """
    left = data.find(b"<", start, end)
    quote = data.find(b'"', start, end if left < 0 else left)
    if quote >= 0:
        quoted = _QUOTED.match(data, quote, end)
        if not quoted:
            return None
        left = data.find(b"<", quoted.end(), end)
        if left < 0:
            # A bare URI may carry a quoted parameter after it: sip:a@h;x="y".
            return _bare(data, start, end) if quote > start else None
    if left < 0:
        return _bare(data, start, end)
    right = data.find(b">", left, end)
    return Address(left + 1, right, False) if right > left + 1 else None


def tag(data: bytes, start: int, end: int) -> bytes:
    """The tag of a From or To value; empty where it has none (RFC 3261 section 19.3)."""
    where = locate(data, start, end)
    span = values.parameter(data, where.end, end, b"tag") if where else None
    return data[span[0] : span[1]] if span else b""


def _bare(data: bytes, start: int, end: int) -> Address | None:
    stop = _BARE_END.search(data, start, end)
    stop_at = stop.start() if stop else end
    return Address(start, stop_at, True) if data.find(b":", start, stop_at) > start else None
