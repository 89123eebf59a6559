"""A gateway that searches what leaves for what is hidden, after it has masked it, and tells what it could
not read.

It makes the same verdicts live and in a replay, so a message that is refused here is refused there.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inline_topo.audit.findings import LEAK, NOT_READ, TUNNEL, UNEXPLAINED, Finding
from inline_topo.audit.packets import OTHER_TRANSPORTS, may_matter, unread, unread_frame
from inline_topo.audit.scan import Context, Scanner
from inline_topo.edits import Edit
from inline_topo.gateway import Action, Ask, Gateway, Verdict
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.policy import decides
from inline_topo.sip import message as sip
from inline_topo.sip import peek
from inline_topo.sip.message import Message
from inline_topo.sip.names import FieldNames
from inline_topo.wire import ip

REFUSED_LEAK = "refused_leak"
REFUSED_UNREAD = "refused_unread"

_HASHES = 1 << 32
_NO_MESSAGE = frozenset(
    {
        *(ip.NOT_UDP, ip.UDP_LITE, ip.MALFORMED, "not_sip"),
        *("refused_fragment", "refused_cut", "refused_malformed_packet"),
    }
)


_NO_FIELDS = FieldNames([])


def left_unread(
    find_flow: Callable[[bytes], Flow], ports: frozenset[int], packet: bytes, outcome: str
) -> str:
    """Why a packet with this outcome, in which no message was read, may hold one that insiders do not say
    to each other (a key of findings.NOT_READ_MEANS); empty where it does not. What enters counts
    where it is of another transport. `ports` are those of SIP. "not_ip": `packet` is a frame."""
    if outcome == "not_ip":
        return unread_frame(packet)
    if outcome == "inside" or (outcome in ("not_sip", "transit") and not may_matter(packet)):
        return ""
    if outcome == "transit" and _is_message(packet):
        return ""
    why = unread(packet, ports)
    if why is None or not why.source:
        return why.reason if why else ""
    way = find_flow(why.source + why.destination + bytes(4)).direction
    if way is Direction.INSIDE:
        return ""
    leaves = way is Direction.EGRESS
    return why.reason if leaves or why.reason in OTHER_TRANSPORTS else ""


def _is_message(packet: bytes) -> bool:
    """Whether a packet is a SIP message over UDP, well formed or not."""
    datagram = ip.decode(packet)
    try:
        return not isinstance(datagram, str) and bool(
            sip.parse(datagram.payload, _NO_FIELDS, _NO_FIELDS)
        )
    except sip.Malformed:
        return True


@dataclass(frozen=True)
class Audit:
    """What is audited, and with what end.

    `share` of the calls, 0 to 1: all messages of a call that leave, or none (by a hash of the Call-ID
    as the inside knows it, so that a replay and another gateway choose the same ones). `enforce`:
    all, and a message with a leak is refused. `refuses_unread`: all, and what cannot be read is
    refused, but tunnels (and TCP, with `passes_tcp`). `ports`: those of SIP.
    """

    scanner: Scanner
    share: float = 1.0
    enforce: bool = False
    refuses_unread: bool = False
    passes_tcp: bool = False
    ports: frozenset[int] = frozenset({5060})


class AuditedGateway(Gateway):
    """Its verdicts on messages that leave say what shows in them: `Verdict.shown`."""

    def __init__(self, audit: Audit, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._scan = audit.scanner.scan
        self._refuses = {LEAK, UNEXPLAINED} if audit.enforce else set()
        self._refuses |= {NOT_READ} if audit.enforce or audit.refuses_unread else set()
        self._below = _HASHES if self._refuses else int(audit.share * _HASHES)
        self._passes_tcp = audit.passes_tcp
        self._ports = audit.ports

    def handle(self, packet: bytes, now: float) -> Verdict | Ask:
        """As Gateway.handle; of a packet that leaves and may hold SIP that was not read, it says so."""
        verdict = super().handle(packet, now)
        if isinstance(verdict, Verdict) and verdict.outcome in _NO_MESSAGE:
            return self._without_message(packet, verdict)
        return verdict

    def _without_message(self, packet: bytes, verdict: Verdict) -> Verdict:
        """The verdict on a packet in which no message was read."""
        why = unread(packet, self._ports)
        if why is None or verdict.action is Action.DROP:
            return verdict
        if why.source:
            ends = why.source + why.destination + bytes(4)
            direction = self._find_flow(ends).direction
            passes = direction is Direction.TRANSIT and why.reason == TUNNEL
            if direction is not Direction.EGRESS and not passes:
                return verdict
        may_pass = why.reason == TUNNEL or (verdict.outcome == ip.NOT_UDP and self._passes_tcp)
        if (
            NOT_READ in self._refuses
            and not may_pass
            and not verdict.outcome.startswith("refused_")
        ):
            direction = Direction.EGRESS if why.source else verdict.direction
            verdict = Verdict(self._on_refusal, packet, direction, REFUSED_UNREAD)
            verdict.detail = why.reason
        verdict.shown = [Finding(NOT_READ, why.reason, "", b"", b"")]
        return verdict

    def _rewrite(
        self, datagram: ip.Datagram, message: Message, flow: Flow, edits: list[Edit]
    ) -> Verdict:
        verdict = super()._rewrite(datagram, message, flow, edits)
        if flow.direction is not Direction.EGRESS or verdict.outcome.startswith("refused_"):
            return verdict
        if self._below < _HASHES and zlib.crc32(peek.call_id(message.data)) >= self._below:
            return verdict
        return self._audited(verdict, datagram, message, flow)

    def _audited(
        self, verdict: Verdict, datagram: ip.Datagram, message: Message, flow: Flow
    ) -> Verdict:
        leaving = ip.decode(verdict.packet)
        payload = leaving.payload if isinstance(leaving, ip.Datagram) else datagram.payload
        masked = not flow.rules or decides(flow.rules, message)
        shown = self._scan(payload, flow, Context(masked, datagram.payload))
        causes = {finding.cause for finding in shown} & self._refuses
        if causes:
            outcome = REFUSED_UNREAD if causes == {NOT_READ} else REFUSED_LEAK
            if self._on_refusal is Action.DROP:
                verdict = Verdict(Action.DROP, datagram.packet, flow.direction, outcome)
            verdict.outcome = outcome
            fields = [finding.field for finding in shown if finding.cause in causes]
            verdict.detail = ", ".join(dict.fromkeys(fields))
        verdict.shown = shown
        return verdict
