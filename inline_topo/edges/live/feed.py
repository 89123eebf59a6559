"""What the binding reads from: the queue's socket, and errands that are run between packets."""

import errno
import select
import socket
import time
from collections.abc import Callable
from typing import Protocol

LONGEST_READ = 0xFFFF - 4
"""Bytes of a packet that the kernel hands over at most; of a longer one, the rest is cut off."""

MESSAGE_BYTES = LONGEST_READ + 1024  # with the attributes beside the packet


class Errands(Protocol):
    """What goes on while packets are read."""

    count: int
    """How much is outstanding; with 0 the rest is left alone."""

    fd: int
    """Readable when there is something to attend to."""

    def attend(self) -> float:
        """Do what can be done now; the seconds until it must be called again at the latest."""


class _NoErrands:
    count = 0
    fd = -1

    def attend(self) -> float:
        return 0.0


NO_ERRANDS = _NoErrands()


class Feed:
    """What the binding reads from as if it were a socket; EAGAIN ends its loop.

    It asks for 4,096 bytes and gets the whole message, which may be longer.
    """

    def __init__(self, source: socket.socket) -> None:
        self.is_over = False
        self._source = source
        self._receive = source.recv
        self._look_up: Callable[[], None] = _nothing
        self._tick = 0.0
        self._errands: Errands = NO_ERRANDS

    def prepare(self, look_up: Callable[[], None], tick: float, errands: Errands) -> None:
        """What is done beside reading."""
        self._look_up, self._tick, self._errands = look_up, tick, errands
        self._poll = select.poll()
        self._poll.register(self._source, select.POLLIN)
        if errands.fd >= 0:
            self._poll.register(errands.fd, select.POLLIN)

    def recv(self, size: int) -> bytes:
        while not self.is_over:
            if self._errands.count and not self._is_readable():
                continue
            try:
                return self._receive(MESSAGE_BYTES)
            except BlockingIOError:
                self._look_up()
            except OSError as error:
                _check_overrun(error)
        raise BlockingIOError(errno.EAGAIN, "no more")

    def _is_readable(self) -> bool:
        """Attends to the errands; whether a packet, or an error, waits to be read."""
        due = self._errands.attend()
        ready = self._poll.poll(min(due, self._tick) * 1000)
        if not ready:
            self._look_up()
        return any(fd == self._source.fileno() for fd, _ in ready)


class Rest:
    """The same for what waits already, until a point of the monotonic time."""

    def __init__(self, source: socket.socket, deadline: float) -> None:
        self._receive = source.recv
        self._deadline = deadline

    def recv(self, size: int) -> bytes:
        while time.monotonic() < self._deadline:
            try:
                return self._receive(MESSAGE_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                _check_overrun(error)
        raise BlockingIOError(errno.EAGAIN, "no more")


def _check_overrun(error: OSError) -> None:
    """ENOBUFS is no more than a notice: a gap in the numbers tells how many packets were lost."""
    if error.errno != errno.ENOBUFS:
        raise error


def _nothing() -> None:
    pass
