"""A log line when a store fails, and one when it is back; never a line a packet."""

import logging
import time

REMIND = 10.0
"""Seconds between two lines about the same trouble, be it lasting or come again."""

log = logging.getLogger("inline_topo.stores")


class Health:
    """What is known of a store's state. `name` is its URL as it may be shown."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.is_failing = False
        """Whether the last batch that says so failed."""
        self._is_told = False
        self._was_saving = False
        self._since = 0.0
        self._said: tuple[str, float] = ("", 0.0)  # the last reason told, and when
        self._exchanges = 0

    def failed(self, reason: str, exchanges: int, *, saving: bool) -> None:
        """So many exchanges of a batch failed."""
        now = time.monotonic()
        if not self.is_failing:
            self.is_failing, self._since = True, now
        self._was_saving = saving
        self._exchanges += exchanges
        last, when = self._said
        if not last or now - when >= (REMIND if reason == last else 1.0):
            self._said = reason, now
            self._is_told = True
            self._say(logging.WARNING, "store failed", reason=reason)

    def worked(self, *, saving: bool) -> None:
        """A whole batch was done. One that only read says nothing about a store that is full."""
        if self.is_failing and (saving or not self._was_saving):
            self.is_failing = False
            if self._is_told:
                self._is_told = False
                seconds = time.monotonic() - self._since
                self._say(logging.INFO, "store works again", seconds=f"{seconds:.1f}")
                self._exchanges = 0

    def _say(self, level: int, event: str, **fields: object) -> None:
        told = {"store": self._name, **fields, "exchanges_failed": self._exchanges}
        log.log(level, event, extra={"fields": told})
