"""Packets that wait for an effect, and those behind them, while all others go on.

Packets are read some at a time, and what they ask for is done together (`settle`): in place where it
is to be had at once, else by a thread.

Packets of one Call-ID keep their order: while one waits, the next ones line up behind it. The
Call-ID is the one that the packet shows, so (with `mask_callid`) each direction keeps its own.
"""

import heapq
import logging
import re
import select
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Final, Protocol

from inline_topo.gateway import Ask, Verdict
from inline_topo.masking.effects import EffectFailed, Performer, Performers, performer_of

from .performing import Performing, attempt, perform_all
from .port import Later
from .tally import CROWDED, DONE, FAILED, LATE

_CALL_ID: Final = re.compile(rb"\n(?i:call-id|i)[ \t]*:\s*(\S+)")
_NEVER: Final = 3600.0  # seconds
_FEW: Final = 8  # Call-IDs, for which a packet is searched quicker than for its own

MOST_BYTES: Final = 16 << 20
"""Bytes of the packets that wait: 8,192 of 2,048 bytes. What is made of them may take twice as much
again."""

log = logging.getLogger(__name__)


class Host(Protocol):
    """The worker: what a room does with its packets."""

    def handle(self, packet: bytes) -> Verdict | Ask:
        """The gateway's answer to a packet that lined up."""

    def conclude(self, packet: bytes, verdict: Verdict, started: int) -> bytes | None:
        """What to send; `started`: when its handling would have begun without the wait (ns)."""

    def note_effect(self, kind: str, ending: str, seconds: float, reason: str) -> None:
        """An effect that ended, and how long it took."""


class _Guest:
    """A packet whose verdict comes later."""

    __slots__ = ("call_id", "later", "packet")

    def __init__(self, packet: bytes, call_id: bytes | None) -> None:
        self.packet = packet
        self.later = Later(packet)
        self.call_id = call_id


class _Stay:
    """What a packet waits for; `spent`: nanoseconds of handling up to now."""

    __slots__ = ("ask", "began", "guest", "performer", "spent")

    def __init__(
        self, guest: _Guest, ask: Ask, performer: Performer, began: float, spent: int
    ) -> None:
        self.guest = guest
        self.ask = ask
        self.performer = performer
        self.began = began
        self.spent = spent


class WaitingRoom:
    """Holds `most` packets at most, and begins to hold none at MOST_BYTES. `count` of them are here; only
    while there are any, the methods beside `ask` need be called."""

    def __init__(self, host: Host, performers: Performers, most: int) -> None:
        self.count = 0
        self._bytes = 0
        self._host = host
        self._performers = performers
        self._most = most
        self._performing = Performing()
        self.fd = self._performing.fd
        """Readable when there is something to `attend` to."""
        self._numbers = count()
        self._stays: dict[int, _Stay] = {}
        self._asked: list[int] = []  # of these stays, those whose effects nobody has begun
        self._due: list[tuple[float, int]] = []  # a heap: deadline, number of the stay
        self._lines: dict[bytes, deque[_Guest]] = {}  # behind the packet that waits

    def is_full(self) -> bool:
        """Whether no packet finds room."""
        return self.count >= self._most or self._bytes >= MOST_BYTES

    def call_id_in_line(self, packet: bytes) -> bytes | None:
        """The Call-ID of a packet that must line up, because one of the same waits."""
        if len(self._lines) <= _FEW and not self._may_be_in_line(packet):
            return None
        call_id = _call_id(packet)
        return call_id if call_id in self._lines else None

    def _may_be_in_line(self, packet: bytes) -> bool:
        for call_id in self._lines:  # noqa: SIM110 (compiled, a generator costs more)
            if call_id in packet:
                return True
        return False

    def line_up(self, packet: bytes, call_id: bytes) -> Later:
        """Keep a packet behind the one that waits."""
        guest = _Guest(packet, call_id)
        self._lines[call_id].append(guest)
        self._come(packet)
        return guest.later

    def ask(self, packet: bytes, ask: Ask, started: int) -> Verdict | Later:
        """The verdict on a packet where its effects are immediate, or cannot even begin; `settle` then
        has the others done."""
        return self._advance(packet, None, ask, started)

    def settle(self) -> None:
        """Have done what packets have asked for since the last time, and give them their verdicts where
        that can be in place. What follows from it is settled too."""
        while self._asked:
            performer = self._stays[self._asked[0]].performer
            numbers = [n for n in self._asked if self._stays[n].performer is performer]
            self._asked = [n for n in self._asked if self._stays[n].performer is not performer]
            results = attempt(performer, [self._stays[n].ask.effect for n in numbers])
            if results is None:
                for number in numbers:
                    self._begin(number)
            else:
                for number, result in zip(numbers, results, strict=True):
                    self._resume(number, result)

    def attend(self) -> float:
        """Go on with what has its result, or waited too long; the seconds until the next one has."""
        for number, result in self._performing.results():
            self._resume(number, result)
        self.settle()
        now = time.monotonic()
        while self._due:
            deadline, number = self._due[0]
            if number in self._stays:
                if deadline > now:
                    return deadline - now
                self._fail(number, "no answer in time")
            else:
                heapq.heappop(self._due)
        return _NEVER

    def finish(self, seconds: float) -> None:
        """Wait until no packet is here. Those that still are after `seconds` go on as if their
        effects had failed, and nobody waits from then on."""
        self.settle()
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        end = time.monotonic() + seconds
        while self.count and (left := end - time.monotonic()) > 0:
            due = self.attend()
            if self.count:
                poll.poll(min(due, left) * 1000)
        self._most = 0
        for number in list(self._stays):
            self._fail(number, "the gateway ends")

    def close(self, seconds: float) -> None:
        """Let the performers close; not waited for longer than this."""
        self._performing.close(self._performers.values(), seconds)

    def _advance(
        self, packet: bytes, guest: _Guest | None, answer: Verdict | Ask, started: int
    ) -> Verdict | Later:
        """Go on until there is a verdict, or something to wait for: then the packet is a guest."""
        while isinstance(answer, Ask):
            performer = performer_of(answer.effect, self._performers)
            began = time.monotonic()
            if performer.is_immediate:
                [result] = perform_all(performer, [answer.effect])
                self._note(performer, result, time.monotonic() - began)
            elif not self.is_full():
                guest = guest or _Guest(packet, _call_id(packet))
                self._stay(guest, answer, performer, began, started)
                return guest.later
            else:
                result = EffectFailed(performer.outcome, "too many packets wait")
                self._note(performer, result, 0.0, CROWDED)
            answer = answer.resume(result)
        return answer

    def _stay(
        self, guest: _Guest, ask: Ask, performer: Performer, began: float, started: int
    ) -> None:
        number = next(self._numbers)
        spent = time.monotonic_ns() - started
        self._stays[number] = _Stay(guest, ask, performer, began, spent)
        if guest.call_id is not None:
            self._lines.setdefault(guest.call_id, deque())
        self._come(guest.packet)
        self._asked.append(number)

    def _begin(self, number: int) -> None:
        """Have an effect performed by a thread, until its deadline."""
        stay = self._stays[number]
        deadline = stay.began + stay.performer.patience
        heapq.heappush(self._due, (deadline, number))
        self._performing.begin(stay.performer, number, stay.ask.effect, deadline)

    def _fail(self, number: int, reason: str) -> None:
        outcome = self._stays[number].performer.outcome
        self._resume(number, EffectFailed(outcome, reason), LATE)

    def _resume(self, number: int, result: Any, ending: str = DONE) -> None:
        stay = self._stays.pop(number, None)
        if stay is None:  # it came too late
            return
        self._go(stay.guest.packet)
        self._note(stay.performer, result, time.monotonic() - stay.began, ending)
        started = time.monotonic_ns() - stay.spent
        if self._settle(stay.guest, partial(stay.ask.resume, result), started):
            self._let_in(stay.guest.call_id)

    def _come(self, packet: bytes) -> None:
        self.count += 1
        self._bytes += len(packet)

    def _go(self, packet: bytes) -> None:
        self.count -= 1
        self._bytes -= len(packet)

    def _let_in(self, call_id: bytes | None) -> None:
        """The next ones of the line, until one has to wait itself."""
        if call_id is None:
            return
        line = self._lines[call_id]
        while line:
            guest = line.popleft()
            self._go(guest.packet)
            if not self._settle(guest, partial(self._host.handle, guest.packet)):
                return
        del self._lines[call_id]

    def _settle(
        self, guest: _Guest, answer: Callable[[], Verdict | Ask], started: int | None = None
    ) -> bool:
        """Give a packet its verdict; False where it has to wait (again)."""
        started = time.monotonic_ns() if started is None else started
        sent = None
        try:
            verdict = self._advance(guest.packet, guest, answer(), started)
            if isinstance(verdict, Later):
                return False
            sent = self._host.conclude(guest.packet, verdict, started)
        except Exception:
            log.exception("a packet was dropped")
        guest.later.give(sent)
        return True

    def _note(self, performer: Performer, result: Any, seconds: float, ending: str = DONE) -> None:
        reason = ""
        if isinstance(result, EffectFailed):
            ending, reason = FAILED if ending == DONE else ending, str(result)
        self._host.note_effect(performer.outcome, ending, seconds, reason)


def _call_id(packet: bytes) -> bytes | None:
    found = _CALL_ID.search(packet)
    return found[1] if found else None
