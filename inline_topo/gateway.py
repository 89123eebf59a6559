"""The one seam: an IP packet in, a verdict out. Both edges, live and replay, call it and nothing else.

Pure: no I/O, no clock, no randomness. What has to be waited for (a store, a media relay) comes out as
an Ask, which the edge answers.
"""

import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Protocol

from inline_topo.audit.findings import Finding
from inline_topo.bounds import TooMuch
from inline_topo.compiling import mypyc_attr
from inline_topo.edits import Edit, splice
from inline_topo.masking.claims import ClaimError
from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.effects import EffectFailed, Need
from inline_topo.masking.elements import check
from inline_topo.masking.flow import Direction, Flow, Flows
from inline_topo.masking.hosts import address_text
from inline_topo.masking.uris import MASKED, REMOVED, SWAPPED
from inline_topo.sip import message as sip
from inline_topo.sip.message import Message
from inline_topo.sip.names import FieldNames
from inline_topo.wire import icmp, ip

log = logging.getLogger(__name__)

_HIDES: Final = (MASKED, SWAPPED, REMOVED)


class Action(Enum):
    """What the edge does with the packet."""

    ACCEPT = "accept"
    REPLACE = "replace"
    DROP = "drop"


class Verdict:
    """What becomes of a packet. Made for one packet: whoever judges it once more changes this one.

    `packet` is the one to send: the original (the same object) unless `action` is REPLACE.
    `outcome` says why, as a counter would be called (OUTCOMES); `edits` what was rewritten in the
    payload, by offsets in the original one. `notes` names what was seen in the body and left
    (masking.bodies.base.NOTES). `unopened`: the fields of what has the form of a token of ours, and did
    not open (masking.unopened). `detail`: of a message that is refused, the field and what is wrong with
    it, never a value. `shown`: what an audit found in the message as it leaves (audited);
    None where it was not audited.
    """

    __slots__ = (
        *("action", "detail", "direction", "edits", "notes"),
        *("outcome", "packet", "shown", "unopened"),
    )

    def __init__(
        self,
        action: Action,
        packet: bytes,
        direction: Direction,
        outcome: str,
        edits: Sequence[Edit] = (),
        notes: tuple[str, ...] = (),
        unopened: tuple[str, ...] = (),
        detail: str = "",
    ) -> None:
        self.action = action
        self.packet = packet
        self.direction = direction
        self.outcome = outcome
        self.edits = edits
        self.notes = notes
        self.unopened = unopened
        self.detail = detail
        self.shown: Sequence[Finding] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verdict) and self._all() == other._all()

    def __repr__(self) -> str:
        return f"Verdict{self._all()}"

    def _all(self) -> tuple[object, ...]:
        said = self.action, self.packet, self.direction, self.outcome
        return *said, self.edits, self.notes, self.unopened, self.detail, self.shown


class Ask:
    """An effect that the edge must run before there is a verdict.

    `resume` takes the effect's result and gives a Verdict, or the next Ask. Packets of one Call-ID
    keep their order while one of them waits.
    """

    __slots__ = ("effect", "resume")

    def __init__(self, effect: Any, resume: Callable[[Any], "Verdict | Ask"]) -> None:
        self.effect = effect
        self.resume = resume


class Strategy(Protocol):
    """What a gateway needs of a way of masking (masking.topoh is one)."""

    def field_names(self, direction: Direction) -> tuple[FieldNames, FieldNames]:
        """What requests and responses in this direction are parsed for."""

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit] | Need:
        """The edits for a message; SealError where it must be masked and cannot be."""

    def addresses(self, message: Message, flow: Flow, edits: list[Edit]) -> bytes:
        """Source and destination to write into the IP header; empty to leave them."""

    def reads_all(self, flow: Flow) -> bool:
        """Whether nothing enters that was not read."""

    def admits(self, data: bytes, flow: Flow) -> bool:
        """Whether a message that enters and does not parse may pass."""


REFUSED_CLAIM: Final = "refused_claim"

OUTCOMES: Final = {
    "masked": "left masked",
    "unmasked": "entered with its tokens opened",
    "unchanged": "SIP with nothing to mask or to open",
    "inside": "between two insiders",
    "transit": "between two outsiders",
    "not_sip": "not SIP by content",
    ip.NOT_UDP: "not UDP",
    ip.UDP_LITE: "UDP-Lite",
    "icmp_cut": "an ICMP error that leaves, its quote of what is or may be SIP cut",
    ip.NOT_IP: "not IP",
    ip.MALFORMED: "IP or UDP headers that do not fit the packet",
    "fragment": "a fragment without the rest of its datagram, entering",
    "cut": "a length that does not fit its headers, entering",
    "malformed_sip": "looks like SIP and does not parse, entering",
    "too_much": "more than a packet may ask for (see bounds), entering: nothing in it opens",
    "too_long": "would be longer than an IP packet can be, entering",
    "refused_fragment": "a fragment cannot be masked, or enters where claims are refused",
    "refused_cut": "a packet, cut or of a wrong length, likewise; bytes behind a datagram that leaves",
    "refused_malformed_packet": "headers that do not fit, or UDP-Lite, and SIP in sight, leaving",
    "refused_malformed_sip": "looks like SIP, leaves, and does not parse",
    "refused_corrupt": "to be rewritten, with a wrong UDP checksum",
    "refused_unmaskable": "a field that must be masked cannot be: it does not parse, or is too long",
    REFUSED_CLAIM: "enters, and names the inside in clear where it would be routed by, or anywhere if it"
    " cannot be read",
    "refused_too_much": "more than a packet may ask for: what leaves so could not come back, what enters so"
    " is a response, or claims are refused",
    "refused_leak": "something hidden showed after masking (audit)",
    "refused_unread": "leaves, and an audit cannot read it",
    "refused_too_long": "would be longer than an IP packet can be",
    "refused_store": "the dialog store did not answer in time, or cannot be used",
    "refused_relay": "the media relay did not answer in time, or cannot be used",
    "refused_error": "a defect in this program: see the log",
    "error": "a defect in this program, entering: see the log",
}
"""Every outcome of a verdict. A refused packet is dropped, unless `on_error` (or the policy for a
fragment, a cut or a corrupt packet) is "accept"; where a store or a relay failed, and where a message
claims to know the inside, always."""

CORRUPT: Final = "_corrupt"
"""Ends an outcome where the UDP checksum came in wrong (and goes out wrong by the same amount)."""


@mypyc_attr(allow_interpreted_subclasses=True)  # the one that audits
class Gateway:
    """Judges packets. `accept_refused`: what cannot be masked leaves in clear (`on_error`).

    `on_flaw`: ACCEPT or DROP for what leaves, may be SIP and has this flaw (FRAGMENT, CUT); else it
    is as with `accept_refused`. `on_corrupt`: a message to be rewritten whose UDP checksum is wrong,
    in either direction; with REPLACE it goes out as wrong as it came.
    What is longer than `mtu` bytes when rewritten may be fragmented from then on (IPv4).
    `cut_errors`: ICMP errors that leave quote no SIP.
    """

    def __init__(
        self,
        flows: Flows,
        strategy: Strategy,
        *,
        accept_refused: bool = False,
        on_flaw: Mapping[str, Action] | None = None,
        on_corrupt: Action = Action.REPLACE,
        mtu: int = ip.MAX_PACKET,
        cut_errors: bool = True,
    ) -> None:
        self._find_flow = flows.find
        self._strategy = strategy
        self._mtu = mtu
        self._cut_errors = cut_errors
        self._on_refusal = Action.ACCEPT if accept_refused else Action.DROP
        self._on_flaw = on_flaw or {}
        self._on_corrupt = on_corrupt
        self._names = {
            direction: strategy.field_names(direction)
            for direction in (Direction.EGRESS, Direction.INGRESS)
        }

    def handle(self, packet: bytes, now: float) -> Verdict | Ask:
        """The verdict on one whole IP packet, or what has to be asked first. Never raises.

        `now` is the packet's time in seconds.
        """
        direction = Direction.NONE
        message: Message | None = None
        datagram: ip.Datagram | str = ""
        flow: Flow | None = None
        try:
            datagram = ip.decode(packet)
            if isinstance(datagram, str):
                return self._not_udp(packet, datagram)
            flow = self._find_flow(datagram.endpoints)
            direction = flow.direction
            if direction is not Direction.EGRESS and direction is not Direction.INGRESS:
                return Verdict(Action.ACCEPT, packet, direction, direction.value)
            if datagram.flaw:
                return self._flawed(datagram, flow)
            payload = datagram.payload
            has_surplus = len(packet) != datagram.udp + 8 + len(payload)
            if has_surplus and direction is Direction.EGRESS and self._hides_sip(datagram):
                return self._on_flaw_of(packet, direction, ip.CUT)
            try:
                message = sip.parse(payload, *self._names[direction])
                if message is None:
                    if direction is Direction.INGRESS and self._strategy.reads_all(flow):
                        return self._not_sip(datagram, flow)
                    return Verdict(Action.ACCEPT, packet, direction, "not_sip")
                check(message)
                edits = self._strategy.edits(message, flow, now)
            # A name for each: compiled, a variable has one type.
            except sip.Malformed as malformed:
                return self._unread(datagram, flow, "malformed_sip", str(malformed))
            except TooMuch as excess:
                return self._too_much(packet, message, flow, str(excess))
            except SealError as unsealed:
                return self._drop(packet, direction, "unmaskable", str(unsealed))
            except ClaimError as claim:
                return _claimed(packet, direction, str(claim))
            if isinstance(edits, Need):
                return self._ask(edits, datagram, message, flow)
            return self._rewrite(datagram, message, flow, edits)
        except Exception:
            if flow is None or isinstance(datagram, str):
                return self._defect(packet, direction)
            return self._defect_in(datagram, flow)

    def _rewrite(
        self, datagram: ip.Datagram, message: Message, flow: Flow, edits: list[Edit]
    ) -> Verdict:
        direction = flow.direction
        addresses = self._strategy.addresses(message, flow, edits)
        if not edits and not addresses:
            return Verdict(
                Action.ACCEPT,
                datagram.packet,
                direction,
                "unchanged",
                (),
                message.notes,
                message.unopened,
            )
        if flow.is_inner and direction is Direction.EGRESS and _writes(flow.mask_address, edits):
            return self._drop(
                datagram.packet, direction, "unmaskable", "no own address to mask with"
            )
        state = ip.checksum_state(datagram)
        is_corrupt = state[0] == ip.CORRUPT
        if is_corrupt and self._on_corrupt is not Action.REPLACE:
            return Verdict(self._on_corrupt, datagram.packet, direction, "refused_corrupt")
        try:
            packet = ip.encode(datagram, splice(message.data, edits), state, addresses)
        except ip.TooLong:
            return self._refuse(datagram.packet, direction, "too_long")
        if len(packet) > self._mtu:
            packet = ip.may_be_fragmented(packet, _identification(datagram))
        outcome = "masked" if direction is Direction.EGRESS else "unmasked"
        if not edits:
            outcome = "unchanged"
        if is_corrupt:
            outcome += CORRUPT
        return Verdict(
            Action.REPLACE, packet, direction, outcome, edits, message.notes, message.unopened
        )

    def _ask(
        self, need: Need, datagram: ip.Datagram, message: Message, flow: Flow
    ) -> Verdict | Ask:
        """What is to be waited for. A write is made only for a message that goes on as it is drafted: that
        is judged first, and if the write goes well it is the verdict."""
        draft = need.draft
        judged = None if draft is None else self._rewrite(datagram, message, flow, draft)
        if judged is not None and not _goes_on(judged):
            return judged

        def resume(result: Any) -> Verdict | Ask:
            try:
                edits = need.resume(result)
                if judged is not None and edits is draft:
                    return judged
                if isinstance(edits, Need):
                    return self._ask(edits, datagram, message, flow)
                return self._rewrite(datagram, message, flow, edits)
            except TooMuch as excess:
                return self._too_much(datagram.packet, message, flow, str(excess))
            except SealError as unsealed:
                return self._drop(datagram.packet, flow.direction, "unmaskable", str(unsealed))
            except ClaimError as claim:
                return _claimed(datagram.packet, flow.direction, str(claim))
            except EffectFailed as failure:
                return _failed(datagram.packet, flow.direction, failure)
            except Exception:
                return self._defect_in(datagram, flow)

        return Ask(need.effect, resume)

    def _not_udp(self, packet: bytes, outcome: str) -> Verdict:
        """An ICMP error from here to outside must not quote what was opened on its way in. What is broken
        leaves only where no SIP is in sight: a receiver may be more lenient."""
        error = icmp.parse(packet) if self._cut_errors else None
        if error is not None:
            quoted = self._find_flow(error.endpoints)
            outer = self._find_flow(error.outer_endpoints)
            leaves = outer.direction in (Direction.EGRESS, Direction.TRANSIT)
            entered = leaves and quoted.direction is Direction.INGRESS
            may_be_sip = error.is_later or self._looks_like_sip(error.payload, Direction.INGRESS)
            if entered and may_be_sip:
                return Verdict(Action.REPLACE, icmp.cut(error), outer.direction, "icmp_cut")
        if outcome == ip.MALFORMED or outcome == ip.UDP_LITE:
            endpoints = ip.addresses(packet)
            direction = self._find_flow(endpoints).direction if endpoints else Direction.NONE
            if direction is Direction.EGRESS and sip.is_in_sight(packet):
                return self._on_flaw_of(packet, direction, ip.MALFORMED, ip.CUT)
        return Verdict(Action.ACCEPT, packet, Direction.NONE, outcome)

    def _on_flaw_of(
        self, packet: bytes, direction: Direction, flaw: str, like: str = ""
    ) -> Verdict:
        """The refusal of what leaves, may be SIP and has a flaw, by the policy for that or one `like` it."""
        action = self._on_flaw.get(like or flaw, self._on_refusal)
        return Verdict(action, packet, direction, "refused_" + flaw)

    def _hides_sip(self, datagram: ip.Datagram) -> bool:
        """Whether bytes stand behind a datagram (no padding), and it or they may be SIP."""
        behind = ip.surplus(datagram)
        if not behind:
            return False
        return sip.is_in_sight(behind) or self._looks_like_sip(datagram.payload, Direction.EGRESS)

    def _looks_like_sip(self, payload: bytes, direction: Direction) -> bool:
        try:
            return sip.parse(payload, *self._names[direction]) is not None
        except sip.Malformed:
            return True

    def _flawed(self, datagram: ip.Datagram, flow: Flow) -> Verdict:
        """A fragment or cut packet must not be rewritten; it leaves only where it is no SIP.

        Of a later fragment that cannot be known.
        """
        direction = flow.direction
        is_later = datagram.flaw == ip.FRAGMENT and not any(datagram.endpoints[-4:])
        can_be_read = direction is Direction.EGRESS and not is_later
        if can_be_read and not self._looks_like_sip(datagram.payload, direction):
            return Verdict(Action.ACCEPT, datagram.packet, direction, "not_sip")
        if direction is Direction.INGRESS:
            if self._strategy.reads_all(flow):
                return Verdict(Action.DROP, datagram.packet, direction, "refused_" + datagram.flaw)
            return self._unread(datagram, flow, datagram.flaw)
        return self._on_flaw_of(datagram.packet, direction, datagram.flaw)

    def _refuse(
        self, packet: bytes, direction: Direction, reason: str, detail: str = ""
    ) -> Verdict:
        """A message that leaves is refused; one that enters passes, and the receiver judges it."""
        if direction is Direction.INGRESS:
            return Verdict(Action.ACCEPT, packet, direction, reason)
        return self._drop(packet, direction, reason, detail)

    def _unread(self, datagram: ip.Datagram, flow: Flow, reason: str, detail: str = "") -> Verdict:
        """What could not be read: what enters so passes if it makes no claim."""
        direction = flow.direction
        enters = direction is Direction.INGRESS
        if enters and not self._strategy.admits(datagram.payload, flow):
            return _claimed(datagram.packet, direction, detail)
        return self._refuse(datagram.packet, direction, reason, detail)

    def _not_sip(self, datagram: ip.Datagram, flow: Flow) -> Verdict:
        """What enters and is no SIP for us may be a message for a proxy: Kamailio takes methods with control
        bytes in them."""
        if sip.is_in_sight(datagram.payload):
            return self._unread(datagram, flow, "not_sip")
        return Verdict(Action.ACCEPT, datagram.packet, flow.direction, "not_sip")

    def _too_much(self, packet: bytes, message: Message | None, flow: Flow, detail: str) -> Verdict:
        """A response beyond the bounds does not enter either: nobody has looked at its Vias. Where claims
        are refused a request does not."""
        direction = flow.direction
        if direction is Direction.INGRESS and (
            (message and not message.method) or self._strategy.reads_all(flow)
        ):
            outcome = "refused_too_much"
            return Verdict(Action.DROP, packet, direction, outcome, detail=detail)
        return self._refuse(packet, direction, "too_much", detail)

    def _drop(self, packet: bytes, direction: Direction, reason: str, detail: str = "") -> Verdict:
        """Whatever the direction: a message that must be masked and cannot be (in the outside leg
        one that enters is masked too)."""
        outcome = "refused_" + reason
        return Verdict(self._on_refusal, packet, direction, outcome, detail=detail)

    def _defect(self, packet: bytes, direction: Direction) -> Verdict:
        log.exception("a packet could not be judged")
        return self._refuse(packet, direction, "error")

    def _defect_in(self, datagram: ip.Datagram, flow: Flow) -> Verdict:
        """Nobody has read it: it is judged by a search, and stays out if that has a defect, too."""
        verdict = self._defect(datagram.packet, flow.direction)
        try:
            if flow.direction is Direction.INGRESS:
                return self._unread(datagram, flow, "error")
        except Exception:
            log.exception("a packet that could not be judged could not be searched")
            return Verdict(Action.DROP, datagram.packet, flow.direction, "refused_error")
        return verdict


def _writes(address: bytes, edits: list[Edit]) -> bool:
    """Whether edits write an address in the place of something that they hide."""
    text = address_text(address).strip(b"[]")
    return any(edit.action in _HIDES and edit.new.find(text) >= 0 for edit in edits)


def _claimed(packet: bytes, direction: Direction, detail: str = "") -> Verdict:
    """`on_error` is about what leaves: this never enters."""
    return Verdict(Action.DROP, packet, direction, REFUSED_CLAIM, detail=detail)


def _failed(packet: bytes, direction: Direction, failure: EffectFailed) -> Verdict:
    """What the strategy does not go on without (`on_store_error`, `media.on_error`) never goes on,
    whatever `on_error` says."""
    return Verdict(Action.DROP, packet, direction, "refused_" + failure.outcome)


def _goes_on(verdict: Verdict) -> bool:
    """Whether a message goes on as it was rewritten."""
    return verdict.action is Action.REPLACE or verdict.outcome == "unchanged"


def _identification(datagram: ip.Datagram) -> int:
    """An IP identification that every gateway, and every replay, finds for this datagram."""
    return zlib.crc32(datagram.payload, zlib.crc32(datagram.endpoints)) & 0xFFFF
