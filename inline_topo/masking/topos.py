"""Mode topos: what shows the inside is taken out of a message, and kept in a store.

    leaves as a request      loses its lower Vias and all Record-Routes
    leaves as a response     loses the Record-Routes down to the last own one
    both                     have ids for Contacts (topos_ids)
    enters as a response     gets lower Vias and Record-Routes of its request back
    enters as a request      gets the Contact that its Request-URI names, and in the dialog the Routes

Everything else is masked by tokens, as mode topoh does (`tokens`), and so are Contacts of a REGISTER,
which outlive every record, and of a redirection. Tokens open in this mode too, and ids in mode topoh
where a store is configured. Records (topos_shelf), by kind:

    b   a transaction     by topmost Via, Call-ID and CSeq: what its request lost, and its Contact
    c   a Contact         by dialog and content: the URI, and the Routes to it
    d   a dialog          by Call-ID and tags: the Routes to the party inside

A dialog's Routes are those of the message that formed it (RFC 3261 section 12.1), whatever later ones
carry: d knows them when a later message leaves, so that a Contact has one id as long as it stays.
"""

from dataclasses import dataclass

from inline_topo.edits import Edit
from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.codecs.records import pack, unpack
from inline_topo.masking.effects import EffectFailed, Need
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.hidden import is_named, is_not_own
from inline_topo.masking.topoh import Table, Topoh
from inline_topo.masking.topos_dialog import FIELDS, Dialog, dialog_of, transaction_of, vias_of
from inline_topo.masking.topos_ids import CONTACT, Ids, Target, key_in, keys_in
from inline_topo.masking.topos_lines import as_lines, cuts, line
from inline_topo.masking.topos_shelf import Entry, Shelf, Steps, drive
from inline_topo.masking.uris import MASKED, RESTORED, STRIPPED
from inline_topo.sip import address, names, values
from inline_topo.sip import uri as uris
from inline_topo.sip.message import Message, Span
from inline_topo.sip.names import FieldNames

BRANCH, DIALOG = b"b", b"d"

_DEEPEST = 4  # ids inside ids: a call that passes us several times
_FORM_DIALOGS = frozenset({b"INVITE", b"SUBSCRIBE", b"NOTIFY", b"REFER", b"UPDATE"})
_EARLY = frozenset({b"PRACK", b"CANCEL"})  # of a call that nobody has answered
_LOOKED_AT = FIELDS | {names.RECORD_ROUTE, names.ROUTE}


@dataclass(frozen=True)
class Lives:
    """For how many seconds records are kept; Kamailio's names."""

    branch_expire: float = 180
    dialog_expire: float = 10800


class Stripped(Topoh):
    """Masks by tokens what mode topos does not take out."""

    def egress_request(self) -> tuple[Table, Table]:
        return self._without(super().egress_request())

    def egress_response(self) -> tuple[Table, Table]:
        return self._without(super().egress_response())

    @staticmethod
    def _without(tables: tuple[Table, Table]) -> tuple[Table, Table]:
        fields, identifiers = tables
        for name in (names.VIA, names.RECORD_ROUTE, names.CONTACT):
            fields.pop(name, None)
        return fields, identifiers


class Topos:
    """The stateful strategy. `tokens` masks and opens the rest; with `strips` it is a Stripped.

    Without `strips` (mode topoh, drain) it brings back what was taken out before, and keeps ids in
    dialogs that have them. `falls_back`: where the store fails, a message leaves masked by tokens.
    """

    def __init__(
        self,
        tokens: Topoh,
        shelf: Shelf,
        ids: Ids,
        lives: Lives,
        *,
        strips: bool = True,
        falls_back: bool = False,
        no_contact: frozenset[bytes] = frozenset(),
    ) -> None:
        self.tokens = tokens
        self.shelf = shelf
        self.ids = ids
        self.lives = lives
        self._strips = strips
        self._falls_back = falls_back
        self._no_contact = no_contact
        self._names = {
            (direction, is_request): FieldNames(
                tokens.parsed_for(direction, is_request) | _LOOKED_AT
            )
            for direction in (Direction.EGRESS, Direction.INGRESS)
            for is_request in (True, False)
        }

    def field_names(self, direction: Direction) -> tuple[FieldNames, FieldNames]:
        """What requests and responses in this direction are parsed for."""
        return self._names[direction, True], self._names[direction, False]

    def addresses(self, message: Message, flow: Flow, edits: list[Edit]) -> bytes:
        """As the tokens' strategy has it."""
        return self.tokens.addresses(message, flow, edits)

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit] | Need:
        """The edits for a message, or what must be asked of the store first (an Exchange)."""
        if flow.direction is Direction.EGRESS:
            return drive(self.leave(message, flow, now))
        return drive(self.enter(message, flow, now))

    # --- leaving ------------------------------------------------------------------------------

    def leave(self, message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        """A message that leaves."""
        edits = self.tokens.edits(message, flow, now)
        dialog = dialog_of(message, Direction.EGRESS)
        strips = self._strips and (not flow.rules or self.tokens.applies(message, flow))
        try:
            if strips:
                return edits + (yield from self._strip(message, flow, now, dialog))
            return (yield from self._keep_ids(message, flow, now, dialog, edits))
        except EffectFailed:
            if not strips:
                return edits
            if not self._falls_back:
                raise
            return edits + self._mask(message, flow)

    def _strip(self, message: Message, flow: Flow, now: float, dialog: Dialog) -> Steps[list[Edit]]:
        routes = self._routes(message, flow)
        lower = vias_of(message)[1:] if message.is_request else []
        edits = self._cut(message, names.VIA, lower)
        edits += self._cut(message, names.RECORD_ROUTE, routes)
        texts = tuple(message.data[slice(*span)] for span in routes)
        if not message.is_request:
            texts = texts[::-1]
        contacts = message.fields.get(names.CONTACT, [])
        saves: list[Entry] = []
        target = None
        if dialog.method in self._no_contact:
            edits += self._cut(message, names.CONTACT, values.split(message.data, contacts))
        elif contacts and self._has_token_contacts(message, dialog):
            edits += self._mask_contacts(message, flow)
        elif contacts:
            known = yield from self._routes_of_dialog(message, now, dialog, texts)
            replaced, targets = self._replace(message, flow, dialog, known, has_routes=bool(texts))
            edits += replaced
            saves += self._entries(message, dialog, targets)
            target = targets[0] if len(targets) == 1 else None
        if message.is_request and message.method != b"ACK":
            saves += self._transaction(message, dialog, lower, routes, target)
        yield from self.shelf.save(now, saves)
        return edits

    def _keep_ids(
        self, message: Message, flow: Flow, now: float, dialog: Dialog, edits: list[Edit]
    ) -> Steps[list[Edit]]:
        """A message that is not stripped: in a dialog that has ids, its Contact has one too."""
        if message.is_request and len(vias_of(message)) == 1:
            self.shelf.nothing(self._branch_key(message, dialog))
        contacts = message.fields.get(names.CONTACT)
        in_dialog = dialog.local and dialog.remote and dialog.method not in self._no_contact
        if not contacts or not in_dialog or self._has_token_contacts(message, dialog):
            return edits
        found = yield from self.shelf.load(now, self._dialog_keys(message, dialog))
        if not found:
            return edits
        known = tuple(unpack(next(iter(found.values()))))
        replaced, targets = self._replace(message, flow, dialog, known, has_routes=True)
        yield from self.shelf.save(now, self._entries(message, dialog, targets))
        return [edit for edit in edits if edit.field != names.CONTACT] + replaced

    def _mask(self, message: Message, flow: Flow) -> list[Edit]:
        """The tokens in place of what cannot be taken out."""
        tokens, fields = self.tokens, message.fields
        edits: list[Edit] = []
        if message.is_request:
            edits += tokens.mask_vias(message, flow, names.VIA, fields.get(names.VIA, []))
        if spans := fields.get(names.RECORD_ROUTE):
            mask = tokens.mask_routes if message.is_request else tokens.mask_response_routes
            edits += mask(message, flow, names.RECORD_ROUTE, spans)
        return edits + self._mask_contacts(message, flow)

    def _mask_contacts(self, message: Message, flow: Flow) -> list[Edit]:
        spans = message.fields.get(names.CONTACT)
        if not spans:
            return []
        tokens = self.tokens
        mask = tokens.mask_contacts if message.is_request else tokens.mask_response_contacts
        return mask(message, flow, names.CONTACT, spans)

    @staticmethod
    def _has_token_contacts(message: Message, dialog: Dialog) -> bool:
        """A registration outlives every record, and a redirection leads out of the dialog."""
        return dialog.method == b"REGISTER" or message.status >= 300

    def _routes(self, message: Message, flow: Flow) -> list[Span]:
        """The Record-Routes to take out."""
        entries = values.split(message.data, message.fields.get(names.RECORD_ROUTE, []))
        if message.is_request or not entries:
            return entries
        hosts = [self.tokens.uris.host_of(message.data, entry) for entry in entries]
        ours = [i for i, host in enumerate(hosts) if host.own]
        if not ours:
            ours = [i for i, host in enumerate(hosts) if is_named(host, flow)]
        return entries[: ours[-1] + 1] if ours else []

    @staticmethod
    def _cut(message: Message, name: str, gone: list[Span]) -> list[Edit]:
        if not gone:
            return []
        spans = cuts(message, message.fields[name], gone)
        return [Edit(start, end, b"", name, STRIPPED) for start, end in spans]

    # --- Contacts that leave ------------------------------------------------------------------

    def _routes_of_dialog(
        self, message: Message, now: float, dialog: Dialog, routes: tuple[bytes, ...]
    ) -> Steps[tuple[bytes, ...]]:
        """The Routes to the sender: those of the dialog, or of the message where it forms one."""
        if message.is_request and not dialog.remote:
            return routes
        keys = self._dialog_keys(message, dialog)
        if routes and not message.is_request and not self.shelf.remembers(keys[0], now):
            return routes  # an answer to the first request; the answer to a later one is known
        found = yield from self.shelf.load(now, keys)
        for key in keys:
            if key in found:
                return tuple(unpack(found[key]))
        return routes

    def _dialog_keys(self, message: Message, dialog: Dialog) -> list[bytes]:
        """The dialog's key, and the one it has before the other side has a tag."""
        call_id, local, remote = dialog[:3]
        nested = self._nested(message)
        keys = [self.shelf.key(DIALOG, call_id, local, remote, nested)]
        if message.is_request:
            keys.append(self.shelf.key(DIALOG, call_id, local, b"", nested))
        return keys

    @staticmethod
    def _nested(message: Message) -> bytes:
        """Tells how a call that passes us twice passes: the second time its Contact is an id."""
        spans = message.fields.get(names.CONTACT)
        return b"1" if spans and key_in(message.data[slice(*spans[0])]) else b""

    def _replace(
        self,
        message: Message,
        flow: Flow,
        dialog: Dialog,
        routes: tuple[bytes, ...],
        *,
        has_routes: bool,
    ) -> tuple[list[Edit], list[Target]]:
        """Ids for the Contacts. One that is own stays, where nothing is lost with it."""
        data, edits, targets = message.data, list[Edit](), list[Target]()
        letter = b"b" if message.is_request else b"a"
        for entry in values.split(data, message.fields[names.CONTACT]):
            where = address.locate(data, *entry)
            if not where:
                if data[slice(*entry)] == b"*":
                    continue
                raise SealError("Contact: no URI")
            known = self.tokens.uris.find(data[where.start : where.end])
            if not known:
                raise SealError("Contact: URI does not parse")
            if not (routes or has_routes or known.shows(flow, is_not_own)):
                continue
            stop = where.start + known.length
            target = Target(data[where.start : stop], routes)
            new = self.ids.write(letter, self._contact_key(dialog, target), target.uri, flow.mask)
            if where.bare:
                stop, new = where.end, b"<" + new + data[stop : where.end] + b">"
            edits.append(Edit(where.start, stop, new, names.CONTACT, MASKED))
            targets.append(target)
        return edits, targets

    def _contact_key(self, dialog: Dialog, target: Target) -> bytes:
        return self.shelf.key(CONTACT, dialog.call_id, dialog.local, *target)

    def _entries(self, message: Message, dialog: Dialog, targets: list[Target]) -> list[Entry]:
        """What to keep of Contacts that leave."""
        life = self._life(message, dialog)
        entries = [Entry(self._contact_key(dialog, t), t.pack(), life) for t in targets]
        if targets and targets[0].routes:
            routes = pack(targets[0].routes)
            entries.append(Entry(self._dialog_keys(message, dialog)[0], routes, life))
        return entries

    def _life(self, message: Message, dialog: Dialog) -> float:
        """Short, until a dialog is confirmed."""
        confirmed = bool(dialog.remote) if message.is_request else message.status >= 200
        long = confirmed and dialog.method in _FORM_DIALOGS
        return self.lives.dialog_expire if long else self.lives.branch_expire

    # --- transactions -------------------------------------------------------------------------

    def _branch_key(self, message: Message, dialog: Dialog, topmost: bytes = b"") -> bytes:
        if not topmost:
            vias = vias_of(message)
            topmost = message.data[slice(*vias[0])] if vias else b""
        return self.shelf.key(BRANCH, dialog.call_id, dialog.cseq, transaction_of(topmost))

    def _transaction(
        self,
        message: Message,
        dialog: Dialog,
        lower: list[Span],
        routes: list[Span],
        target: Target | None,
    ) -> list[Entry]:
        """What to keep of a request that leaves, for its responses."""
        key = self._branch_key(message, dialog)
        forms = target is not None and not dialog.remote
        if not lower and not routes and not forms:
            self.shelf.nothing(key)
            return []
        content = pack(
            (
                self._beside_topmost(message, lower),
                self._lines(message, names.VIA, lower),
                self._lines(message, names.RECORD_ROUTE, routes),
                target.pack() if target and forms else b"",
                self._nested(message),
            )
        )
        return [Entry(key, content, self.lives.branch_expire)]

    @staticmethod
    def _beside_topmost(message: Message, lower: list[Span]) -> bytes:
        """The lower Vias in the topmost one's line, from its end."""
        start, end = message.fields[names.VIA][0] if lower else (0, 0)
        first = [span for span in lower if start <= span[0] < end]
        topmost_end = vias_of(message)[0][1] if first else 0
        return message.data[topmost_end : first[-1][1]] if first else b""

    @staticmethod
    def _lines(message: Message, name: str, gone: list[Span]) -> bytes:
        """The lines of a field that hold values in `gone` alone."""
        if not gone:
            return b""
        lines = []
        for span in message.fields[name]:
            if all(entry in gone for entry in values.split(message.data, [span])):
                start, end = line(message, span)
                lines.append(message.data[start:end])
        return b"".join(lines)

    # --- entering -----------------------------------------------------------------------------

    def enter(self, message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        """A message that enters."""
        call_id = self.tokens.clear_call_id(message, flow)
        dialog = dialog_of(message, Direction.INGRESS, call_id)
        targets: dict[bytes, Target] = {}
        keys = keys_in(message.data)
        if keys:
            targets = yield from self._targets(now, keys)
        restored: list[Edit] = []
        if not message.is_request:
            restored = yield from self._restore(message, now, dialog)
        elif targets:
            restored = yield from self._route(message, now, dialog, targets)
        self.ids.targets = targets
        try:
            edits = self.tokens.edits(message, flow, now)
        finally:
            self.ids.targets = {}
        return edits + restored

    def _targets(self, now: float, keys: list[bytes]) -> Steps[dict[bytes, Target]]:
        found = yield from self.shelf.load(now, keys)
        return {key: Target.unpack(content) for key, content in found.items()}

    def _route(
        self, message: Message, now: float, dialog: Dialog, targets: dict[bytes, Target]
    ) -> Steps[list[Edit]]:
        """The Routes of a request within the dialog whose Contact its Request-URI names."""
        key = key_in(message.data[slice(*message.request_uri)])
        target = targets.get(key) if key else None
        if not key or not target or self._contact_key(dialog, target) != key:
            return []
        routes = target.routes
        saves = [Entry(key, target.pack(), self.lives.dialog_expire)]
        nested = b"1" if key_in(target.uri) else b""
        if routes:
            dialog_key = self.shelf.key(DIALOG, *dialog[:3], nested)
            self.shelf.note(dialog_key, pack(routes))
            saves.append(Entry(dialog_key, pack(routes), self.lives.dialog_expire))
        if dialog.method not in _EARLY:
            try:
                yield from self.shelf.save(now, saves)
            except EffectFailed:
                pass  # it is kept for a while yet, and the next message tries again
        for _ in range(_DEEPEST):
            inner = key_in(target.uri)
            if not inner or not self._ends_here(target.routes):
                break
            found = yield from self._targets(now, [inner])
            if inner not in found:
                break
            target = found[inner]
            routes += target.routes
        targets[key] = target
        return self._add_routes(message, routes)

    def _ends_here(self, routes: tuple[bytes, ...]) -> bool:
        """Whether Routes lead to nobody but us, so that we are who the next id is for."""
        try:
            hosts = [self.tokens.uris.host_of(route, (0, len(route))) for route in routes]
        except SealError:
            return False
        return all(host.own or host.named for host in hosts)

    def _add_routes(self, message: Message, routes: tuple[bytes, ...]) -> list[Edit]:
        """Edits that add what is not among the Routes of a message: a peer that knows the Routes of
        its dialog (masked by tokens, before a change of mode) sends them."""
        spans = message.fields.get(names.ROUTE, [])
        there = {
            self._hop(self._opened(message.data, entry))
            for entry in values.split(message.data, spans)
        }
        missing = [route for route in routes if self._hop(route) not in there]
        if not missing:
            return []
        anchor = (spans or message.fields.get(names.VIA, []))[-1:]
        position = line(message, anchor[0])[1] if anchor else message.headers[0]
        text = b"".join(b"Route: %b\n" % route for route in missing)
        return [Edit(position, position, as_lines(text, message), names.ROUTE, RESTORED)]

    def _opened(self, data: bytes, entry: Span) -> bytes:
        opened = self.tokens.uris.open(data, entry, names.ROUTE, unbracket=False)
        return opened[0].new if opened else data[slice(*entry)]

    @staticmethod
    def _hop(route: bytes) -> bytes:
        """Host and port of a Route; all of it where it does not parse."""
        where = address.locate(route, 0, len(route))
        parts = uris.parse(route[where.start : where.end]) if where else None
        return parts.host.lower() + b":" + (parts.port or b"5060") if parts else route

    def _restore(self, message: Message, now: float, dialog: Dialog) -> Steps[list[Edit]]:
        """What the request of a response lost."""
        vias = vias_of(message)
        if len(vias) != 1:
            return []
        topmost = self.tokens.clear_via1(message.data[slice(*vias[0])])
        key = self._branch_key(message, dialog, topmost)
        found = yield from self.shelf.load(now, [key])
        if key not in found:
            return []
        beside, via_lines, route_lines, contact, nested = unpack(found[key])
        edits = self._put_back(message, vias[0], beside, via_lines)
        if route_lines and 100 < message.status < 300:
            edits += self._put_routes_back(message, route_lines)
        if contact and message.status < 300:
            saves = self._confirmed(message, dialog, Target.unpack(contact), nested)
            saves.append(Entry(key, found[key], self.lives.branch_expire))
            try:
                yield from self.shelf.save(now, saves)
            except EffectFailed:
                pass  # as above
        return edits

    def _confirmed(
        self, message: Message, dialog: Dialog, target: Target, nested: bytes
    ) -> list[Entry]:
        """What to keep of the Contact of a request that is being answered."""
        long = message.status >= 200 and dialog.method in _FORM_DIALOGS
        life = self.lives.dialog_expire if long else self.lives.branch_expire
        entries = [Entry(self._contact_key(dialog, target), target.pack(), life)]
        if target.routes:
            remote = dialog.remote if long else b""
            key = self.shelf.key(DIALOG, dialog.call_id, dialog.local, remote, nested)
            entries.append(Entry(key, pack(target.routes), life))
        return entries

    @staticmethod
    def _put_back(message: Message, topmost: Span, beside: bytes, lines: bytes) -> list[Edit]:
        edits = []
        if beside:
            edits.append(Edit(topmost[1], topmost[1], beside, names.VIA, RESTORED))
        if lines:
            position = line(message, topmost)[1]
            edits.append(Edit(position, position, as_lines(lines, message), names.VIA, RESTORED))
        return edits

    @staticmethod
    def _put_routes_back(message: Message, lines: bytes) -> list[Edit]:
        """Below those that proxies outside have added, which stand above ours; else above the Via."""
        spans = message.fields.get(names.RECORD_ROUTE)
        if spans:
            position = line(message, spans[-1])[1]
        else:
            position = line(message, message.fields[names.VIA][0])[0]
        return [Edit(position, position, as_lines(lines, message), names.RECORD_ROUTE, RESTORED)]
