"""A worker that is killed for its memory is replaced, and no call is lost.

The limit is a control group's, as the unit's MemoryMax is; here it is set just above what the gateway has,
and what strangers send makes it take more.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.site import Site
from tests.conftest import MEASURED
from tests.live.traffic import COUNT, RouterLab

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp"),
]

ROOM = 8 << 20
"""Bytes that the gateway may take beside what it has."""

LONGEST = 15.0  # seconds in which strangers make it take more
_GROUPS = Path("/sys/fs/cgroup")


class Group:
    """A control group for memory, of version 2 or 1."""

    def __init__(self) -> None:
        is_new = (_GROUPS / "cgroup.controllers").exists()
        self._path = _GROUPS / ("" if is_new else "memory") / f"inline-topo-{os.getpid()}"
        self._usage = "memory.current" if is_new else "memory.usage_in_bytes"
        self._limit = "memory.max" if is_new else "memory.limit_in_bytes"
        self._path.mkdir()
        if not (self._path / self._limit).exists():
            self._path.rmdir()
            raise OSError("no control group for memory here")

    def take(self, pid: int) -> None:
        (self._path / "cgroup.procs").write_text(str(pid))

    def limit(self, more: int) -> None:
        """No more than what is used now, and so much."""
        used = int((self._path / self._usage).read_text())
        (self._path / self._limit).write_text(str(used + more))

    def remove(self) -> None:
        """And what is in it."""
        while pids := (self._path / "cgroup.procs").read_text().split():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.1)
        self._path.rmdir()


@pytest.fixture
def group() -> Iterator[Callable[[], Group]]:
    made: list[Group] = []

    def make() -> Group:
        try:
            made.append(Group())
        except OSError as error:
            pytest.skip(f"no control group can be made: {error}")
        return made[0]

    yield make
    for one in made:
        one.remove()


def flood(number: int) -> bytes:
    """A response of no transaction, in which nothing is as in another."""
    routes = b"".join(
        b"Record-Route: <sip:%d.%d.%b@192.0.2.1;lr>\r\n" % (number, at, b"r" * 300)
        for at in range(40)
    )
    return (
        b"SIP/2.0 299 Flood\r\nVia: SIP/2.0/UDP %b;branch=z9hG4bK%d\r\n%bFrom: <sip:x@x>;tag=%d\r\n"
        b"To: <sip:y@y>;tag=1\r\nCall-ID: flood-%d\r\nCSeq: 1 MESSAGE\r\n\r\n"
        % (Site.INSIDE.encode(), number, routes, number, number)
    )


def test_who_is_killed_for_memory_is_replaced_without_a_lost_call(
    site: Site, group: Callable[[], Group], record_property: Callable[[str, Any], None]
) -> None:
    lab = RouterLab(site)
    held = group()
    worker = lab.gateway.worker()
    supervisor = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    held.take(supervisor)
    os.kill(worker, signal.SIGKILL)
    lab.gateway.await_status(lambda state: state["queues"][0]["pid"] not in (worker, None, 0))
    time.sleep(1)
    held.limit(ROOM)
    lab.calls.start()
    number, end = 0, time.monotonic() + LONGEST
    with contextlib.closing(site.udp("outside", Site.OUTSIDE, 6060)) as socket:
        while time.monotonic() < end:
            socket.sendto(flood(number), (Site.INSIDE, 5060))
            number += 1
            time.sleep(0.01)
    calls = lab.calls.lost()
    deaths = lab.gateway.status()["queues"][0]["deaths"] - 1
    record_property(MEASURED, f"killed for memory {deaths} times: {calls} of {COUNT} calls lost")
    assert deaths > 0
    assert calls == 0
