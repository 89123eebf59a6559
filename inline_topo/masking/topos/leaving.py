"""Mode topos, a message that leaves: what is taken out, what stands in its place, what is kept."""

from typing import Final

from inline_topo.bounds import MOST_CONTENT, TooMuch
from inline_topo.edits import Edit
from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.codecs.records import pack, unpack
from inline_topo.masking.effects import EffectFailed
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.hidden import is_named, is_not_own
from inline_topo.masking.settle import settle
from inline_topo.masking.topoh import Topoh
from inline_topo.masking.topos.dialog import Dialog, dialog_of, topmost_of, vias_of
from inline_topo.masking.topos.ids import Ids, Target, key_in
from inline_topo.masking.topos.keys import FORM_DIALOGS, Keys, Lives
from inline_topo.masking.topos.lines import cut
from inline_topo.masking.topos.lost import Lost
from inline_topo.masking.topos.shelf import Entry, Shelf, Steps
from inline_topo.masking.uris import IRREVERSIBLE, MASKED, replace_uri
from inline_topo.masking.vias import branch_of
from inline_topo.sip import address, names, values
from inline_topo.sip.message import Message, Span

_OF_DIALOGS: Final = frozenset({names.CONTACT, names.RECORD_ROUTE})
_PROLONG_NOTHING: Final = frozenset({b"PRACK", b"CANCEL", b"BYE"})  # its confirmation and its end
_OF_STACKS: Final = (names.RECORD_ROUTE, names.CONTACT)  # the tokens' strategy looks at the others
_LEFT: Final = ord("<")


class Leaving:
    """The rules for messages that leave; see `topos.Topos` for the parameters."""

    def __init__(
        self,
        tokens: Topoh,
        shelf: Shelf,
        ids: Ids,
        lives: Lives,
        *,
        strips: bool,
        falls_back: bool,
        no_contact: frozenset[bytes],
    ) -> None:
        self._tokens = tokens
        self._shelf = shelf
        self._keys = Keys(shelf)
        self._ids = ids
        self._lives = lives
        self._strips = strips
        self._falls_back = falls_back
        self._no_contact = no_contact

    def steps(self, message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        """A message that leaves."""
        edits = self._tokens.edits(message, flow, now) + self._out_again(message, flow)
        if not message.method and message.fields.keys().isdisjoint(_OF_DIALOGS):
            return self._settled(message, flow, edits)
        dialog = dialog_of(message, Direction.EGRESS)
        if self._tokens.is_left(message):
            self._note_that_nothing_is_lost(message, dialog)
            return self._settled(message, flow, edits)
        strips = self._strips and (not flow.rules or self._tokens.applies(message, flow))
        try:
            if strips:
                return (yield from self._strip(message, flow, now, dialog, edits))
            return (yield from self._keep_ids(message, flow, now, dialog, edits))
        except EffectFailed:
            if not strips:
                return self._settled(message, flow, edits)
            if not self._falls_back:
                raise
            self._note_that_nothing_is_lost(message, dialog)
            return self._settled(message, flow, edits + self._mask(message, flow))

    def _settled(self, message: Message, flow: Flow, edits: list[Edit]) -> list[Edit]:
        """All that becomes of a message: what is taken out is not restored, and what stays in the fields
        that the tokens' strategy does not look at names nothing of the inside."""
        return self._tokens.seal_rest(message, flow, settle(edits), _OF_STACKS)

    def _out_again(self, message: Message, flow: Flow) -> list[Edit]:
        """The id in the Request-URI of a request that has passed us, as the outside knows it."""
        start, end = message.request_uri
        uri = self._ids.back(message.data[start:end], flow.mask) if message.is_request else None
        return [Edit(start, end, uri, names.REQUEST_URI, MASKED)] if uri else []

    def _strip(
        self, message: Message, flow: Flow, now: float, dialog: Dialog, edits: list[Edit]
    ) -> Steps[list[Edit]]:
        """`edits`, and those that take out what is kept."""
        routes = self._routes(message, flow)
        lower = vias_of(message)[1:] if message.is_request else []
        edits = edits + cut(message, names.VIA, lower)
        edits += cut(message, names.RECORD_ROUTE, routes)
        texts = tuple(message.data[span[0] : span[1]] for span in routes)
        if not message.is_request:
            texts = texts[::-1]
        contacts = message.fields.get(names.CONTACT, [])
        saves: list[Entry] = []
        target = None
        if dialog.method in self._no_contact:
            edits += cut(message, names.CONTACT, values.split(message.data, contacts))
        elif contacts and self._has_token_contacts(message, dialog):
            edits += self._mask_contacts(message, flow)
        elif contacts:
            known = yield from self._routes_of_dialog(message, now, dialog, texts)
            replaced, targets = self._replace(message, flow, dialog, known, has_routes=bool(texts))
            edits += replaced
            edits += self._beside(message, flow)
            saves += self._entries(message, dialog, targets)
            target = next(iter(targets.values())) if len(targets) == 1 else None
        if message.is_request and message.method != b"ACK":
            saves += self._transaction(message, dialog, lower, routes, target)
        if sum([entry.size for entry in saves]) > MOST_CONTENT * len(message.data):
            raise TooMuch("what is to be kept of it")
        edits = self._settled(message, flow, edits)
        yield from self._shelf.save(now, saves, edits)
        return edits

    def _keep_ids(
        self, message: Message, flow: Flow, now: float, dialog: Dialog, edits: list[Edit]
    ) -> Steps[list[Edit]]:
        """A message that is not stripped: in a dialog that has ids, its Contact has one too."""
        self._note_that_nothing_is_lost(message, dialog)
        contacts = message.fields.get(names.CONTACT)
        in_dialog = dialog.local and dialog.remote and dialog.method not in self._no_contact
        if not contacts or not in_dialog or self._has_token_contacts(message, dialog):
            return self._settled(message, flow, edits)
        found = yield from self._shelf.load(now, self._dialog_keys(message, dialog))
        if not found:
            return self._settled(message, flow, edits)
        known = tuple(unpack(next(iter(found.values()))))
        replaced, targets = self._replace(message, flow, dialog, known, has_routes=True)
        others = [e for e in edits if e.field != names.CONTACT or e.action in IRREVERSIBLE]
        kept = self._settled(message, flow, others + replaced)
        yield from self._shelf.save(now, self._entries(message, dialog, targets), kept)
        return kept

    def _note_that_nothing_is_lost(self, message: Message, dialog: Dialog) -> None:
        """So that nobody asks the store when the response comes. What was kept of the request when it
        left before is not forgotten."""
        if message.is_request and len(vias_of(message)) == 1:
            key = self._keys.branch(dialog.call_id, dialog.cseq, topmost_of(message))
            if self._shelf.get(key) is None:
                self._shelf.nothing(key)

    def _mask(self, message: Message, flow: Flow) -> list[Edit]:
        """The tokens in place of what cannot be taken out."""
        tokens, fields = self._tokens, message.fields
        edits: list[Edit] = []
        if message.is_request:
            edits += tokens.mask_vias(message, flow, names.VIA, fields.get(names.VIA, []))
        if spans := fields.get(names.RECORD_ROUTE):
            mask = (
                tokens.carriers.mask_routes if message.is_request else tokens.mask_response_routes
            )
            edits += mask(message, flow, names.RECORD_ROUTE, spans)
        return edits + self._mask_contacts(message, flow)

    def _mask_contacts(self, message: Message, flow: Flow) -> list[Edit]:
        spans = message.fields.get(names.CONTACT)
        if not spans:
            return []
        tokens = self._tokens
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
        hosts = [self._tokens.uris.host_of(message.data, entry) for entry in entries]
        ours = [i for i, host in enumerate(hosts) if host.own]
        if not ours:
            ours = [i for i, host in enumerate(hosts) if is_named(host, flow)]
        return entries[: ours[-1] + 1] if ours else []

    # --- Contacts that leave ------------------------------------------------------------------

    def _routes_of_dialog(
        self, message: Message, now: float, dialog: Dialog, routes: tuple[bytes, ...]
    ) -> Steps[tuple[bytes, ...]]:
        """The Routes to the sender: those of the dialog, or of the message where it forms one."""
        if message.is_request and not dialog.remote:
            return routes
        keys = self._dialog_keys(message, dialog)
        if routes and not message.is_request and not self._shelf.remembers(keys[0], now):
            return routes  # an answer to the first request; the answer to a later one is known
        found = yield from self._shelf.load(now, keys)
        for key in keys:
            if key in found:
                return tuple(unpack(found[key]))
        return routes

    def _dialog_keys(self, message: Message, dialog: Dialog) -> list[bytes]:
        """The dialog's key, and the one it has before the other side has a tag."""
        nested = self._nested(message)
        keys = [self._keys.dialog(dialog, nested)]
        if message.is_request:
            keys.append(self._keys.dialog(dialog.with_remote(b""), nested))
        return keys

    @staticmethod
    def _nested(message: Message) -> bytes:
        """Tells how a call that passes us twice passes: the second time its Contact is an id."""
        spans = message.fields.get(names.CONTACT)
        return b"1" if spans and key_in(message.data[spans[0][0] : spans[0][1]]) else b""

    def _replace(
        self,
        message: Message,
        flow: Flow,
        dialog: Dialog,
        routes: tuple[bytes, ...],
        *,
        has_routes: bool,
    ) -> tuple[list[Edit], dict[bytes, Target]]:
        """Ids for the Contacts, and the keys of their records. A Contact that is own stays, where
        nothing is lost with it."""
        data, edits, targets = message.data, list[Edit](), dict[bytes, Target]()
        letter = b"b" if message.is_request else b"a"
        for entry in values.split(data, message.fields[names.CONTACT]):
            where = address.locate(data, *entry)
            known = self._tokens.uris.find(data[where.start : where.end]) if where else None
            if not where or not known:
                value = data[entry[0] : entry[1]]
                self._tokens.uris.check_unread(value, flow, names.CONTACT, is_not_own)
                continue
            if not (routes or has_routes or known.shows(flow, is_not_own)):
                continue
            start, stop = where.start, where.start + known.length
            target = Target(data[start:stop], routes)
            key = self._keys.contact(dialog, target)
            new = self._ids.write(letter, key, target.uri, flow.mask, known.shown)
            edits += replace_uri(
                start, stop, where.end, new, names.CONTACT, MASKED, bracket=where.bare
            )
            targets[key] = target
        return edits, targets

    def _beside(self, message: Message, flow: Flow) -> list[Edit]:
        """What stands before and after the URIs of the Contacts."""
        data, swap = message.data, self._tokens.carriers.swap_beside
        entries = values.split(data, message.fields[names.CONTACT])
        edits: list[Edit] = []
        for entry in entries:
            if data[entry[0]] != _LEFT or data.find(b">", entry[0], entry[1]) != entry[1] - 1:
                edits += swap(data, entry, flow, names.CONTACT)
        return edits

    def _entries(
        self, message: Message, dialog: Dialog, targets: dict[bytes, Target]
    ) -> list[Entry]:
        """What to keep of Contacts that leave."""
        life = self._life(message, dialog)
        entries = [Entry(key, target.pack(), life) for key, target in targets.items()]
        for target in targets.values():
            if target.routes:  # all have the same
                key = self._keys.dialog(dialog, self._nested(message))
                return [*entries, Entry(key, pack(target.routes), life)]
        return entries

    def _life(self, message: Message, dialog: Dialog) -> float:
        """Short, until a dialog is confirmed. Within one every request prolongs it."""
        if message.is_request:
            long = bool(dialog.remote) and dialog.method not in _PROLONG_NOTHING
        else:
            long = message.status >= 200 and dialog.method in FORM_DIALOGS
        return self._lives.of_dialog(message, dialog) if long else self._lives.branch_expire

    # --- transactions -------------------------------------------------------------------------

    def _transaction(
        self,
        message: Message,
        dialog: Dialog,
        lower: list[Span],
        routes: list[Span],
        target: Target | None,
    ) -> list[Entry]:
        """What to keep of a request that leaves, for its responses."""
        topmost = topmost_of(message)
        if topmost and (lower or routes) and branch_of(topmost) is None:
            raise SealError("Via: two receivers may read two branches in the topmost one")
        key = self._keys.branch(dialog.call_id, dialog.cseq, topmost)
        forms = target is not None and not dialog.remote
        if not lower and not routes and not forms:
            self._shelf.nothing(key)
            return []
        lost = Lost.of(message, lower, routes, target if forms else None, self._nested(message))
        return [Entry(key, lost.pack(), self._lives.branch_expire)]
