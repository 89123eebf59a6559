"""Where in a message a host stands, and which hosts may show there: spans that the audit computes."""

import re
from bisect import bisect_right
from typing import Final, NamedTuple, Protocol

from inline_topo.audit import values
from inline_topo.audit.hosts import Hosts
from inline_topo.audit.judge import Judge
from inline_topo.audit.left import ANY, INSIDE
from inline_topo.audit.message import CALL_ID, Field, Message
from inline_topo.audit.search import Sighting
from inline_topo.audit.values import Span

OPEN: Final = "open"
"""What the configuration leaves as it is."""

STREAM: Final = "stream"
"""Where a stream goes, and no relay takes it over."""

OWN_WORDS: Final = "own words"
"""What the receiver said first."""

VIAS: Final = "vias"
"""The Vias of a response, which go back as the requester sent them."""

KNOWN: Final = "known"
"""What the packet shows anyway: its source, in its topmost Via."""

_CALL_IDS: Final = frozenset({CALL_ID, "Replaces", "Join", "Target-Dialog"})
_CALL_IDS_IN_URIS: Final = frozenset(
    {b"replaces", b"join", b"target-dialog", b"in-reply-to", b"call-id", b"i"}
)
_ROUTES: Final = frozenset({"Path", "Service-Route"})
_REFERENCES: Final = frozenset(
    {
        *("Refer-To", "Referred-By", "Reply-To", "Alert-Info", "Call-Info", "Error-Info"),
        *("History-Info", "Diversion", "Refer-Events-At", "Policy-Contact"),
    }
)
_CALL_IDS_IN_XML: Final = re.compile(  # RFC 4235, RFC 3680, RFC 4575
    rb"\scall-?id\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')|<(?:[\w-]+:)?call-id>([^<]*)</", re.IGNORECASE
)
_CALL_IDS_IN_FRAGMENTS: Final = re.compile(
    rb"(?:^|\n)(?:call-id|i|replaces|join|target-dialog|in-reply-to)[ \t]*:[ \t]*([^;\r\n]*)", re.I
)
_CALL_IDS_IN_BODY_URIS: Final = re.compile(
    rb"[?&;](?:replaces|join|target-dialog|in-reply-to|call-id|i)=([^&;%\s\"'<>]*(?:%40[^&;%\s\"'<>]*)?)",
    re.IGNORECASE,
)
_LONE_CR: Final = re.compile(rb"\r(?!\n)")  # ends a line for some receivers
_MOST_HEADERS: Final = 64  # in one URI

# A line that says where a stream goes (RFC 8866, RFC 8839, RFC 3605, RFC 4570, RFC 4975).
_MEDIA_LINE: Final = re.compile(
    rb"c=|m=|a=(?:candidate|remote-candidates|rtcp|source-filter|path|alt):", re.IGNORECASE
)
_SDP_LINE: Final = re.compile(rb"([a-z]=(?:(?<=a=)[^:\r\n]{0,64})?):?")
_SDP_IN: Final = (b"application/sdp", b"multipart/", b"message/sip")
_PART_TYPE: Final = re.compile(rb"\n(?:Content-Type|c)[ \t]*:[ \t]*([^\s;]+)", re.IGNORECASE)


class Ends(Protocol):
    """What an audit has to know of the two ends of a packet: packed addresses."""

    @property
    def inside(self) -> bytes: ...
    @property
    def outside(self) -> bytes: ...
    @property
    def mask_address(self) -> bytes: ...
    @property
    def masks_identifiers(self) -> bool: ...


class Place(NamedTuple):
    """A piece source[start:end] of a message: `field` names it in reports; `hosts` says which hosts
    may not show there (one of left.py's), or one of the words above."""

    field: str
    hosts: str
    source: bytes
    start: int
    end: int


class Places:
    """The places of one message."""

    def __init__(self, message: Message, ends: Ends, judge: Judge, hosts: Hosts) -> None:
        self._message = message
        self._data = message.data
        self._ends = ends
        self._judge = judge
        self._hosts = hosts
        self._is_signed = any(field.name == "Identity" for field in message.fields)
        self._masks_registers = judge.registers or message.method not in (b"REGISTER", b"PUBLISH")
        self._starts = [field.start for field in message.fields]
        self._known: dict[int, list[Place]] = {}
        self._entries: dict[str, list[Span]] = {}
        self._parts: dict[int, tuple[list[int], list[bytes]]] = {}
        self._call_ids: dict[int, list[Span]] = {}
        self._line = Place("", "", b"", 0, 0)

    def at(self, sighting: Sighting) -> Place:
        """The place of a host."""
        message, position = self._message, sighting.start
        if position >= message.body:
            return self._body(sighting)
        if position < message.head:
            return self._start_line(position)
        index = bisect_right(self._starts, position) - 1
        if index < 0:
            return Place("header", ANY, self._data, message.head, message.body)
        field = message.fields[index]
        if position < field.value:
            return self._place("header name", field.start, field.value)
        places = self._known.get(index)
        if places is None:
            places = self._known[index] = list(self._of_field(field))
        found = _holding(places, position)
        if found is None:
            found = self._place(field.name, field.value, field.end)
        if _LONE_CR.search(self._data, field.value, position):
            return Place(found.field, INSIDE, self._data, field.value, field.end)
        return found

    def _place(self, field: str, start: int, end: int, row: str = "") -> Place:
        """A place of which the table says what may show there."""
        hosts = self._judge.hidden(
            row or field, signed=self._is_signed, registers=self._masks_registers
        )
        return Place(field, hosts or OPEN, self._data, start, end)

    # --- the start line --------------------------------------------------------------------------

    def _start_line(self, position: int) -> Place:
        message = self._message
        start, end = message.uri
        if message.status:
            return self._place("Reason-Phrase", 0, message.head)
        if not start <= position < end:
            return self._place("start line", 0, message.head)
        if any(self._is_own(span) for span in self._values("Route")):  # it comes back to us
            return self._place("Request-URI", start, end)
        return Place("Request-URI", OWN_WORDS, self._data, start, end)

    # --- header fields ---------------------------------------------------------------------------

    def _of_field(self, field: Field) -> list[Place]:
        """The places in the value of a field, one after the other."""
        name, span = field.name, (field.value, field.end)
        message = self._message
        if name == "Via":
            return self._vias(span)
        if name == "Record-Route" or (name == "Route" and not message.status):
            return self._routes(name, span)
        if name == "Contact":
            return self._contacts(span)
        if name in _ROUTES or name in _REFERENCES:
            # A registrar lists the Path that it was given (RFC 3327 section 5.3).
            row = "Path, echoed" if name == "Path" and message.status else name
            found: list[Place] = []
            for start, end in values.split(self._data, [span]):
                self._value(found, name, row, start, end)
            return found
        if name in _CALL_IDS:
            stop = self._data.find(b";", *span)
            stop = field.end if stop < 0 else stop
            return [self._call_id(name, field.value, stop), self._place(name, stop, field.end)]
        if name == "In-Reply-To":
            return [self._call_id(name, *one) for one in values.split(self._data, [span])]
        if name == "Event":
            inner = values.parameter(self._data, *span, b"call-id")
            if inner:
                before = self._place(name, field.value, inner[0])
                return [
                    before,
                    self._call_id(name, *inner),
                    self._place(name, inner[1], field.end),
                ]
        return [self._place(name, *span)]

    def _values(self, name: str) -> list[Span]:
        """The values of all fields of this name."""
        found = self._entries.get(name)
        if found is None:
            found = values.split(self._data, self._message.spans(name))
            self._entries[name] = found
        return found

    def _call_id(self, name: str, start: int, end: int) -> Place:
        return self._place(name if name == CALL_ID else f"{name} {CALL_ID}", start, end)

    def _vias(self, span: Span) -> list[Place]:
        """Of a request: the topmost shows who sends it, but in shape nat; the others are hidden."""
        if self._message.status:
            return [Place("Via", VIAS, self._data, *span)]
        entries = [one for one in self._values("Via") if span[0] <= one[0] < span[1]]
        found: list[Place] = []
        for start, end in entries:
            if start == self._values("Via")[0][0]:
                found += self._topmost_via(start, end)
            else:
                found.append(self._place("Via", start, end))
        return found

    def _topmost_via(self, start: int, end: int) -> list[Place]:
        parts = values.via(self._data, start, end)
        if self._judge.nat:
            if parts is None:
                return [self._place("Via", start, end)]
            sent_by, (first, last) = parts.sent_by_end, parts.branch
            return [
                self._place("Via", start, sent_by),
                self._place("Via, parameters", sent_by, first),
                self._place("Via", first, last),
                self._place("Via, parameters", last, end),
            ]
        if (
            parts
            and values.plain_host(self._data[parts.host[0] : parts.host[1]]) == self._ends.inside
        ):
            sent_by = parts.sent_by_end
            known = Place("Via, topmost", KNOWN, self._data, start, sent_by)
            return [known, self._place("Via, topmost", sent_by, end)]
        return [self._place("Via, topmost", start, end)]

    def _routes(self, name: str, span: Span) -> list[Place]:
        """Routes behind an own one come back to us, and Record-Routes of a response below the last
        own one came with the request."""
        entries, data = self._values(name), self._data
        own = [index for index, entry in enumerate(entries) if self._is_own(entry)]
        found: list[Place] = []
        for index, (start, end) in enumerate(entries):
            if not span[0] <= start < span[1]:
                continue
            row, said = name, False
            if name == "Route":
                said = not own or index <= own[0]
            elif self._message.status:
                said = bool(own) and index > own[-1]
                row = name if own else "Record-Route, echoed"
            if said:
                found.append(Place(name, OWN_WORDS, data, start, end))
            else:
                self._value(found, name, row, start, end)
        return found

    def _contacts(self, span: Span) -> list[Place]:
        message, data = self._message, self._data
        redirects = message.status // 100 == 3
        is_listing = message.status // 100 == 2 and message.method == b"REGISTER"
        requester = self._requester() if is_listing else frozenset()
        found: list[Place] = []
        for start, end in values.split(data, [span]):
            field = "Contact (mask_mode 1)"
            if redirects and not self._judge.redirections:
                found.append(self._place(field, start, end))
            elif requester and self._host((start, end)) in requester:
                found.append(Place("Contact", OWN_WORDS, data, start, end))
            else:
                self._value(found, "Contact", "Contact", start, end)
        return found

    def _requester(self) -> frozenset[bytes]:
        """The hosts whose bindings a registrar's answer may show: the requester's own words."""
        data, vias = self._data, self._values("Via")
        hosts = {self._ends.outside}
        parts = values.via(data, *vias[-1]) if vias else None
        if parts:
            hosts.add(values.plain_host(data[parts.host[0] : parts.host[1]]))
            received = values.parameter(data, parts.sent_by_end, vias[-1][1], b"received")
            if received:
                hosts.add(values.plain_host(data[received[0] : received[1]]))
        return frozenset(hosts)

    def _value(self, found: list[Place], name: str, row: str, start: int, end: int) -> None:
        """A value with a URI: what masking hides is the URI; what stands beside it is text."""
        data = self._data
        where = values.address(data, start, end)
        if where is None:
            found.append(self._place(name, start, end, row))
            return
        question = data.find(b"?", where.start, where.end)
        if question < 0 or not data[where.start : where.start + 5].lower().startswith(
            (b"sip:", b"sips:")
        ):
            question = where.end
        found.append(self._place(f"{name}, display name", start, where.start))
        found.append(self._place(name, where.start, question, row))
        position = question
        headers = data[question + 1 : where.end] if question < where.end else b""
        for header in headers.split(b"&", _MOST_HEADERS) if headers else ():
            key = header.partition(b"=")[0]
            stop = min(position + 1 + len(header), where.end)
            if key.lower() in _CALL_IDS_IN_URIS:
                field = f"{name} ?{key.decode('ascii', 'replace')}"
                found.append(self._call_id(field, min(position + len(key) + 2, stop), stop))
            else:
                found.append(self._place(f"{name} ?headers", position, stop))
            position = stop
        found.append(self._place(f"{name}, parameters", where.end, end))

    def _is_own(self, entry: Span) -> bool:
        host = self._host(entry)
        if len(host) in (4, 16) and self._hosts.find(host).own:
            return True
        return bool(host) and self._hosts.is_own_name(host)

    def _host(self, entry: Span) -> bytes:
        """The host of the URI in a value, in one spelling."""
        where = values.address(self._data, *entry)
        return values.host_of(self._data[where.start : where.end]) if where else b""

    def is_of_another(self, place: Place, position: int) -> bool:
        """Whether a place goes back to where it came from, and a URI of it is not at one of our hosts: what
        its user and parameters have packed is for that host alone (RFC 5626 section 5.2)."""
        message = self._message
        field = place.field.removesuffix(", parameters")
        lists = message.status // 100 == 2 and message.method == b"REGISTER"
        if message.status:
            goes_back = field in ("Record-Route", "Path") or (lists and field == "Contact")
        else:
            goes_back = field in ("Request-URI", "Route")
        host = values.host_of(self.uri_at(place, position)) if goes_back else b""
        if not host or host == self._ends.mask_address or self._hosts.is_own_name(host):
            return False
        return not (len(host) in (4, 16) and self._hosts.find(host).own)

    def uri_at(self, place: Place, position: int) -> bytes:
        """The whole URI that a host stands in, at a place where a mark may have been restored."""
        if place.field == "Request-URI":
            return self._data[self._message.uri[0] : self._message.uri[1]]
        for start, end in self._values(place.field):
            if start <= position < end:
                where = values.address(self._data, start, end)
                return self._data[where.start : where.end] if where else b""
        return b""

    # --- bodies ----------------------------------------------------------------------------------

    def _body(self, sighting: Sighting) -> Place:
        """By line in SDP, wherever it stands (in a part, too), and else by its type."""
        source, position = self._data, sighting.start
        if sighting.layer.is_content:
            source, position = sighting.layer.text, sighting.at
        call_id = self._call_id_in_body(source, position)
        if call_id:
            return call_id
        line = self._line
        if line.source is source and line.start <= position < line.end:
            return line
        first = 0 if source is not self._data else self._message.body
        start = max(source.rfind(b"\n", 0, position) + 1, first)
        end = source.find(b"\n", position)
        end = len(source) if end < 0 else end
        self._line = found = self._of_line(source, position, start, end)
        return found

    def _of_line(self, source: bytes, position: int, start: int, end: int) -> Place:
        kind = self._message.last("Content-Type").partition(b";")[0].strip().lower()
        if not kind or kind.startswith(_SDP_IN):
            line = _SDP_LINE.match(source, start)
            if line:
                field = f"SDP {line[1][:20].decode('ascii', 'replace')}"
                stop = end - 1 if end > start and source[end - 1] == 13 else end
                if _MEDIA_LINE.match(source, start):
                    return Place(field, self._judge.media or STREAM, source, line.end(), stop)
                return self._of_body(field, source, line.end(), stop)
        if kind.startswith(b"multipart/"):
            kind = self._part_type(source, position) or kind
        if kind == b"application/sdp":
            return self._of_body("SDP", source, start, end)
        name = f"body {kind[:64].decode('ascii', 'replace') or 'without a type'}"
        first = self._message.body if source is self._data else 0
        return self._of_body(name, source, first, len(source))

    def _call_id_in_body(self, source: bytes, position: int) -> Place | None:
        """The Call-ID that holds a byte of a document, or of a SIP message or its fragment."""
        spans = self._call_ids.get(id(source))
        if spans is None:
            kinds = self._message.last("Content-Type").lower()
            first = 0 if source is not self._data else self._message.body
            patterns = [_CALL_IDS_IN_XML] if b"xml" in kinds or b"multipart" in kinds else []
            if b"message/" in kinds or b"multipart" in kinds:
                patterns.append(_CALL_IDS_IN_FRAGMENTS)
            if patterns:
                patterns.append(_CALL_IDS_IN_BODY_URIS)
            found = [one for pattern in patterns for one in pattern.finditer(source, first)]
            spans = sorted([one.span(one.lastindex or 0) for one in found])
            self._call_ids[id(source)] = spans
        index = bisect_right(spans, (position, len(source) + 1)) - 1
        if index < 0 or not spans[index][0] <= position < spans[index][1]:
            return None
        start, end = spans[index]
        return self._of_body(f"body {CALL_ID}", source, start, end)

    def _of_body(self, field: str, source: bytes, start: int, end: int) -> Place:
        hosts = self._judge.hidden(field, signed=False, registers=True)
        return Place(field, hosts or OPEN, source, start, end)

    def _part_type(self, source: bytes, position: int) -> bytes:
        """The type of the part of a multipart body that holds a byte."""
        known = self._parts.get(id(source))
        if known is None:
            first = self._message.body if source is self._data else 0
            found = list(_PART_TYPE.finditer(source, max(first - 1, 0)))
            known = [m.start() for m in found], [m[1].lower() for m in found]
            self._parts[id(source)] = known
        index = bisect_right(known[0], position) - 1
        return known[1][index] if index >= 0 else b""


def _holding(places: list[Place], position: int) -> Place | None:
    """The place that holds a byte; they stand in order."""
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        if places[middle].end <= position:
            low = middle + 1
        else:
            high = middle
    if low < len(places) and places[low].start <= position:
        return places[low]
    return None
