"""What is read together, over a pair of sockets in place of the kernel's."""

import socket
import struct
import time

import pytest

from inline_topo.edges.live.feed import MOST_AT_ONCE, Feed

_GATHER = 0.125


def queued(number: int) -> bytes:
    """A packet message as linux/netfilter/nfnetlink_queue.h has it: its header and its payload."""
    attributes = struct.pack("=HH", 11, 1) + struct.pack("!IHBx", number, 0x0800, 3)
    attributes += struct.pack("=HH4s", 8, 10, b"data")
    rest = struct.pack("=HHII", 3 << 8, 0, 0, 0) + bytes(4) + attributes
    return struct.pack("=I", 4 + len(rest)) + rest


def test_a_feed_that_is_behind_does_not_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    kernel.setblocking(False)
    with ours, kernel:
        for number in range(MOST_AT_ONCE + 3):
            kernel.send(queued(number))
        feed = Feed(ours, lambda: None, 10, _GATHER)
        first = feed.read()
        assert [number for number, _ in first] == list(range(MOST_AT_ONCE))
        assert feed.read() == [(MOST_AT_ONCE + i, b"data") for i in range(3)]
        assert naps == []
        kernel.send(queued(99))
        assert feed.read() == [(99, b"data")]
        assert naps == [_GATHER]
