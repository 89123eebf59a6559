"""The process that holds the queues: forks a worker for each, and another where one dies."""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inline_topo.errors import InlineTopoError

from .board import Board, Row
from .netlink import Fate
from .notify import Notifier
from .port import Queue
from .tally import DEATHS, PID, READY, TURN_NS, Name
from .worker import CLOSE, DRAIN, SETTLE, TICK, Job, Worker

log = logging.getLogger(__name__)

STALE = 2.0
"""Seconds without a turn after which a worker does not count as alive."""

HUNG = 5.0
"""Seconds without a turn after which a worker is killed."""

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_OOM_SCORE = "500"  # of 1000
_SOON = 1.0  # seconds: what dies younger is started again only after them
_END = DRAIN + SETTLE + CLOSE + 2 * TICK + 1.0  # seconds that children have to end


@dataclass
class _Child:
    """A process that is to run: what it does, and how it fares. Workers have a row."""

    name: str
    main: Callable[[Fate | None], None]
    row: Row[Name] | None = None
    pid: int = 0
    started: float = 0.0
    due: float = 0.0
    orphans: Fate | None = None
    is_asked_to_end: bool = False
    is_hung: bool = False


class Supervisor:
    """Runs until SIGTERM; SIGHUP replaces the workers' job. Holds the queues from the start on."""

    def __init__(
        self,
        job: Job,
        load: Callable[[], Job],
        queues: list[Queue],
        board: Board[Name],
        monitor: Callable[[], None] | None = None,
    ) -> None:
        """`load` gives the next job at each reload, or raises InlineTopoError.
        `monitor` is the work of one process more, which answers questions from outside."""
        self._load = load
        self._job = job
        self._notifier = Notifier()
        self._is_ready = False
        self._pinged = 0.0
        self._rows = board.rows
        self._workers = [
            self._worker(queue, row) for queue, row in zip(queues, self._rows, strict=True)
        ]
        self._children = list(self._workers)
        if monitor is not None:
            self._children.append(_Child("monitor", lambda orphans: monitor()))

    def run(self) -> None:
        """Start all, keep all running, end all."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self._run()
        finally:
            self._notifier.tell("STOPPING=1")
            self._end()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _run(self) -> None:
        while True:
            for child in self._children:
                if not child.pid and child.due <= time.monotonic():
                    self._fork(child)
            self._report()
            info = signal.sigtimedwait(_SIGNALS, TICK)
            if info is not None:
                if info.si_signo in (signal.SIGTERM, signal.SIGINT):
                    return
                if info.si_signo == signal.SIGHUP:
                    self._reload()
            for child in self._children:
                self._bury_if_dead(child)

    def _worker(self, queue: Queue, row: Row[Name]) -> _Child:
        def main(orphans: Fate | None) -> None:
            Worker(self._job, queue, row).run(orphans)

        return _Child(f"queue {queue.number}", main, row)

    def _fork(self, child: _Child) -> None:
        if child.row:
            child.row.set(READY, 0)
        pid = os.fork()
        if not pid:
            status = 1
            try:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
                _die_before_others()
                child.main(child.orphans)
                status = 0
            except Exception:
                log.exception("%s ended", child.name)
            finally:
                os._exit(status)  # not the parent's clean-up, which would unbind the queues
        child.pid, child.started, child.is_hung = pid, time.monotonic(), False
        if child.row:
            child.row.set(PID, pid)

    def _bury_if_dead(self, child: _Child) -> None:
        status = _ended(child)
        if status is None:
            return
        # A reload: nothing is left behind, nor by one that was too young to handle the signal.
        if child.is_asked_to_end and status in (0, -signal.SIGTERM):
            child.orphans, child.due, child.is_asked_to_end = None, 0.0, False
            return
        child.is_asked_to_end = False
        is_suspect = child.is_hung or time.monotonic() - child.started < _SOON
        # What kills its reader twice is not given to a third.
        child.orphans = Fate.DROP if is_suspect else Fate.REPEAT
        child.due = time.monotonic() + _SOON if is_suspect else 0.0
        if child.row:
            child.row.add(DEATHS)
        reason = f"signal {-status}" if status < 0 else f"exit status {status}"
        log.error("%s: its process ended by %s and is started again", child.name, reason)

    def _reload(self) -> None:
        self._notifier.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            self._job = self._load()
        except InlineTopoError as error:
            log.error("reload refused, the old configuration stays: %s", error)
        except Exception:
            log.exception("reload refused, the old configuration stays: a defect in this program")
        else:
            log.info("configuration and keys are read anew")
            for child in self._workers:
                if child.pid:
                    child.is_asked_to_end = True
                    os.kill(child.pid, signal.SIGTERM)
        self._notifier.tell("READY=1")

    def _report(self) -> None:
        now = time.monotonic()
        ages = [now - max(child.started, _turn(child)) for child in self._workers]
        is_well = all(row[READY] for row in self._rows) and max(ages) < STALE
        if is_well and not self._is_ready:
            self._is_ready = True
            log.info("ready")
            self._notifier.tell("READY=1")
        if is_well and self._notifier.watchdog and now - self._pinged > self._notifier.watchdog / 3:
            self._pinged = now
            self._notifier.tell("WATCHDOG=1")
        for child, age in zip(self._workers, ages, strict=True):
            if child.pid and age > HUNG and not child.is_hung:
                log.error("%s: its process hangs and is killed", child.name)
                child.is_hung = True
                os.kill(child.pid, signal.SIGKILL)

    def _end(self) -> None:
        deadline = time.monotonic() + _END
        for child in self._children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        while any(child.pid for child in self._children) and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, TICK)
            for child in self._children:
                _ended(child)
        for child in self._children:
            if child.pid:
                log.error("%s does not end and is killed", child.name)
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)


def _die_before_others() -> None:
    """Where memory is short, it is this process that the kernel ends and not its supervisor, which has
    another started. Anyone may make himself the more likely choice (proc(5))."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _turn(child: _Child) -> float:
    return child.row[TURN_NS] / 1e9 if child.row else 0.0


def _ended(child: _Child) -> int | None:
    """How a child ended, as subprocess says it (a signal is negative); None where it runs."""
    if not child.pid:
        return None
    pid, status = os.waitpid(child.pid, os.WNOHANG)
    if not pid:
        return None
    child.pid = 0
    return os.waitstatus_to_exitcode(status)
