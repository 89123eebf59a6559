"""From and To: the user stays readable, the host becomes the mask address and comes back.

    <sip:alice@10.0.0.5:5062;user=phone>  <->  <sip:alice@192.0.2.10;hid=TOKEN;user=phone>

A peer returns the URIs of From and To as it got them (RFC 3261 sections 8.2.6.2 and 12.2.1.1), so the
token comes back in both directions of the dialog. Where a client has lost it, the URI stays as it
is: a dialog is found by its tags. The host is sealed with the stable key: a dialog outlives the
rotation of the active one. Where a host stands elsewhere in the URI, the token holds all of it:

    <sip:alice@10.0.0.5;maddr=10.0.0.6>  <->  <sip:192.0.2.10;hid=TOKEN>

Nothing opens here but what was made for here: a token for a URI, from a Contact, would be read out to
whoever gets the message.
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking.codecs.base import Codec, OpenedUri
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_hidden, is_named
from inline_topo.masking.swap import Swap
from inline_topo.masking.uris import MASKED, OPENED, Decision, Uris, replace_uri
from inline_topo.sip import address
from inline_topo.sip.message import Message, Span
from inline_topo.sip.method import is_register
from inline_topo.sip.uri import LITERAL

PARAMETER: Final = b";hid="
_PARAMETER: Final = re.compile(rb";[ \t]*(?i:hid)[ \t]*=[ \t]*([^\s;?>,]+)")
_MOST_TOKENS: Final = 4
_AUTHORITY: Final = re.compile(
    rb"(?i:sips?):(?:[^@\s<>\"]*@)?((?:" + LITERAL + rb"|[^\s:;?@<>\",\[\]/]+)(?::[0-9]{1,10})?)"
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
        beside = known.packed or any(is_hidden(host, flow) for host in known.elsewhere)
        if not authority or beside:
            uri = data[where.start : where.start + known.length]
            token = self._codec.seal_end(uri, bare=where.bare)
            scheme = b"sips:" if uri[:5].lower() == b"sips:" else b"sip:"
            new = b"".join((scheme, flow.mask, PARAMETER, token))
            stop = where.start + known.length
            return [
                *edits,
                *replace_uri(where.start, stop, where.end, new, name, MASKED, bracket=where.bare),
            ]
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
            where = address.locate(data, *span) if _PARAMETER.search(data, *span) else None
            if not where:
                continue
            for token in islice(_PARAMETER.finditer(data, where.start, span[1]), _MOST_TOKENS):
                opened = self._codec.open_host(token[1])
                if opened:
                    edits += _opened(data, span, where, name, token, opened)
                    break
                whole = self._codec.open_end(token[1])
                if whole:
                    edits += _opened_whole(span, where, name, whole)
                    break
                self._uris.unopened.host(token[1], data[where.start : where.end], name)
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


def _opened_whole(
    span: Span, where: address.Address, name: str, opened: OpenedUri
) -> Sequence[Edit]:
    if opened.bare and not where.bare and where.start == span[0] + 1:
        return (Edit(where.start - 1, where.end + 1, opened.uri, name, OPENED),)
    bracket = where.bare and b";" in opened.uri
    start, end = where.start, where.end
    return replace_uri(start, end, end, opened.uri, name, OPENED, bracket=bracket)


def host_of(data: bytes, span: Span) -> bytes:
    """The host in a value, with its port, as it stands there; empty where there is none."""
    where = address.locate(data, *span)
    authority = _AUTHORITY.match(data, where.start, where.end) if where else None
    return authority[1] if authority else b""
