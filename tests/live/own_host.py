"""Mode topos on the proxy's own host: a plain Kamailio, the gateway beside it, and two phones."""

import os
import re
import signal
from pathlib import Path

from lab import calls
from lab.live import Lab
from lab.net import Net
from tests.live.running import Running
from tests.live.stores import Redis
from tests.live.traffic import datagrams, packed

LINGER = 5000
"""Milliseconds for which who was hung up on answers a BYE that is sent again (after T2 at the latest)."""


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
        self._callers = callers

    def call(self, talk: int, each: int, rate: int) -> None:
        """Each of alice's addresses begins so many calls, so many a second, that last `talk`
        milliseconds; `lab.done` waits for all of them."""
        bob = calls.answering_bob()
        bob.linger(LINGER)
        many = str(each * len(self._callers))
        # sipp's callee would give up on a request that is sent again after its two answers.
        patient = ("-default_behaviors", "all,-abortunexp")
        self.lab.party("bob", calls.BOB, bob, more=("-m", many, "-l", many, *patient))
        for address in self._callers:
            self.lab.party(
                "alice", address, calls.calling_alice(talk=talk), via=calls.PROXY, port=5062,
                more=("-m", str(each), "-l", str(each), "-r", str(rate)),
            )  # fmt: skip

    def refused(self) -> int:
        """Messages that did not leave because of the store."""
        count = self.gateway.status()["outcomes"].get("egress", {}).get("refused_store", 0)
        assert isinstance(count, int)
        return count

    def new_worker(self, queue: int = 0) -> None:
        """kill -9 of a worker: the next one has no memory of the calls."""
        before = self.gateway.grown_worker(queue)
        os.kill(before, signal.SIGKILL)
        self.gateway.await_status(lambda state: state["queues"][queue]["pid"] not in (0, before))


def hides(folder: Path, count: int, *callers: str) -> None:
    """No phone has seen where the other is, in messages of `count` calls at least."""
    for caller in callers or (calls.ALICE,):
        for target, hidden in ((calls.BOB, caller), (caller, calls.BOB)):
            headers = [
                payload.partition(b"\r\n\r\n")[0]
                for _, destination, payload in datagrams(folder / "eth0.pcap")
                if destination == packed(target)
            ]
            ids = {found for header in headers for found in re.findall(rb"Call-ID: \S+", header)}
            assert len(ids) >= count
            assert not [header for header in headers if hidden.encode() in header]
