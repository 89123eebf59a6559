"""What strangers say that names the inside: a phone outside may have an address of the inside's range.

On the way in, where a message says so in clear:

    Contact, Record-Route, Path,          the URI gets a mark (`out`); where the inside will answer to
    Service-Route, Request-URI, Route,    it, its host becomes the packet's outside source, as NAT
    Refer-To; under `hide.from_to`        helpers do
    From and To
    Via, Call-IDs, what is signed         stay
    all other fields, and bodies          the host is swapped for the packet's outside source, for good

On the way out a mark becomes again what the stranger wrote in the fields that go back to it; elsewhere
its URI is sealed whole, as one that names the inside (`uris.KnownUri.shows`). So what strangers guess is
never equal to what the inside says.
"""

from collections.abc import Sequence
from typing import Final

from inline_topo.bounds import MOST_EDITS, MOST_VALUES, TooMuch
from inline_topo.edits import Edit
from inline_topo.masking.callid import CALL_IDS, DIALOG_IDS
from inline_topo.masking.codecs.base import BARE, BARE_WHOLE, Codec
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_named
from inline_topo.masking.hosts import NO_HOST, Hosts
from inline_topo.masking.mentions import Mentions
from inline_topo.masking.out import IN_URI, Outs
from inline_topo.masking.settle import outside_of
from inline_topo.masking.swap import Swap
from inline_topo.masking.uris import MARKED, STRIPPED, UNMARKED, replace_uri
from inline_topo.sip import address, names, values
from inline_topo.sip import uri as sip_uri
from inline_topo.sip.message import Malformed, Message, Span, find_fields, header_fields
from inline_topo.sip.method import is_register
from inline_topo.sip.names import FieldNames

LEAVE: Final = "leave"
RESTORE: Final = "restore"
MARK: Final = "mark"
SWAP: Final = "swap"
"""What becomes of strangers' words: nothing; marks are restored and none set; marks are set and restored;
all is swapped for good."""

_NOWHERE: Final = b"out.invalid"
"""The host of a REGISTER's Contact where claims are refused: a registrar inside sends calls to where the
REGISTER came from (`received`), or nowhere.

Kamailio 5.6 with nathelper (`fix_nated_register`, where `nat_uac_test` looks at the topmost Via too, as 19
does) registers, refreshes, moves and calls such a phone. Without nathelper it answers calls with 478
(Unresolvable destination): at once where a resolver says no, after 5 seconds where none answers.
"""

_STAYS: Final = frozenset(
    (
        *CALL_IDS,
        names.VIA,
        "Authorization",
        "Proxy-Authorization",
        "WWW-Authenticate",
        "Proxy-Authenticate",
        "Authentication-Info",
        "Proxy-Authentication-Info",
        "Identity",
        "Date",
        "CSeq",
        "RAck",
        "SIP-ETag",
        "SIP-If-Match",
        "Session-ID",
    )
)
"""Never changed on the way in: what finds a transaction, a dialog, a state; what is signed."""

_STAY_PUT: Final = frozenset((names.ROUTE, names.REFER_TO))
_MOVE: Final = frozenset((names.RECORD_ROUTE, names.PATH, names.SERVICE_ROUTE))
_ENDS: Final = frozenset((names.FROM, names.TO))
_REDIRECTION: Final = range(300, 400)
_RESTORED: Final = (
    *(names.ROUTE, names.RECORD_ROUTE, names.PATH),
    *(names.CONTACT, names.FROM, names.TO),
)
_RESTORED_NAMES: Final = FieldNames(_RESTORED)
_IDENTITY_ONLY: Final = FieldNames([names.IDENTITY])
_ROUTES: Final = frozenset((names.ROUTE, names.RECORD_ROUTE, names.PATH))
_NEEDS_BRACKETS: Final = b";,?"


class Strangers:
    """The rules. `how`: LEAVE, RESTORE, MARK or SWAP; `ends`: From and To are marked, too; `nowhere`:
    the Contacts of a REGISTER have no host that anybody routes to."""

    def __init__(
        self, codec: Codec, hosts: Hosts, how: str, *, ends: bool = False, nowhere: bool = False
    ) -> None:
        self.marks = how == MARK
        self.swaps = how in (MARK, SWAP)
        self.restores = how != LEAVE
        self._nowhere = _NOWHERE if nowhere else b""
        self._ends = ends
        self._hosts = hosts
        self._outs = Outs(codec, hosts)
        self._mentions = Mentions(hosts)
        self._swap = Swap(hosts)

    # --- on the way in ------------------------------------------------------------------------

    def are_in(self, data: bytes, flow: Flow) -> bool:
        """Whether a message that enters names anything of the inside, or has a mark: a quick search."""
        return data.rfind(IN_URI) >= 0 or self._mentions.found(data, flow)  # from its end: quicker

    def enter(self, message: Message, flow: Flow, opened: Sequence[Edit]) -> list[Edit]:
        """The edits in the start line and the header fields; none in what was `opened`."""
        taken = sorted([(edit.start, edit.end) for edit in opened])
        edits: list[Edit] = []
        if message.is_request:
            edits += self._request_uri(message, flow)
        for spelled, span in header_fields(message):
            name = names.field_name(spelled)
            if name not in _STAYS and self.are_in(message.data[span[0] : span[1]], flow):
                edits += self._field(message, flow, name, span, taken)
                if len(edits) > MOST_EDITS:
                    raise TooMuch("edits")
        return outside_of(edits, taken)

    def _request_uri(self, message: Message, flow: Flow) -> list[Edit]:
        start, end = message.request_uri
        uri = message.data[start:end]
        stop = start + _length(uri)
        marked = self._outs.mark(uri[: stop - start], flow, b"") if self.marks else None
        if marked is None:
            return []  # what is no SIP URI, nobody routes by
        return [Edit(start, stop, marked, names.REQUEST_URI, MARKED)]

    def _field(
        self, message: Message, flow: Flow, name: str, span: Span, taken: Sequence[Span]
    ) -> list[Edit]:
        data = message.data
        if name in _ENDS and not (self._ends and self._is_unsigned(message)):
            return []
        place = self._place(message, flow, name) if self.marks else None
        if place is None:
            return self._swap.strangers(data, span, flow, name)
        edits: list[Edit] = []
        entries = values.split(data, [span])
        if len(entries) > MOST_VALUES:  # not counted yet where no rule looks at the field
            raise TooMuch(f"values of {name}")
        for entry in entries:
            edits += self._entry(data, entry, flow, name, place)
        return edits

    @staticmethod
    def _is_unsigned(message: Message) -> bool:
        return names.IDENTITY not in find_fields(message, _IDENTITY_ONLY)

    def _place(self, message: Message, flow: Flow, name: str) -> bytes | None:
        """The host and port that the URIs of a field get, empty where they stay; None for a field whose
        URIs are not marked."""
        if name == names.CONTACT:
            if message.method == b"REGISTER":
                return self._nowhere
            stays = message.status in _REDIRECTION or is_register(message)
            return b"" if stays else flow.place
        if name in _MOVE:
            return flow.place
        return b"" if name in _STAY_PUT or name in _ENDS else None

    def _entry(self, data: bytes, entry: Span, flow: Flow, name: str, place: bytes) -> list[Edit]:
        where = address.locate(data, *entry, route=name in address.ROUTES)
        if not where:
            return self._swap.strangers(data, entry, flow, name)
        start, end, bare = where
        edits = self._swap.strangers(data, (entry[0], start), flow, name)
        if name not in _ENDS:  # a tag stays
            edits += self._swap.strangers(data, (end, entry[1]), flow, name)
        uri = data[start:end]
        stop = start + _length(uri)
        how = (BARE_WHOLE if name in address.ROUTES else BARE) if bare else 0
        marked = self._outs.mark(uri[: stop - start], flow, place, bare=how)
        if marked is not None:
            edits += replace_uri(start, stop, end, marked, name, MARKED, bracket=bare)
        elif not (sip_uri.parse(uri) and sip_uri.is_uri(uri)):
            return self._swap.strangers(data, entry, flow, name)
        return edits + self._headers_part(data, (stop, end), flow, name)

    def _headers_part(self, data: bytes, span: Span, flow: Flow, name: str) -> list[Edit]:
        """What stands behind the `?` of a URI, but for what names a dialog."""
        ids = [match.span() for match in DIALOG_IDS.finditer(data, *span)]
        return outside_of(self._swap.strangers(data, span, flow, name), ids)

    def marked(self, data: bytes, entry: Span, flow: Flow) -> bytes:
        """The URI that a registrar inside knows a stranger's Contact by; empty where that has no mark."""
        where = address.locate(data, *entry)
        uri = data[where.start : where.end] if where else b""
        place = self._nowhere
        marked = (
            self._outs.mark(uri[: _length(uri)], flow, place, bare=where.bare) if where else None
        )
        return marked + uri[_length(uri) :] if marked else b""

    # --- on the way out -----------------------------------------------------------------------

    def leave(self, message: Message, flow: Flow, masked: Sequence[Edit]) -> list[Edit]:
        """`masked`, but that marks in the fields that go back become again what the strangers wrote."""
        edits: list[Edit] = []
        taken: list[Span] = []
        gone = [(edit.start, edit.end) for edit in masked if edit.action == STRIPPED]
        if message.is_request:
            self._restore(message.data, message.request_uri, flow, names.REQUEST_URI, edits, taken)
        try:
            fields = find_fields(message, _RESTORED_NAMES)
        except Malformed:
            fields = {}
        for name, spans in fields.items():
            for entry in self._going_back(message, flow, name, spans):
                if any(start <= entry[0] < end for start, end in gone):
                    continue
                self._restore(message.data, entry, flow, name, edits, taken)
        return edits + outside_of(masked, sorted(taken))

    def _going_back(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Span]:
        """The values of a field that came from the receiver's side."""
        data = message.data
        if all(data.find(IN_URI, start, end) < 0 for start, end in spans):
            return []
        entries = values.split(data, spans)
        if name == names.RECORD_ROUTE:
            return [] if message.is_request else entries[self._above(data, entries, flow) :]
        if name == names.CONTACT:
            lists = 200 <= message.status < 300 and is_register(message)
            return entries if lists else []
        return entries

    def _above(self, data: bytes, entries: list[Span], flow: Flow) -> int:
        """How many Record-Routes of a response stand above the last own one, which is one of them; without
        an own one (shape nat), above the last that lies inside."""
        found = []
        for entry in entries:
            where = address.locate(data, *entry, route=True)
            found.append(
                self._hosts.find(sip_uri.host(data[where.start : where.end]) or b"")
                if where
                else NO_HOST
            )
        ours = [i for i, host in enumerate(found) if host.own]
        ours = ours or [i for i, host in enumerate(found) if is_named(host, flow)]
        return ours[-1] + 1 if ours else 0

    def _restore(
        self,
        data: bytes,
        entry: Span,
        flow: Flow,
        name: str,
        edits: list[Edit],
        taken: list[Span],
    ) -> None:
        """Add the edits for one value, and the spans that nothing else may touch."""
        where = address.locate(data, *entry, route=name in address.ROUTES)
        if name == names.REQUEST_URI:
            where = address.Address(*entry, False)
        if not where:
            return
        start, end, bare = where
        uri = data[start:end]
        stop = start + _length(uri)
        opened = self._outs.restore(uri[: stop - start], flow)
        if not opened:
            return
        needs_brackets = any(character in opened.uri for character in _NEEDS_BRACKETS)
        added = opened.bare and not bare and start == entry[0] + 1 and stop == end
        is_whole = opened.bare == BARE_WHOLE
        if added and is_whole == (name in _ROUTES) and (is_whole or not needs_brackets):
            edits.append(Edit(start - 1, end + 1, opened.uri, name, UNMARKED))
            taken.append((start - 1, end + 1))
            return
        bracket = bare and needs_brackets and not (is_whole and name in _ROUTES)
        edits += replace_uri(start, stop, end, opened.uri, name, UNMARKED, bracket=bracket)
        taken.append((start, stop))
        if bare and stop < end:
            taken.append((end, end))


def _length(uri: bytes) -> int:
    """The length of a URI without its headers part."""
    parts = sip_uri.parse(uri)
    return len(uri) - len(parts.headers) if parts else len(uri)
