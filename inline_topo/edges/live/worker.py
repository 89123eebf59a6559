"""One process that serves one queue: packet in, gateway, verdict out."""

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Final

from inline_topo.audit.findings import LEAK, NOT_READ
from inline_topo.audited import REFUSED_UNREAD
from inline_topo.gateway import CORRUPT, OUTCOMES, Action, Ask, Gateway, Verdict
from inline_topo.masking.effects import Performers
from inline_topo.masking.flow import Direction
from inline_topo.wire import ip

from .board import Row
from .compared import ComparedPackets
from .log import Limited
from .netlink import Fate
from .port import Later, Queue
from .refused import RefusedPackets
from .tally import (
    HELD,
    LITTLE_MASKED,
    LOST,
    NOTES,
    READY,
    TCP,
    TCP_CLEAR,
    TOO_MANY,
    TURN_NS,
    Name,
    Tally,
    known_field,
)
from .tcp import Connections, is_tcp, without_data
from .too_big import TooBig
from .waiting import WaitingRoom

TICK: Final = 0.25
"""Seconds after which a worker looks up from its packets, or from waiting for one."""

DRAIN: Final = 0.5
"""Seconds that a worker goes on at most with what waits, once it is told to end."""

SETTLE: Final = 1.0
"""Seconds that it then waits at most for effects that are under way."""

CLOSE: Final = 0.5
"""Seconds that it gives connections to close."""

_TICK_NS: Final = int(TICK * 0.9e9)  # a tick's read comes back a little early
_SIP_WAYS: Final = (Direction.EGRESS, Direction.INGRESS)
_TOLD: Final = frozenset(
    {"fragment", "cut", "malformed_sip", "malformed_packet", "error"}
    | {outcome for outcome in OUTCOMES if outcome.startswith("refused_")}
    | {outcome + CORRUPT for outcome in ("masked", "unmasked", "unchanged")}
)
_MAYBE_TCP: Final = (ip.NOT_UDP, REFUSED_UNREAD)
_CONNECTIONS_A_SECOND: Final = 10  # that are told

log = logging.getLogger(__name__)


class Mode(Enum):
    """What a live gateway does with its verdicts."""

    LIVE = "live"
    FILL = "fill"
    DRY_RUN = "dry_run"
    DRAIN = "drain"


class OnTcp(Enum):
    """What becomes of SIP over TCP. RESET: its segments go on without their data, to a rule of the
    firewall that resets the connection; where that rule is gone nothing is said in clear."""

    ACCEPT = "accept"
    DROP = "drop"
    RESET = "reset"


@dataclass(frozen=True)
class Job:
    """What a worker works with; a reload replaces it.

    `performers` makes those that it has effects performed by; `most_waiting` packets wait for them.
    `compared_folder`: where a dry run keeps what it would have changed (ComparedPackets).
    `icmp`: a socket that sends ICMPv6 to those whose messages outgrow the MTU; None: they are not told.
    `call_of` says what a log calls the call of a packet that goes this way (empty: none).
    """

    gateway: Gateway
    mode: Mode
    mtu: int
    performers: Callable[[], Performers] = dict
    most_waiting: int = 1024
    on_tcp: OnTcp = OnTcp.ACCEPT
    icmp: socket.socket | None = None
    refused_folder: Path | None = None
    compared_folder: Path | None = None
    call_of: Callable[[bytes, Direction], str] = lambda packet, direction: ""


class Worker:
    """Serves one queue until SIGTERM, or until the process that forked it is gone."""

    def __init__(self, job: Job, queue: Queue, row: Row[Name]) -> None:
        self._handle = job.gateway.handle
        self._sends = job.mode is not Mode.DRY_RUN
        self._drains = job.mode is Mode.DRAIN
        self._on_tcp = job.on_tcp
        self._connections = Connections()
        self._limited_tcp = Limited(log, _CONNECTIONS_A_SECOND)
        self._too_big = TooBig(job.icmp, job.mtu) if job.icmp and self._sends else None
        self._queue = queue
        self._row = row
        self._tally = Tally(row, job.mtu)
        self._limited = Limited(log)
        self._room = WaitingRoom(self, job.performers(), job.most_waiting)
        folder = job.refused_folder
        self._refused = RefusedPackets(folder, queue.number) if folder else None
        folder = None if self._sends else job.compared_folder
        self._compared = ComparedPackets(folder, queue.number) if folder else None
        self._call_of = job.call_of
        self._parent = os.getppid()
        self._noted: set[str] = set()
        self._look_up_at = 0
        self._lost_before = row[LOST]

    def run(self, orphans: Fate | None) -> None:
        """Serve, then judge what still waits, for DRAIN seconds at most, and finish with those that
        wait for an effect, for SETTLE seconds at most.

        `orphans`: what becomes of packets that a killed worker had read.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to all: the parent decides
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._end)
        gc.collect()
        gc.freeze()
        self._row.set(TURN_NS, time.monotonic_ns())
        self._row.set(READY, 1)
        self._queue.serve(self.judge, self._look_up, TICK, orphans, self._room)
        self._queue.drain(self.judge, DRAIN)
        self._room.finish(SETTLE)
        self._room.close(CLOSE)
        self._look_up()
        if self._refused:
            self._refused.close()
        if self._compared:
            self._compared.close()

    def judge(self, packet: bytes) -> bytes | Later | None:
        """What to send instead of `packet`, perhaps later; None for nothing."""
        started = time.monotonic_ns()
        if started >= self._look_up_at:
            self._look_up()
        if self._room.count and (call_id := self._room.call_id_in_line(packet)):
            verdict = self._line_up(packet, call_id)
        elif isinstance(answer := self._handle(packet, time.time()), Ask):
            verdict = self._room.ask(packet, answer, started)
        else:
            verdict = answer
        if isinstance(verdict, Later):
            return verdict if self._sends else packet
        return self.conclude(packet, verdict, started)

    def handle(self, packet: bytes) -> Verdict | Ask:
        """The gateway's answer, for a packet that lined up."""
        return self._handle(packet, time.time())

    def conclude(self, packet: bytes, verdict: Verdict, started: int) -> bytes | None:
        """The last word on a packet, every one, before it is sent: what to send, None for nothing.

        `started`: when its handling began, less the time that it waited (monotonic, ns).
        """
        of_tcp = verdict.outcome in _MAYBE_TCP and is_tcp(packet)
        if of_tcp:
            self._conclude_tcp(packet, verdict)
        if self._tally.note(packet, verdict, time.monotonic_ns() - started):
            self._note_outgrown(packet, verdict)
        if (verdict.action is Action.DROP or verdict.outcome in _TOLD) and not of_tcp:
            self._tell(packet, verdict, self._limited)
        if verdict.notes:
            self._note_seen(verdict.notes)
        if verdict.unopened:
            self._note_unopened(packet, verdict)
        if verdict.shown is not None:
            self._note_shown(packet, verdict, of_tcp)
        if not self._sends:
            self._compare(packet, verdict)
            return packet
        if verdict.action is Action.DROP and self._refused:
            self._refused.add(packet, _reason(verdict))
        return None if verdict.action is Action.DROP else verdict.packet

    def _conclude_tcp(self, packet: bytes, verdict: Verdict) -> None:
        """The last word on a packet of TCP, and a line for each connection."""
        if self._on_tcp is OnTcp.RESET:
            bare = without_data(packet)
            verdict.action = Action.DROP if bare is None else Action.REPLACE
            verdict.packet = packet if bare is None else bare
            verdict.outcome, verdict.shown = TCP, None
        elif verdict.outcome == ip.NOT_UDP:
            is_dropped = self._on_tcp is OnTcp.DROP
            verdict.action = Action.DROP if is_dropped else Action.ACCEPT
            verdict.outcome = TCP
        if self._connections.is_new(packet):
            self._tell(packet, verdict, self._limited_tcp)
            if verdict.action is Action.ACCEPT:
                self._note_seen((TCP_CLEAR,))

    def _note_outgrown(self, packet: bytes, verdict: Verdict) -> None:
        """A packet of IPv6 that no router cuts: its sender is told, and sends the next in fragments."""
        told = self._too_big.tell(packet, len(verdict.packet)) if self._too_big else 0
        if told:
            self._tally.note_told()
        self._limited.warning(
            "over_mtu_ipv6",
            direction=verdict.direction.value,
            queue=self._queue.number,
            bytes=len(packet),
            grown_to=len(verdict.packet),
            **({"told_mtu": told} if told else {}),
        )

    def _compare(self, packet: bytes, verdict: Verdict) -> None:
        """Keep what a dry run would have sent beside what it sends, where it is SIP and went through
        the rewriter."""
        is_sip = verdict.direction in _SIP_WAYS and verdict.outcome != "not_sip"
        if self._compared and is_sip:
            after = None if verdict.action is Action.DROP else verdict.packet
            self._compared.add(packet, after, _reason(verdict))

    def note_effect(self, kind: str, ending: str, seconds: float, reason: str) -> None:
        """An effect that ended, and how long it took."""
        self._tally.note_effect(kind, ending, seconds)
        if reason:
            event = f"{kind}_{ending}"
            self._limited.warning(event, queue=self._queue.number, reason=reason)

    def _line_up(self, packet: bytes, call_id: bytes) -> Verdict | Later:
        """Behind the packet of this Call-ID that waits, so that they keep their order."""
        if self._room.is_full():
            return Verdict(Action.DROP, packet, Direction.NONE, TOO_MANY)
        return self._room.line_up(packet, call_id)

    def _note_seen(self, notes: tuple[str, ...]) -> None:
        """What was seen in a message and left: counted, and said when it is seen first."""
        self._tally.note_seen(notes)
        for note in notes:
            self._say_once(note)

    def _say_once(self, note: str) -> None:
        if note not in self._noted:
            self._noted.add(note)
            log.warning("noted", extra={"fields": {"note": note, "meaning": NOTES[note]}})

    def _note_unopened(self, packet: bytes, verdict: Verdict) -> None:
        """Tokens that did not open: counted, and told by field alone."""
        self._tally.note_unopened(verdict.unopened)
        call = self._call_of(packet, verdict.direction)
        for field in dict.fromkeys(verdict.unopened):
            self._limited.warning("open_refused", field=field, call=call, queue=self._queue.number)

    def _note_shown(self, packet: bytes, verdict: Verdict, of_tcp: bool) -> None:
        """What an audit found in a message: counted, and a leak is told, by field and kind alone, and
        what it did not read, by the reason (but of TCP, whose connections are told)."""
        shown = verdict.shown or ()
        self._tally.note_shown(shown)
        for finding in shown:
            if finding.cause == NOT_READ and not of_tcp:
                self._limited.warning("not_read", reason=finding.field, queue=self._queue.number)
        leaks = [finding for finding in shown if finding.cause == LEAK]
        if leaks:
            call = self._call_of(packet, verdict.direction)
            for field, kind in dict.fromkeys((known_field(leak), leak.kind) for leak in leaks):
                queue = self._queue.number
                self._limited.warning("leak", field=field, kind=kind, call=call, queue=queue)

    def _tell(self, packet: bytes, verdict: Verdict, limited: Limited) -> None:
        """A line for the log: sizes and outcomes, never a value of a message."""
        call = self._call_of(packet, verdict.direction)
        action = self._on_tcp.value if verdict.outcome == TCP else verdict.action.value
        limited.warning(
            verdict.outcome,
            direction=verdict.direction.value,
            action=action if self._sends else "none",
            queue=self._queue.number,
            bytes=len(packet),
            **({"detail": verdict.detail} if verdict.detail and not verdict.shown else {}),
            **({"call": call} if call else {}),
        )

    def _look_up(self) -> None:
        """What is done a few times a second only, packets or none."""
        now = time.monotonic_ns()
        self._look_up_at = now + _TICK_NS
        self._row.set(LOST, self._lost_before + self._queue.lost)
        self._row.set(HELD, self._room.count)
        self._tally.flush()
        if not self._drains and self._tally.masks_little():
            self._say_once(LITTLE_MASKED)
        self._row.set(TURN_NS, now)  # after them: who sees the turn sees what was counted before it
        self._limited.flush()
        self._limited_tcp.flush()
        if self._refused:
            self._refused.flush()
        if self._compared:
            self._compared.flush()
        if os.getppid() != self._parent:
            log.error("the supervisor is gone: queue %d is given up", self._queue.number)
            self._queue.stop()

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._queue.stop()


def _reason(verdict: Verdict) -> str:
    """What became of a packet, for the capture that keeps it."""
    leaks = [finding for finding in verdict.shown or () if finding.cause in (LEAK, NOT_READ)]
    fields = verdict.detail or ", ".join(dict.fromkeys(finding.field for finding in leaks))
    return f"{verdict.direction.value}: {verdict.outcome}{f' ({fields})' if fields else ''}"
