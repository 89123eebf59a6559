"""Mode topos: what shows the inside is taken out of a message, and kept in a store.

    leaves as a request      loses its lower Vias and all Record-Routes
    leaves as a response     loses the Record-Routes down to the last own one
    both                     have ids for Contacts (`ids`)
    enters as a response     gets lower Vias and Record-Routes of its request back
    enters as a request      gets the Contact that its Request-URI names, and in the dialog the Routes

Everything else is masked by tokens, as mode topoh does (`tokens`), and so are Contacts of a REGISTER,
which outlive every record, and of a redirection. Tokens open in this mode too, and ids in mode topoh
where a store is configured. Records (`shelf`), by kind:

    b   a transaction     by topmost Via, Call-ID and CSeq: what its request lost, and its Contact
    c   a Contact         by dialog and content: the URI, and the Routes to it
    d   a dialog          by Call-ID and tags: the Routes to the party inside

A dialog's Routes are those of the message that formed it (RFC 3261 section 12.1), whatever later ones
carry: d knows them when a later message leaves, so that a Contact has one id as long as it stays.
"""

from typing import Final

from inline_topo.compiling import mypyc_attr
from inline_topo.edits import Edit
from inline_topo.masking.effects import Need
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.rest import FIELDS as FIELDS_AT_REST
from inline_topo.masking.table import Table
from inline_topo.masking.topoh import Topoh
from inline_topo.masking.topos.dialog import FIELDS
from inline_topo.masking.topos.shelf import Rules, drive
from inline_topo.sip import names
from inline_topo.sip.message import Message
from inline_topo.sip.names import FieldNames

_TAKEN_OUT: Final = names.VIA, names.RECORD_ROUTE, names.CONTACT
_LOOKED_AT: Final = FIELDS | {names.RECORD_ROUTE, names.ROUTE}


@mypyc_attr(allow_interpreted_subclasses=True)  # those of the legs
class Stripped(Topoh):
    """Masks by tokens what mode topos does not take out."""

    def egress_request(self) -> tuple[Table, Table]:
        return self.without(super().egress_request(), *_TAKEN_OUT)

    def egress_response(self) -> tuple[Table, Table]:
        return self.without(super().egress_response(), *_TAKEN_OUT)

    def fields_at_rest(self) -> tuple[str, ...]:
        return tuple(name for name in FIELDS_AT_REST if name not in _TAKEN_OUT)

    @staticmethod
    def without(tables: tuple[Table, Table], *fields: str) -> tuple[Table, Table]:
        """The tables, but for the rules for these fields."""
        plain, identifiers = tables
        return {name: rule for name, rule in plain.items() if name not in fields}, identifiers


class Topos:
    """The stateful strategy: `leave` and `enter` are the rules of the two directions, `tokens` masks
    and opens the rest for them."""

    def __init__(self, tokens: Topoh, leave: Rules, enter: Rules) -> None:
        self._tokens = tokens
        self._leave = leave
        self._enter = enter
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
        return self._tokens.addresses(message, flow, edits)

    def reads_all(self, flow: Flow) -> bool:
        """As the tokens' strategy has it."""
        return self._tokens.reads_all(flow)

    def admits(self, data: bytes, flow: Flow) -> bool:
        """As the tokens' strategy has it."""
        return self._tokens.admits(data, flow)

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit] | Need:
        """The edits for a message, or what must be asked of the store first (an Exchange)."""
        rules = self._leave if flow.direction is Direction.EGRESS else self._enter
        return drive(rules(message, flow, now))
