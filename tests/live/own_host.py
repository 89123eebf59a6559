"""Mode topos on the proxy's own host: a plain Kamailio, the gateway beside it, and two phones."""

import os
import signal
import time
from pathlib import Path

from lab import calls
from lab.live import Lab
from lab.net import Net
from tests.live.running import Running
from tests.live.stores import Redis
from tests.live.traffic import Calls, showing


class OwnHost:
    """Hosts `srv`, `alice` and `bob`; every message between the phones enters and leaves."""

    def __init__(
        self,
        net: Net,
        store: str,
        *more: str,
        before: tuple[str, ...] = (),
        queues: str = "0",
        callers: tuple[str, ...] = (calls.ALICE,),
    ) -> None:
        """`store`: its URL, empty for a Redis beside; `more` lines of [topos]; `callers`: alice's
        addresses."""
        self.net = net
        net.host("srv", calls.PROXY)
        net.host("alice", *callers)
        net.host("bob", calls.BOB)
        self.lab = Lab(net, topoh=False)
        self.lab.proxy("srv", f"{calls.PROXY}:5060", defines={"BOB": f'"sip:bob@{calls.BOB}:5060"'})
        if not store:
            self.redis = Redis(net, "srv")
            store = self.redis.url
        config = [
            'mode = "topos"',
            'shape = "host"',
            f'inside = ["{calls.PROXY}"]',
            f'own = ["{calls.PROXY}", "server.com"]',
            "[topoh]",
            'mask_key_file = "mask.key"',
            "[queue]",
            f'numbers = "{queues}"',
            "[topos]",
            f'store = "{store}"',
            *more,
            "",
        ]
        self.gateway = Running(net, "\n".join(config), host="srv", before=before)
        self.calls = Calls(self.lab, ("alice", callers[0]), ("bob", calls.BOB), calls.PROXY)

    def refused(self) -> int:
        """Messages that did not leave because of the store."""
        count = self.gateway.status()["outcomes"].get("egress", {}).get("refused_store", 0)
        assert isinstance(count, int)
        return count

    def new_worker(self, queue: int = 0) -> None:
        """kill -9 of a worker: the next one has no memory of the calls."""
        before = self.gateway.status()["queues"][queue]["pid"]
        time.sleep(1.2)  # who dies younger is taken for a victim of its packet
        os.kill(before, signal.SIGKILL)
        self.gateway.await_status(lambda state: state["queues"][queue]["pid"] not in (0, before))


def hides(folder: Path) -> None:
    """No phone has seen where the other is."""
    assert showing(folder / "eth0.pcap", calls.BOB, calls.ALICE) == []
    assert showing(folder / "eth0.pcap", calls.ALICE, calls.BOB) == []
