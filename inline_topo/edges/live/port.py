"""The small port around the NetfilterQueue binding: packets come in, verdicts go out.

All that is known of the binding and of NFQUEUE's netlink messages is in this file.
"""

import logging
import os
import socket
import struct
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any, final

from inline_topo.errors import InlineTopoError

from .feed import LONGEST_READ, NO_ERRANDS, Errands, Feed, Rest

log = logging.getLogger(__name__)

_SOCKET_BYTES_A_PACKET = 4096  # what a message of middle size takes of the socket's buffer
_TIMEVAL = struct.Struct("@ll")

_HEADER = struct.Struct("=IHHII BBH HH")  # nlmsghdr, nfgenmsg, nlattr
_ATTRIBUTE_HEADER = 4
_CONFIG, _VERDICT_BATCH = 3 << 8 | 2, 3 << 8 | 3  # NFNL_SUBSYS_QUEUE, NFQNL_MSG_...
_REQUEST = 1  # NLM_F_REQUEST
_PARAMETERS, _VERDICT_HEADER = 2, 2  # NFQA_CFG_PARAMS, NFQA_VERDICT_HDR
_COPY_PACKET = 2  # NFQNL_COPY_PACKET


class Orphans(IntEnum):
    """What becomes of packets that a worker read and, being killed, did not judge."""

    DROP = 0
    REPEAT = 4  # NF_REPEAT: into the queue once more


@final
class Later:
    """What a judge returns for a packet that gets its verdict when `give` is called, once.

    Until then the packet keeps its place among those that the kernel holds for the queue.
    """

    __slots__ = ("_data", "_packet")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._packet: Any = None

    def hold(self, packet: Any) -> None:
        """The binding's packet: only its number is used once its own callback has returned."""
        self._packet = packet

    def give(self, sent: bytes | None) -> None:
        """The verdict, as a judge returns it. Does nothing for a packet that is not held."""
        packet, self._packet = self._packet, None
        if packet is None:
            return
        if sent is None:
            packet.drop()
            return
        if sent is not self._data:
            packet.set_payload(sent)
        packet.accept()


Judge = Callable[[bytes], bytes | Later | None]
"""An IP packet in, the one to send out: the same object to leave it as it is; None to drop it."""


class Queue:
    """One of the kernel's queues, bound to this process and to those that it forks.

    The socket outlives a worker: what the kernel queues while none reads waits for the next one.
    InlineTopoError where the queue cannot be had.
    """

    def __init__(self, number: int, max_len: int) -> None:
        binding = _import_binding()
        self.number = number
        self.lost = 0  # packets for which the socket's buffer had no room
        self._judge: Judge = _drop
        self._orphans: Orphans | None = None
        self._next_id = 0
        try:
            self._queue = binding.NetfilterQueue()
            self._queue.bind(
                number, self._on_packet, max_len=max_len, sock_len=max_len * _SOCKET_BYTES_A_PACKET
            )
        except OSError as error:
            raise InlineTopoError(f"queue {number}: {_why(error)}") from None
        # The binding's own descriptor, not to be closed by two.
        self._socket = socket.socket(fileno=os.dup(self._queue.get_fd()))
        self._feed = Feed(self._socket)
        # The binding asks for 4,016 bytes of a packet, and does not read all of such a message.
        self._send(_CONFIG, _PARAMETERS, struct.pack("!IB", LONGEST_READ, _COPY_PACKET))

    def serve(
        self,
        judge: Judge,
        look_up: Callable[[], None],
        tick: float,
        orphans: Orphans | None = None,
        errands: Errands = NO_ERRANDS,
    ) -> None:
        """Give every packet to `judge`, until `stop` is called.

        `look_up` is called whenever no packet has come for `tick` seconds. `orphans`: a worker
        served this queue before and was killed. While `errands` are outstanding they are attended
        to between packets, at the price of a system call more for each.
        """
        self._judge = judge
        self._orphans = orphans
        self._next_id = 0
        self._set_patience(tick)
        self._feed.prepare(look_up, tick, errands)
        self._queue.run_socket(self._feed)

    def stop(self) -> None:
        """Let `serve` return behind the packet that is judged now, or at the next tick."""
        self._feed.is_over = True

    def drain(self, judge: Judge, seconds: float) -> None:
        """Judge what waits in the queue, and return when it is empty, after `seconds` at most."""
        self._judge = judge
        self._socket.setblocking(False)
        self._queue.run_socket(Rest(self._socket, time.monotonic() + seconds))

    def _set_patience(self, seconds: float) -> None:
        """A read returns after this time. By the kernel, so that it costs no call more a packet."""
        whole = int(seconds)
        timeval = _TIMEVAL.pack(whole, int((seconds - whole) * 1_000_000))
        self._socket.setblocking(True)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)

    def _on_packet(self, packet: Any) -> None:
        """Called by the binding, which is lost with an exception: none leaves here, and the
        verdict is given whatever happens."""
        send = packet.drop
        try:
            if packet.id != self._next_id:
                self._note_gap(packet.id)
            self._next_id = packet.id + 1 & 0xFFFFFFFF
            data = packet.get_payload()
            sent = self._judge(data)
            if sent is data:
                send = packet.accept
            elif type(sent) is Later:
                sent.hold(packet)
                send = _do_nothing
            elif sent is not None:
                packet.set_payload(sent)
                send = packet.accept
        except Exception:
            log.exception("a packet was dropped")
        finally:
            send()

    def _note_gap(self, number: int) -> None:
        """The kernel numbers packets in order; it skips those that its socket has no room for."""
        if self._orphans is not None:
            self._release(number - 1)
        elif self._next_id:
            self.lost += number - self._next_id & 0xFFFFFFFF
        self._orphans = None

    def _release(self, last: int) -> None:
        """Judge all packets up to this number at once: those that the worker before us had read."""
        verdict = struct.pack("!II", self._orphans or Orphans.DROP, last & 0xFFFFFFFF)
        self._send(_VERDICT_BATCH, _VERDICT_HEADER, verdict)

    def _send(self, kind: int, attribute: int, value: bytes) -> None:
        """A message about this queue with one attribute, to which the kernel gives no answer."""
        length = _ATTRIBUTE_HEADER + len(value)
        value += bytes(-length % 4)
        size = _HEADER.size + len(value)
        queue = socket.htons(self.number)
        header = _HEADER.pack(size, kind, _REQUEST, 0, 0, 0, 0, queue, length, attribute)
        self._socket.send(header + value)


def _do_nothing() -> None:
    pass


def _drop(packet: bytes) -> None:
    return None


def _import_binding() -> Any:
    try:
        import netfilterqueue
    except ImportError as error:
        raise InlineTopoError(
            "the package NetfilterQueue is not installed: pip install 'inline-topo[live]' "
            f"(Debian: apt install libnetfilter-queue-dev gcc python3-dev first) ({error})"
        ) from None
    return netfilterqueue


def _why(error: OSError) -> str:
    if not _has_net_admin():
        return "CAP_NET_ADMIN is missing (root has it, and so does the systemd unit's user)"
    return f"cannot be bound; another program may hold it ({error})"


def _has_net_admin() -> bool:
    with open("/proc/self/status", encoding="ascii") as status:
        effective = next(line for line in status if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> 12 & 1)  # CAP_NET_ADMIN
