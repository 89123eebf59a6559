"""What comes from a queue's socket, as many packets at a time as wait there."""

import errno
import logging
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from inline_topo.patience import set_patience

from . import netlink

MOST_AT_ONCE: Final = 32
"""Packets that are read before they are judged: what a killed worker can have had in its hand."""

_COMPLAIN_EVERY: Final = 10.0  # seconds, at most: an interface that goes down fails many verdicts

log = logging.getLogger(__name__)


class Errands(Protocol):
    """What goes on while packets are read."""

    count: int
    """How much is outstanding; with 0 the rest is left alone."""

    fd: int
    """Readable when there is something to attend to."""

    def attend(self) -> float:
        """Do what can be done now; the seconds until it must be called again at the latest."""

    def settle(self) -> None:
        """Do what the packets that were read together have left to do."""


class _NoErrands:
    count = 0
    fd = -1

    def attend(self) -> float:
        return 0.0

    def settle(self) -> None:
        pass


NO_ERRANDS: Final = _NoErrands()


class Feed:
    """Reads from the socket of a queue: what waits there together, and nothing is waited for beside
    the first packet."""

    def __init__(
        self,
        source: socket.socket,
        look_up: Callable[[], None],
        tick: float,
        errands: Errands = NO_ERRANDS,
    ) -> None:
        """`look_up` is called whenever no packet has come for `tick` seconds."""
        self._source = source
        self._receive_into = source.recv_into
        self._buffer = bytearray(netlink.MESSAGE_BYTES)
        self._view = memoryview(self._buffer)
        self._look_up, self._tick = look_up, tick
        self._errands = errands
        self._complained = -_COMPLAIN_EVERY
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        if errands.fd >= 0:
            self._poll.register(errands.fd, select.POLLIN)
        set_patience(source, tick)

    def read(self) -> list[tuple[int, bytes]]:
        """The numbers and the bytes of the packets that wait: MOST_AT_ONCE at most, none after a
        tick, or when the errands have been seen to."""
        packets: list[tuple[int, bytes]] = []
        try:
            if self._errands.count:
                self._await_any()
            else:
                self._add(packets, 0)
            self._add_waiting(packets)
        except BlockingIOError:  # a tick went by
            self._look_up()
        return packets

    def rest(self) -> list[tuple[int, bytes]]:
        """The same, without any waiting."""
        packets: list[tuple[int, bytes]] = []
        self._add_waiting(packets)
        return packets

    def _add_waiting(self, packets: list[tuple[int, bytes]]) -> None:
        """All that wait, up to MOST_AT_ONCE."""
        with suppress(BlockingIOError):
            while len(packets) < MOST_AT_ONCE:
                self._add(packets, socket.MSG_DONTWAIT)

    def _add(self, packets: list[tuple[int, bytes]], flags: int) -> None:
        """The next packet; BlockingIOError where there is none."""
        try:
            size = self._receive_into(self._buffer, 0, flags)
            packet = netlink.packet(self._view[:size])
        except netlink.NetlinkError as refusal:
            if time.monotonic() - self._complained > _COMPLAIN_EVERY:
                self._complained = time.monotonic()
                log.error("%s", refusal)
        except OSError as error:
            # ENOBUFS is no more than a notice: a gap in the numbers tells how much was lost.
            if error.errno != errno.ENOBUFS:
                raise
        else:
            if packet:
                packets.append(packet)

    def _await_any(self) -> None:
        """Attends to the errands until something is to be done, or to be read."""
        due = self._errands.attend()
        if not self._poll.poll(min(due, self._tick) * 1000):
            self._look_up()
