"""Mode topoh: stateless masking. The rule tables, one method for each rule.

A table maps a field to the rule for it; there is one table for each direction and kind of message.
A message is parsed for the fields of its table alone, so what has no rule costs nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from inline_topo.bounds import MOST_EDITS, MOST_ROUTING_ENTERING, TooMuch
from inline_topo.compiling import mypyc_attr
from inline_topo.edits import Edit
from inline_topo.masking import callid, claims, part_names, rest, vias
from inline_topo.masking.bodies import Bodies
from inline_topo.masking.cache import Cache
from inline_topo.masking.callid import CALL_IDS, CallIds
from inline_topo.masking.carriers import REFERENCES, Carriers, Switches
from inline_topo.masking.claims import ClaimError, Claims
from inline_topo.masking.codecs.base import Codec, SealError
from inline_topo.masking.elements import check_escapes, check_routing
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.hidden import is_hidden, is_named, is_not_own
from inline_topo.masking.hosts import Host, Hosts
from inline_topo.masking.out import IN_URI
from inline_topo.masking.part_names import PART_NAME
from inline_topo.masking.policy import Policy, decides
from inline_topo.masking.rest import FILL, Rest
from inline_topo.masking.settle import outside_of
from inline_topo.masking.strangers import LEAVE, Strangers
from inline_topo.masking.table import Rule, Table
from inline_topo.masking.unread import Unread, may_be_response
from inline_topo.masking.uris import MASKED, OPENED, Uris
from inline_topo.sip import address, names, uri, values, via
from inline_topo.sip.message import Message, Span, find_fields
from inline_topo.sip.method import is_method, is_register
from inline_topo.sip.names import FieldNames

Mapping = Callable[[bytes], bytes]

_REMEMBERED: Final = 1 << 14
_LONGEST_REMEMBERED: Final = 512
_RECEIVED: Final = b"received"
_GRUUS: Final = (b"pub-gruu", b"temp-gruu")
_GRUU: Final = b"-gruu="
"""What a registrar gives a phone to say where it is (RFC 5627 section 5.1): it comes back in Contacts and
as Request-URI."""

_ONE_VALUE: Final = re.compile(
    rb"SIP/2\.0/[A-Za-z]+ [A-Za-z0-9.:\[\]_-]+(?:;[A-Za-z0-9._~-]+(?:=[A-Za-z0-9.:\[\]_~!%*+`'-]*)?)*"
)
_SENT_BY: Final = re.compile(
    rb"SIP[ \t\r\n]*/[ \t\r\n]*2\.0[ \t\r\n]*/[ \t\r\n]*[A-Za-z]+\s+[^\s;,]+", re.I
)
_VIA_ONLY: Final = FieldNames([names.VIA])
_REDIRECTION: Final = range(300, 400)
_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True)
class Options:
    """`mask_callid` and `mask_mode` as Kamailio has them; `nat`: the rules of shape nat are added;
    `hide`: which carriers are hidden beside Via, Record-Route and Contact; `sdp`, `bodies`: so is
    what SDP and other bodies name. `as_topoh`: Vias open one by one, below any branch, as topoh has
    it, and nothing else that topoh does not (codec kamailio in profile topoh). `opens_contacts`: so does a
    Contact of a call that left here and comes back, as who is inside writes straight to it.
    `guards`: a response whose lower Vias name the inside in clear does not enter; off while answers to
    what left before the gateway was there come in. `strangers`: what becomes of their words
    (masking.strangers), for whom `shown` says which hosts are own (None: the same). `rest`: what becomes
    of what still names the inside where something routes (masking.rest): LEAVE, SEAL or FILL.
    `refuses`: a message that enters and names the inside where proxies route does not (masking.claims);
    `nowhere`: nor has a registered Contact a host of the inside. `clear_params`: URI parameters that stay
    readable beside a token."""

    mask_callid: bool = False
    mask_mode: int = 0
    nat: bool = False
    callid_prefix: bytes = b"!!:"
    hide: Switches = field(default_factory=Switches)
    sdp: bool = False
    bodies: bool = False
    strangers: str = LEAVE
    shown: Hosts | None = None
    rest: str = LEAVE
    refuses: bool = False
    nowhere: bool = False
    as_topoh: bool = False
    opens_contacts: bool = True
    guards: bool = True
    clear_params: frozenset[bytes] = frozenset()


DEFAULTS: Final = Options()


class Rules(NamedTuple):
    """The tables for one direction and kind of message.

    `fields`: what policy rules may switch off. `identifiers`: Call-IDs and the topmost Via, where
    only the addresses of a packet may. `start_line`: the name and the rule that `fields` has for it.
    """

    fields: Table
    identifiers: Table
    start_line: tuple[str, Rule] | None = None


def _rules(is_request: bool, fields: Table, identifiers: Table) -> Rules:
    name = names.REQUEST_URI if is_request else names.REASON_PHRASE
    rule = fields.get(name)
    return Rules(fields, identifiers, (name, rule) if rule else None)


@mypyc_attr(allow_interpreted_subclasses=True)  # those of the legs
class Topoh:
    """The stateless strategy. All of its methods are pure, but for bounded caches."""

    def __init__(
        self, codec: Codec, hosts: Hosts, policy: Policy, options: Options = DEFAULTS
    ) -> None:
        self.codec = codec
        self.hosts = hosts
        self.policy = policy
        self.options = options
        self.uris = Uris(codec, hosts, options.clear_params)
        self.unopened = self.uris.unopened
        self.carriers = Carriers(codec, hosts, self.uris, options.hide, as_topoh=options.as_topoh)
        self.strangers = Strangers(
            codec,
            options.shown or hosts,
            options.strangers,
            ends=options.hide.from_to,
            nowhere=options.nowhere,
        )
        self._claims = Claims(options.shown or hosts, self.uris.outs) if options.refuses else None
        self._unread = Unread(options.shown or hosts)
        self._seals_rest = options.rest != LEAVE
        self._fields_at_rest = self.fields_at_rest()
        self._rest = Rest(options.shown or hosts, self.uris, lets_through=options.rest == FILL)
        self._contacts: Cache[tuple[bytes, bytes, bytes, bool], tuple[Edit, ...]] = Cache(
            _REMEMBERED, _LONGEST_REMEMBERED
        )
        self._leaves_registers = not options.hide.registers
        self._call_ids = CallIds(codec, hosts, options.callid_prefix)
        self.bodies = Bodies(
            codec,
            hosts,
            self.uris,
            self._call_ids if options.mask_callid else None,
            descriptions=options.sdp,
            others=options.bodies,
        )
        self._rules = {
            (Direction.EGRESS, True): _rules(True, *self.egress_request()),
            (Direction.EGRESS, False): _rules(False, *self.egress_response()),
            (Direction.INGRESS, True): _rules(True, *self.ingress_request()),
            (Direction.INGRESS, False): _rules(False, *self.ingress_response()),
        }
        self._routed = {
            True: _rules(True, *self.routed_request()),
            False: _rules(False, *self.routed_response()),
        }
        self._left = {
            (Direction.EGRESS, True): _rules(True, *self.egress_registration(is_request=True)),
            (Direction.EGRESS, False): _rules(False, *self.egress_registration(is_request=False)),
            (Direction.INGRESS, True): _rules(True, *self.ingress_registration(is_request=True)),
            (Direction.INGRESS, False): _rules(False, *self.ingress_registration(is_request=False)),
        }
        self._names = {key: FieldNames(self.parsed_for(*key)) for key in self._rules}

    def parsed_for(self, direction: Direction, is_request: bool) -> set[str]:
        """The fields that requests or responses in this direction are parsed for."""
        fields, identifiers, _ = self._rules[direction, is_request]
        return {*fields, *identifiers, *self.looked_at(direction, is_request, fields)}

    def looked_at(self, direction: Direction, is_request: bool, table: Table) -> set[str]:
        """The fields that rules look at beside those that they edit."""
        wanted: set[str] = set()
        if direction is Direction.EGRESS:
            wanted |= self.policy.fields | self.carriers.looked_at()
            if self._seals_rest:
                wanted |= set(rest.FIELDS)
        else:
            wanted |= self.carriers.looked_at_entering()
            if self._claims:
                wanted |= set(claims.FIELDS)
        if self.codec.wants_cookie and names.VIA in table and is_request:
            wanted |= {names.ROUTE, names.TO, names.FROM}
        return wanted

    def field_names(self, direction: Direction) -> tuple[FieldNames, FieldNames]:
        """What requests and responses in this direction are parsed for."""
        return self._names[direction, True], self._names[direction, False]

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit]:
        """The edits that mask or open `message`. Raises SealError where it must be masked and cannot.

        `now` is the packet's time in seconds (this strategy keeps no time).
        """
        del now
        enters = flow.direction is Direction.INGRESS
        unopened = self.unopened
        if unopened.seen:
            unopened.forget()
        strangers = self.strangers
        swaps = False
        if enters:
            if self._claims:
                check_routing(message, claims.FIELDS, MOST_ROUTING_ENTERING)
            elif not self.options.as_topoh:
                check_escapes(message)
            if strangers.swaps and flow.masks_identifiers:
                swaps = strangers.are_in(message.data, flow)
        elif self._seals_rest:
            check_routing(message, rest.FIELDS)
        edits = self._edits(message, flow, strangers=swaps)
        if unopened.seen and enters:
            message.unopened = unopened.fields(flow)
        if not enters and strangers.restores and message.data.find(IN_URI) >= 0:
            edits = strangers.leave(message, flow, edits)
        if not enters and self._seals_rest:
            return self.seal_rest(message, flow, edits, self._fields_at_rest)
        return edits

    def fields_at_rest(self) -> tuple[str, ...]:
        """The header fields that are looked at last, for what still names the inside."""
        return rest.FIELDS

    def seal_rest(
        self, message: Message, flow: Flow, edits: list[Edit], fields: tuple[str, ...]
    ) -> list[Edit]:
        """`edits`, and those for what they leave of the inside in these fields, unless policy leaves it."""
        if not self._seals_rest or (flow.rules and not self.applies(message, flow)):
            return edits
        return self._rest.seal(message, flow, edits, fields)

    def _edits(self, message: Message, flow: Flow, *, strangers: bool) -> list[Edit]:
        """The same, but for marks that are restored. `strangers`: a message that enters names the inside."""
        direction = flow.direction
        fields, identifiers, start_line = self.rules_for(message, flow)
        edits: list[Edit] = []
        is_left = self.is_left(message)
        if is_left and self.options.as_topoh and self.leaves_alone(flow):
            return []
        applies = not flow.rules or self.applies(message, flow)
        if applies:
            for name, spans in message.fields.items():
                if name in fields:
                    edits += fields[name](message, flow, name, spans)
                    if len(edits) > MOST_EDITS:
                        raise TooMuch("edits")
            if start_line:
                name, rule = start_line
                edits += rule(message, flow, name, [message.request_uri])
        if identifiers and (flow.masks_identifiers or direction is Direction.INGRESS):
            for name, spans in message.fields.items():
                if name in identifiers:
                    edits += identifiers[name](message, flow, name, spans)
        if message.has_lone_cr and direction is Direction.INGRESS:
            self._check_lines(message, flow)
        if self._claims and direction is Direction.INGRESS and flow.masks_identifiers:
            self._claims.check(message, flow, edits)
        if strangers:
            edits += part_names.outside(message, self.strangers.enter(message, flow, edits))
        if message.body < len(message.data):
            applies = applies and not is_left
            made = self.body_edits(message, flow, applies=applies, strangers=strangers)
            if made and made[0].field == PART_NAME:  # in fields that may be stripped, or swapped
                made = outside_of(made, sorted([(edit.start, edit.end) for edit in edits]))
            edits += made
        return edits

    def _check_lines(self, message: Message, flow: Flow) -> None:
        """A CR alone ends a line for Kamailio: there may be fields that we do not see."""
        if message.is_request and not self.reads_all(flow):
            return
        if not self.admits(message.data, flow):
            raise ClaimError("a CR alone")

    def rules_for(self, message: Message, flow: Flow) -> Rules:
        """The tables for a message."""
        is_request = bool(message.method)
        if not self.options.as_topoh:
            if flow.direction is Direction.INGRESS and not flow.masks_identifiers:
                return self._routed[is_request]
            if self.is_left(message):
                return self._left[flow.direction, is_request]
        return self._rules[flow.direction, is_request]

    def body_edits(
        self, message: Message, flow: Flow, *, applies: bool, strangers: bool = False
    ) -> list[Edit]:
        """The edits in the body. Where nothing else is masked (not `applies`), those of Call-IDs;
        `strangers`: what names the inside is swapped on its way in."""
        if flow.direction is Direction.INGRESS:
            fields = (applies and flow.masks_identifiers) or self.options.as_topoh
            return self.bodies.open(
                message, flow, fields=fields, session=message.session, strangers=strangers
            )
        return self.bodies.mask(message, flow, fields=applies, session=message.session)

    def applies(self, message: Message, flow: Flow) -> bool:
        """Whether policy lets the rules for fields be used: always, but for masking."""
        return flow.direction is Direction.INGRESS or decides(flow.rules, message)

    def is_left(self, message: Message) -> bool:
        """Whether a message leaves as it is, but for what names the inside where something routes."""
        return self._leaves_registers and is_registration(message)

    def leaves_alone(self, flow: Flow) -> bool:
        """Whether topoh itself edits nothing at all in such a message."""
        return flow.direction is Direction.EGRESS

    def addresses(self, message: Message, flow: Flow, edits: list[Edit]) -> bytes:
        """None: the kernel's NAT translates IP addresses."""
        return b""

    # --- the tables ---------------------------------------------------------------------------

    def egress_request(self) -> tuple[Table, Table]:
        fields = self.carriers.egress(is_request=True)
        fields |= {
            names.VIA: self.mask_vias,
            names.RECORD_ROUTE: self.carriers.mask_routes,
            names.CONTACT: self.mask_contacts,
        }
        if self.options.hide.spirals:
            fields[names.ROUTE] = self.mask_spiral
        identifiers = self._call_id_table(self.mask_call_ids, self.mask_uri_call_ids)
        if self.options.nat:
            identifiers[names.VIA] = self.mask_via1
        return fields, identifiers

    def egress_response(self) -> tuple[Table, Table]:
        fields = self.carriers.egress(is_request=False)
        fields |= {
            names.RECORD_ROUTE: self.mask_response_routes,
            names.CONTACT: self.mask_response_contacts,
        }
        return fields, self._call_id_table(self.mask_call_ids, self.mask_uri_call_ids)

    def ingress_request(self) -> tuple[Table, Table]:
        fields = self.carriers.ingress()
        fields |= {
            names.REQUEST_URI: self.open_request_uri,
            names.ROUTE: self.carriers.open_routes,
        }
        if self.options.opens_contacts:
            fields[names.CONTACT] = self.open_returned_contacts
        return fields, self._call_id_table(self.open_call_ids, self.open_uri_call_ids)

    def ingress_response(self) -> tuple[Table, Table]:
        fields = self.carriers.ingress()
        fields |= {
            names.VIA: self.open_lower_vias,
            names.RECORD_ROUTE: self.carriers.open_routes,
            names.CONTACT: (
                self.open_response_contacts
                if self.options.opens_contacts
                else self.open_listed_contacts
            ),
        }
        identifiers = self._call_id_table(self.open_call_ids, self.open_uri_call_ids)
        if self.options.nat:
            identifiers[names.VIA] = self.open_via1
        return fields, identifiers

    def egress_registration(self, *, is_request: bool) -> tuple[Table, Table]:
        """REGISTER and PUBLISH where `hide.registers` is off. Outsiders send these to each other too, and
        who has kept a token sends it along: so what opens in them, closes, here and in `seal_rest`."""
        fields = self.carriers.egress_named()
        if is_request:
            fields[names.VIA] = self.mask_vias
        else:
            fields[names.CONTACT] = self.mask_where_registered
        identifiers = self._call_id_table(self.mask_call_ids, self.mask_uri_call_ids)
        if is_request and self.options.nat:
            identifiers[names.VIA] = self.mask_via1
        return fields, identifiers

    def ingress_registration(self, *, is_request: bool) -> tuple[Table, Table]:
        """The same as they enter: tokens open where they route."""
        return self.routed_request() if is_request else self.routed_response()

    def routed_request(self) -> tuple[Table, Table]:
        """What enters from whom nothing is masked for: tokens open where they route."""
        fields, identifiers = self.ingress_request()
        kept = {names.REQUEST_URI, names.ROUTE, *self.carriers.where_it_routes()}
        return {name: rule for name, rule in fields.items() if name in kept}, identifiers

    def routed_response(self) -> tuple[Table, Table]:
        """The same for a response."""
        fields, identifiers = self.ingress_response()
        kept = {names.VIA, names.RECORD_ROUTE, *self.carriers.where_it_routes()}
        routed = {name: rule for name, rule in fields.items() if name in kept}
        return routed | {names.CONTACT: self.open_listed_contacts}, identifiers

    def _call_id_table(self, plain: Rule, in_uri: Rule) -> Table:
        if not self.options.mask_callid:
            return {}
        in_uris = dict.fromkeys((*REFERENCES, names.CONTACT), in_uri)
        table = {**dict.fromkeys(CALL_IDS, plain), **in_uris}
        return {name: rule for name, rule in table.items() if not self.carriers.is_stripped(name)}

    # --- what the inside calls it ---------------------------------------------------------------

    def clear_call_id(self, message: Message, flow: Flow) -> bytes:
        """The Call-ID of a message that enters, as the inside has it."""
        call_id = message.first(names.CALL_ID)
        clear = self._clear_call_ids(flow)
        return clear(call_id) if clear else call_id

    def _clear_call_ids(self, flow: Flow) -> Mapping | None:
        return self._unmask(flow) if self.options.mask_callid else None

    def clear_via1(self, value: bytes) -> bytes:
        """The topmost Via of a response that enters, as the inside has it."""
        return (self.codec.open_via1(value) if self.options.nat else None) or value

    # --- masking ------------------------------------------------------------------------------

    def mask_vias(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """Via[2..]; the topmost is the sender's own."""
        entries = values.split(message.data, spans)
        if len(entries) < 2:
            return []
        cookie = dialog_cookie(message) if self.codec.wants_cookie else b""
        return self.seal_vias(message, entries, flow, cookie)

    def seal_vias(
        self, message: Message, entries: list[Span], flow: Flow, cookie: bytes
    ) -> list[Edit]:
        """All but the first of `entries`, for the transaction of that one; in clear, as `message` is."""
        data, topmost = message.data, entries[0]
        context = vias.context(message, data[topmost[0] : topmost[1]])
        if context is None:
            if not self.options.as_topoh:
                raise SealError("Via: two receivers may read two branches in the topmost one")
            context = b""
        sealed = self.codec.seal_vias(data, entries[1:], flow.mask, cookie, context)
        return [Edit(start, end, new, names.VIA, MASKED) for start, end, new in sealed]

    def mask_via1(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """Via[1] in shape nat, where it is not own already."""
        data = message.data
        topmost = next(iter(values.split(data, spans)), spans[0])
        value = data[topmost[0] : topmost[1]]
        parts = via.parse(value, 0, len(value))
        if not parts:
            raise SealError("Via: does not parse")
        if not is_not_own(self.hosts.find(value[parts.host[0] : parts.host[1]]), flow):
            return []
        return [Edit(*topmost, self.codec.seal_via1(value, flow.mask), name, MASKED)]

    def mask_response_routes(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """The entries above the last own one; those below came with the request and stay.

        Without an own entry all came with the request but those that lie inside.
        """
        data = message.data
        entries = values.split(data, spans)
        own = [i for i, entry in enumerate(entries) if self.uris.host_of(data, entry).own]
        if not own:
            return self.uris.mask_all(data, entries, flow, name, is_named, route=True)
        return self.uris.mask_all(data, entries[: own[-1] + 1], flow, name, is_not_own, route=True)

    def mask_spiral(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """Route and Request-URI of a request that comes back to us: what is hidden behind the first
        own entry. Other Routes are the receiver's own words."""
        data = message.data
        entries = values.split(data, spans)
        for i, entry in enumerate(entries):
            if self.uris.host_of(data, entry).own:
                # INVITE and CANCEL have the same Request-URI, across a rotation of the active key.
                edits = self.uris.mask_all(
                    data, entries[i + 1 :], flow, name, is_hidden, stable=True, route=True
                )
                edit = self.uris.mask_request_uri(
                    data, message.request_uri, flow, is_hidden, names.REQUEST_URI, stable=True
                )
                return [*edits, edit] if edit else edits
        return []

    def mask_contacts(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """Every Contact that is not own; those of a REGISTER the same at each refresh."""
        return self._mask_own_contacts(message.data, flow, spans, is_register(message))

    def mask_response_contacts(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """As in a request; of a 3xx only what is hidden (a carrier's names stay), of a REGISTER what
        is hidden and not the requester's own binding."""
        data = message.data
        entries = values.split(data, spans)
        if message.status in _REDIRECTION:
            if not self.options.mask_mode & 1:
                return self.uris.mask_all(data, entries, flow, name, is_hidden)
            if self.options.as_topoh:
                return []
            return self.uris.mask_all(data, entries, flow, name, is_named)
        if is_register(message):
            requester = self._requester(message)

            def is_anothers(host: Host, flow: Flow) -> bool:
                return is_hidden(host, flow) and host not in requester

            edits = self.uris.mask_all(data, entries, flow, name, is_anothers, stable=True)
            for entry in entries:
                edit = self.uris.mask_parameter(data, entry, flow, name, is_anothers, _RECEIVED)
                edits += [edit] if edit else []
            return edits + self._mask_gruus(data, entries, flow, name)
        return self._mask_own_contacts(data, flow, spans, False)

    def mask_where_registered(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """Where a registrar saw the phones that it lists, if it lies inside."""
        if not is_register(message):
            return []
        edits = []
        entries = values.split(message.data, spans)
        for entry in entries:
            edit = self.uris.mask_parameter(message.data, entry, flow, name, is_named, _RECEIVED)
            edits += [edit] if edit else []
        return edits + self._mask_gruus(message.data, entries, flow, name)

    def _mask_gruus(self, data: bytes, entries: list[Span], flow: Flow, name: str) -> list[Edit]:
        """The GRUUs of bindings that name something hidden."""
        edits = []
        for entry in entries:
            if data.find(_GRUU, *entry) >= 0:
                for gruu in _GRUUS:
                    edit = self.uris.mask_parameter(data, entry, flow, name, is_hidden, gruu)
                    edits += [edit] if edit else []
        return edits

    def _mask_own_contacts(
        self, data: bytes, flow: Flow, spans: list[Span], stable: bool
    ) -> list[Edit]:
        """Every Contact that is not own. A phone's Contact is in each of its messages: what became
        of it is remembered whole, by offsets in the value."""
        edits = []
        for start, end in values.split(data, spans):
            key = (data[start:end], flow.mask, flow.outside, stable)
            known = self._contacts.get(key)
            if known is None:
                value, whole = key[0], (0, end - start)
                made = self.uris.mask(value, whole, flow, names.CONTACT, is_not_own, stable=stable)
                beside = self.carriers.swap_beside(value, whole, flow, names.CONTACT)
                known = (*made, *beside)
                self._contacts.remember(key, known, end - start)
            for edit in known:
                where = start + edit.start, start + edit.end
                edits.append(Edit(*where, edit.new, names.CONTACT, edit.action))
        return edits

    def _requester(self, message: Message) -> list[Host]:
        """The hosts of the last Via: its sent-by and its `received` (RFC 3261 section 18.2.1)."""
        data = message.data
        vias = values.split(data, find_fields(message, _VIA_ONLY).get(names.VIA, []))
        parts = via.parse(data, *vias[-1]) if vias else None
        if not parts:
            return []
        hosts = [self.hosts.find(data[parts.host[0] : parts.host[1]])]
        received = values.parameter(data, parts.sent_by_end, vias[-1][1], _RECEIVED)
        if received:
            hosts.append(self.hosts.find(data[received[0] : received[1]]))
        return hosts

    def mask_call_ids(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """Every Call-ID in a field, through the bijection."""
        return self._map_call_ids(message.data, spans, name, self._call_ids.mask, MASKED)

    def mask_uri_call_ids(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """The Call-IDs in the headers part of the URIs of a field."""
        return self._map_uri_call_ids(message.data, spans, name, self._call_ids.mask, MASKED)

    # --- opening ------------------------------------------------------------------------------

    def open_request_uri(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """A token, in or out of a dialog, whatever the method."""
        edit = self.uris.open_request_uri(message.data, spans[0], name)
        return [edit] if edit else []

    def open_response_contacts(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """The bindings that a registrar lists, the targets of a redirection, and whom an answer that was
        outside in between comes from."""
        if not lists_contacts(message):
            return self.open_returned_contacts(message, flow, name, spans)
        if is_register(message) and message.status in _SUCCESS:
            # A registrar alone writes where it saw a phone.
            return self.open_contacts(message, flow, name, spans)
        return self.uris.open_all(message.data, spans, name)

    def open_returned_contacts(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """Tokens in the Contacts of a call that left here. Others', who may have the same key, stand at
        another host, and are to be written to there."""
        data = message.data
        if not self.codec.may_open(data, spans[0][0], spans[-1][1]):
            return []
        edits: list[Edit] = []
        for entry in values.split(data, spans):
            where = address.locate(data, *entry)
            host = uri.host(data[where.start : where.end]) if where else None
            known = self.hosts.find(host) if host else None
            if known and (known.own or known.address == flow.mask_address):
                edits += self.uris.open(data, entry, name)
        return edits

    def open_listed_contacts(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """Those of a registrar and of a redirection alone."""
        if lists_contacts(message):
            return self.open_response_contacts(message, flow, name, spans)
        return []

    def open_contacts(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """Tokens in any Contact, where a registrar saw it, and its GRUUs."""
        data = message.data
        edits = self.uris.open_all(data, spans, name)
        first, last = spans[0][0], spans[-1][1]
        beside = [_RECEIVED] if data.find(b";received=", first, last) >= 0 else []
        beside += _GRUUS if data.find(_GRUU, first, last) >= 0 else ()
        for entry in values.split(data, spans) if beside else ():
            for parameter in beside:
                edit = self.uris.open_parameter(data, entry, name, parameter)
                edits += [edit] if edit else []
        return edits

    def open_lower_vias(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """The tokens below the topmost Via, each expanded once: all of them or none, and nothing else
        among them. What opens is then the whole stack of one request, and leads to its sender."""
        entries = values.split(message.data, spans)
        if not self.options.as_topoh and self.guards_responses(flow):
            self._check_topmost(message.data, entries, flow)
        if len(entries) < 2:
            return []
        if self.options.as_topoh:
            return self._open_one_by_one(message.data, entries[1:], name)
        edits = self.open_below(message, flow, entries)
        if edits is None:
            if self.guards_responses(flow):
                self._check_clear(message.data, entries[1:], flow)
            self._tell_unopened(message.data, entries[1:])
            return []
        return edits

    def guards_responses(self, flow: Flow) -> bool:
        """Whether a response enters only if its lower Vias name nothing of the inside in clear: we have
        sealed them, but for messages that a rule leaves."""
        return self.options.guards and all(rule.mask for rule in flow.rules)

    def _check_topmost(self, data: bytes, entries: list[Span], flow: Flow) -> None:
        """What others may read as two values (for Kamailio a lone CR ends a line) has nothing of the inside
        behind its first host."""
        if not entries:
            return
        start, end = entries[0]
        value = data[start:end]
        if _ONE_VALUE.fullmatch(value):
            return
        sent_by = _SENT_BY.match(value)
        self._check_clear(data, [(start + (sent_by.end() if sent_by else 0), end)], flow)

    def _check_clear(self, data: bytes, entries: list[Span], flow: Flow) -> None:
        for start, end in entries:
            hosts = self.hosts.named_to_proxies(data[start:end])
            if any(is_named(host, flow) for host in hosts):
                raise ClaimError(names.VIA)

    def reads_all(self, flow: Flow) -> bool:
        """Whether nothing enters that was not read."""
        return self._claims is not None and flow.masks_identifiers

    def admits(self, data: bytes, flow: Flow) -> bool:
        """Whether a message that enters and does not parse may pass: it must claim nothing of the inside
        where a message that parses must not."""
        if not self.reads_all(flow):
            guards = not self.options.as_topoh and self.guards_responses(flow)
            if not guards or not may_be_response(data):
                return True
        return not self._unread.names_inside(data, flow)

    def open_below(self, message: Message, flow: Flow, entries: list[Span]) -> list[Edit] | None:
        """The edits that open all but the first of `entries`; None where one does not open."""
        data = message.data
        topmost = self.clear_via1(data[entries[0][0] : entries[0][1]])
        context = vias.context(message, topmost, self._clear_call_ids(flow))
        if context is None:
            return None
        if len(entries) == 2:
            start, end = entries[1]
            alone = self.codec.open_vias([data[start:end]], context)
            return [Edit(start, end, alone[0], names.VIA, OPENED)] if alone else None
        lower = entries[1:]
        opened = self.codec.open_vias([data[start:end] for start, end in lower], context)
        if opened is None:
            return None
        return [
            Edit(*span, new, names.VIA, OPENED) for span, new in zip(lower, opened, strict=True)
        ]

    def _open_one_by_one(self, data: bytes, entries: list[Span], name: str) -> list[Edit]:
        edits = []
        for start, end in entries:
            opened = self.codec.open_vias([data[start:end]], b"")
            if opened:
                edits.append(Edit(start, end, opened[0], name, OPENED))
            else:
                self.unopened.via(data[start:end], name)
        return edits

    def _tell_unopened(self, data: bytes, entries: list[Span]) -> None:
        for start, end in entries:
            self.unopened.via(data[start:end], names.VIA)

    def open_via1(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """The topmost Via of a response to a request that left through shape nat."""
        topmost = next(iter(values.split(message.data, spans)), spans[0])
        value = message.data[topmost[0] : topmost[1]]
        opened = self.codec.open_via1(value)
        if not opened:
            self.unopened.via(value, name)
            return []
        return [Edit(*topmost, opened, name, OPENED)]

    def open_call_ids(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """Every Call-ID in a field, through the inverse."""
        unmask = self._unmask(flow)
        return self._map_call_ids(message.data, spans, name, unmask, OPENED)

    def open_uri_call_ids(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """The inverse of `mask_uri_call_ids`."""
        unmask = self._unmask(flow)
        return self._map_uri_call_ids(message.data, spans, name, unmask, OPENED)

    def _unmask(self, flow: Flow) -> Mapping:
        return partial(self._call_ids.unmask, escape=flow.masks_identifiers)

    def _map_call_ids(
        self, data: bytes, spans: list[Span], name: str, mapping: Mapping, action: str
    ) -> list[Edit]:
        edits = []
        for start, end in callid.locate(data, spans, name):
            clear = data[start:end]
            mapped = mapping(clear)
            if mapped != clear:
                edits.append(Edit(start, end, mapped, name, action))
            elif action == OPENED:
                self.unopened.call_id(clear, name)
        return edits

    def _map_uri_call_ids(
        self, data: bytes, spans: list[Span], name: str, mapping: Mapping, action: str
    ) -> list[Edit]:
        edits = []
        for start, end in callid.locate_in_uris(data, self.uris.headers_parts(data, spans)):
            escaped = data[start:end]
            clear = callid.unescape(escaped)
            mapped = mapping(clear)
            if mapped != clear:
                new = callid.escape_like(mapped, escaped)
                edits.append(Edit(start, end, new, name, action))
            elif action == OPENED:
                self.unopened.call_id(clear, name)
        return edits


def lists_contacts(message: Message) -> bool:
    """Whether the Contacts of a response are others' than the sender's: a 3xx, or a REGISTER's 2xx."""
    if message.status in _REDIRECTION:
        return True
    return message.status in _SUCCESS and is_register(message)


def is_registration(message: Message) -> bool:
    """Whether a message is a REGISTER or PUBLISH or answers one."""
    return is_register(message) or is_method(message, b"PUBLISH")


def dialog_cookie(message: Message) -> bytes:
    """What Kamailio's topoh writes into a Via of this request (`TH=`): where in a dialog it stands.

    Its own rule looks at the Routes that a request came in with. Those that are still there when it
    leaves are all that can be seen here: without one, the request goes downstream.
    """
    if not tag_of(message, names.TO):
        return b"div"
    routes = values.split(message.data, message.fields.get(names.ROUTE, []))
    first = address.locate(message.data, *routes[0], route=True) if routes else None
    if first:
        ftag = values.parameter(message.data, first.start, first.end, b"ftag")
        if ftag and message.data[ftag[0] : ftag[1]] != tag_of(message, names.FROM):
            return b"ucv"
    return b"dcv"


def tag_of(message: Message, name: str) -> bytes:
    """The tag of From or To; empty where it has none."""
    spans = message.fields.get(name)
    return address.tag(message.data, *spans[0]) if spans else b""
