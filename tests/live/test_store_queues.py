"""Mode topos with several queues, whose workers share one SQLite file."""

import time
from pathlib import Path

import pytest

from lab.net import Net
from tests.live.own_host import OwnHost, hides
from tests.live.traffic import dump

pytestmark = [
    pytest.mark.root,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

QUEUES, EACH, RATE = 2, 10, 3
LONG = 10_000
"""A call's milliseconds: it is there before either worker is killed, and after it."""

CALLERS = tuple(f"192.168.178.{number}" for number in range(101, 113))
"""Which queue two hosts share is the kernel's choice: with so many it hardly takes one for all."""


def test_each_worker_is_killed_and_established_calls_go_on(tmp_path: Path) -> None:
    """alice's side of a call may pass one queue and bob's the other."""
    with Net(tmp_path) as net:
        store = f"sqlite:///{tmp_path}/dialogs.db"
        host = OwnHost(net, store, queues=f"0:{QUEUES - 1}", callers=CALLERS)
        with dump(net, "srv", "eth0"):
            host.call(LONG, EACH, RATE)
            # A killed worker's packets come behind those that are queued: a 100 behind its 200, which
            # ends the call of sipp's caller, and of no phone (RFC 3261, 17.1.1.2).
            time.sleep(EACH / RATE + 1)
            for queue in range(QUEUES):
                host.new_worker(queue)
            host.lab.done()
        assert host.refused() == 0
        state = host.gateway.status()
    assert [queue["deaths"] for queue in state["queues"]] == [1] * QUEUES
    assert min(queue["packets"] for queue in state["queues"]) >= 7 * EACH
    hides(tmp_path, EACH, *CALLERS)
