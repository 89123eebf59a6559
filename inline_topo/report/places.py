"""Where in a message a host may show, and what this version does there.

Three sorts of places: JUDGED ones, which mode topoh masks and an audit answers for; CALL_ID ones, with
`mask_callid` on; and OPEN ones, which this version does not mask (SDP, From, To, other fields). What
is the receiver's own word is no place at all: the Request-URI and Routes of a request on its way to
where they point, the Vias of a response, the Record-Routes that came with the request.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from inline_topo.config import Config
from inline_topo.masking.flow import Flow
from inline_topo.masking.policy import method_of
from inline_topo.report.messages import Seen, header_fields
from inline_topo.report.sightings import Address
from inline_topo.sip import address, names, uri, values, via
from inline_topo.sip.message import Message, Span

JUDGED, CALL_ID, OPEN = "judged", "call-id", "open"
NAMED_ONLY = "named"  # JUDGED, but only what lies in inside or protected counts

_HIDDEN_HOSTS = frozenset(
    {
        *(names.CONTACT, names.PATH, names.SERVICE_ROUTE, names.REFER_TO, names.REFERRED_BY),
        *(names.REPLY_TO, names.ALERT_INFO, names.CALL_INFO, names.ERROR_INFO),
        *(names.HISTORY_INFO, names.DIVERSION),
    }
)
_CALL_IDS = frozenset({names.CALL_ID, names.REPLACES, names.JOIN, names.TARGET_DIALOG})
_CALL_IDS_IN_URIS = frozenset(
    {b"replaces", b"join", b"target-dialog", b"in-reply-to", b"call-id", b"i"}
)


class Place(NamedTuple):
    """A piece of a message: `field` for the report, `sort` as above."""

    field: str
    sort: str
    text: bytes


class Places:
    """Takes messages that leave apart, under one configuration."""

    def __init__(self, config: Config) -> None:
        self._own = {str(host) for host in config.own}
        self._is_nat = config.shape == "nat"
        self._masks_callid = config.topoh.mask_callid
        self._masks_redirections = not config.topoh.mask_mode & 1

    def of(self, seen: Seen, flow: Flow) -> Iterator[Place]:
        """Every piece of the message in which a host may show."""
        message = seen.message
        if message is None:
            yield Place("message that does not parse", JUDGED, seen.data)
            return
        spans: dict[str, list[Span]] = {}
        for name, span in header_fields(message):
            spans.setdefault(name, []).append(span)
        if message.is_request:
            yield from self._spiral(message, spans.pop(names.ROUTE, []))
        else:
            yield Place("reason phrase", OPEN, message.data[: message.headers[0]])
        for name, found in spans.items():
            yield from self._field(message, flow, name, found)
        yield from _body(message)

    def _field(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> Iterator[Place]:
        data = message.data
        if name == names.VIA:
            if message.is_request:
                topmost, *lower = values.split(data, spans)
                if self._is_nat:
                    yield from _via1(data, topmost)
                else:
                    yield from _senders_via(data, topmost, flow)
                for entry in lower:
                    yield Place(name, JUDGED, data[slice(*entry)])
        elif name == names.RECORD_ROUTE:
            yield from self._record_routes(message, spans)
        elif name == names.CONTACT:
            yield from self._contacts(message, flow, spans)
        elif name == names.PATH and not message.is_request:
            # A registrar lists the Path it was given (RFC 3327 section 5.3): the requester's own
            # words, but for what lies inside.
            for entry in values.split(data, spans):
                yield from self._value(data, entry, name, NAMED_ONLY)
        elif name in _HIDDEN_HOSTS:
            for entry in values.split(data, spans):
                yield from self._value(data, entry, name, JUDGED)
        elif name in _CALL_IDS:
            for start, end in spans:
                call_id, semicolon, rest = data[start:end].partition(b";")
                yield self._call_id(name, call_id)
                yield Place(name, OPEN, semicolon + rest)
        elif name == names.IN_REPLY_TO:
            for entry in values.split(data, spans):
                yield self._call_id(name, data[slice(*entry)])
        elif name == names.EVENT:
            for start, end in spans:
                found = values.parameter(data, start, end, b"call-id")
                if found:
                    yield self._call_id(name, data[slice(*found)].strip(b'"'))
        else:
            for start, end in spans:
                yield Place(name, OPEN, data[start:end])

    def _call_id(self, name: str, text: bytes) -> Place:
        sort = CALL_ID if self._masks_callid else OPEN
        return Place(name if name == names.CALL_ID else f"{name} Call-ID", sort, text)

    def _spiral(self, message: Message, spans: list[Span]) -> Iterator[Place]:
        """Routes behind an own one, and the Request-URI with them, come back to us and must not show
        more; others are for the receiver."""
        data = message.data
        entries = values.split(data, spans)
        own = [i for i, entry in enumerate(entries) if self._is_own(data, entry)]
        if own:
            yield Place(names.REQUEST_URI, JUDGED, data[slice(*message.request_uri)])
            for entry in entries[own[0] + 1 :]:
                yield from self._value(data, entry, names.ROUTE, JUDGED)

    def _record_routes(self, message: Message, spans: list[Span]) -> Iterator[Place]:
        data = message.data
        entries = values.split(data, spans)
        own = [i for i, entry in enumerate(entries) if self._is_own(data, entry)]
        sort = JUDGED
        if not message.is_request:
            sort = JUDGED if own else NAMED_ONLY
            entries = entries[: own[-1] + 1] if own else entries
        for entry in entries:
            yield from self._value(data, entry, names.RECORD_ROUTE, sort)

    def _contacts(self, message: Message, flow: Flow, spans: list[Span]) -> Iterator[Place]:
        data = message.data
        redirects = message.status // 100 == 3
        requester: set[str] = set()
        if message.status // 100 == 2 and method_of(message) == b"REGISTER":
            requester = _requester(message, flow)
        for entry in values.split(data, spans):
            if redirects and not self._masks_redirections:
                yield Place(f"{names.CONTACT} (mask_mode 1)", OPEN, data[slice(*entry)])
            elif _host(data, entry) not in requester:
                yield from self._value(data, entry, names.CONTACT, JUDGED)

    def _value(self, data: bytes, entry: Span, name: str, sort: str) -> Iterator[Place]:
        """A value with a URI: what masking hides is the URI; names and parameters beside it stay."""
        where = address.locate(data, *entry)
        if not where:
            yield Place(name, sort, data[slice(*entry)])
            return
        clear, question, headers = data[where.start : where.end].partition(b"?")
        if not clear.lower().startswith((b"sip:", b"sips:")):
            clear, headers = clear + question + headers, b""
        yield Place(name, sort, clear)
        yield Place(f"{name}, display name", OPEN, data[entry[0] : where.start])
        yield Place(f"{name}, parameters", OPEN, data[where.end : entry[1]])
        for header in headers.split(b"&"):
            key, _, value = header.partition(b"=")
            if key.lower() in _CALL_IDS_IN_URIS:
                yield self._call_id(f"{name} ?{key.decode('ascii', 'replace')}", value)
            else:
                yield Place(f"{name} ?headers", OPEN, value)

    def _is_own(self, data: bytes, entry: Span) -> bool:
        return _host(data, entry) in self._own


def _via1(data: bytes, entry: Span) -> Iterator[Place]:
    """The sender's own Via: sent-by and branch are masked in shape nat, its parameters stay."""
    start, end = entry
    parts = via.parse(data, start, end)
    if not parts:
        yield Place(names.VIA, JUDGED, data[start:end])
        return
    branch, after = parts.branch if parts.branch[0] >= 0 else (end, end)
    yield Place(names.VIA, JUDGED, data[start : parts.sent_by_end])
    yield Place(names.VIA, JUDGED, data[branch:after])
    others = data[parts.sent_by_end : branch] + data[after:end]
    yield Place(f"{names.VIA}, parameters", OPEN, others)


def _senders_via(data: bytes, entry: Span, flow: Flow) -> Iterator[Place]:
    """The topmost Via of shapes router and host, which stays: its host, where the packet's source
    does not show it anyway, and its parameters."""
    start, end = entry
    parts = via.parse(data, start, end)
    if parts and _canonical(data[slice(*parts.host)]) == str(ip_address(flow.inside)):
        start = parts.sent_by_end
    yield Place(f"{names.VIA}, topmost", OPEN, data[start:end])


def _host(data: bytes, entry: Span) -> str:
    """The host of the URI in a value, in canonical spelling; empty where there is none."""
    where = address.locate(data, *entry)
    parts = uri.parse(data[where.start : where.end]) if where else None
    return _canonical(parts.host) if parts else ""


def _canonical(host: bytes) -> str:
    text = host.decode("ascii", "replace").lower()
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        return text.rstrip(".")


def _requester(message: Message, flow: Flow) -> set[str]:
    """The hosts whose bindings a registrar's answer may show: the requester's own words."""
    data = message.data
    entries = values.split(data, message.fields.get(names.VIA, []))
    hosts = {str(ip_address(flow.outside))}
    parts = via.parse(data, *entries[-1]) if entries else None
    if parts:
        hosts.add(_canonical(data[slice(*parts.host)]))
        received = values.parameter(data, parts.sent_by_end, entries[-1][1], b"received")
        if received:
            hosts.add(_canonical(data[slice(*received)]))
    return hosts


def _body(message: Message) -> Iterator[Place]:
    body = message.data[message.body :]
    if not body.strip():
        return
    content_type = b""
    for name, span in header_fields(message):
        if name == "Content-Type":
            content_type = message.data[slice(*span)].partition(b";")[0].strip().lower()
    if content_type in (b"application/sdp", b""):
        for line in body.splitlines():
            kind, _, rest = line.partition(b"=")
            if kind == b"a":
                kind += b"=" + rest.partition(b":")[0]
            elif len(kind) == 1:
                kind += b"="
            yield Place(f"SDP {kind[:20].decode('ascii', 'replace')}", OPEN, rest or line)
    else:
        yield Place(f"body {content_type.decode('ascii', 'replace')}", OPEN, body)


def visible(flow: Flow) -> set[Address]:
    """The addresses that a packet of this flow may show: the mask address, and its outside end."""
    return {ip_address(address) for address in (flow.mask_address, flow.outside) if address}
