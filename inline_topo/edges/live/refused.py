"""A capture of the packets that were not let out, each with the reason as its comment."""

import time
from pathlib import Path

from .bounded import BoundedCapture


class RefusedPackets:
    """The capture of one queue, `FOLDER/refused-QUEUE.pcapng` (and `.old`)."""

    def __init__(self, folder: Path, queue: int) -> None:
        self._capture = BoundedCapture(folder / f"refused-{queue}.pcapng", "refused packets")

    def add(self, packet: bytes, reason: str) -> None:
        """One packet, with the time of now."""
        if self._capture.is_due:
            self._capture.begin()
        self._capture.add(packet, time.time_ns(), reason)

    def flush(self) -> None:
        """Bring to the file what is not there yet."""
        self._capture.flush()

    def close(self) -> None:
        """Finish the file; a packet that comes after all begins another."""
        self._capture.close()
