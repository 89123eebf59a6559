"""A SIP message within another, whole (RFC 3261 section 23) or in part (message/sipfrag, RFC 3420).

Nobody routes by it, so one rule does for all of its fields: what is hidden is masked, the topmost Via,
From and To included, and whatever opens is opened.
"""

from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking import callid
from inline_topo.masking.bodies import entity
from inline_topo.masking.bodies.base import (
    BODY_CALL_ID,
    BODY_URI,
    BODY_VIA,
    Pass,
)
from inline_topo.masking.callid import CALL_IDS
from inline_topo.masking.carriers import IDENTITIES, PATHS, REFERENCES
from inline_topo.masking.codecs.base import Codec, SealError
from inline_topo.masking.hidden import is_hidden
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.uris import MASKED, OPENED, Uris, replace_uri
from inline_topo.sip import address, message, names, values
from inline_topo.sip.message import Malformed, Message, Span
from inline_topo.sip.names import FieldNames

ADDRESSES: Final = frozenset(
    (
        *(names.FROM, names.TO, names.CONTACT, names.ROUTE, names.RECORD_ROUTE),
        *(*PATHS, *REFERENCES, *IDENTITIES),
    )
)
"""The fields whose URIs are masked."""

_NAMES: Final = FieldNames({*ADDRESSES, *CALL_IDS, names.VIA, *names.OF_BODY})


class Fragments:
    """Edits on the header fields of one fragment; its body is its caller's."""

    def __init__(self, codec: Codec, hosts: Hosts, uris: Uris) -> None:
        self._codec = codec
        self._hosts = hosts
        self._uris = uris

    def edits(self, fragment: Message, how: Pass) -> list[Edit]:
        """The edits that mask or open a fragment."""
        edits: list[Edit] = []
        if how.masking:
            edits += self._mask(fragment, how)
        elif how.opens:
            edits += self._open(fragment)
        if how.call_id:
            edits += _map_call_ids(fragment, how)
        return edits

    def _mask(self, fragment: Message, how: Pass) -> list[Edit]:
        if not how.seal:
            return []
        data = fragment.data
        edits: list[Edit] = []
        for name, spans in fragment.fields.items():
            for span in values.split(data, spans):
                if name == names.VIA:
                    edits += self._mask_via(data, span, how)
                elif name in ADDRESSES:
                    edits += self._mask_address(data, span, how)
        uri = data[fragment.request_uri[0] : fragment.request_uri[1]]
        known = self._uris.find(uri) if uri else None
        sealed = how.seal(uri[: known.length], known, False) if known else None
        if known and sealed:
            start = fragment.request_uri[0]
            edits.append(Edit(start, start + known.length, sealed, BODY_URI, MASKED))
        return edits

    def _mask_via(self, data: bytes, span: Span, how: Pass) -> list[Edit]:
        named = self._hosts.named_in(data[span[0] : span[1]])
        if not any(is_hidden(host, how.flow) for host in named):
            return []
        sealed = self._codec.seal_quoted_via(data[span[0] : span[1]], how.flow.mask)
        return [Edit(*span, sealed, BODY_VIA, MASKED)]

    def _mask_address(self, data: bytes, span: Span, how: Pass) -> list[Edit]:
        """A value that is no URI stays, unless it names something hidden: SealError."""
        where = address.locate(data, *span)
        uri = data[where.start : where.end] if where else b""
        known = self._uris.find(uri) if where else None
        if not where or not known or not how.seal:
            named = self._hosts.named_in(data[span[0] : span[1]])
            if any(is_hidden(host, how.flow) for host in named):
                raise SealError("a URI in a body does not parse")
            return []
        sealed = how.seal(uri[: known.length], known, where.bare)
        if sealed is None:
            return []
        stop = where.start + known.length
        return list(
            replace_uri(where.start, stop, where.end, sealed, BODY_URI, MASKED, bracket=where.bare)
        )

    def _open(self, fragment: Message) -> list[Edit]:
        data = fragment.data
        edits: list[Edit] = []
        for name, spans in fragment.fields.items():
            for span in values.split(data, spans):
                if name in ADDRESSES:
                    edits += self._uris.open(data, span, BODY_URI)
                elif name == names.VIA:
                    value = data[span[0] : span[1]]
                    opened = self._codec.open_quoted_via(value)
                    if opened:
                        edits.append(Edit(*span, opened, BODY_VIA, OPENED))
                    else:
                        self._uris.unopened.via(value, BODY_VIA)
        if fragment.is_request:
            edit = self._uris.open_request_uri(data, fragment.request_uri, BODY_URI)
            edits += [edit] if edit else []
        return edits


def parse(data: bytes) -> Message:
    """The fragment in `data`, which begins with a line break and may have no start line. Raises
    Malformed."""
    try:
        fragment = message.parse(data, _NAMES, _NAMES)
    except Malformed:
        fragment = None  # a Via's SIP/2.0 is not that of a start line
    if fragment is None:
        fragment = Message(data, b"", 0, (0, 0))
        empty = entity.EMPTY_LINE.search(data, 1)
        fragment.headers = (1, empty.start() if empty else len(data))
        fragment.body = empty.end() if empty else len(data)
        fragment.fields = message.find_fields(fragment, _NAMES)
    return fragment


def swappable(fragment: Message) -> list[Span]:
    """What of a fragment that enters may be swapped: the start line and the fields that would be masked,
    but for what stands behind the URIs of From and To (a tag)."""
    spans = [fragment.request_uri] if fragment.is_request else []
    for name, found in fragment.fields.items():
        if name == names.VIA or name in ADDRESSES:
            for start, end in found:
                where = address.locate(fragment.data, start, end)
                is_end = name in (names.FROM, names.TO) and where
                spans.append((start, where.end if is_end and where else end))
    return sorted(spans)


def _map_call_ids(fragment: Message, how: Pass) -> list[Edit]:
    """The Call-IDs in fields, and in the headers parts of URIs."""
    data = fragment.data
    edits = []
    for name, spans in fragment.fields.items():
        if name in CALL_IDS:
            for span in callid.locate(data, spans, name):
                edits.append(
                    Edit(*span, how.map(data[span[0] : span[1]]), BODY_CALL_ID, how.action)
                )
        else:
            for span in callid.locate_in_uris(data, spans):
                escaped = data[span[0] : span[1]]
                clear = callid.unescape(escaped)
                mapped = how.map(clear)
                new = escaped if mapped == clear else callid.escape_like(mapped, escaped)
                edits.append(Edit(*span, new, BODY_CALL_ID, how.action))
    return [edit for edit in edits if edit.new != data[edit.start : edit.end]]
