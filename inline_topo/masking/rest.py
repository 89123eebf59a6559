"""The last look at a message that leaves: what still names the inside where something routes is sealed.

The tables of a strategy leave what its receiver said himself: Routes, Request-URI, Record-Routes below
our own, the binding of a REGISTER. Who says such a thing is not known here, and outsiders send each
other what they like. So no such place names the inside in clear, whatever the profile, but for marks
that were restored (masking.strangers).

A URI is sealed. What stands beside it is read by people or by nobody (a display name, the parameters of
a field) or is put into another message (the headers part of a Refer-To), where a token of a URI's would
be none: hosts in it are swapped, as they are in text. In a Request-URI and in routes a headers part
may not stand at all (RFC 3261 section 19.1.1), so no proxy uses it, and it is taken out.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking.cache import Cache
from inline_topo.masking.callid import DIALOG_IDS
from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_named
from inline_topo.masking.hosts import PLAIN_QUAD, Host, Hosts, may_be_odd
from inline_topo.masking.mentions import Mentions
from inline_topo.masking.out import IN_URI
from inline_topo.masking.settle import outside_of
from inline_topo.masking.swap import Swap
from inline_topo.masking.uris import STRIPPED, KnownUri, Uris, plain_route_host
from inline_topo.sip import address, names, values
from inline_topo.sip import uri as uris
from inline_topo.sip.message import Message, Span
from inline_topo.sip.method import is_register

SEAL: Final = "seal"
FILL: Final = "fill"
"""What becomes of it: it is sealed; but for the Request-URI and Routes."""

FIELDS: Final = (
    names.ROUTE,
    names.RECORD_ROUTE,
    names.PATH,
    names.SERVICE_ROUTE,
    names.CONTACT,
    names.REFER_TO,
)
"""The header fields that are looked at, beside the Request-URI."""

_ROUTES: Final = address.ROUTES
_NO_HEADERS: Final = frozenset((names.REQUEST_URI, *_ROUTES))
_LONGEST_SWAPPED: Final = 4096  # bytes beside a URI
_NOTHING: Final = -1  # in a header line that names nothing of the inside
_SEVERAL: Final = -2  # URIs, or none, or something beside it
_REMEMBERED: Final = 1 << 14
_LONGEST_REMEMBERED: Final = 512


class Taken:
    """The spans that edits replace, sorted when they are first looked up: most often none is."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits
        self._starts: list[int] | None = None
        self._ends: list[int] = []

    def holds(self, position: int) -> bool:
        """Whether one of the edits takes the place of what begins there."""
        for start, end, _, _, _ in self._edits:  # noqa: SIM110 (compiled, a generator costs more)
            if start <= position < end:
                return True
        return False

    def within(self, span: Span) -> list[Span]:
        """Those that have a byte of `span`."""
        if self._starts is None:
            spans = sorted([(one.start, one.end) for one in self._edits if one.end > one.start])
            self._starts = [start for start, _ in spans]
            self._ends = [end for _, end in spans]
        found = []
        index = bisect_right(self._ends, span[0])
        while index < len(self._starts) and self._starts[index] < span[1]:
            found.append((self._starts[index], self._ends[index]))
            index += 1
        return found


class Rest:
    """`shown`: what outsiders know as our own. `lets_through`: a clear Request-URI and Routes leave
    (`run --fill`)."""

    def __init__(self, shown: Hosts, uris: Uris, *, lets_through: bool = False) -> None:
        self._shown = shown
        self._uris = uris
        self._swap = Swap(shown)
        self._lets_through = lets_through
        self._mentions = Mentions(shown)
        self._named: Cache[bytes, tuple[Host, ...]] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)
        self._lines: Cache[tuple[bytes, bytes, bool], int] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)

    def seal(
        self, message: Message, flow: Flow, edits: list[Edit], fields: tuple[str, ...]
    ) -> list[Edit]:
        """`edits`, and those for what they leave. Raises SealError where that does not parse."""
        found: list[Edit] = []
        taken = Taken(edits)
        if message.is_request and not self._lets_through:
            found += self._request_uri(message, flow, taken)
        for name in fields:
            spans = message.fields.get(name)
            if spans and not (name == names.ROUTE and self._lets_through):
                for span in spans:
                    found += self._line(message, span, flow, name, taken)
        return edits + found if found else edits

    def _line(
        self, message: Message, span: Span, flow: Flow, name: str, taken: Taken
    ) -> Sequence[Edit]:
        """The edits for one header line. Most name nothing of the inside, or are edited: that is seen
        without parsing them again."""
        data, (start, end) = message.data, span
        key = (data[start:end], flow.mask_address, name in _ROUTES)
        at = self._lines.get(key)
        if at is None:
            at = self._look(key[0], flow, name)
            self._lines.remember(key, at, end - start)
        if at == _NOTHING or (at >= 0 and taken.holds(start + at)):
            return ()
        found: list[Edit] = []
        for entry in values.split(data, [span]):
            found += self._value(message, entry, flow, name, taken)
        return found

    def _look(self, value: bytes, flow: Flow, name: str) -> int:
        """Where the one URI of a header line begins, _SEVERAL (also where something is named beside it),
        or _NOTHING."""
        if name in _ROUTES and self._is_plain(value, flow):
            return _NOTHING
        packed = self._uris.packed
        if (
            value.find(IN_URI) < 0
            and not self._mentions.found(value, flow)
            and not self._shown.has_name(value)  # in a longer word, too
            and not (may_be_odd(value) and self._is_named(value, flow))
            and not (packed.may_be_in(value) and packed.pieces(value))
        ):
            return _NOTHING
        where = address.locate(value, 0, len(value), route=name in _ROUTES)
        known = self._uris.find(value[where.start : where.end]) if where else None
        if not where or not known or len(values.split(value, [(0, len(value))])) != 1:
            return _SEVERAL
        behind = where.start + known.length
        named = self._is_named(value[: where.start] + b" " + value[behind:], flow)
        return _SEVERAL if named else where.start

    def _is_plain(self, value: bytes, flow: Flow) -> bool:
        """Whether a route is an address that is not inside, with nothing beside it that could be."""
        text = plain_route_host(value, 0, len(value))
        if not text or not PLAIN_QUAD.fullmatch(text) or self._shown.has_name(value):
            return False
        host = self._shown.find(text)
        return bool(host.address) and not is_named(host, flow)

    def _request_uri(self, message: Message, flow: Flow, taken: Taken) -> list[Edit]:
        data, span = message.data, message.request_uri
        uri = data[span[0] : span[1]]
        known = self._uris.find(uri)
        if known is None:
            self._refuse_if_named(uri, flow, names.REQUEST_URI)
            return []
        found: list[Edit] = []
        if self._names_inside(uri, known, flow) and not taken.holds(span[0]):
            edit = self._uris.mask_request_uri(
                data, span, flow, is_named, names.REQUEST_URI, stable=True
            )
            found += [edit] if edit else []
        if known.beyond:
            stop = span[0] + known.length
            found += self._headers_part(data, (stop, span[1]), flow, names.REQUEST_URI, taken)
        return found

    def _value(
        self, message: Message, entry: Span, flow: Flow, name: str, taken: Taken
    ) -> Sequence[Edit]:
        data = message.data
        where = address.locate(data, *entry, route=name in _ROUTES)
        uri = data[where.start : where.end] if where else b""
        known = self._uris.find(uri) if where else None
        if not where or not known:
            self._refuse_if_named(data[entry[0] : entry[1]], flow, name)
            return ()
        if uris.names_part(uri):
            left = _left(data, entry, taken.within(entry))
            self._refuse_if_named(left, flow, name)
            return ()
        found: list[Edit] = []
        goes_back = bool(known.packed) and _goes_back(message, name)
        if self._names_inside(uri, known, flow, goes_back) and not taken.holds(where.start):
            span = where.start, where.start + known.length
            within = taken.within(span)  # hosts that `hide.swap` swaps
            if not within:
                is_route = name in _ROUTES
                found += self._uris.seal(
                    data, where, known, flow, name, stable=True, route=is_route
                )
            elif known.marked or self._is_named(_left(data, span, within), flow):
                raise SealError(f"{name}: names the inside in an odd way")
        if known.beyond:
            stop = where.start + known.length
            found += self._headers_part(data, (stop, where.end), flow, name, taken)
        for beside in ((entry[0], where.start), (where.end, entry[1])):
            if beside[1] - beside[0] > 1:
                found += self._beside(data, beside, flow, name, taken)
        return found

    def _names_inside(
        self, uri: bytes, known: KnownUri, flow: Flow, goes_back: bool = True
    ) -> bool:
        """Whether a URI does; a Contact that mode topos wrote does not, whatever its host."""
        if not known.names_inside(flow, goes_back=goes_back):
            return False
        if known.marked or known.host.own:
            return True
        return not self._shown.find(uris.host(uri) or b"").own

    def _beside(
        self, data: bytes, span: Span, flow: Flow, name: str, taken: Taken
    ) -> Sequence[Edit]:
        """What stands before a URI or behind it. Raises SealError where it names the inside in a spelling
        that cannot be swapped."""
        if not self._is_named(data[span[0] : span[1]], flow):
            return ()
        spans = taken.within(span)
        if span[1] - span[0] > _LONGEST_SWAPPED:
            raise SealError(f"{name}: too long for hosts in it to be swapped")
        swapped = outside_of(self._swap.edits(data, span, flow, name, is_named), spans)
        if self._is_named(_left(data, span, [*spans, *map(_span, swapped)]), flow):
            raise SealError(f"{name}: names the inside in an odd way")
        return swapped

    def _headers_part(
        self, data: bytes, span: Span, flow: Flow, name: str, taken: Taken
    ) -> Sequence[Edit]:
        """What stands behind the `?` of a URI, but for what names a dialog: hosts are swapped, and where
        they are spelled in an odd way all goes."""
        if not self._is_named(data[span[0] : span[1]], flow):
            return ()
        spans = taken.within(span)
        if spans and not self._is_named(_left(data, span, spans), flow):
            return ()
        if name not in _NO_HEADERS and span[1] - span[0] <= _LONGEST_SWAPPED:
            ids = [match.span() for match in DIALOG_IDS.finditer(data, *span)]
            kept = sorted({*ids, *spans}) if spans else ids
            swapped = outside_of(self._swap.edits(data, span, flow, name, is_named), kept)
            if not self._is_named(_left(data, span, [*kept, *map(_span, swapped)]), flow):
                return swapped
        if spans:
            raise SealError(f"{name}: the headers part of a URI names the inside in an odd way")
        left = b"&".join([] if name in _NO_HEADERS else DIALOG_IDS.findall(data, *span))
        return [Edit(*span, b"?" + left if left else b"", name, STRIPPED)]

    def _refuse_if_named(self, text: bytes, flow: Flow, name: str) -> None:
        if self._is_named(text, flow):
            raise SealError(f"{name}: does not parse, and names the inside")

    def _is_named(self, text: bytes, flow: Flow) -> bool:
        hosts = self._named.get(text)
        if hosts is None:
            hosts = tuple(self._shown.named_in_uri(text))
            self._named.remember(text, hosts, len(text))
        return bool(hosts) and any(is_named(host, flow) for host in hosts)


def _goes_back(message: Message, name: str) -> bool:
    """Whether a field goes to where its values came from: routes, the Record-Routes and the Path that came
    with a request, the bindings that a registrar lists."""
    if message.is_request:
        return name == names.ROUTE
    lists = 200 <= message.status < 300 and is_register(message)
    return lists if name == names.CONTACT else name in (names.RECORD_ROUTE, names.PATH)


def _left(data: bytes, span: Span, taken: list[Span]) -> bytes:
    """What stands in a span outside of others."""
    pieces = []
    at, stop = span
    for start, end in sorted(taken):
        if start > at:
            pieces.append(data[at:start])
        at = max(at, end)
    if at < stop:  # a span may reach beyond; compiled, such a slice is an error
        pieces.append(data[at:stop])
    return b" ".join(pieces)


def _span(edit: Edit) -> Span:
    return edit.start, edit.end
