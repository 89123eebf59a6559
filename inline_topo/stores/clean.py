"""When what has expired is removed, by a clock that may jump."""

import logging
import time

log = logging.getLogger("inline_topo.stores")

_JUMP = 5.0  # seconds by which two clocks may part before it is called a jump


class Cleaner:
    """Says when it is time to remove what has expired, and tells the log of a clock that jumped.

    The time of packets is the wall clock, and that may be set. If it leapt since the last time,
    nothing is removed for one more interval: a leap that is corrected by then has lost nothing.
    A capture whose packets come faster than the clock goes is never cleaned; it ends anyway, and
    nothing is said of it: its time is not the clock's.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._start: tuple[float, float] | None = None

    def is_due(self, now: float) -> bool:
        """Whether the interval is over at `now`, the packet's time; then the next one begins."""
        clock = time.monotonic()
        if self._start is None:
            self._start = clock, now
            return False
        elapsed = clock - self._start[0]
        if elapsed < self._interval:
            return False
        leap = now - self._start[1] - elapsed
        self._start = clock, now
        if abs(leap) <= _JUMP:
            return True
        if abs(time.time() - now) < self._interval:
            self._say(leap)
        return False

    def _say(self, leap: float) -> None:
        told = {"seconds": f"{leap:+.0f}", "nothing_removed_for": f"{self._interval:.0f}"}
        log.warning("the clock jumped: dialogs end by it", extra={"fields": told})
