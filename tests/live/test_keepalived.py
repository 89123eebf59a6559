"""Two routers with a gateway each: keepalived gives the traffic to one whose `status` is good."""

import os
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

KEEPALIVED = """\
global_defs {{
    script_user root
    vrrp_version 3
}}
vrrp_script inline_topo {{
    script "{script}"
    interval 1
    timeout 5
    fall 1
    rise 1
}}
vrrp_sync_group both {{
    group {{
        in0
        out0
    }}
    track_script {{
        inline_topo
    }}
}}
"""
INSTANCE = """\
vrrp_instance {link} {{
    interface {link}
    state BACKUP
    virtual_router_id {number}
    priority {priority}
    advert_int 0.2
    virtual_ipaddress {{
        {address}/24
    }}
}}
"""


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedSite]:
    with SharedSite(tmp_path) as site:
        site.build()
        yield site


def keep(site: SharedSite, router: str, priority: int) -> None:
    """keepalived on a router, which asks the gateway there every second."""
    status = " ".join((*INLINE_TOPO, "status", "-c", str(site.folder / "gw.toml")))
    parts = [KEEPALIVED.format(script=status)]
    for number, (link, address) in enumerate(site.SHARED.items(), 1):
        parts.append(INSTANCE.format(link=link, number=number, priority=priority, address=address))
    (site.folder / f"{router}.conf").write_text("".join(parts))
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
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            source.sendto(message, target.getsockname())
            try:
                arrived = target.recv(65535)
            except TimeoutError:
                continue
            if running.status()["packets"] > before:
                return arrived
        raise AssertionError(running.log())


def test_the_second_takes_over_what_the_first_began_until_that_is_well_again(
    shared: SharedSite,
) -> None:
    first = Running(shared, CONFIG)
    second = Running(shared, CONFIG, host="gw2", name="gateway2")
    for router, priority in (("gw", 150), ("gw2", 100)):
        keep(shared, router, priority)
    ends = Ends(shared)
    masked = ends.out(first, invite())
    assert HIDDEN.encode() not in masked
    worker = first.worker()
    os.kill(worker, signal.SIGSTOP)  # alive, and useless
    assert ends.back(second, ok_to(masked)) == ok_to(invite())
    os.kill(worker, signal.SIGCONT)
    assert ends.out(first, invite(2)) != invite(2)
