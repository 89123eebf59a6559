"""A capture that is being written, and bounded: a full one makes place for the next, and the one before
that is gone.

It shows the inside: the file is its owner's alone. What cannot be written is logged once, and no more
is tried: packets go before captures.
"""

import logging
import os
from pathlib import Path
from typing import BinaryIO

from inline_topo.edges.pcapng import PcapngMaker
from inline_topo.edges.records import Packet

MOST_BYTES = 16 << 20
"""Of one file; two of them are kept."""

_LINKTYPE_RAW = 101  # IP without a link layer
_MICROSECONDS = 10**6

log = logging.getLogger(__name__)


class BoundedCapture:
    """The capture `path` (and `.old`), begun by `begin`; `what`: what a log calls its packets."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._file: BinaryIO | None = None
        self._is_broken = False
        self._count = 0
        self._size = 0

    @property
    def is_due(self) -> bool:
        """Whether `begin` is to be called before the next packet."""
        return not self._is_broken and (self._file is None or self._size > MOST_BYTES)

    def begin(self) -> None:
        """A fresh file; what was there is the old one."""
        if self._is_broken:
            return
        try:
            self._begin()
        except OSError as error:
            self._give_up(error)

    def add(self, packet: bytes, time_ns: int, comment: str) -> None:
        """One packet."""
        if self._is_broken or self._file is None:
            return
        try:
            self._count += 1
            seconds, nanoseconds = divmod(time_ns, 10**9)
            record = Packet(self._count, seconds, nanoseconds // 1000, _MICROSECONDS,
                            _LINKTYPE_RAW, packet, len(packet))  # fmt: skip
            self._maker.rewrite(record, packet, comment)
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
        """Finish the file."""
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
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._path.exists():
            self._path.replace(self._path.with_suffix(".pcapng.old"))
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(fd, "wb")
        self._size = 0
        self._maker = PcapngMaker(self, _LINKTYPE_RAW, _MICROSECONDS)

    def _give_up(self, error: OSError) -> None:
        self._is_broken = True
        log.error("%s are not kept: %s: %s", self._what, self._path, error.strerror)
