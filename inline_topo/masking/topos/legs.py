"""Mode topos in the other two legs of a replay (see `legs`).

`outside`: what leaves is stripped by the rules of the gateway; what enters loses what a peer would not
have had, and names a Contact by its id.
"""

from inline_topo.edits import Edit
from inline_topo.masking.codecs.records import pack, unpack
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.hidden import is_named, is_not_own
from inline_topo.masking.legs import Memory, OutsideLeg
from inline_topo.masking.settle import settle
from inline_topo.masking.table import Table
from inline_topo.masking.topos.dialog import Dialog, dialog_of, tag_of, topmost_of, vias_of
from inline_topo.masking.topos.ids import Ids, Target, key_in
from inline_topo.masking.topos.keys import Keys
from inline_topo.masking.topos.leaving import Leaving
from inline_topo.masking.topos.lines import cut
from inline_topo.masking.topos.shelf import Shelf, Steps
from inline_topo.masking.topos.strategy import Stripped
from inline_topo.masking.uris import MASKED, REMOVED
from inline_topo.sip import names, values
from inline_topo.sip.message import Message, Span


class StrippedOutside(Stripped, OutsideLeg):
    """Masks by tokens in both directions what the leg does not take out."""

    def ingress_request(self) -> tuple[Table, Table]:
        return self.without(super().ingress_request(), names.VIA, names.RECORD_ROUTE)

    def ingress_response(self) -> tuple[Table, Table]:
        return self.without(super().ingress_response(), names.VIA, names.RECORD_ROUTE)

    def was_left(self, peer: bytes, uri: bytes) -> bool:
        """Whether a URI left in clear, by policy, or the peer asked for it in clear."""
        minted = self._minted.get((peer, uri))
        return minted is not None and not minted.masked

    def echo_request_uri(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        if self._names_an_id(message, flow):
            return []
        return super().echo_request_uri(message, flow, name, spans)

    def echo_routes(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        if self._names_an_id(message, flow):
            return []
        return super().echo_routes(message, flow, name, spans)

    def _names_an_id(self, message: Message, flow: Flow) -> bool:
        """Within a dialog; but a request that comes back (a spiral) has what the first pass gave it."""
        uri = message.data[message.request_uri[0] : message.request_uri[1]]
        return bool(tag_of(message, names.TO)) and (flow.outside, uri) not in self._minted


class Outside:
    """The rules of the leg `outside`."""

    def __init__(self, tokens: StrippedOutside, shelf: Shelf, ids: Ids, leaving: Leaving) -> None:
        self._tokens = tokens
        self._shelf = shelf
        self._keys = Keys(shelf)
        self._ids = ids
        self._leaving = leaving
        self._removed: Memory[tuple[bytes, bytes], bool] = Memory()  # peer and value
        self._written: Memory[tuple[bytes, bytes], bytes] = Memory()  # peer and URI
        self._letters: Memory[bytes, bytes] = Memory()

    def leave(self, message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        """A message that leaves."""
        edits = yield from self._leaving.steps(message, flow, now)
        removed = {edit.field for edit in edits if edit.action == REMOVED}
        for name in removed & {names.VIA, names.RECORD_ROUTE}:
            for start, end in values.split(message.data, message.fields[name]):
                self._removed[flow.outside, message.data[start:end]] = True
        tokens = [edit for edit in edits if not key_in(edit.new)]
        self._tokens.remember(message, flow.outside, tokens)
        for start, end, new, field, action in edits:
            key = key_in(new) if field == names.CONTACT and action == MASKED else None
            if key:
                uri = new.strip(b"<>")
                self._written[flow.outside, message.data[start:end]] = uri
                self._letters[key] = uri[uri.index(b"tpsh-") - 1 :][:1]
        return edits

    def enter(self, message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        """A message that enters, as if its sender had been told no more than what left."""
        return settle((yield from self._enter(message, flow, now)))

    def _enter(self, message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        edits = self._tokens.edits(message, flow, now)
        if self._tokens.is_left(message):
            return edits
        dialog = dialog_of(message, Direction.INGRESS)
        if not message.is_request:
            return edits + self._answer(message, flow, now, dialog)
        edits = edits + self._spiral(message, flow)
        if any(edit.field == names.REQUEST_URI for edit in edits):
            return edits
        text = message.data[message.request_uri[0] : message.request_uri[1]]
        if not dialog.local:
            written = self._written.get((flow.outside, text))
            return [*edits, self._name(message, text, written)] if written else edits
        if self._tokens.was_left(flow.outside, text):
            return edits
        return edits + (yield from self._in_dialog(message, flow, now, dialog, text))

    def _answer(self, message: Message, flow: Flow, now: float, dialog: Dialog) -> list[Edit]:
        """A response has lost what its request had, and ours of the Record-Routes."""
        branch = self._keys.branch(dialog.call_id, dialog.cseq, topmost_of(message))
        if self._shelf.remembers(branch, now) and self._shelf.get(branch) is None:
            return []  # by policy, or because there was nothing
        edits = cut(message, names.VIA, vias_of(message)[1:])
        return edits + cut(
            message, names.RECORD_ROUTE, self._ours(message, flow, names.RECORD_ROUTE)
        )

    def _ours(self, message: Message, flow: Flow, name: str) -> list[Span]:
        """The Routes or Record-Routes from the first own one on; without one, that is named."""
        entries = values.split(message.data, message.fields.get(name, []))
        hosts = [self._tokens.uris.host_of(message.data, entry) for entry in entries]
        ours = [i for i, host in enumerate(hosts) if host.own]
        ours = ours or [i for i, host in enumerate(hosts) if is_named(host, flow)]
        return entries[ours[0] :] if ours else []

    def _spiral(self, message: Message, flow: Flow) -> list[Edit]:
        """A request that left, and comes back with what was left of it."""
        edits: list[Edit] = []
        for name in (names.VIA, names.RECORD_ROUTE):
            entries = values.split(message.data, message.fields.get(name, []))
            gone = [
                e for e in entries if (flow.outside, message.data[e[0] : e[1]]) in self._removed
            ]
            edits += cut(message, name, gone if entries[0:1] != gone[0:1] else [])
        return edits

    def _in_dialog(
        self, message: Message, flow: Flow, now: float, dialog: Dialog, text: bytes
    ) -> Steps[list[Edit]]:
        known = self._tokens.uris.find(text)
        if not known:
            return []
        ours = self._ours(message, flow, names.ROUTE)
        nested = b"1" if key_in(text) else b""
        keys = [self._keys.dialog(d, nested) for d in (dialog, dialog.with_remote(b""))]
        found = yield from self._shelf.load(now, keys)
        routes = tuple(message.data[entry[0] : entry[1]] for entry in ours)
        for key in reversed(keys):
            routes = tuple(unpack(found[key])) if key in found else routes
        if not routes and not known.shows(flow, is_not_own):
            return []
        if routes:
            self._shelf.note(keys[0], pack(routes))
        target = Target(text[: known.length], routes)
        key = self._keys.contact(dialog, target)
        uri = self._ids.write(self._letters.get(key, b"b"), key, target.uri, flow.mask)
        return [self._name(message, target.uri, uri), *cut(message, names.ROUTE, ours)]

    @staticmethod
    def _name(message: Message, uri: bytes, new: bytes) -> Edit:
        start = message.request_uri[0]
        return Edit(start, start + len(uri), new, names.REQUEST_URI, MASKED)
