"""A gateway that searches what leaves for what is hidden, after it has masked it.

It makes the same verdicts live and in a replay, so a message that is refused here is refused there.
"""

import zlib
from dataclasses import dataclass
from typing import Any

from inline_topo.edits import Edit
from inline_topo.gateway import Action, Gateway, Verdict
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.leaks.scan import LEAK, Scanner
from inline_topo.sip import peek
from inline_topo.sip.message import Message
from inline_topo.wire import ip

REFUSED_LEAK = "refused_leak"

_HASHES = 1 << 32


@dataclass(frozen=True)
class Audit:
    """What is audited, and with what end.

    `share` of the calls, 0 to 1: all messages of a call that leave, or none (by a hash of the Call-ID
    as the inside knows it, so that a replay and another gateway choose the same ones). `enforce`:
    all, and a message with a leak is refused. `escape`: what a Call-ID begins with inside that the
    receiver made and may show (masking.callid).
    """

    scanner: Scanner
    share: float = 1.0
    enforce: bool = False
    escape: bytes = b""


class AuditedGateway(Gateway):
    """Its verdicts on messages that leave say what shows in them: `Verdict.shown`."""

    def __init__(self, audit: Audit, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._scan = audit.scanner.scan
        self._below = _HASHES if audit.enforce else int(audit.share * _HASHES)
        self._enforce = audit.enforce
        self._escape = audit.escape

    def _rewrite(
        self, datagram: ip.Datagram, message: Message, flow: Flow, edits: list[Edit]
    ) -> Verdict:
        verdict = super()._rewrite(datagram, message, flow, edits)
        if flow.direction is not Direction.EGRESS or verdict.outcome.startswith("refused_"):
            return verdict
        if self._below < _HASHES and zlib.crc32(peek.call_id(message.data)) >= self._below:
            return verdict
        return self._audited(verdict, datagram, flow)

    def _audited(self, verdict: Verdict, datagram: ip.Datagram, flow: Flow) -> Verdict:
        def is_echo(call_id: bytes) -> bool:
            return bool(self._escape) and self._escape + call_id in datagram.payload

        leaving = ip.decode(verdict.packet)
        payload = leaving.payload if isinstance(leaving, ip.Datagram) else datagram.payload
        shown = self._scan(payload, flow, is_echo)
        if self._enforce and any(finding.cause == LEAK for finding in shown):
            if self._on_refusal is Action.DROP:
                verdict = Verdict(Action.DROP, datagram.packet, flow.direction, REFUSED_LEAK)
            verdict.outcome = REFUSED_LEAK
        verdict.shown = shown
        return verdict
