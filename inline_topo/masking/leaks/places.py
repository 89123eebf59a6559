"""What a host means where it stands in a message that leaves.

    JUDGED    what the masking rules hide: any address of a third party, too
    COVERED   what lies inside is hidden
    ECHOED    the same, where all else is the receiver's own word
    CALL_ID   the same, and a protected name may be part of a word
    MEDIA     where a stream goes
    OPEN      what the configuration leaves as it is

No place at all is the receiver's own word: the Request-URI and Routes of a request on its way to
where they point, the Vias of a response, the Record-Routes that came with the request.
"""

import socket
from collections.abc import Iterator
from typing import NamedTuple

from inline_topo.masking.carriers import PATHS, REFERENCES
from inline_topo.masking.flow import Flow
from inline_topo.masking.hosts import Hosts, address_text, pack_address
from inline_topo.masking.leaks import bodies
from inline_topo.masking.leaks.scope import Scope
from inline_topo.masking.policy import method_of
from inline_topo.sip import address, names, uri, values, via
from inline_topo.sip import message as sip
from inline_topo.sip.message import Message, Span

JUDGED, COVERED, ECHOED, CALL_ID, MEDIA, OPEN = (
    *("judged", "covered", "echoed", "call-id", "media", "open"),
)

_CALL_IDS = frozenset({names.CALL_ID, names.REPLACES, names.JOIN, names.TARGET_DIALOG})
_CALL_IDS_IN_URIS = frozenset(
    {b"replaces", b"join", b"target-dialog", b"in-reply-to", b"call-id", b"i"}
)
_REGISTERS = frozenset({b"REGISTER", b"PUBLISH"})


class Place(NamedTuple):
    """A piece of a message, data[start:end]: `field` for the report, `sort` as above."""

    field: str
    sort: str
    start: int
    end: int


class Places:
    """The places of one message."""

    def __init__(self, message: Message, flow: Flow, scope: Scope, hosts: Hosts) -> None:
        self._message = message
        self._data = message.data
        self._flow = flow
        self._scope = scope
        self._hosts = hosts
        self._fields = [
            (names.field_name(spelled), span) for spelled, span in sip.header_fields(message)
        ]
        self._spans: dict[str, list[Span]] = {}
        for name, span in self._fields:
            self._spans.setdefault(name, []).append(span)
        self._known: dict[tuple[str, Span], list[Place]] = {}
        self._split: dict[str, list[Span]] = {}
        in_registers = scope.hide.registers or method_of(message) not in _REGISTERS
        self._judged = JUDGED if in_registers else OPEN

    def at(self, position: int) -> Place | None:
        """The place of a byte; None where it is the receiver's own word."""
        message = self._message
        if position >= message.body:
            return self._body(position)
        if position < message.headers[0]:
            return self._start_line(position)
        for name, (start, end) in self._fields:
            if start <= position < end:
                places = self._known.get((name, (start, end)))
                if places is None:
                    places = list(self._of_field(name, (start, end)))
                    self._known[name, (start, end)] = places
                for place in places:
                    if place.start <= position < place.end:
                        return place
                return None
        start = self._data.rfind(b"\n", 0, position) + 1
        return Place("header name", self._open("header name"), start, position + 1)

    def _open(self, field: str) -> str:
        """COVERED or OPEN, by what the configuration says of a field."""
        signed = names.IDENTITY in self._spans
        return COVERED if self._scope.covers(field, signed=signed) else OPEN

    def _start_line(self, position: int) -> Place | None:
        start, end = self._message.request_uri
        if not self._message.is_request:
            end = self._message.headers[0]
            return Place(names.REASON_PHRASE, self._open(names.REASON_PHRASE), 0, end)
        if not start <= position < end:
            return Place("start line", JUDGED, 0, self._message.headers[0])
        comes_back = any(self._is_own(entry) for entry in self._entries(names.ROUTE))
        if not comes_back:
            return None
        sort = self._judged if self._scope.hide.spirals else self._open(names.REQUEST_URI)
        return Place(names.REQUEST_URI, sort, start, end)

    def _entries(self, name: str) -> list[Span]:
        found = self._split.get(name)
        if found is None:
            found = self._split[name] = values.split(self._data, self._spans.get(name, []))
        return found

    def _of_field(self, name: str, span: Span) -> Iterator[Place]:
        is_request, scope = self._message.is_request, self._scope
        if name == names.VIA:
            yield from self._vias()
        elif name == names.RECORD_ROUTE:
            yield from self._record_routes()
        elif name == names.ROUTE and is_request:
            yield from self._routes()
        elif name == names.CONTACT:
            yield from self._contacts()
        elif name in PATHS:
            # A registrar lists the Path it was given (RFC 3327 section 5.3): the requester's own
            # words, but for what lies inside.
            echoed = name == names.PATH and not is_request
            hidden = ECHOED if echoed and self._judged == JUDGED else self._judged
            sort = hidden if scope.hide.paths else self._open(name)
            for entry in self._entries(name):
                yield from self._value(entry, name, sort)
        elif name in REFERENCES:
            sort = self._judged if scope.hide.references else self._open(name)
            for entry in values.split(self._data, [span]):
                yield from self._value(entry, name, sort)
        elif name in _CALL_IDS:
            start, end = span
            stop = self._data.find(b";", start, end)
            stop = end if stop < 0 else stop
            yield self._call_id(name, start, stop)
            yield Place(name, self._open(name), stop, end)
        elif name == names.IN_REPLY_TO:
            for start, end in values.split(self._data, [span]):
                yield self._call_id(name, start, end)
        elif name == names.EVENT:
            found = values.parameter(self._data, *span, b"call-id")
            if found:
                yield self._call_id(name, *found)
            yield Place(name, self._open(name), *span)
        else:
            yield Place(name, self._open(name), *span)

    def _call_id(self, name: str, start: int, end: int) -> Place:
        field = name if name == names.CALL_ID else f"{name} Call-ID"
        sort = CALL_ID if self._scope.call_ids or self._scope.everything else OPEN
        return Place(field, sort, start, end)

    def _vias(self) -> Iterator[Place]:
        if not self._message.is_request:
            return
        (start, end), *lower = self._entries(names.VIA)
        parts = via.parse(self._data, start, end)
        field = f"{names.VIA}, topmost"
        if self._scope.nat:
            if not parts:
                yield Place(names.VIA, JUDGED, start, end)
                return
            yield Place(names.VIA, JUDGED, start, parts.sent_by_end)
            if parts.branch[0] >= 0:
                yield Place(names.VIA, JUDGED, *parts.branch)
            field, start = f"{names.VIA}, parameters", parts.sent_by_end
        elif parts and pack_address(self._data[parts.host[0] : parts.host[1]]) == self._flow.inside:
            start = parts.sent_by_end  # the packet's source shows it anyway
        yield Place(field, self._open(field), start, end)
        for entry in lower:
            yield Place(names.VIA, JUDGED, *entry)

    def _routes(self) -> Iterator[Place]:
        """Routes behind an own one come back to us and must not show more; others are the receiver's."""
        entries = self._entries(names.ROUTE)
        own = [i for i, entry in enumerate(entries) if self._is_own(entry)]
        sort = self._judged if self._scope.hide.spirals else self._open(names.ROUTE)
        for entry in entries[own[0] + 1 :] if own else ():
            yield from self._value(entry, names.ROUTE, sort)

    def _record_routes(self) -> Iterator[Place]:
        entries = self._entries(names.RECORD_ROUTE)
        own = [i for i, entry in enumerate(entries) if self._is_own(entry)]
        sort = self._judged
        if not self._message.is_request:
            sort = self._judged if own or self._judged == OPEN else ECHOED
            entries = entries[: own[-1] + 1] if own else entries
        for entry in entries:
            yield from self._value(entry, names.RECORD_ROUTE, sort)

    def _contacts(self) -> Iterator[Place]:
        message = self._message
        redirects = message.status // 100 == 3
        requester: set[bytes] = set()
        if message.status // 100 == 2 and method_of(message) == b"REGISTER":
            requester = self._requester()
        for entry in self._entries(names.CONTACT):
            if redirects and not self._scope.redirections:
                field = f"{names.CONTACT} (mask_mode 1)"
                yield Place(field, self._open(field), *entry)
            elif self._host(entry) not in requester:
                yield from self._value(entry, names.CONTACT, self._judged)

    def _value(self, entry: Span, name: str, sort: str) -> Iterator[Place]:
        """A value with a URI: what masking hides is the URI; names and parameters beside it stay."""
        data = self._data
        where = address.locate(data, *entry)
        if not where:
            yield Place(name, sort, *entry)
            return
        start, end = where.start, where.end
        question = data.find(b"?", start, end)
        if question < 0 or not data[start:end].lower().startswith((b"sip:", b"sips:")):
            question = end
        yield Place(name, sort, start, question)
        display, parameters = f"{name}, display name", f"{name}, parameters"
        yield Place(display, self._open(display), entry[0], start)
        yield Place(parameters, self._open(parameters), end, entry[1])
        position = question + 1
        for header in data[position:end].split(b"&"):
            key, _, value = header.partition(b"=")
            begin, position = position + len(key), position + len(header) + 1
            if key.lower() in _CALL_IDS_IN_URIS:
                field = f"{name} ?{key.decode('ascii', 'replace')}"
                yield self._call_id(field, begin + 1, begin + 1 + len(value))
            else:
                yield Place(f"{name} ?headers", self._open(name), begin - len(key), position)

    def _body(self, position: int) -> Place:
        field, is_media, start, end = bodies.place(self._message, self._content_type(), position)
        if is_media:
            unrelayed = JUDGED if self._scope.everything else MEDIA
            return Place(field, COVERED if self._scope.media else unrelayed, start, end)
        return Place(field, self._open(field), start, end)

    def _content_type(self) -> bytes:
        spans = self._spans.get("Content-Type")
        return self._data[spans[-1][0] : spans[-1][1]] if spans else b""

    def _is_own(self, entry: Span) -> bool:
        host = self._host(entry)
        return bool(host) and self._hosts.find(host).own

    def _host(self, entry: Span) -> bytes:
        """The host of the URI in a value: packed, or a name in lower case; empty where there is none."""
        where = address.locate(self._data, *entry)
        parts = uri.parse(self._data[where.start : where.end]) if where else None
        return _canonical(parts.host) if parts else b""

    def _requester(self) -> set[bytes]:
        """The hosts whose bindings a registrar's answer may show: the requester's own words."""
        data = self._data
        entries = self._entries(names.VIA)
        hosts = {_canonical(address_text(self._flow.outside))}
        parts = via.parse(data, *entries[-1]) if entries else None
        if parts:
            hosts.add(_canonical(data[parts.host[0] : parts.host[1]]))
            received = values.parameter(data, parts.sent_by_end, entries[-1][1], b"received")
            if received:
                hosts.add(_canonical(data[received[0] : received[1]]))
        return hosts


def _canonical(host: bytes) -> bytes:
    """A host for comparison, in one spelling."""
    packed = pack_address(host)
    if packed:
        return socket.inet_ntop(
            socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed
        ).encode()
    return host.lower().rstrip(b".")
