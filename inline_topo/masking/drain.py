"""The way out (`run --drain`): tokens still open where they route, and nothing is masked any more.

What opens elsewhere would leave in clear, so it stays: fields that nobody routes by, and bodies. Where
a token routes, who has kept it can still be told what it stands for, by a request through a proxy
inside. So a drain is for as long as calls and registrations need, no longer.

But for Call-IDs (`mask_callid`): a dialog that the outside knows by a token must keep it to its end.
A dialog that begins now gets none, so what is masked dies out. Which ones begin now is the only
thing remembered here, for each Call-ID that leaves in a request outside of a dialog.

It is remembered in the process: a worker that dies, a reload and a restart forget it. A dialog that
began during the drain then gets a token in its next request from inside, which its peer does not
know (481, and the peer's side stays up until it gives up itself). Nothing in such a request says
when its dialog began, and to mask no Call-ID would break those that began before. So a drain with
`mask_callid` is started once, and left alone until no more tokens come.

And but for bindings: a registrar outside knows a phone by the token that its REGISTER had for a Contact
(RFC 3261 section 10.3: another URI is another binding). A REGISTER that leaves with the clear Contact
would make a second one, or take back what the registrar does not know while the token stays. So it says
beside its own Contacts that those tokens are taken back (`<token>;expires=0`, nothing where there was no
such binding): a refresh moves the binding out of its mask, and what is taken back is gone. So does a
REGISTER of a stranger that enters: a registrar inside knows its Contact with a mark (masking.strangers).
"""

from typing import Final

from inline_topo.edits import Edit, splice
from inline_topo.masking.callid import CallIds
from inline_topo.masking.codecs.base import Codec, SealError
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.hidden import is_named, is_not_own
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.policy import Policy
from inline_topo.masking.table import Table
from inline_topo.masking.topoh import DEFAULTS, Options, Rules, Topoh, tag_of
from inline_topo.masking.uris import WITHDRAWN
from inline_topo.sip import address, names, values
from inline_topo.sip.message import Message

MOST_REMEMBERED: Final = 100_000
"""Call-IDs that are remembered; behind that the oldest are forgotten."""

_GO_ON: Final = (b"ACK", b"CANCEL", b"BYE", b"PRACK", b"UPDATE", b"INFO")
"""Methods that never begin a dialog."""


class Draining(Topoh):
    """Opens, and masks nothing but the Call-IDs of dialogs that began before; takes masked bindings back.

    With several queues, both directions between two addresses must come to the same one, as
    `--queue-balance` has it.
    """

    def __init__(
        self, codec: Codec, hosts: Hosts, policy: Policy, options: Options = DEFAULTS
    ) -> None:
        super().__init__(codec, hosts, policy, options)
        self._call_ids = self._begun = BegunCallIds(codec, hosts, options.callid_prefix)
        if options.mask_callid:
            self.bodies.call_ids = self._begun

    def looked_at(self, direction: Direction, is_request: bool, table: Table) -> set[str]:
        wanted = {names.TO}
        if is_request:
            wanted.add(names.CONTACT)
            if direction is Direction.EGRESS:
                wanted |= self.policy.fields
        return wanted

    def rules_for(self, message: Message, flow: Flow) -> Rules:
        """Nothing is sealed any more: what enters opens where it routes, and nowhere else."""
        if flow.direction is Direction.INGRESS and not self.options.as_topoh:
            return self._routed[message.is_request]
        return super().rules_for(message, flow)

    def guards_responses(self, flow: Flow) -> bool:
        return False

    def egress_request(self) -> tuple[Table, Table]:
        return {}, self._call_id_table(self.mask_call_ids, self.mask_uri_call_ids)

    def egress_response(self) -> tuple[Table, Table]:
        return {}, self._call_id_table(self.mask_call_ids, self.mask_uri_call_ids)

    def egress_registration(self, *, is_request: bool) -> tuple[Table, Table]:
        return self.egress_request() if is_request else self.egress_response()

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit]:
        """As `Topoh.edits`; takes note of dialogs that begin."""
        if (
            self.options.mask_callid
            and flow.direction is Direction.EGRESS
            and message.is_request
            and message.method not in _GO_ON
            and not tag_of(message, names.TO)
        ):
            self._begun.begin(message)
        edits = super().edits(message, flow, now)
        if message.method == b"REGISTER":
            if flow.direction is Direction.EGRESS:
                edits += self._withdrawals(message, flow)
            elif self.strangers.restores and flow.masks_identifiers:
                edits += self._withdrawn(message, self._marked(message, flow))
        return edits

    def _withdrawals(self, message: Message, flow: Flow) -> list[Edit]:
        """The tokens that the Contacts of a REGISTER had, taken back behind the last of them: those of
        Contacts that strangers sent through us had a mark in them."""
        spans = message.fields.get(names.CONTACT)
        left_clear = self.is_left(message) and self.options.as_topoh
        if not spans or left_clear or not self.applies(message, flow):
            return []
        entries = values.split(message.data, spans)
        tokens = [self._binding(message.data[start:end], flow) for start, end in entries]
        if self.strangers.restores:
            for start, end in entries:
                marked = self.strangers.marked(message.data, (start, end), flow)
                tokens.append(self._binding(b"<%b>" % marked, flow) if marked else b"")
        return self._withdrawn(message, tokens)

    def _marked(self, message: Message, flow: Flow) -> list[bytes]:
        """The marked URIs by which a registrar inside knows the Contacts of a REGISTER that enters."""
        spans = message.fields.get(names.CONTACT, [])
        entries = values.split(message.data, spans)
        return [self.strangers.marked(message.data, entry, flow) for entry in entries]

    @staticmethod
    def _withdrawn(message: Message, uris: list[bytes]) -> list[Edit]:
        entries = values.split(message.data, message.fields.get(names.CONTACT, []))
        taken = b"".join(b", <%s>;expires=0" % uri for uri in uris if uri)
        if not taken:
            return []
        end = entries[-1][1]
        return [Edit(end, end, taken, names.CONTACT, WITHDRAWN)]

    def _binding(self, contact: bytes, flow: Flow) -> bytes:
        """The URI by which the registrar knows a Contact that left masked; empty where none did."""
        whole = 0, len(contact)
        decide = is_named if self._leaves_registers else is_not_own
        try:
            edits = self.uris.mask(contact, whole, flow, names.CONTACT, decide, stable=True)
        except SealError:
            return b""
        masked = splice(contact, edits)
        where = address.locate(masked, 0, len(masked)) if edits else None
        return masked[where.start : where.end] if where else b""

    def body_edits(
        self, message: Message, flow: Flow, *, applies: bool, strangers: bool = False
    ) -> list[Edit]:
        if flow.direction is Direction.INGRESS and not self.options.as_topoh:
            return self.bodies.open(message, flow, fields=False, session=message.session)
        return super().body_edits(message, flow, applies=False)


class BegunCallIds(CallIds):
    """The bijection, but for Call-IDs of dialogs that began while nothing is masked."""

    def __init__(self, codec: Codec, hosts: Hosts, prefix: bytes) -> None:
        super().__init__(codec, hosts, prefix)
        self._begun: dict[bytes, None] = {}

    def begin(self, message: Message) -> None:
        """A dialog may begin with this request; what the outside knows by a token does not."""
        spans = message.fields.get(names.CALL_ID)
        if spans:
            self._begun[message.data[spans[0][0] : spans[0][1]]] = None
            if len(self._begun) > MOST_REMEMBERED:
                del self._begun[next(iter(self._begun))]

    def mask(self, callid: bytes) -> bytes:
        return callid if callid in self._begun else super().mask(callid)

    def unmask(self, callid: bytes, *, escape: bool = True) -> bytes:
        if callid in self._begun:
            return callid
        original = super().unmask(callid, escape=escape)
        if original != callid:  # it left as a token: a request that was sent again after the change
            self._begun.pop(original, None)
        return original
