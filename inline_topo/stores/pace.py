"""Whether a store is used in the packet path's own midst: while it is as quick as memory, or nearly."""

import time

BUSY = 0.005
"""Seconds for which an exchange in place may hold up the packets: once, then there is a rest."""

_USUAL = 0.002  # seconds that exchanges may take on average; packets wait for each other as long
_REST = 0.1  # seconds in which all goes by the thread: packets are held up for 5 % at most
_WEIGHT = 1 / 8  # of the latest in the average


class Pace:
    """Knows how long exchanges in place take, and when there are to be none."""

    def __init__(self) -> None:
        self._not_before = 0.0
        self._usual = 0.0

    def is_quick(self) -> bool:
        """Whether to try one in place."""
        return time.monotonic() >= self._not_before

    def took(self, seconds: float) -> None:
        """One was done in place."""
        self._usual += (seconds - self._usual) * _WEIGHT
        if self._usual > _USUAL:
            self.rest()

    def rest(self) -> None:
        """One was too slow, or failed: none for a while."""
        self._not_before = time.monotonic() + _REST
