"""One process that serves one queue: packet in, gateway, verdict out."""

import gc
import logging
import os
import signal
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType

from inline_topo.gateway import CORRUPT, Action, Ask, Gateway, Verdict
from inline_topo.wire import ip

from .board import Row
from .log import Limited
from .port import Orphans, Queue
from .refused import RefusedPackets
from .tally import LOST, READY, TCP, TURN_NS, Name, Tally

TICK = 0.25
"""Seconds after which a worker looks up from its packets, or from waiting for one."""

DRAIN = 0.5
"""Seconds that a worker goes on at most with what waits, once it is told to end."""

_PROTOCOL_TCP = 6
_TICK_NS = int(TICK * 0.9e9)  # a tick's read comes back a little early
_TOLD = frozenset(
    {TCP, "fragment", "cut", "malformed_sip", "malformed_packet", "error"}
    | {outcome + CORRUPT for outcome in ("masked", "unmasked", "unchanged")}
)

log = logging.getLogger(__name__)


class Mode(Enum):
    """What a live gateway does with its verdicts."""

    LIVE = "live"
    DRY_RUN = "dry_run"
    DRAIN = "drain"


@dataclass(frozen=True)
class Job:
    """What a worker works with; a reload replaces it."""

    gateway: Gateway
    mode: Mode
    mtu: int
    drops_tcp: bool = False
    refused_folder: Path | None = None


class Worker:
    """Serves one queue until SIGTERM, or until the process that forked it is gone."""

    def __init__(self, job: Job, queue: Queue, row: Row[Name]) -> None:
        self._handle = job.gateway.handle
        self._sends = job.mode is not Mode.DRY_RUN
        self._on_tcp = Action.DROP if job.drops_tcp else Action.ACCEPT
        self._queue = queue
        self._row = row
        self._tally = Tally(row, job.mtu)
        self._limited = Limited(log)
        folder = job.refused_folder
        self._refused = RefusedPackets(folder, queue.number) if folder else None
        self._parent = os.getppid()
        self._look_up_at = 0
        self._lost_before = row[LOST]

    def run(self, orphans: Orphans | None) -> None:
        """Serve, then judge what still waits, for DRAIN seconds at most.

        `orphans`: what becomes of packets that a killed worker had read.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to all: the parent decides
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._end)
        gc.collect()
        gc.freeze()
        self._row.set(TURN_NS, time.monotonic_ns())
        self._row.set(READY, 1)
        self._queue.serve(self.judge, self._look_up, TICK, orphans)
        self._queue.drain(self.judge, DRAIN)
        self._look_up()
        if self._refused:
            self._refused.close()

    def judge(self, packet: bytes) -> bytes | None:
        """What to send instead of `packet`; None for nothing."""
        start = time.monotonic_ns()
        if start >= self._look_up_at:
            self._look_up()
        verdict = self._handle(packet, time.time())
        if isinstance(verdict, Ask):
            raise RuntimeError("the gateway asks, and nothing is there to answer it")
        if verdict.outcome == ip.NOT_UDP and _is_tcp(packet):
            verdict = verdict._replace(action=self._on_tcp, outcome=TCP)
        self._tally.note(packet, verdict, time.monotonic_ns() - start)
        if verdict.action is Action.DROP or verdict.outcome in _TOLD:
            self._tell(packet, verdict)
        if not self._sends:
            return packet
        if verdict.action is Action.DROP and self._refused:
            self._refused.add(packet, f"{verdict.direction.value}: {verdict.outcome}")
        return None if verdict.action is Action.DROP else verdict.packet

    def _tell(self, packet: bytes, verdict: Verdict) -> None:
        """A line for the log: sizes and outcomes, never a value of a message."""
        self._limited.warning(
            verdict.outcome,
            direction=verdict.direction.value,
            action=verdict.action.value if self._sends else "none",
            queue=self._queue.number,
            bytes=len(packet),
        )

    def _look_up(self) -> None:
        """What is done a few times a second only, packets or none."""
        now = time.monotonic_ns()
        self._look_up_at = now + _TICK_NS
        self._row.set(TURN_NS, now)
        self._row.set(LOST, self._lost_before + self._queue.lost)
        self._tally.flush()
        self._limited.flush()
        if self._refused:
            self._refused.flush()
        if os.getppid() != self._parent:
            log.error("the supervisor is gone: queue %d is given up", self._queue.number)
            self._queue.stop()

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._queue.stop()


def _is_tcp(packet: bytes) -> bool:
    """Of IPv6 only without extension headers, which the rules do not look behind either."""
    return packet[6 if packet[0] >> 4 == 6 else 9] == _PROTOCOL_TCP
