"""Two routers with a gateway each: keepalived gives the traffic to one whose `status` is good."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ours import INLINE_TOPO
from lab.site import SharedSite, Site
from tests.live.messages import HIDDEN, invite, ok_to
from tests.live.running import CONFIG, PATIENCE, Running

pytestmark = [
    pytest.mark.root,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "keepalived"),
]

README = Path(__file__).parents[2] / "README.md"
STATUS = "/opt/inline-topo/bin/inline-topo status -c /etc/inline-topo/gateway.toml"
FIRST, SECOND = "priority 150", "priority 100"
MASTER = "(outside) Entering MASTER STATE"
WELL_AGAIN = "Script `inline_topo` now returning 0"
TAKEN_BACK = 5.0
"""Seconds after which the first, well again, would have taken back what it may: three advertisements
(RFC 9568 section 6.1) and some."""


def documented() -> str:
    """keepalived's configuration of the first gateway, as the README has it."""
    [text] = re.findall(r"```\n(vrrp_script .*?)```", README.read_text(), re.DOTALL)
    return str(text)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedSite]:
    with SharedSite(tmp_path) as site:
        site.build()
        yield site


def keep(site: SharedSite, router: str, priority: str) -> None:
    """keepalived on a router, which asks the gateway there every second."""
    status = " ".join((*INLINE_TOPO, "status", "-c", str(site.folder / "gw.toml")))
    text = documented()
    assert (text.count(STATUS), text.count(FIRST)) == (1, 2)
    assert all(f"{address}/24" in text and link in text for link, address in site.SHARED.items())
    text = text.replace(STATUS, status).replace(FIRST, priority)
    (site.folder / f"{router}.conf").write_text(text)
    pids = [f"--{name}={site.folder}/{router}-{name}" for name in ("pid", "vrrp_pid")]
    words = ("keepalived", "-n", "-l", "-D", "-P", "-f", f"{router}.conf", *pids)
    site.start(router, f"{router}-keepalived.log", *words)


class Ends:
    """A socket on either side."""

    def __init__(self, site: SharedSite) -> None:
        self._inside = site.udp("inside", Site.INSIDE)
        self._outside = site.udp("outside", Site.OUTSIDE)
        for end in (self._inside, self._outside):
            end.settimeout(0.2)

    def out(self, running: Running, message: bytes) -> bytes:
        """What arrives of a message, said until it goes through this gateway."""
        return self._passed(running, message, self._inside, self._outside)

    def back(self, running: Running, message: bytes) -> bytes:
        """The same the other way."""
        return self._passed(running, message, self._outside, self._inside)

    def _passed(
        self, running: Running, message: bytes, source: socket.socket, target: socket.socket
    ) -> bytes:
        before = running.status()["packets"]
        deadline = time.monotonic() + 3 * PATIENCE
        while time.monotonic() < deadline:
            source.sendto(message, target.getsockname())
            try:
                arrived = target.recv(65535)
            except TimeoutError:
                continue
            if running.status()["packets"] > before:
                return arrived
        raise AssertionError(running.log())


def test_the_second_takes_over_what_the_first_began_and_keeps_it_until_it_fails(
    shared: SharedSite,
) -> None:
    first = Running(shared, CONFIG)
    second = Running(shared, CONFIG, host="gw2", name="gateway2")
    ends = Ends(shared)
    keep(shared, "gw", FIRST)
    masked = ends.out(first, invite())
    assert HIDDEN.encode() not in masked
    keep(shared, "gw2", SECOND)
    shared.await_text("gw2-keepalived.log", "(outside) Entering BACKUP STATE")
    worker = first.worker()
    os.kill(worker, signal.SIGSTOP)  # alive, and useless
    assert ends.back(second, ok_to(masked)) == ok_to(invite())
    os.kill(worker, signal.SIGCONT)
    said = shared.await_text("gw-keepalived.log", WELL_AGAIN)
    time.sleep(TAKEN_BACK)
    assert (
        said.count(MASTER) == (shared.folder / "gw-keepalived.log").read_text().count(MASTER) == 1
    )
    assert ends.out(second, invite(2)) != invite(2)
    worker = second.worker()
    os.kill(worker, signal.SIGSTOP)
    assert ends.out(first, invite(3)) != invite(3)
    os.kill(worker, signal.SIGCONT)
