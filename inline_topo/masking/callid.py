"""The bijection on Call-IDs (`mask_callid`).

Which side made a dialog cannot be known without state, so every Call-ID goes through one map on its
way out and through its inverse on its way in:

    inside                                outside
    names something inside or protected   a token
    marker + Y, where Y is in the set E   Y
    anything else                         itself

E holds what an outsider may choose and would not come back: what itself names the inside, and a
marker before a member of E.
"""

import re
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.hosts import Hosts
from inline_topo.sip import names, values
from inline_topo.sip.message import Span

CALL_IDS: Final = (
    names.CALL_ID,
    names.REPLACES,
    names.JOIN,
    names.TARGET_DIALOG,
    names.IN_REPLY_TO,
    names.EVENT,
)
"""Fields that carry Call-IDs."""

_IN_URI: Final = re.compile(
    rb"[?&](?:Replaces|Join|Target-Dialog|In-Reply-To|Call-ID|i)=((?:(?!%3B)[^&;>\s])+)",
    re.IGNORECASE,
)
DIALOG_IDS: Final = re.compile(
    rb"(?<=[?&])(?:Replaces|Join|Target-Dialog|In-Reply-To|Call-ID|i)=[^&]*", re.IGNORECASE
)
"""The headers in the headers part of a URI that name a dialog: they go by the rules for Call-IDs."""

_CALLID: Final = re.compile(rb"[^\x00-\x20\x7f,;]+")  # RFC 3261's callid, and more that parses
_SAFE_IN_HEADERS: Final = (
    "[]/?:+$-_.!~*'()"  # hnv-unreserved and unreserved (RFC 3261 section 25.1)
)


class CallIds:
    """Maps single Call-IDs, without blanks."""

    def __init__(self, codec: Codec, hosts: Hosts, prefix: bytes = b"!!:") -> None:
        self._codec = codec
        self._hosts = hosts
        self._marker = b"!" + prefix

    def mask(self, callid: bytes) -> bytes:
        """The Call-ID that the outside sees."""
        if callid.startswith(self._marker):
            rest = callid[len(self._marker) :]
            if self._is_escaped(rest):
                return rest
        return self._codec.seal_callid(callid) if self._is_mintable(callid) else callid

    def unmask(self, callid: bytes, *, escape: bool = True) -> bytes:
        """The Call-ID that the inside sees; without `escape` (a peer whose Call-IDs are not masked,
        by policy) tokens open and nothing else changes."""
        original = self._codec.open_callid(callid)
        if original and self._is_mintable(original):
            return original
        return self._marker + callid if escape and self._is_escaped(callid) else callid

    def _is_mintable(self, callid: bytes) -> bool:
        """Whether we would make a token of it: a token of ours included (a spiral)."""
        if not _CALLID.fullmatch(callid):
            return False
        inner = self._codec.open_callid(callid)
        if inner is not None and self._is_mintable(inner):
            return True
        return self._hosts.mentions(callid) and not (
            callid.startswith(self._marker) and self._is_escaped(callid[len(self._marker) :])
        )

    def _is_escaped(self, callid: bytes) -> bool:
        """Whether `callid` comes in with a marker before it."""
        while callid.startswith(self._marker):
            callid = callid[len(self._marker) :]
        return bool(_CALLID.fullmatch(callid)) and self._hosts.mentions(callid)


def locate(data: bytes, spans: list[Span], name: str) -> list[Span]:
    """The spans of the Call-IDs in the values of a field of this name."""
    if name == names.EVENT:  # RFC 4235 section 3.2
        found = [values.parameter(data, start, end, b"call-id") for start, end in spans]
        return [_unquote(data, span) for span in found if span and span[0] < span[1]]
    if name == names.IN_REPLY_TO:
        return values.split(data, spans)
    # Call-ID, and Replaces and its kin, which go on with parameters (RFC 3891, RFC 3911, RFC 4538).
    matches = [_CALLID.match(data, *span) for span in spans]
    return [match.span() for match in matches if match]


def _unquote(data: bytes, span: Span) -> Span:
    quoted = data[span[0] : span[0] + 1] == b'"'
    return (span[0] + 1, span[1] - 1) if quoted else span


def locate_in_uris(data: bytes, spans: list[Span]) -> list[Span]:
    """The spans of the percent-encoded Call-IDs in the headers parts of URIs (RFC 3891 section 3)."""
    return [match.span(1) for span in spans for match in _IN_URI.finditer(data, *span)]


def escape_like(callid: bytes, sample: bytes) -> bytes:
    """`callid` percent-encoded for the headers part of a URI, with hex digits in the sample's case."""
    escaped = quote_from_bytes(callid, safe=_SAFE_IN_HEADERS).encode()
    if re.search(rb"%(?:[0-9][a-f]|[a-f][0-9a-f])", sample):
        return re.sub(rb"%[0-9A-F]{2}", lambda match: match[0].lower(), escaped)
    return escaped


unescape = unquote_to_bytes
