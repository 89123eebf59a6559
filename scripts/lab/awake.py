"""Processors that do not halt while something is measured.

The processors of an idle virtual machine halt, and come back with cold caches: that costs most who is
woken most, and differs from run to run. So each gets a process to run while nothing else wants to, which
gives way at once (SCHED_IDLE).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def awake() -> Iterator[None]:
    """Keep each processor that this process may use busy within the block."""
    programs = [
        subprocess.Popen([sys.executable, __file__, str(processor), str(os.getpid())])
        for processor in sorted(os.sched_getaffinity(0))
    ]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def _stay_busy(processor: int, parent: int) -> None:
    """The work of one of them: until it is killed, or its parent is gone."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    os.sched_setaffinity(0, {processor})
    while os.getppid() == parent:
        for _ in range(1_000_000):
            pass


if __name__ == "__main__":
    _stay_busy(int(sys.argv[1]), int(sys.argv[2]))
