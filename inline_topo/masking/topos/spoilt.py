"""What the log says of records that do not open: never a line a message."""

import logging
from typing import Final

log = logging.getLogger(__name__)

REMIND: Final = 10.0
"""Seconds of the packets' time between two lines."""


class Spoilt:
    """Counts them, and says so."""

    def __init__(self) -> None:
        self._said_at: float | None = None
        self._count = 0

    def note(self, key: bytes, now: float) -> None:
        """A message needed the record under `key`, and it does not open."""
        self._count += 1
        # A clock that was set back begins anew.
        if self._said_at is None or not 0 <= now - self._said_at < REMIND:
            # Its id is that of a Contact on the wire; `messages`: since the last line.
            fields = {"record": key[1:].hex(), "messages": self._count}
            log.warning(
                "a record of the dialog store was changed, or made with another key",
                extra={"fields": fields},
            )
            self._said_at, self._count = now, 0
