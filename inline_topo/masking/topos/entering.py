"""Mode topos, a message that enters: what comes back from the store."""

from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.codecs.records import pack
from inline_topo.masking.effects import EffectFailed
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.hosts import NO_HOST
from inline_topo.masking.topoh import Topoh
from inline_topo.masking.topos.dialog import Dialog, cseq_of, dialog_of, vias_of
from inline_topo.masking.topos.ids import UNKNOWN_ID, Ids, Target, key_in, keys_in
from inline_topo.masking.topos.keys import FORM_DIALOGS, Keys, Lives
from inline_topo.masking.topos.lines import as_lines, line
from inline_topo.masking.topos.lost import Lost
from inline_topo.masking.topos.shelf import Entry, Shelf, Steps
from inline_topo.masking.uris import RESTORED
from inline_topo.masking.vias import branch_of
from inline_topo.sip import address, names, values
from inline_topo.sip import uri as uris
from inline_topo.sip.message import Message, Span

_DEEPEST: Final = 4  # ids inside ids: a call that passes us several times
_EARLY: Final = frozenset({b"PRACK", b"CANCEL"})  # of a call that nobody has answered


class Entering:
    """The rules for messages that enter; see `topos.Topos` for the parameters."""

    def __init__(self, tokens: Topoh, shelf: Shelf, ids: Ids, lives: Lives) -> None:
        self._tokens = tokens
        self._shelf = shelf
        self._keys = Keys(shelf)
        self._ids = ids
        self._lives = lives

    def steps(self, message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        """A message that enters."""
        restored: list[Edit] = []
        targets: dict[bytes, Target] = {}
        saves: list[Entry] = []
        keys = keys_in(message.data)
        if keys:
            targets = yield from self._targets(now, keys)
        if not message.is_request:
            restored = yield from self._restore(message, flow, now, saves)
        elif keys:
            restored = yield from self._route(message, flow, now, targets, saves)
        edits = self._open(message, flow, now, targets)
        if any(edit.field == names.REQUEST_URI for edit in restored):
            edits = [edit for edit in edits if edit.field != names.REQUEST_URI]
        edits += restored
        if saves:
            yield from self._save_if_possible(now, saves, edits)
        return edits

    def undo(self, message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        """A message that has left, as the inside had it; but for the lines that a response lost."""
        targets = yield from self._targets(now, keys_in(message.data))
        restored: list[Edit] = []
        vias = vias_of(message)
        if message.is_request and len(vias) == 1:
            call_id = self._tokens.clear_call_id(message, flow)
            topmost = self._clear_topmost(message, vias[0])
            key = self._keys.branch(call_id, cseq_of(message), topmost)
            found = yield from self._shelf.load(now, [key])
            if key in found:
                lost = Lost.unpack(found[key])
                restored = lost.vias_back(message, vias[0]) + lost.routes_back(message)
        return self._open(message, flow, now, targets) + restored

    def _open(
        self, message: Message, flow: Flow, now: float, targets: dict[bytes, Target]
    ) -> list[Edit]:
        """What the tokens' strategy opens, these ids among it."""
        self._ids.targets = targets
        try:
            return self._tokens.edits(message, flow, now)
        finally:
            self._ids.targets = {}

    def _dialog(self, message: Message, flow: Flow) -> Dialog:
        call_id = self._tokens.clear_call_id(message, flow)
        return dialog_of(message, Direction.INGRESS, call_id)

    def _clear_topmost(self, message: Message, topmost: Span) -> bytes:
        return self._tokens.clear_via1(message.data[topmost[0] : topmost[1]])

    def _targets(self, now: float, keys: list[bytes]) -> Steps[dict[bytes, Target]]:
        found = yield from self._shelf.load(now, keys)
        return {key: Target.unpack(content) for key, content in found.items()}

    def _route(
        self,
        message: Message,
        flow: Flow,
        now: float,
        targets: dict[bytes, Target],
        saves: list[Entry],
    ) -> Steps[list[Edit]]:
        """The Routes of a request within the dialog whose Contact its Request-URI names. What is to be
        kept longer is added to `saves`."""
        key = key_in(message.data[message.request_uri[0] : message.request_uri[1]])
        target = targets.get(key) if key else None
        if key and not target:
            message.notes = (*message.notes, UNKNOWN_ID)
        if not key or not target:
            return []
        dialog = self._dialog(message, flow)
        if self._keys.contact(dialog, target) != key:
            return []
        routes = target.routes
        life = self._lives.of_dialog(message, dialog)
        lasts = dialog.method not in _EARLY
        if lasts:
            saves.append(Entry(key, target.pack(), life))
        nested = b"1" if key_in(target.uri) else b""
        if routes:
            dialog_key, content = self._keys.dialog(dialog, nested), pack(routes)
            self._shelf.note(dialog_key, content)
            if lasts:
                saves.append(Entry(dialog_key, content, life))
        for _ in range(_DEEPEST):
            inner = key_in(target.uri)
            if not inner or not self._ends_here(target.routes):
                break
            found = yield from self._targets(now, [inner])
            if inner not in found:
                break
            target = found[inner]
            routes += target.routes
        if key_in(target.uri):
            target = Target(self._ids.aside(target.uri), target.routes)
        targets[key] = target
        strict = self._strict(routes) if not message.fields.get(names.ROUTE) else None
        if strict is not None:
            routes = (*routes[1:], b"<" + target.uri + b">")
            return [
                Edit(*message.request_uri, strict, names.REQUEST_URI, RESTORED),
                *self._add_routes(message, routes),
            ]
        return self._add_routes(message, routes)

    def _strict(self, routes: tuple[bytes, ...]) -> bytes | None:
        """The URI of the first of some Routes where that is a strict router's: who sends to it writes it into
        the Request-URI, and the target behind the Routes (RFC 3261 section 12.2.1.1)."""
        first = routes[0] if routes else b""
        where = address.locate(first, 0, len(first), route=True)
        known = self._tokens.uris.find(first[where.start : where.end]) if where else None
        if not where or not known or known.loose or known.host == NO_HOST:
            return None
        return first[where.start : where.start + known.length]

    def _save_if_possible(self, now: float, saves: list[Entry], edits: list[Edit]) -> Steps[None]:
        """Prolong what is kept for a while yet: where that fails, the next message tries again."""
        try:
            yield from self._shelf.save(now, saves, edits)
        except EffectFailed:
            return

    def _ends_here(self, routes: tuple[bytes, ...]) -> bool:
        """Whether Routes lead to nobody but us, so that we are who the next id is for."""
        try:
            hosts = [self._tokens.uris.host_of(route, (0, len(route))) for route in routes]
        except SealError:
            return False
        return all(host.own or host.named for host in hosts)

    def _add_routes(self, message: Message, routes: tuple[bytes, ...]) -> list[Edit]:
        """Edits that add what is not among the Routes of a message: a peer that knows the Routes of
        its dialog (masked by tokens, before a change of mode) sends them."""
        spans = message.fields.get(names.ROUTE, [])
        missing = self._missing(message, spans, routes) if spans else routes
        if not missing:
            return []
        anchor = (spans or message.fields.get(names.VIA, []))[-1:]
        position = line(message, anchor[0])[1] if anchor else message.headers[0]
        text = b"".join([b"Route: %b\n" % route for route in missing])
        return [Edit(position, position, as_lines(text, message), names.ROUTE, RESTORED)]

    def _missing(
        self, message: Message, spans: list[Span], routes: tuple[bytes, ...]
    ) -> tuple[bytes, ...]:
        """Those of `routes` that are not among the Routes of a message."""
        there = {
            self._hop(self._opened(message.data, entry))
            for entry in values.split(message.data, spans)
        }
        return tuple([route for route in routes if self._hop(route) not in there])

    def _opened(self, data: bytes, entry: Span) -> bytes:
        opened = self._tokens.uris.open(data, entry, names.ROUTE, route=True)
        return opened[0].new if opened else data[entry[0] : entry[1]]

    @staticmethod
    def _hop(route: bytes) -> bytes:
        """Host and port of a Route; all of it where it does not parse."""
        where = address.locate(route, 0, len(route), route=True)
        parts = uris.parse(route[where.start : where.end]) if where else None
        return parts.host.lower() + b":" + (parts.port or b"5060") if parts else route

    def _restore(
        self, message: Message, flow: Flow, now: float, saves: list[Entry]
    ) -> Steps[list[Edit]]:
        """What the request of a response lost. What is to be kept longer is added to `saves`."""
        vias = vias_of(message)
        if len(vias) != 1:
            return []
        call_id = self._tokens.clear_call_id(message, flow)
        topmost = self._clear_topmost(message, vias[0])
        if branch_of(topmost) is None:  # the record of one branch would go the way of the other
            return []
        key = self._keys.branch(call_id, cseq_of(message), topmost)
        found = yield from self._shelf.load(now, [key])
        if key not in found:
            return []
        lost = Lost.unpack(found[key])
        edits = lost.vias_back(message, vias[0])
        if 100 < message.status < 300:
            edits += lost.routes_back(message)
        if lost.contact and message.status < 300:
            dialog = dialog_of(message, Direction.INGRESS, call_id)
            saves += self._confirmed(message, dialog, lost.target(), lost.nested)
            saves.append(Entry(key, found[key], self._lives.branch_expire))
        return edits

    def _confirmed(
        self, message: Message, dialog: Dialog, target: Target, nested: bytes
    ) -> list[Entry]:
        """What to keep of the Contact of a request that is being answered."""
        long = message.status >= 200 and dialog.method in FORM_DIALOGS
        life = self._lives.of_dialog(message, dialog) if long else self._lives.branch_expire
        entries = [Entry(self._keys.contact(dialog, target), target.pack(), life)]
        if target.routes:
            remote = dialog.remote if long else b""
            key = self._keys.dialog(dialog.with_remote(remote), nested)
            entries.append(Entry(key, pack(target.routes), life))
        return entries
