"""Serves queue 0 when PACKETS wait in it, and takes 20 milliseconds for each."""

import time

from inline_topo.edges.live.port import Queue
from inline_topo.edges.live.snapshot import kernel_queues

PACKETS = 20
_PATIENCE = 10.0  # seconds


def slow(packet: bytes) -> bytes:
    time.sleep(0.02)
    return packet


def main() -> None:
    queue = Queue(0, 4096)
    print("bound", flush=True)
    deadline = time.monotonic() + _PATIENCE
    while kernel_queues()[0]["waiting"] < PACKETS and time.monotonic() < deadline:
        time.sleep(0.01)
    queue.serve(slow, lambda: None, 0.25)


if __name__ == "__main__":
    main()
