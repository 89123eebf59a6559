"""A capture of the packets that were not let out, each with the reason as its comment.

They show the inside: the file is its owner's alone. It is bounded: a full one makes place for the
next, and the one before that is gone.
"""

import logging
import os
import time
from pathlib import Path
from typing import BinaryIO

from inline_topo.edges.pcapng import PcapngMaker
from inline_topo.edges.records import Packet

MOST_BYTES = 16 << 20
"""Of one file; two of them are kept."""

_LINKTYPE_RAW = 101  # IP without a link layer
_MICROSECONDS = 10**6

log = logging.getLogger(__name__)


class RefusedPackets:
    """The capture of one queue, `FOLDER/refused-QUEUE.pcapng` (and `.old`).

    What cannot be written is logged once, and no more is tried: packets go before captures.
    """

    def __init__(self, folder: Path, queue: int) -> None:
        self._path = folder / f"refused-{queue}.pcapng"
        self._file: BinaryIO | None = None
        self._is_broken = False
        self._count = 0
        self._size = 0

    def add(self, packet: bytes, reason: str) -> None:
        """One packet, with the time of now."""
        if self._is_broken:
            return
        try:
            if self._file is None or self._size > MOST_BYTES:
                self._begin()
            self._count += 1
            seconds, nanoseconds = divmod(time.time_ns(), 10**9)
            record = Packet(self._count, seconds, nanoseconds // 1000, _MICROSECONDS,
                            _LINKTYPE_RAW, packet, len(packet))  # fmt: skip
            self._maker.rewrite(record, packet, reason)
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """Bring to the file what is not there yet."""
        try:
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Finish the file; a packet that comes after all begins another."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, data: bytes) -> None:
        """For the writer of pcapng."""
        if self._file is not None:
            self._file.write(data)
            self._size += len(data)

    def _begin(self) -> None:
        """A fresh file; what was there is the old one."""
        if self._file is not None:
            self._file.close()
        if self._path.exists():
            self._path.replace(self._path.with_suffix(".pcapng.old"))
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(fd, "wb")
        self._size = 0
        self._maker = PcapngMaker(self, _LINKTYPE_RAW, _MICROSECONDS)

    def _give_up(self, error: OSError) -> None:
        self._is_broken = True
        log.error("refused packets are not kept: %s: %s", self._path, error.strerror)
