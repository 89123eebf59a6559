"""The other two legs of a replay: what the outside would have seen, and what the inside would have.

`outside`: the capture was taken in clear, inside. What leaves is masked by the rules of the gateway;
what enters is what a peer answered to the clear message, so what it would have echoed of a masked
one is masked here. `inside` is the reverse: whatever opens is opened, in both directions.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import NamedTuple, TypeVar

from inline_topo.edits import Edit
from inline_topo.masking.bodies.base import BODY_URI, FIELDS, Sealer
from inline_topo.masking.callid import CALL_IDS
from inline_topo.masking.carriers import REFERENCES
from inline_topo.masking.codecs.base import BARE, BARE_WHOLE, Codec
from inline_topo.masking.ends import PARAMETER, host_of
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.hidden import is_not_own
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.policy import Policy, decides
from inline_topo.masking.rest import FIELDS as FIELDS_AT_REST
from inline_topo.masking.table import Table
from inline_topo.masking.topoh import (
    DEFAULTS,
    Options,
    Rules,
    Topoh,
    dialog_cookie,
    lists_contacts,
    tag_of,
)
from inline_topo.masking.uris import MASKED, KnownUri
from inline_topo.sip import address, names, uri, values, via
from inline_topo.sip.message import Message, Span, header_fields
from inline_topo.sip.method import is_register

_REMEMBERED = 1 << 16

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

_STABLE = frozenset({BODY_URI, names.REQUEST_URI, names.ROUTE})
_NO_URIS = frozenset(FIELDS) - {BODY_URI}


class Memory(OrderedDict[_Key, _Value]):
    """A dict that forgets its oldest entries."""

    def __setitem__(self, key: _Key, value: _Value) -> None:
        super().__setitem__(key, value)
        if len(self) > _REMEMBERED:
            self.popitem(last=False)


class _Minted(NamedTuple):
    """How a URI left: masked or (by policy) in clear, and with which options of the codec."""

    masked: bool
    stable: bool = False
    bare: int = 0


class OutsideLeg(Topoh):
    """Masks in both directions. `public`: shape nat, the packed addresses the router has outside."""

    def __init__(
        self,
        codec: Codec,
        hosts: Hosts,
        policy: Policy,
        options: Options = DEFAULTS,
        public: tuple[bytes, ...] = (),
    ) -> None:
        super().__init__(codec, hosts, policy, options)
        self._public = public
        # By outside address too: a peer echoes what it was sent, not what others were.
        self._minted: Memory[tuple[bytes, bytes], _Minted] = Memory()
        self._minted_vias: Memory[tuple[bytes, bytes], bool] = Memory()
        self._called: Memory[tuple[bytes, bytes], bool] = Memory()  # Contacts, but of registrations
        self._cookies: Memory[bytes, bytes] = Memory()
        self._said: Memory[tuple[bytes, bytes], bool] = Memory()

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit]:
        edits = super().edits(message, flow, now)
        if flow.direction is Direction.EGRESS:
            if self.is_left(message) or (flow.rules and not decides(flow.rules, message)):
                self._remember_left(message, flow.outside)
            if edits:
                self.remember(message, flow.outside, edits)
        elif self._seals_rest and self.strangers.are_in(message.data, flow):
            self._hear(message, flow)
        return edits

    def _hear(self, message: Message, flow: Flow) -> None:
        """Remember what an outside address says itself of the inside's range: its phone may lie there."""
        data = message.data
        if message.is_request:
            self._said[flow.outside, data[message.request_uri[0] : message.request_uri[1]]] = True
        for spelled, span in header_fields(message):
            if names.field_name(spelled) in FIELDS_AT_REST:
                is_route = names.field_name(spelled) in address.ROUTES
                for entry in values.split(data, [span]):
                    where = address.locate(data, *entry, route=is_route)
                    if where:
                        self._said[flow.outside, data[where.start : where.end]] = True

    def seal_rest(
        self, message: Message, flow: Flow, edits: list[Edit], fields: tuple[str, ...]
    ) -> list[Edit]:
        """But for what the same outside address said earlier in the file."""
        sealed = super().seal_rest(message, flow, edits, fields)
        data, peer = message.data, flow.outside
        kept, said = list(edits), False
        for edit in sealed[len(edits) :]:
            if edit.start < edit.end:  # else it is the bracket behind the URI before
                said = (peer, data[edit.start : edit.end]) in self._said
            if not said:
                kept.append(edit)
        return kept

    def rules_for(self, message: Message, flow: Flow) -> Rules:
        if self.is_left(message) and not self.options.as_topoh:
            return self._left[flow.direction, message.is_request]
        return self._rules[flow.direction, message.is_request]

    def leaves_alone(self, flow: Flow) -> bool:
        return True

    def ingress_registration(self, *, is_request: bool) -> tuple[Table, Table]:
        return OutsideLeg.ingress_request(self) if is_request else OutsideLeg.ingress_response(self)

    def guards_responses(self, flow: Flow) -> bool:
        return False  # what enters was taken inside

    def remember(self, message: Message, peer: bytes, edits: list[Edit]) -> None:
        """Take note of how what a peer was sent has left."""
        stable = is_register(message)
        for start, end, new, field, action in edits:
            if action != MASKED:
                continue
            clear = message.data[start:end]
            if field in _NO_URIS:
                continue
            if field == names.VIA:
                for span in values.split(clear, [(0, len(clear))]):
                    self._minted_vias[peer, clear[span[0] : span[1]]] = True
            elif PARAMETER in new and clear[:3].lower() == b"sip":  # a From without <>
                self._minted[peer, host_of(clear, (0, len(clear)))] = _Minted(True)
            elif field not in CALL_IDS:
                is_stable = field in _STABLE or (stable and field == names.CONTACT)
                self._minted[peer, clear] = _Minted(True, is_stable, _bare(field, new))
                if field == names.CONTACT and not stable:
                    self._called[peer, clear] = True

    def _remember_left(self, message: Message, peer: bytes) -> None:
        for name in (names.CONTACT, names.RECORD_ROUTE, names.PATH):
            for entry in values.split(message.data, message.fields.get(name, [])):
                where = address.locate(message.data, *entry, route=name in address.ROUTES)
                if where:
                    self._minted[peer, message.data[where.start : where.end]] = _Minted(False)

    def looked_at(self, direction: Direction, is_request: bool, table: Table) -> set[str]:
        wanted = super().looked_at(direction, is_request, table)
        if direction is Direction.INGRESS and is_request:
            wanted.add(names.TO)
        if direction is Direction.EGRESS and self._leaves_registers:
            wanted.add(names.PATH)
        return wanted

    def body_edits(
        self, message: Message, flow: Flow, *, applies: bool, strangers: bool = False
    ) -> list[Edit]:
        if flow.direction is Direction.EGRESS:
            return super().body_edits(message, flow, applies=applies)
        return self.bodies.mask(message, flow, fields=applies, seal=self._echo(flow))

    def _echo(self, flow: Flow) -> Sealer:
        """What was minted earlier, as it was."""

        def seal(clear: bytes, known: KnownUri, bare: bool) -> bytes | None:
            minted = self._minted.get((flow.outside, clear))
            if not minted or not minted.masked or not is_not_own(known.host, flow):
                return None
            return self.codec.seal_uri(clear, flow.mask, stable=minted.stable, bare=bare)

        return seal

    # --- the tables for what enters -----------------------------------------------------------

    def ingress_request(self) -> tuple[Table, Table]:
        fields: Table = self._echoed()
        fields |= {
            names.REQUEST_URI: self.echo_request_uri,
            names.ROUTE: self.echo_routes,
            names.VIA: self.echo_request_vias,
        }
        if self.options.opens_contacts:
            fields[names.CONTACT] = self.echo_contacts
        return fields, self._call_id_table(self.mask_call_ids, self.mask_uri_call_ids)

    def ingress_response(self) -> tuple[Table, Table]:
        fields: Table = self._echoed()
        fields |= {
            names.RECORD_ROUTE: self.echo_routes,
            names.VIA: self.echo_vias,
            names.CONTACT: self.echo_contacts,
        }
        identifiers = self._call_id_table(self.mask_call_ids, self.mask_uri_call_ids)
        if self.options.nat:
            identifiers[names.VIA] = self.mask_via1
        return fields, identifiers

    def _echoed(self) -> Table:
        table: Table = dict.fromkeys((*REFERENCES, *address.ROUTES), self.echo_minted)
        if self.options.hide.from_to:
            table |= dict.fromkeys((names.FROM, names.TO), self.echo_ends)
        return table

    # --- echoes -------------------------------------------------------------------------------

    def mask_vias(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        entries = values.split(message.data, spans)
        if len(entries) < 2:
            return []
        branch = _branch(message.data, entries[1])
        cookie = self._cookies.get(branch, b"")
        if not cookie and self.codec.wants_cookie:
            cookie = self._cookies[branch] = dialog_cookie(message)
        return self.seal_vias(message, entries, flow, cookie)

    def echo_vias(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """Via[2..] of a response, as they were minted for that branch."""
        entries = values.split(message.data, spans)
        if len(entries) < 2:
            return []
        cookie = self._cookies.get(_branch(message.data, entries[1]), b"dcv")
        return self.seal_vias(message, entries, flow, cookie)

    def echo_request_vias(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """Vias that left masked and come back in a request: a spiral. Where the request came in is
        remembered for Kamailio's cookie."""
        data = message.data
        entries = values.split(data, spans)
        if entries and self.codec.wants_cookie:
            self._cookies[_branch(data, entries[0])] = dialog_cookie(message)
        minted = [(flow.outside, data[e[0] : e[1]]) in self._minted_vias for e in entries]
        first = minted.index(True) if True in minted else 0
        if not first:
            return []
        cookie = self._cookies.get(_branch(data, entries[first]), b"dcv")
        return self.seal_vias(message, entries[first - 1 :], flow, cookie)

    def echo_request_uri(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """Within a dialog what is not own; else what was minted earlier."""
        data, span = message.data, message.request_uri
        text = data[span[0] : span[1]]
        minted = self._minted.get((flow.outside, text))
        if minted is None:
            # What a peer asked for in clear it also cancels and acknowledges so.
            minted = _Minted(masked=bool(tag_of(message, names.TO)))
            if not minted.masked:
                self._minted[flow.outside, text] = minted
        if not minted or not minted.masked:
            return []
        edit = self.uris.mask_request_uri(
            data, span, flow, is_not_own, name, stable=minted.stable, bare=minted.bare
        )
        return [edit] if edit else []

    def echo_contacts(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """What a registrar lists or a redirection names. Other Contacts are the peer's own, but for those of
        a spiral, which left as Contacts of calls."""
        entries = values.split(message.data, spans)
        if not lists_contacts(message):
            if not self.options.opens_contacts:
                return []
            uris = [self._uri(message.data, entry, name) for entry in entries]
            called = [(flow.outside, uri) in self._called for uri in uris]
            entries = [entry for entry, left in zip(entries, called, strict=True) if left]
        return self.echo_minted(message, flow, name, entries)

    def _uri(self, data: bytes, entry: Span, name: str) -> bytes:
        """The URI of a field value, without its headers part; empty where there is none."""
        where = address.locate(data, *entry, route=name in address.ROUTES)
        known = self.uris.find(data[where.start : where.end]) if where else None
        return data[where.start : where.start + known.length] if where and known else b""

    def echo_routes(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """What stands after the first own entry; before it what was minted earlier."""
        data = message.data
        entries = values.split(data, spans)
        own = [i for i, entry in enumerate(entries) if self._is_own(data, entry)]
        split = own[0] if own else len(entries)
        edits = self.echo_minted(message, flow, name, entries[:split])
        for entry in entries[split:]:
            where = address.locate(data, *entry, route=True)
            known = (flow.outside, data[where.start : where.end]) if where else None
            minted = self._minted.get(known) if known else None
            if minted is None or minted.masked:
                edits += self.uris.mask(data, entry, flow, name, is_not_own, route=True)
        return edits

    def _is_own(self, data: bytes, entry: Span) -> bool:
        where = address.locate(data, *entry, route=True)
        known = self.uris.find(data[where.start : where.end]) if where else None
        return bool(known and known.host.own)

    def echo_minted(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """What was minted earlier in the file."""
        data = message.data
        edits: list[Edit] = []
        for entry in values.split(data, spans):
            uri = self._uri(data, entry, name)
            minted = self._minted.get((flow.outside, uri)) if uri else None
            if minted and minted.masked:
                edits += self.uris.mask(
                    data,
                    entry,
                    flow,
                    name,
                    is_not_own,
                    stable=minted.stable,
                    route=name in address.ROUTES,
                )
        return edits

    def echo_ends(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """From and To whose host has left masked; or the whole URI. In what an Identity header signs
        they have left in clear."""
        if names.IDENTITY in message.fields:
            return []
        data = message.data
        edits: list[Edit] = []
        for span in spans:
            where = address.locate(data, *span)
            whole = data[where.start : where.end] if where else b""
            minted = self._minted.get((flow.outside, whole))
            if (flow.outside, host_of(data, span)) in self._minted or (minted and minted.masked):
                edits += self.carriers.ends.mask_value(data, span, flow, name, is_not_own)
        return edits

    # --- shape nat ----------------------------------------------------------------------------

    def addresses(self, message: Message, flow: Flow, edits: list[Edit]) -> bytes:
        """The inside end becomes the public address of its family."""
        public = next((a for a in self._public if len(a) == len(flow.inside)), b"")
        return _translated(flow, public) if public else b""


class InsideLeg(Topoh):
    """Opens whatever opens.

    `translate`: shape nat, the public address becomes a private one again; `sole` are the packed
    addresses of the inside where it has but one of a family.
    """

    def __init__(
        self,
        codec: Codec,
        hosts: Hosts,
        policy: Policy,
        options: Options = DEFAULTS,
        *,
        translate: bool = False,
        sole: Iterable[bytes] = (),
    ) -> None:
        super().__init__(codec, hosts, policy, options)
        self._translate = translate
        self._sole = {len(address): address for address in sole}
        self._private: Memory[tuple[int, int], bytes] = Memory()

    def rules_for(self, message: Message, flow: Flow) -> Rules:
        return self._rules[flow.direction, message.is_request]

    def guards_responses(self, flow: Flow) -> bool:
        return False  # it is no gateway

    def body_edits(
        self, message: Message, flow: Flow, *, applies: bool, strangers: bool = False
    ) -> list[Edit]:
        return self.bodies.open(message, flow)

    def applies(self, message: Message, flow: Flow) -> bool:
        return True

    def leaves_alone(self, flow: Flow) -> bool:
        return False

    def egress_request(self) -> tuple[Table, Table]:
        return self._open_everything()

    def egress_response(self) -> tuple[Table, Table]:
        return self._open_everything()

    def ingress_request(self) -> tuple[Table, Table]:
        return self._open_everything()

    def ingress_response(self) -> tuple[Table, Table]:
        return self._open_everything()

    def _open_everything(self) -> tuple[Table, Table]:
        fields = self.carriers.wherever_tokens_stand()
        fields[names.CONTACT] = self.open_contacts
        fields |= dict.fromkeys(address.ROUTES, self.carriers.open_routes)
        fields |= {names.REQUEST_URI: self.open_request_uri, names.VIA: self.open_lower_vias}
        identifiers = self._call_id_table(self.open_call_ids, self.open_uri_call_ids)
        if self.options.nat:
            identifiers[names.VIA] = self.open_via1
        return fields, identifiers

    def open_lower_vias(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """The same in a request too; one that comes back (a spiral), and the answer to it, has Vias of
        others above the one that it left with."""
        if not self.options.as_topoh:
            entries = values.split(message.data, spans)
            for first in range(len(entries) - 1):
                edits = self.open_below(message, flow, entries[first:])
                if edits:
                    return edits
        return super().open_lower_vias(message, flow, name, spans)

    def open_request_uri(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        if not message.is_request:
            return []
        return super().open_request_uri(message, flow, name, spans)

    def addresses(self, message: Message, flow: Flow, edits: list[Edit]) -> bytes:
        """The public end becomes the private host that the opened fields name, or that they named
        last for this port: the NAT keeps ports, so a port is one host's."""
        if not self._translate:
            return b""
        key = len(flow.inside), flow.port
        for edit in sorted(edits, key=_by_nearness):
            private = self.hosts.find(_host_of(edit)).address
            if len(private) == len(flow.inside) and private in self.hosts.inside:
                self._private[key] = private
                break
        private = self._private.get(key) or self._sole.get(len(flow.inside), b"")
        return _translated(flow, private) if private else b""


def _bare(field: str, new: bytes) -> int:
    """How the URI stood that was replaced by `new`."""
    if new[:1] != b"<":
        return 0
    return BARE_WHOLE if field in address.ROUTES or new[-1:] != b">" else BARE


def _translated(flow: Flow, inside: bytes) -> bytes:
    egress = flow.direction is Direction.EGRESS
    return inside + flow.outside if egress else flow.outside + inside


def _by_nearness(edit: Edit) -> tuple[bool, int]:
    """The topmost Via first: a proxy's messages name the phones behind it, in Contact too."""
    return edit.field == names.CONTACT, edit.start


def _host_of(edit: Edit) -> bytes:
    if edit.field == names.VIA:
        parts = via.parse(edit.new, 0, len(edit.new))
        return edit.new[parts.host[0] : parts.host[1]] if parts else b""
    if edit.field in (names.CONTACT, names.REQUEST_URI):
        return uri.host(edit.new) or b""
    return b""


def _branch(data: bytes, span: Span) -> bytes:
    parts = via.parse(data, *span)
    return data[parts.branch[0] : parts.branch[1]] if parts and parts.branch[0] >= 0 else b""
