"""Mode topos: what a request lost when it left, and how its responses get it back."""

from collections.abc import Sequence
from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking.codecs.records import pack, unpack
from inline_topo.masking.topos.dialog import vias_of
from inline_topo.masking.topos.ids import Target
from inline_topo.masking.topos.lines import as_lines, is_whole, line
from inline_topo.masking.uris import RESTORED
from inline_topo.sip import names, values
from inline_topo.sip.fields import find
from inline_topo.sip.message import Message, Span
from inline_topo.sip.names import FieldNames

_ROUTES: Final = FieldNames([names.RECORD_ROUTE])


class Lost:
    """The content of a transaction's record, as it stood in the message.

    `beside`: lower Vias in the topmost one's line, from its end; `via_lines`, `route_lines`: whole
    header lines. `contact`: the URI of the Contact, where the request may form a dialog (its Routes are the
    Record-Routes of these lines), and `nested` of which pass (keys.Keys.dialog).
    """

    __slots__ = ("beside", "contact", "nested", "route_lines", "via_lines")

    def __init__(
        self, beside: bytes, via_lines: bytes, route_lines: bytes, contact: bytes, nested: bytes
    ) -> None:
        self.beside = beside
        self.via_lines = via_lines
        self.route_lines = route_lines
        self.contact = contact
        self.nested = nested

    @staticmethod
    def of(
        message: Message,
        lower: Sequence[Span],
        routes: Sequence[Span],
        target: Target | None,
        nested: bytes,
    ) -> "Lost":
        """What `message` loses with these Vias and Record-Routes."""
        contact = target.uri if target else b""
        via_lines = _lines(message, names.VIA, lower)
        route_lines = _lines(message, names.RECORD_ROUTE, routes)
        return Lost(_beside(message, lower), via_lines, route_lines, contact, nested)

    def pack(self) -> bytes:
        """The record's content."""
        return pack((self.beside, self.via_lines, self.route_lines, self.contact, self.nested))

    @staticmethod
    def unpack(content: bytes) -> "Lost":
        """What `pack` gave."""
        beside, via_lines, route_lines, contact, nested = unpack(content)
        return Lost(beside, via_lines, route_lines, contact, nested)

    def target(self) -> Target:
        """Where the Contact's record leads."""
        lines = self.route_lines
        spans = find(lines, 0, len(lines), _ROUTES)[0].get(names.RECORD_ROUTE, [])
        routes = [lines[start:end] for start, end in values.split(lines, spans)]
        return Target(self.contact, tuple(routes))

    def vias_back(self, message: Message, topmost: Span) -> list[Edit]:
        """The edits that put the Vias below the topmost one of a message."""
        edits = []
        if self.beside:
            edits.append(Edit(topmost[1], topmost[1], self.beside, names.VIA, RESTORED))
        if self.via_lines:
            position = line(message, topmost)[1]
            text = as_lines(self.via_lines, message)
            edits.append(Edit(position, position, text, names.VIA, RESTORED))
        return edits

    def routes_back(self, message: Message) -> list[Edit]:
        """The edit that puts the Record-Routes below those that proxies outside have added; else
        above the Via."""
        if not self.route_lines:
            return []
        spans = message.fields.get(names.RECORD_ROUTE)
        vias = message.fields[names.VIA]
        position = line(message, spans[-1])[1] if spans else line(message, vias[0])[0]
        text = as_lines(self.route_lines, message)
        return [Edit(position, position, text, names.RECORD_ROUTE, RESTORED)]


def _beside(message: Message, lower: Sequence[Span]) -> bytes:
    if not lower:
        return b""
    topmost = vias_of(message)[0]  # not always on the first line
    end = next(stop for start, stop in message.fields[names.VIA] if start <= topmost[0] < stop)
    same_line = [span for span in lower if span[0] < end]
    return message.data[topmost[1] : same_line[-1][1]] if same_line else b""


def _lines(message: Message, name: str, gone: Sequence[Span]) -> bytes:
    """The lines of a field that hold values in `gone` alone."""
    if not gone:
        return b""
    lines = []
    taken = frozenset(gone)
    for span in message.fields[name]:
        if is_whole(message.data, span, taken):
            start, end = line(message, span)
            lines.append(message.data[start:end])
    return b"".join(lines)
