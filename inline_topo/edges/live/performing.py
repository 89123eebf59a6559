"""Effects that run beside the packet path: a thread for each performer, and what it brings back."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

from inline_topo.masking.effects import EffectFailed, Performer

log = logging.getLogger(__name__)


class _Order(NamedTuple):
    number: int
    effect: Any
    deadline: float


class Performing:
    """Has effects performed, and collects their results. `fd` is readable while some are there."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._done: deque[tuple[int, Any]] = deque()
        self._threads: dict[int, _Thread] = {}  # by the identity of the performer

    def begin(self, performer: Performer, number: int, effect: Any, deadline: float) -> None:
        """Have an effect performed; its result comes with this number. What is not begun at the
        deadline (of the monotonic time) is left out, and has no result."""
        thread = self._threads.get(id(performer))
        if thread is None:
            thread = self._threads[id(performer)] = _Thread(performer, self._done, self.fd)
            thread.start()
        thread.orders.put(_Order(number, effect, deadline))

    def results(self) -> Iterator[tuple[int, Any]]:
        """What has come since the last time."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return
        while self._done:
            yield self._done.popleft()

    def close(self, performers: Iterable[Performer], seconds: float) -> None:
        """Close performers: those that have a thread there, which is not waited for longer than this."""
        for thread in self._threads.values():
            thread.orders.put(None)
        for performer in {id(one): one for one in performers}.values():
            if id(performer) not in self._threads:
                performer.close()
        end = time.monotonic() + seconds
        for thread in self._threads.values():
            thread.join(max(end - time.monotonic(), 0.0))


class _Thread(threading.Thread):
    def __init__(self, performer: Performer, done: deque[tuple[int, Any]], wake: int) -> None:
        super().__init__(name=performer.outcome, daemon=True)
        self.orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._performer = performer
        self._done = done
        self._wake = wake

    def run(self) -> None:
        is_over = False
        while not is_over:
            taken = [self.orders.get()]
            while not self.orders.empty():
                taken.append(self.orders.get())
            is_over = None in taken
            now = time.monotonic()
            batch = [order for order in taken if order and order.deadline > now]
            if batch:
                results = perform_all(self._performer, [order.effect for order in batch])
                numbers = (order.number for order in batch)
                self._done.extend(zip(numbers, results, strict=True))
                os.eventfd_write(self._wake, 1)
        self._performer.close()


def attempt(performer: Performer, effects: Sequence[Any]) -> list[Any] | None:
    """The results of all effects where they are to be had at once."""
    prompt: Callable[[Sequence[Any]], list[Any] | None] | None = getattr(performer, "attempt", None)
    if prompt is None:  # no effects.Prompt
        return None
    return _checked(performer, prompt, effects)


def perform_all(performer: Performer, effects: Sequence[Any]) -> list[Any]:
    """The results of all effects. A performer that raises after all has failed in all of them."""
    results = _checked(performer, performer.perform, effects)
    return _defect(performer, effects) if results is None else results


def _checked(
    performer: Performer,
    perform: Callable[[Sequence[Any]], list[Any] | None],
    effects: Sequence[Any],
) -> list[Any] | None:
    """The results, or None, that a performer gives; where it raises, or gives too few, it has failed."""
    try:
        results = perform(effects)
        if results is None or len(results) == len(effects):
            return results
        log.error("%s: %d results for %d effects", performer.outcome, len(results), len(effects))
    except Exception:
        log.exception("%s: a performer raised", performer.outcome)
    return _defect(performer, effects)


def _defect(performer: Performer, effects: Sequence[Any]) -> list[Any]:
    return [EffectFailed(performer.outcome, "a defect of its performer")] * len(effects)
