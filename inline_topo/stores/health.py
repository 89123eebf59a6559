"""One log line when a store fails, and one when it is back; no line a packet."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger("inline_topo.stores")

REMIND = 60.0
"""Seconds between two lines about the same trouble."""


class Health:
    """What is known of a store's state. `name` is its URL as it may be shown."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._reason: str | None = None
        self._was_saving = False
        self._since = self._said = 0.0
        self._exchanges = 0

    def failed(self, reason: str, exchanges: int, *, saving: bool) -> None:
        """So many exchanges of a batch failed; said at once where the reason is new."""
        now = self._clock()
        if self._reason is None:
            self._since, self._exchanges = now, 0
        is_new = self._reason is None
        is_other = reason != self._reason and now - self._said >= 1
        self._exchanges += exchanges
        self._was_saving = saving
        self._reason = reason
        if is_new or is_other or now - self._said >= REMIND:
            self._said = now
            self._say(logging.WARNING, "store failed", reason=reason)

    def worked(self, *, saving: bool) -> None:
        """A whole batch was done. One that only read says nothing about a store that is full."""
        if self._reason is not None and (saving or not self._was_saving):
            self._reason = None
            self._say(
                logging.INFO, "store works again", after=f"{self._clock() - self._since:.1f}s"
            )

    def warn(self, event: str, **fields: object) -> None:
        """Something an operator should know once."""
        self._say(logging.WARNING, event, **fields)

    def _say(self, level: int, event: str, **fields: object) -> None:
        told = {"store": self._name, **fields}
        if self._exchanges:
            told["exchanges_failed"] = self._exchanges
        log.log(level, event, extra={"fields": told})
