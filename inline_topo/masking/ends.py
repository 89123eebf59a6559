"""From and To: the user stays readable, the host becomes the mask address and comes back.

    <sip:alice@10.0.0.5:5062;user=phone>  <->  <sip:alice@192.0.2.10;hid=TOKEN;user=phone>

A peer returns the URIs of From and To as it got them (RFC 3261 sections 8.2.6.2 and 12.2.1.1), so the
token comes back in both directions of the dialog. Where a client has lost it, the URI stays as it
is: a dialog is found by its tags. The host is sealed with the stable key: a dialog outlives the
rotation of the active one. A host that stands elsewhere in the URI makes a token of all of it.
"""

import re
from itertools import islice
from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking.codecs.base import Codec, OpenedUri
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_hidden, is_named
from inline_topo.masking.swap import Swap
from inline_topo.masking.uris import MASKED, OPENED, Decision, Uris
from inline_topo.sip import address
from inline_topo.sip.message import Message, Span
from inline_topo.sip.method import is_register

PARAMETER: Final = b";hid="
_PARAMETER: Final = re.compile(rb";[ \t]*(?i:hid)[ \t]*=[ \t]*([^\s;?>,]+)")
_MOST_TOKENS: Final = 4
_AUTHORITY: Final = re.compile(
    rb"(?i:sips?):(?:[^@\s<>\"]*@)?((?:\[[0-9A-Fa-f:.]+\]|[^\s:;?@<>\",\[\]/]+)(?::[0-9]{1,10})?)"
)


class Ends:
    """The rules for From and To."""

    def __init__(self, codec: Codec, uris: Uris, swap: Swap) -> None:
        self._codec = codec
        self._uris = uris
        self._swap = swap

    def mask(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """A hidden host; in a REGISTER one that lies inside (a registrar elsewhere knows its users by
        the host in To)."""
        edits: list[Edit] = []
        for span in spans:
            edits += self.mask_value(message.data, span, flow, name, is_hidden)
        if edits and is_register(message):
            edits = []
            for span in spans:
                edits += self.mask_value(message.data, span, flow, name, is_named)
        return edits

    def mask_value(
        self, data: bytes, span: Span, flow: Flow, name: str, decide: Decision
    ) -> list[Edit]:
        """The edits that mask one value."""
        where = address.locate(data, *span)
        known = self._uris.find(data[where.start : where.end]) if where else None
        if not where or not known:
            return self._swap.edits(data, span, flow, name)
        edits: list[Edit] = []
        if where.start > span[0] + 1:  # a display name
            edits = self._swap.edits(data, (span[0], where.start), flow, name)
        if not known.shows(flow, decide):
            return edits
        authority = _AUTHORITY.match(data, where.start, where.end)
        if not authority or any(is_hidden(host, flow) for host in known.elsewhere):
            return [*edits, *self._uris.mask(data, span, flow, name, decide, stable=True)]
        start, end = authority.span(1)
        token = self._codec.seal_host(data[start:end], bare=where.bare)
        new = b"".join((flow.mask, PARAMETER, token))
        if where.bare:
            before, after = data[where.start : start], data[end : where.end]
            new = b"".join((b"<", before, new, after, b">"))
            start, end = where.start, where.end
        return [*edits, Edit(start, end, new, name, MASKED)]

    def open(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """The host of a token in a value; or the whole URI."""
        data = message.data
        edits: list[Edit] = []
        for span in spans:
            if not (_PARAMETER.search(data, *span) or self._codec.may_open(data, *span)):
                continue
            where = address.locate(data, *span)
            if not where:
                continue
            for token in islice(_PARAMETER.finditer(data, where.start, span[1]), _MOST_TOKENS):
                opened = self._codec.open_host(token[1])
                if opened:
                    edits += _opened(data, span, where, name, token, opened)
                    break
                self._uris.unopened.host(token[1], data[where.start : where.end], name)
            else:
                edits += self._uris.open(data, span, name)
        return edits


def _opened(
    data: bytes,
    span: Span,
    where: address.Address,
    name: str,
    token: re.Match[bytes],
    opened: OpenedUri,
) -> list[Edit]:
    authority = _AUTHORITY.match(data, where.start, where.end)
    if not authority:
        return []
    start, end = authority.span(1)
    alone = token.span() == (end, where.end)
    if opened.bare and alone and not where.bare and where.start == span[0] + 1:
        new = data[where.start : start] + opened.uri
        return [Edit(where.start - 1, where.end + 1, new, name, OPENED)]
    if token.start() == end:
        return [Edit(start, token.end(), opened.uri, name, OPENED)]
    return [
        Edit(start, end, opened.uri, name, OPENED),
        Edit(*token.span(), b"", name, OPENED),  # moved on the way, or without the brackets
    ]


def host_of(data: bytes, span: Span) -> bytes:
    """The host in a value, with its port, as it stands there; empty where there is none."""
    where = address.locate(data, *span)
    authority = _AUTHORITY.match(data, where.start, where.end) if where else None
    return authority[1] if authority else b""
