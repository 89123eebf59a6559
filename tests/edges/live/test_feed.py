"""What is read together, over a pair of sockets in place of the kernel's."""

import socket
import statistics
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from inline_topo.edges.live.feed import MOST_AT_ONCE, Feed


def queued(number: int) -> bytes:
    """A packet message as linux/netfilter/nfnetlink_queue.h has it: its header and its payload."""
    attributes = struct.pack("=HH", 11, 1) + struct.pack("!IHBx", number, 0x0800, 3)
    attributes += struct.pack("=HH4s", 8, 10, b"data")
    rest = struct.pack("=HHII", 3 << 8, 0, 0, 0) + bytes(4) + attributes
    return struct.pack("=I", 4 + len(rest)) + rest


@contextmanager
def link() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The socket that a feed reads, and the one that is written to."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    kernel.setblocking(False)
    with ours, kernel:
        yield ours, kernel


def test_what_waits_is_read_together_in_its_order() -> None:
    with link() as (ours, kernel):
        for number in range(MOST_AT_ONCE + 3):
            kernel.send(queued(number))
        feed = Feed(ours, lambda: None, 10)
        assert [number for number, _ in feed.read()] == list(range(MOST_AT_ONCE))
        assert feed.read() == [(MOST_AT_ONCE + i, b"data") for i in range(3)]


def test_a_packet_soon_after_another_is_read_at_once() -> None:
    """A response a millisecond behind its request, a thousand times a second."""
    came: list[int] = []
    rounds = 100
    with link() as (ours, kernel):
        feed = Feed(ours, lambda: None, 10)

        def read() -> None:
            while len(came) < rounds:
                came.extend(time.monotonic_ns() for _ in feed.read())

        reader = threading.Thread(target=read)
        reader.start()
        sent = []
        for number in range(rounds):
            sent.append(time.monotonic_ns())
            kernel.send(queued(number))
            time.sleep(0.001)
        reader.join(10)
    delays = [after - before for before, after in zip(sent, came, strict=True)]
    assert statistics.median(delays) < 1_000_000
