"""A worker that is killed with a packet in its hand, and the next one (run in a namespace).

Arguments: DROP or REPEAT. The second packet that comes makes the next worker look for what was left.
"""

import os
import signal
import sys
import time

from inline_topo.edges.live.netlink import Fate
from inline_topo.edges.live.port import Queue

TICK = 0.1


def die(packet: bytes) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return packet


def main() -> None:
    queue = Queue(0, 100)
    print("bound", flush=True)
    pid = os.fork()
    if not pid:
        queue.serve(die, lambda: None, TICK)
    os.waitpid(pid, 0)
    print("killed", flush=True)
    end = time.monotonic() + 2
    judged: list[bytes] = []

    def judge(packet: bytes) -> bytes:
        judged.append(packet)
        return packet

    def look_up() -> None:
        if time.monotonic() > end:
            queue.stop()

    queue.serve(judge, look_up, TICK, Fate[sys.argv[1]])
    print(f"judged {len(judged)}", flush=True)


main()
