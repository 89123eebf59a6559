"""The header fields beside Via, Record-Route, Route and Contact that show hosts: what becomes of each.

Three ways: URIs that someone will use are masked and come back (references, routes; From and To in
ends.py); hosts that nobody reads back are swapped for the mask address; the rest is stripped or
replaced. Strategies merge the tables made here with their own.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from inline_topo.bounds import MOST_EDITS, TooMuch
from inline_topo.edits import Edit
from inline_topo.masking import part_names
from inline_topo.masking.cache import Cache
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.ends import Ends
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_hidden, is_named, is_not_own
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.opening import OPENINGS, routes
from inline_topo.masking.swap import Swap
from inline_topo.masking.table import Table
from inline_topo.masking.uris import REPLACED, STRIPPED, Uris
from inline_topo.sip import address, names, uri, values
from inline_topo.sip.message import Message, Span, line_of

REFERENCES: Final = (
    names.REFER_TO,
    names.REFERRED_BY,
    names.REPLY_TO,
    names.ALERT_INFO,
    names.CALL_INFO,
    names.ERROR_INFO,
    names.HISTORY_INFO,
    names.DIVERSION,
    names.REFER_EVENTS_AT,
    names.POLICY_CONTACT,
)
"""URIs that someone may use: masked where the host is hidden, and opened, in every message."""

IDENTITIES: Final = (
    names.P_ASSERTED_IDENTITY,
    names.P_PREFERRED_IDENTITY,
    names.ADDITIONAL_IDENTITY,
    names.REMOTE_PARTY_ID,
    names.P_ASSOCIATED_URI,
    names.P_CALLED_PARTY_ID,
    names.P_CHARGE_INFO,
)
"""Who somebody is: the user says it, and the host is swapped. Left where an Identity header is."""

TEXTS: Final = (names.WARNING, names.REASON, names.SUBJECT)
"""What people read: hosts are swapped, as in the reason phrase, and beside the URIs of references and
Contacts."""

PRODUCTS: Final = (names.USER_AGENT, names.SERVER)
"""What a program is."""

PATHS: Final = (names.PATH, names.SERVICE_ROUTE)

NEVER: Final = (
    "Identity",
    "Date",
    "Authorization",
    "Proxy-Authorization",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Authentication-Info",
)
"""What signatures and digests cover (RFC 8224, RFC 7616): no rule ever edits these."""

NOT_REVERSIBLE: Final = (*IDENTITIES, *TEXTS, names.REASON_PHRASE, *PRODUCTS, names.ORGANIZATION)
"""The fields that nothing brings back once they were edited, beside those that `swap` and `strip` list."""

BESIDE: Final = (names.CONTACT, *REFERENCES)
"""Fields that come back but for a name before their URI and parameters after it."""

_REMEMBERED: Final = 1 << 10
_LONGEST_REMEMBERED: Final = 256


@dataclass(frozen=True)
class Switches:
    """What is hidden, as the table [hide] has it. `spirals` and `registers` are for strategies."""

    references: bool = True
    paths: bool = True
    spirals: bool = True
    registers: bool = True
    identities: bool = False
    texts: bool = False
    swap: tuple[str, ...] = ()
    strip: tuple[str, ...] = ()
    user_agent: str = "keep"
    from_to: bool = False


class Carriers:
    """The rules, and the tables made of them."""

    def __init__(
        self,
        codec: Codec,
        hosts: Hosts,
        uris: Uris,
        switches: Switches,
        *,
        as_topoh: bool = False,
    ) -> None:
        self._hosts = hosts
        self._uris = uris
        self._switches = switches
        self._as_topoh = as_topoh
        self._swap = Swap(hosts)
        self.ends = Ends(codec, uris, self._swap)
        self._product = switches.user_agent.encode()
        self._silent: Cache[bytes, bool] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)

    # --- the tables ---------------------------------------------------------------------------

    def egress(self, *, is_request: bool) -> Table:
        """What masks, in requests or responses that leave."""
        switches = self._switches
        table = self.egress_named()
        if switches.references:
            table |= dict.fromkeys(REFERENCES, self.mask_hidden)
        if switches.paths and is_request:
            table |= dict.fromkeys(PATHS, self.mask_routes)
        elif switches.paths:
            table |= {names.PATH: self.mask_named_routes, names.SERVICE_ROUTE: self.mask_routes}
        if switches.identities:
            table |= dict.fromkeys(IDENTITIES, self.swap_identity)
        if switches.texts:
            table |= dict.fromkeys(TEXTS, self.swap_hosts)
        if switches.from_to:
            table |= dict.fromkeys((names.FROM, names.TO), self.mask_end)
        if switches.user_agent == "strip":
            table |= dict.fromkeys((*PRODUCTS, names.ORGANIZATION), self.strip)
        elif switches.user_agent != "keep":
            table |= dict.fromkeys(PRODUCTS, self.replace_product)
            table[names.ORGANIZATION] = self.strip
        for listed, rule in ((switches.swap, self.swap_hosts), (switches.strip, self.strip)):
            table |= dict.fromkeys(map(_canonical, listed), rule)
            table |= dict.fromkeys((name for name in table if is_listed(name, listed)), rule)
        if switches.texts and not is_request:
            table[names.REASON_PHRASE] = self.swap_reason_phrase
        return table

    def egress_named(self) -> Table:
        """What masks of them where the configuration masks nothing: what opens, closes."""
        return {} if self._as_topoh else dict.fromkeys((names.REFER_TO, *PATHS), self.mask_named)

    def ingress(self) -> Table:
        """What opens, in requests and responses that enter: where it routes, whatever the switches say,
        and what they seal (masking.opening)."""
        if self._as_topoh:
            return self.wherever_tokens_stand()
        switches = self._switches
        edited = (*switches.swap, *switches.strip)
        return {
            name: rule
            for name, rule in self.wherever_tokens_stand().items()
            if routes(name) or (self._is_sealed(name) and not is_listed(name, edited))
        }

    def where_it_routes(self) -> Table:
        """What opens though nothing is sealed: in a drain, and from peers that a rule leaves clear."""
        table = self.wherever_tokens_stand()
        return table if self._as_topoh else {n: rule for n, rule in table.items() if routes(n)}

    def wherever_tokens_stand(self) -> Table:
        """What opens for somebody who has both sides of the gateway."""
        table: Table = dict.fromkeys(REFERENCES, self.open_values)
        table |= dict.fromkeys(PATHS, self.open_routes)
        if self._switches.from_to:
            table |= dict.fromkeys((names.FROM, names.TO), self.open_end)
        return table

    def _is_sealed(self, name: str) -> bool:
        opening = OPENINGS.get(name)
        return opening is not None and bool(getattr(self._switches, opening.switch))

    def looked_at(self) -> set[str]:
        """The fields that the rules of `egress` look at beside those that they edit."""
        wants_identity = self._switches.identities or self._switches.from_to
        return {names.IDENTITY} if wants_identity else set()

    def looked_at_entering(self) -> set[str]:
        """The same for `ingress`."""
        return {names.IDENTITY} if self._switches.from_to else set()

    def is_stripped(self, name: str) -> bool:
        """Whether a field is removed, so that nothing else may edit it."""
        return is_listed(name, self._switches.strip)

    # --- masked, and opened again ---------------------------------------------------------------

    def mask_hidden(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """Every value whose host is hidden. What is no URI (`Alert-Info: Bellcore-dr2`) stays, unless
        it names something hidden."""
        data = message.data
        edits: list[Edit] = []
        for entry in values.split(data, spans):
            edits += self._uris.mask(data, entry, flow, name, is_hidden)
            edits += part_names.outside(message, self.swap_beside(data, entry, flow, name))
            edits += self._swap_part_name(message, entry, flow, name)
        return edits

    def mask_named(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """What lies inside, where the configuration hides no more of a field that opens always."""
        data = message.data
        edits: list[Edit] = []
        for entry in values.split(data, spans):
            edits += self._uris.mask(data, entry, flow, name, is_named, route=name in PATHS)
            edits += self._swap_part_name(message, entry, flow, name)
        return edits

    def _swap_part_name(self, message: Message, entry: Span, flow: Flow, name: str) -> list[Edit]:
        """The edits in a URI that names a part (RFC 2392) which the message does not have."""
        where = address.locate(message.data, *entry)
        if not where or not uri.names_part(message.data[where.start : where.end]):
            return []
        edits = self._swap.edits(message.data, (where.start, where.end), flow, name, is_named)
        return [] if part_names.may_have(message) else edits

    def mask_routes(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """Every entry whose host is not own; without an own entry, what is hidden."""
        data = message.data
        entries = values.split(data, spans)
        has_own = any(self._uris.host_of(data, entry).own for entry in entries)
        decide = is_not_own if has_own else is_hidden
        return self._uris.mask_all(data, entries, flow, name, decide, route=True)

    def mask_named_routes(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """What lies inside; the rest of a Path came with the REGISTER (RFC 3327 section 5.3)."""
        entries = values.split(message.data, spans)
        return self._uris.mask_all(message.data, entries, flow, name, is_named, route=True)

    def mask_end(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """From and To, but in a message that an Identity header signs."""
        if names.IDENTITY in message.fields:
            return []
        return self.ends.mask(message, flow, name, spans)

    def open_end(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """The inverse: what an Identity header signs would leave as it has opened."""
        if names.IDENTITY in message.fields:
            return []
        return self.ends.open(message, flow, name, spans)

    def open_values(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """Tokens in any value."""
        return self._uris.open_all(message.data, spans, name)

    def open_routes(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """Tokens at any index; routes keep their brackets, but for those that had none."""
        return self._uris.open_all(message.data, spans, name, route=True)

    # --- edited for good ------------------------------------------------------------------------

    def swap_hosts(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """The mask address for every hidden host, wherever it stands in the field."""
        edits: list[Edit] = []
        for span in spans:
            found = part_names.outside(message, self._swap.edits(message.data, span, flow, name))
            if found and name.endswith("*"):
                spelled = _spelled(message, span)
                found = [edit._replace(field=spelled) for edit in found]
            edits += found
            if len(edits) > MOST_EDITS:
                raise TooMuch(f"hosts in {name}")
        return edits

    def swap_beside(self, data: bytes, span: Span, flow: Flow, name: str) -> list[Edit]:
        """The same for a name before the URI of a single value, and for parameters after it."""
        where = address.locate(data, *span) if self._switches.texts else None
        if not where:
            return []
        edits: list[Edit] = []
        if where.start > span[0] + 1:
            edits = self._swap.edits(data, (span[0], where.start), flow, name)
        if where.end + 1 < span[1]:
            edits += self._swap.edits(data, (where.end, span[1]), flow, name)
        return edits

    def swap_identity(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """The same, but in a message that an Identity header signs."""
        if names.IDENTITY in message.fields:
            return []
        return self.swap_hosts(message, flow, name, spans)

    def swap_reason_phrase(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """The same in the status line, which is most often one that is known to name no host."""
        line = message.data[: message.headers[0]]
        if line in self._silent:
            return []
        if not self._hosts.named_in(line):
            self._silent.remember(line, True, len(line))
            return []
        code = line.find(b" ", line.upper().find(b"SIP/") + 8)  # behind the version
        return self._swap.edits(message.data, (max(code, 0), len(line)), flow, name)

    def strip(self, message: Message, flow: Flow, name: str, spans: list[Span]) -> list[Edit]:
        """The whole header lines."""
        is_pattern = name.endswith("*")
        edits = []
        for span in spans:
            field = _spelled(message, span) if is_pattern else name
            edits.append(Edit(*line_of(message, span), b"", field, STRIPPED))
        return edits

    def replace_product(
        self, message: Message, flow: Flow, name: str, spans: list[Span]
    ) -> list[Edit]:
        """The configured text."""
        new = self._product
        return [
            Edit(*span, new, name, REPLACED)
            for span in spans
            if message.data[span[0] : span[1]] != new
        ]


def _spelled(message: Message, span: Span) -> str:
    start, _ = line_of(message, span)
    name, _, _ = message.data[start : span[1]].partition(b":")
    return names.field_name(name.strip())


def _canonical(name: str) -> str:
    return names.field_name(name.encode())


def is_listed(name: str, listed: tuple[str, ...]) -> bool:
    """Whether a header is in a list of `swap` or `strip`."""
    return any(fnmatchcase(name.lower(), one.lower()) for one in listed)
