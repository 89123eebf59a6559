"""The last look at a message that leaves: what still names the inside where something routes is sealed.

The tables of a strategy leave what its receiver said himself: Routes, Request-URI, Record-Routes below
our own, the binding of a REGISTER. Who says such a thing is not known here, and outsiders send each
other what they like. So no such place names the inside in clear, whatever the profile, but for marks
that were restored (masking.strangers).
"""

from collections.abc import Sequence
from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking.cache import Cache
from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_named
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.mentions import Mentions
from inline_topo.masking.out import IN_URI
from inline_topo.masking.uris import KnownUri, Uris
from inline_topo.sip import address, names, values
from inline_topo.sip import uri as uris
from inline_topo.sip.message import Message, Span

SEAL: Final = "seal"
FILL: Final = "fill"
"""What becomes of it: it is sealed; but for the Request-URI and Routes."""

FIELDS: Final = (
    names.ROUTE,
    names.RECORD_ROUTE,
    names.PATH,
    names.CONTACT,
    names.REFER_TO,
)
"""The header fields that are looked at, beside the Request-URI."""

_ROUTES: Final = frozenset(FIELDS[:3])
_NOTHING: Final = -1  # in a header line that names nothing of the inside
_SEVERAL: Final = -2  # URIs, or none
_REMEMBERED: Final = 1 << 14
_LONGEST_REMEMBERED: Final = 512


class Rest:
    """`shown`: what outsiders know as our own. `lets_through`: a clear Request-URI and Routes leave
    (`run --fill`)."""

    def __init__(self, shown: Hosts, uris: Uris, *, lets_through: bool = False) -> None:
        self._shown = shown
        self._uris = uris
        self._lets_through = lets_through
        self._mentions = Mentions(shown)
        self._lines: Cache[tuple[bytes, bytes], int] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)

    def seal(
        self, message: Message, flow: Flow, edits: list[Edit], fields: tuple[str, ...]
    ) -> list[Edit]:
        """`edits`, and those for what they leave. Raises SealError where that does not parse."""
        found: list[Edit] = []
        if message.is_request and not self._lets_through:
            found += self._request_uri(message, flow, edits)
        for name in fields:
            spans = message.fields.get(name)
            if spans and not (name == names.ROUTE and self._lets_through):
                for span in spans:
                    found += self._line(message.data, span, flow, name, edits)
        return edits + found if found else edits

    def _line(
        self, data: bytes, span: Span, flow: Flow, name: str, edits: list[Edit]
    ) -> Sequence[Edit]:
        """The edits for one header line. Most name nothing of the inside, or are edited: that is seen
        without parsing them again."""
        start, end = span
        key = (data[start:end], flow.mask_address)
        at = self._lines.get(key)
        if at is None:
            at = self._look(key[0], flow)
            self._lines.remember(key, at, end - start)
        if at == _NOTHING or (at >= 0 and _is_edited(edits, start + at)):
            return ()
        found: list[Edit] = []
        for entry in values.split(data, [span]):
            found += self._value(data, entry, flow, name, edits)
        return found

    def _look(self, value: bytes, flow: Flow) -> int:
        """Where the one URI of a header line begins, _SEVERAL, or _NOTHING."""
        if value.find(IN_URI) < 0 and not self._mentions.found(value, flow):
            return _NOTHING
        where = address.locate(value, 0, len(value))
        is_one = where is not None and len(values.split(value, [(0, len(value))])) == 1
        return where.start if where and is_one else _SEVERAL

    def _request_uri(self, message: Message, flow: Flow, edits: list[Edit]) -> list[Edit]:
        data, span = message.data, message.request_uri
        uri = data[span[0] : span[1]]
        known = self._uris.find(uri)
        if known is None:
            self._refuse_if_named(uri, flow, names.REQUEST_URI)
            return []
        if not self._names_inside(uri, known, flow) or _is_edited(edits, span[0]):
            return []
        edit = self._uris.mask_request_uri(
            data, span, flow, is_named, names.REQUEST_URI, stable=True
        )
        return [edit] if edit else []

    def _value(
        self, data: bytes, entry: Span, flow: Flow, name: str, edits: list[Edit]
    ) -> Sequence[Edit]:
        where = address.locate(data, *entry)
        uri = data[where.start : where.end] if where else b""
        known = self._uris.find(uri) if where else None
        if not where or not known:
            self._refuse_if_named(data[entry[0] : entry[1]], flow, name)
            return ()
        if not self._names_inside(uri, known, flow) or _is_edited(edits, where.start):
            return ()
        is_route = name in _ROUTES
        return self._uris.mask(data, entry, flow, name, is_named, stable=True, route=is_route)

    def _names_inside(self, uri: bytes, known: KnownUri, flow: Flow) -> bool:
        """Whether a URI does; a Contact that mode topos wrote does not, whatever its host."""
        if not known.names_inside(flow):
            return False
        if known.marked or known.host.own:
            return True
        return not self._shown.find(uris.host(uri) or b"").own

    def _refuse_if_named(self, text: bytes, flow: Flow, name: str) -> None:
        if any(is_named(host, flow) for host in self._shown.named_in(text)):
            raise SealError(f"{name}: does not parse, and names the inside")


def _is_edited(edits: list[Edit], position: int) -> bool:
    """Whether one of `edits` takes the place of the URI that begins there."""
    for start, end, _, _, _ in edits:  # noqa: SIM110 (compiled, a generator costs more)
        if start <= position < end:
            return True
    return False
