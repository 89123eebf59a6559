"""A pair of captures that `diff` compares: SIP as it came, and as the gateway would have sent it."""

import time
from pathlib import Path

from .bounded import BoundedCapture


class ComparedPackets:
    """The captures of one queue, `FOLDER/before-QUEUE.pcapng` and `after-QUEUE.pcapng` (and `.old`).

    Both begin anew together, so that they hold the same packets, but for those that do not go on.
    """

    def __init__(self, folder: Path, queue: int) -> None:
        self._before, self._after = self._captures = (
            BoundedCapture(folder / f"before-{queue}.pcapng", "packets to compare"),
            BoundedCapture(folder / f"after-{queue}.pcapng", "packets to compare"),
        )

    def add(self, before: bytes, after: bytes | None, reason: str) -> None:
        """One packet, with the time of now; `after` is None where it would not go on."""
        if self._before.is_due or self._after.is_due:
            for capture in self._captures:
                capture.begin()
        now = time.time_ns()
        self._before.add(before, now, reason)
        if after is not None:
            self._after.add(after, now, reason)

    def flush(self) -> None:
        """Bring to the files what is not there yet."""
        for capture in self._captures:
            capture.flush()

    def close(self) -> None:
        """Finish the files; a packet that comes after all begins others."""
        for capture in self._captures:
            capture.close()
