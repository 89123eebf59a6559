"""The small port around the NetfilterQueue binding: packets come in, verdicts go out.

The binding binds the queue. Packets and verdicts go over its socket as netlink messages of ours:
the binding reads 4,016 bytes of a packet at most, and one packet at a time.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, final

from inline_topo.errors import InlineTopoError

from . import netlink
from .feed import NO_ERRANDS, Errands, Feed
from .netlink import Fate

log = logging.getLogger(__name__)

_SOCKET_BYTES_A_PACKET: Final = 4096  # what a message of middle size takes of the socket's buffer
_MOST_TO_SEND: Final = 64 * 1024  # bytes of verdicts, behind which they are sent
_LONGEST_HELD_NS: Final = 250_000  # that a verdict waits behind the judging of others
_SO_SNDBUFFORCE: Final = 32  # asm-generic/socket.h; Python's socket does not name it


@final
class Later:
    """What a judge returns for a packet that gets its verdict when `give` is called, once.

    Until then the packet keeps its place among those that the kernel holds for the queue.
    """

    __slots__ = ("_data", "_give")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._give: Callable[[bytes, bytes | None], None] | None = None

    def hold(self, give: Callable[[bytes, bytes | None], None]) -> None:
        """`give` takes the packet as it came and what is sent."""
        self._give = give

    def give(self, sent: bytes | None) -> None:
        """The verdict, as a judge returns it. Does nothing for a packet that is not held."""
        give, self._give = self._give, None
        if give is not None:
            give(self._data, sent)


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
        self._is_over = False
        self._orphans: Fate | None = None
        self._next_number = 0
        self._errands: Errands = NO_ERRANDS
        self._verdicts: list[bytes] = []  # that go out together
        self._size = 0
        self._held_since = 0  # when the first of them was ready (monotonic, ns)
        self._gathers_verdicts = False
        try:
            self._queue = binding.NetfilterQueue()
            self._queue.bind(
                number, _never, max_len=max_len, sock_len=max_len * _SOCKET_BYTES_A_PACKET
            )
        except OSError as error:
            raise InlineTopoError(f"queue {number}: {_why(error)}") from None
        # The binding's own descriptor, not to be closed by two.
        self._socket = socket.socket(fileno=os.dup(self._queue.get_fd()))
        # Verdicts go out many at a time, whatever net.core.wmem_default is (it takes CAP_NET_ADMIN).
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 4 * _MOST_TO_SEND)
        self._socket.send(netlink.whole_packets(number))

    def serve(
        self,
        judge: Judge,
        look_up: Callable[[], None],
        tick: float,
        orphans: Fate | None = None,
        errands: Errands = NO_ERRANDS,
    ) -> None:
        """Give every packet to `judge`, until `stop` is called.

        `look_up` is called whenever no packet has come for `tick` seconds. `orphans`: a worker
        served this queue before and was killed; what becomes of packets that it had read. While
        `errands` are outstanding they are attended to between packets.
        """
        self._orphans = orphans
        self._errands = errands
        self._next_number = 0
        feed = Feed(self._socket, look_up, tick, errands)
        while not self._is_over:
            self._judge_all(feed.read(), judge)

    def stop(self) -> None:
        """Let `serve` return when what has been read is judged, or at the next tick."""
        self._is_over = True

    def drain(self, judge: Judge, seconds: float) -> None:
        """Judge what waits in the queue, and return when it is empty, after `seconds` at most."""
        deadline = time.monotonic() + seconds
        feed = Feed(self._socket, _nothing, seconds)
        while time.monotonic() < deadline and (packets := feed.rest()):
            self._judge_all(packets, judge)

    def _judge_all(self, packets: Iterable[tuple[int, bytes]], judge: Judge) -> None:
        """The verdicts of packets that wait already go out together, as each wakes those that it is for, who
        take the processor and its caches away; but none is held for longer than _LONGEST_HELD_NS."""
        self._gathers_verdicts = True
        try:
            for number, data in packets:
                if number != self._next_number:
                    self._note_gap(number)
                self._next_number = number + 1 & 0xFFFFFFFF
                self._send(self._judge(number, data, judge))
            if self._errands.count:
                self._errands.settle()
        finally:
            self._gathers_verdicts = False
            self._flush()

    def _send(self, verdict: bytes) -> None:
        """Send a verdict, with those of packets that were read together; nothing where it is empty."""
        if not verdict:
            return
        now = time.monotonic_ns()
        if not self._verdicts:
            self._held_since = now
        self._verdicts.append(verdict)
        self._size += len(verdict)
        is_late = now - self._held_since > _LONGEST_HELD_NS
        if is_late or self._size > _MOST_TO_SEND or not self._gathers_verdicts:
            self._flush()

    def _flush(self) -> None:
        if self._size:
            verdicts, self._verdicts, self._size = self._verdicts, [], 0
            self._socket.send(b"".join(verdicts))

    def _judge(self, number: int, data: bytes, judge: Judge) -> bytes:
        """The message for one packet, whatever happens; empty where its verdict comes later."""
        try:
            sent = judge(data)
            if type(sent) is Later:
                sent.hold(lambda data, sent: self._give(number, data, sent))
                return b""
        except Exception:
            log.exception("a packet was dropped")
            sent = None
        return self._verdict(number, data, sent)

    def _verdict(self, number: int, data: bytes, sent: bytes | None) -> bytes:
        if sent is data:
            return netlink.verdict(self.number, number, Fate.ACCEPT)
        if sent is None:
            return netlink.verdict(self.number, number, Fate.DROP)
        return netlink.verdict(self.number, number, Fate.ACCEPT, sent)

    def _give(self, number: int, data: bytes, sent: bytes | None) -> None:
        self._send(self._verdict(number, data, sent))

    def _note_gap(self, number: int) -> None:
        """The kernel numbers packets in order; it skips those that its socket has no room for.

        A killed worker's packets that had no verdict, in its hand or waiting, are all numbered below
        the first one that the next worker reads, and fare alike. With REPEAT they come again in
        their order, behind what is queued; until one comes they stay where they are (their own
        retransmission will do).
        """
        if self._orphans is not None:
            last = number - 1 & 0xFFFFFFFF
            self._socket.send(netlink.verdict_up_to(self.number, last, self._orphans))
        elif self._next_number:
            self.lost += number - self._next_number & 0xFFFFFFFF
        self._orphans = None


def _nothing() -> None:
    pass


def _never(packet: Any) -> None:
    """The binding calls this for packets that it reads itself, which it does not."""
    packet.drop()


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
