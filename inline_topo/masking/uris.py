"""Masking and opening the URI in one field value, `?headers` left outside the token."""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from inline_topo.bounds import LONGEST_HOST, TooMuch
from inline_topo.edits import Edit
from inline_topo.masking.cache import Cache
from inline_topo.masking.codecs.base import BARE, BARE_WHOLE, LOOSE, Codec, SealError
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_hidden, is_named, is_not_own
from inline_topo.masking.hosts import NO_HOST, UNKNOWN, Host, Hosts
from inline_topo.masking.out import IN_URI, Outs
from inline_topo.masking.packed import Packed
from inline_topo.masking.unopened import Unopened
from inline_topo.sip import address, values
from inline_topo.sip import uri as uris
from inline_topo.sip.message import Span

MASKED: Final = "masked"
OPENED: Final = "opened"
REMOVED: Final = "removed"  # mode topos: into a store
RESTORED: Final = "restored"  # mode topos: from there
WITHDRAWN: Final = "withdrawn"  # a drain: a token's binding, from a registrar
SWAPPED: Final = "swapped"
STRIPPED: Final = "stripped"
REPLACED: Final = "replaced"
MARKED: Final = "marked"  # a stranger's URI that names the inside, on its way in
UNMARKED: Final = "unmarked"  # it is as the stranger wrote it again
IRREVERSIBLE: Final = (SWAPPED, STRIPPED, REPLACED)
"""Actions of edits that nothing undoes on the way in."""

_SIMPLE_ROUTE: Final = re.compile(
    rb"<sips?:(?:[A-Za-z0-9_~-]+@)?([A-Za-z0-9.-]+)(?::[0-9]+)?(?:;[A-Za-z0-9;=_~-]*)?>"
)
_PLAIN_ROUTE: Final = re.compile(  # beside the host stands nothing that could hide one
    rb"<sips?:([A-Za-z0-9.-]+)(?::[0-9]+)?"
    rb"(?:;(?:lr|lr=on|r2=on|ob|nat=yes|transport=[a-z]{2,4}|ftag=(?:[A-Za-z0-9~]|[_-](?![0-9]))*))*>"
)
_MOST_FOLDS: Final = 64
_ENDS_BARE_URI: Final = re.compile(rb"[;,? \"]")  # RFC 3261 section 20.10
_READABLE: Final = re.compile(rb"[A-Za-z0-9.!%*_+`'~=:/-]+")
_QUOTED: Final = re.compile(rb'"[^"]*"?')
_LOOSE: Final = b"lr"
_OUTBOUND: Final = b"ob"  # RFC 5626
_GRUU: Final = b"gr"  # RFC 5627: whoever has such a URI must know it; its value stays in the token
_REMEMBERED: Final = 1 << 14
_LONGEST_REMEMBERED: Final = 512


Decision = Callable[[Host, Flow], bool]


class KnownUri(NamedTuple):
    """The host of a URI, its length without the headers part, the hosts that its userinfo and
    parameters name (Kamailio writes `;received=sip:192.168.178.27:5060` into a Path of its own),
    whether it has a stranger's mark that opens (`out`), the hosts that its headers part names, and those
    inside that its userinfo and parameters have packed: those are the words of its host's owner.
    `shown`: its parameters that others must read; `loose`: it has `lr` (RFC 3261 section 19.1.1)."""

    host: Host
    length: int
    elsewhere: tuple[Host, ...] = ()
    marked: bool = False
    beyond: tuple[Host, ...] = ()
    packed: tuple[Host, ...] = ()
    shown: bytes = b""
    loose: bool = False

    def shows(self, flow: Flow, decide: Decision) -> bool:
        """Whether the URI is to be masked: by its host, by a hidden one elsewhere in it, or because
        a stranger said something of the inside in it."""
        if self.marked or decide(self.host, flow):
            return True
        if self.packed and (decide is is_hidden or not is_not_own(self.host, flow)):
            return True
        return bool(self.elsewhere) and any(is_hidden(host, flow) for host in self.elsewhere)

    def names_inside(self, flow: Flow, *, goes_back: bool = False) -> bool:
        """Whether anything in the URI names the inside; a stranger's mark does. `goes_back`: to who may have
        written it, so what another host's URI has packed is his own word."""
        if self.marked or is_named(self.host, flow):
            return True
        if self.packed and not (goes_back and is_not_own(self.host, flow)):
            return True
        return bool(self.elsewhere) and any(is_named(host, flow) for host in self.elsewhere)


class Uris:
    """Edits on single URIs. `Decision` says from a host and a flow whether a URI is masked;
    `unopened` is told of what does not open. `clear`: names of parameters, in lower case, that stay
    readable beside a token."""

    def __init__(self, codec: Codec, hosts: Hosts, clear: frozenset[bytes] = frozenset()) -> None:
        self._codec = codec
        self._clear = clear
        self._hosts = hosts
        self.outs = Outs(codec, hosts)
        self.packed = Packed(hosts)
        self.unopened = Unopened(codec, hosts)
        self._known: Cache[bytes, KnownUri | None] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)

    def find(self, uri: bytes) -> KnownUri | None:
        """What is known of a URI; None where it does not parse. TooMuch where its host is longer than any."""
        try:
            return self._known[uri]
        except KeyError:
            known = self._parse(uri)
            self._known.remember(uri, known, len(uri))
            return known

    def _parse(self, uri: bytes) -> KnownUri | None:
        parts = uris.parse(uri)
        if parts:
            if len(parts.host) > LONGEST_HOST:
                raise TooMuch("bytes of a host")
            beside = (parts.userinfo or b"") + parts.parameters
            length = len(uri) - len(parts.headers)
            if b"&#" in uri[:length]:  # what it stands for may begin in the host and end behind it
                beside = uri[:length]
            named_in = self._hosts.named_in_uri
            elsewhere = tuple(named_in(beside)) if beside else ()
            marked = uri.find(IN_URI) >= 0 and self.outs.find(uri[:length]) is not None
            beyond = tuple(named_in(parts.headers)) if parts.headers else ()
            packed, texts = self.packed.find(parts.userinfo or b"", parts.parameters)
            elsewhere += texts
            shown, loose = self._readable(parts.parameters) if parts.parameters else (b"", False)
            host = self._hosts.find(parts.host)
            return KnownUri(host, length, elsewhere, marked, beyond, packed, shown, loose)
        return self._parse_other(uri)

    def _parse_other(self, uri: bytes) -> KnownUri | None:
        """The same of a URI of another scheme, or of what stands in a URI's place and is none."""
        if uris.names_part(uri):
            return KnownUri(NO_HOST, len(uri), ())
        host = uris.host(uri)
        if host is None:
            odd = uris.odd_host(uri)
            if odd is None:
                return None
            if len(odd) > LONGEST_HOST:
                raise TooMuch("bytes of a host")
            return self._known_odd(uri, self._hosts.find(odd))
        if host:
            named = [one for one in self._hosts.named_in_uri(uri) if one.named]
            return KnownUri(self._hosts.find(host), len(uri), tuple(named))
        return KnownUri(NO_HOST, len(uri), tuple(self._hosts.named_in_uri(uri)))  # ;phone-context=

    def _known_odd(self, text: bytes, host: Host) -> KnownUri:
        """The same of what is no URI, and has that host."""
        packed, texts = self.packed.find(text, b"")
        named = (*self._hosts.named_in_uri(text), *texts)
        shown, loose = self._readable(_QUOTED.sub(b"", text))
        return KnownUri(host, len(text), named, packed=packed, shown=shown, loose=loose)

    def _readable(self, parameters: bytes) -> tuple[bytes, bool]:
        """The parameters of a URI that others must read, and whether `lr` is one."""
        shown, loose = b"", False
        for text in parameters.split(b";")[1:]:
            name = text.partition(b"=")[0].lower()
            if name == _LOOSE:
                loose = True
            elif name == _OUTBOUND:
                shown += b";" + _OUTBOUND
            elif name in self._clear and _READABLE.fullmatch(text):
                hosts = self._hosts.named_in_uri(text)
                names = any(one.address or one.named for one in hosts)
                names = names or any(self.packed.find(b"", b";" + text))
                shown += b"" if names else b";" + text
            elif name == _GRUU:
                shown += b";" + _GRUU
        return shown, loose

    def headers_parts(self, data: bytes, spans: list[Span]) -> list[Span]:
        """Where the headers parts of the URIs of a field may stand: behind the rest of each."""
        found = []
        for start, end in spans:
            if data.find(b"?", start, end) >= 0:
                for entry in values.split(data, [(start, end)]):
                    where = address.locate(data, *entry)
                    length = self._length(data[where.start : where.end]) if where else 0
                    found.append((where.start + length if where else entry[0], entry[1]))
        return found

    def host_of(self, data: bytes, span: Span) -> Host:
        """The host of the URI in the value of a route; NO_HOST where it has none (tel:), UNKNOWN where there
        is no URI."""
        start, end = span
        simple = _SIMPLE_ROUTE.fullmatch(data, start, end)
        if simple:  # routes differ in each dialog (;ftag=), their hosts do not
            return self._hosts.find(simple[1])
        where = address.locate(data, start, end, route=True)
        known = self.find(data[where.start : where.end]) if where else None
        return known.host if known else UNKNOWN

    def mask(
        self,
        data: bytes,
        span: Span,
        flow: Flow,
        field: str,
        decide: Decision,
        *,
        stable: bool = False,
        route: bool = False,
    ) -> Sequence[Edit]:
        """The edits that mask the URI of a field value, if `decide` wants it; `route`: of one of
        address.ROUTES. Raises SealError where that cannot be; what does not parse and names nothing that
        is to be masked stays.

        Two where `<>` are added around a headers part, which has edits of its own.
        """
        start, end = span
        host = plain_route_host(data, start, end) if route else b""
        if (
            host
            and not self._hosts.has_name(data[start:end])
            and not decide(self._hosts.find(host), flow)
        ):
            return ()
        where = address.locate(data, start, end, route=route)
        known = self.find(data[where.start : where.end]) if where else None
        if not where or not known:
            self.check_unread(data[start:end], flow, field, decide)
            return ()
        if not known.shows(flow, decide):
            return ()
        return self.seal(data, where, known, flow, field, stable=stable, route=route)

    def check_unread(self, value: bytes, flow: Flow, field: str, decide: Decision) -> None:
        """Raise SealError where a value in which no URI was read names a host that is to be masked."""
        named = any(decide(host, flow) for host in self._hosts.named_in_uri(value))
        if named or (Packed.may_be_in(value) and self.packed.pieces(value)):
            raise SealError(f"{field}: does not parse")

    def seal(
        self,
        data: bytes,
        where: address.Address,
        known: KnownUri,
        flow: Flow,
        field: str,
        *,
        stable: bool = False,
        route: bool = False,
    ) -> Sequence[Edit]:
        """The same for a URI of which that is known."""
        start, end, bare = where
        if bare and _is_open(data, start):
            raise SealError(f"{field}: an open bracket, which those around a token would close")
        clear, stop = data[start : start + known.length], start + known.length
        how = (BARE_WHOLE if route or stop < end else BARE) if bare else 0
        shown = LOOSE + known.shown if route and known.loose else known.shown
        sealed = self._seal(clear, flow, field, stable=stable, bare=how, shown=shown)
        return replace_uri(start, stop, end, sealed, field, MASKED, bracket=bare)

    def _seal(
        self, clear: bytes, flow: Flow, field: str, *, stable: bool, bare: int, shown: bytes
    ) -> bytes:
        try:
            return self._codec.seal_uri(clear, flow.mask, stable=stable, bare=bare, shown=shown)
        except SealError as error:
            raise SealError(f"{field}: {error}") from None

    def mask_all(
        self,
        data: bytes,
        entries: list[Span],
        flow: Flow,
        field: str,
        decide: Decision,
        *,
        stable: bool = False,
        route: bool = False,
    ) -> list[Edit]:
        """The same for several values."""
        edits: list[Edit] = []
        for entry in entries:
            edits += self.mask(data, entry, flow, field, decide, stable=stable, route=route)
        return edits

    def mask_request_uri(
        self,
        data: bytes,
        span: Span,
        flow: Flow,
        decide: Decision,
        field: str,
        *,
        stable: bool = False,
        bare: int = 0,
    ) -> Edit | None:
        """The same for a Request-URI, which stands without brackets; `bare` as it was where it was sealed
        before."""
        uri = data[span[0] : span[1]]
        known = self.find(uri)
        if not known:
            self.check_unread(uri, flow, field, decide)
            return None
        if not known.shows(flow, decide):
            return None
        clear = uri[: known.length]
        sealed = self._seal(clear, flow, field, stable=stable, bare=bare, shown=known.shown)
        return Edit(span[0], span[0] + known.length, sealed, field, MASKED)

    def open(self, data: bytes, span: Span, field: str, *, route: bool = False) -> Sequence[Edit]:
        """The edits that put back what the URI of a field value stands for, if it is a token; `route` as in
        `mask`.

        Brackets that masking added go again, unless what stands in them has come to need them. Those
        that a client dropped come back, where the field needs them.
        """
        where = address.locate(data, *span, route=route)
        if not where:
            return ()
        start, end, bare = where
        uri = data[start:end]
        length = self._length(uri)
        opened = self._codec.open_uri(uri[:length])
        if not opened:
            self.unopened.uri(uri[:length], field)
            return ()
        needs_brackets = bool(_ENDS_BARE_URI.search(opened.uri))
        if opened.bare and not bare and start == span[0] + 1 and data[end : end + 1] == b">":
            has_more = length < len(uri)
            if route:
                unbracket = opened.bare == BARE_WHOLE
            else:
                unbracket = not needs_brackets and has_more == (opened.bare == BARE_WHOLE)
            if unbracket:
                return _without_brackets(start, start + length, end, opened.uri, field)
        bracket = bare and needs_brackets and not (route and opened.bare == BARE_WHOLE)
        return replace_uri(start, start + length, end, opened.uri, field, OPENED, bracket=bracket)

    def open_all(
        self, data: bytes, spans: list[Span], field: str, *, route: bool = False
    ) -> list[Edit]:
        """The same for all values of a field."""
        if not self._codec.may_open(data, spans[0][0], spans[-1][1]):
            return []
        edits: list[Edit] = []
        for entry in values.split(data, spans):
            edits += self.open(data, entry, field, route=route)
        return edits

    def open_request_uri(self, data: bytes, span: Span, field: str) -> Edit | None:
        """The same for a Request-URI."""
        uri = data[span[0] : span[1]]
        length = self._length(uri)
        opened = self._codec.open_uri(uri[:length])
        if not opened or b" " in opened.uri:  # which no start line takes
            self.unopened.uri(uri[:length], field)
            return None
        return Edit(span[0], span[0] + length, opened.uri, field, OPENED)

    def mask_parameter(
        self, data: bytes, span: Span, flow: Flow, field: str, decide: Decision, name: bytes
    ) -> Edit | None:
        """The edit that masks a URI in a parameter of a field value (Kamailio's registrar lists
        where a phone behind NAT came from as `;received="sip:…"`, any its GRUUs)."""
        found = self._parameter(data, span, name)
        known = self.find(data[found[0] : found[1]]) if found else None
        if not found or not known or not known.shows(flow, decide):
            return None
        uri = data[found[0] : found[1]]
        sealed = self._seal(uri, flow, field, stable=True, bare=0, shown=known.shown)
        return Edit(*found, sealed, field, MASKED)

    def open_parameter(self, data: bytes, span: Span, field: str, name: bytes) -> Edit | None:
        """The edit that opens a token in a parameter of a field value."""
        found = self._parameter(data, span, name)
        if not found:
            return None
        uri = data[found[0] : found[1]]
        opened = self._codec.open_uri(uri)
        if not opened or not uris.is_uri(opened.uri):  # an odd one could end the quotes around it
            self.unopened.uri(uri, field)
            return None
        return Edit(*found, opened.uri, field, OPENED)

    @staticmethod
    def _parameter(data: bytes, span: Span, name: bytes) -> Span | None:
        where = address.locate(data, *span)
        found = values.parameter(data, where.end, span[1], name) if where else None
        quoted = found and data[found[0] : found[0] + 1] == b'"'
        if not found or not quoted:
            return found
        start, end = found[0] + 1, found[1] - 1
        return start, max(start, end)  # of a quote that does not end, nothing

    def _length(self, uri: bytes) -> int:
        known = self.find(uri)
        return known.length if known else len(uri)


def plain_route_host(data: bytes, start: int, end: int) -> bytes:
    """The host of a route beside which stands nothing that could hide one; empty for any other value."""
    plain = _PLAIN_ROUTE.fullmatch(data, start, end)
    return plain[1] if plain else b""


def _is_open(data: bytes, position: int) -> bool:
    """Whether a bracket is open at a position of a header field; so it counts behind many folds."""
    first = data.rfind(b"\n", 0, position) + 1
    folds = 0
    while first and data[first : first + 1] in (b" ", b"\t"):
        first = data.rfind(b"\n", 0, first - 1) + 1
        folds += 1
        if folds > _MOST_FOLDS:
            return True
    return data.count(b"<", first, position) > data.count(b">", first, position)


def _without_brackets(start: int, stop: int, end: int, new: bytes, field: str) -> Sequence[Edit]:
    """The edits that put `new` in place of the URI at [start, stop), and take away the `<` before it and the
    `>` at `end`, behind its headers part."""
    if stop == end:
        return (Edit(start - 1, end + 1, new, field, OPENED),)
    return Edit(start - 1, stop, new, field, OPENED), Edit(end, end + 1, b"", field, OPENED)


def replace_uri(
    start: int, stop: int, end: int, new: bytes, field: str, action: str, *, bracket: bool
) -> Sequence[Edit]:
    """The edits that put `new` in place of the URI at [start, stop), whose headers part ends at `end`;
    `bracket`: with `<>` around both."""
    if not bracket:
        return (Edit(start, stop, new, field, action),)
    if stop == end:
        return (Edit(start, stop, b"<" + new + b">", field, action),)
    return Edit(start, stop, b"<" + new, field, action), Edit(end, end, b">", field, action)
