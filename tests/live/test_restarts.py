"""What calls at a hundred a second lose when workers die, keys rotate and the gateway is started again,
comes and goes: shown at the end of the run.

Packets are counted where they enter and where they leave. Who is sent SIGKILL or stopped judges nothing
until another has started, and SIP is dropped meanwhile rather than let through in clear: of a restart
the datagrams that came in between are lost, none before and none after, and are sent again by the
parties' timers (RFC 3261 17), so that no call is.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from inline_topo.masking.codecs.keyring import KeyRing
from lab.site import Site
from tests.conftest import MEASURED
from tests.live.losses import Losses, losses
from tests.live.running import Running
from tests.live.traffic import ALICE, COUNT, RATE, WAYS, RouterLab, invites, showing

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

PACKETS = 6 * COUNT
"""INVITE, 180, 200, ACK, BYE, 200. (Kamailio's 100 stays inside.)"""

EVENTS = 3

A_WHILE = 0.4 * COUNT / RATE
"""Seconds for which calls have begun, and go on to begin as long again."""

Tell = Callable[[str, Losses, int], None]


@pytest.fixture
def tell(record_property: Callable[[str, Any], None]) -> Tell:
    """Have shown what was lost, of packets and of calls."""

    def told(event: str, packets: Losses, calls: int) -> None:
        record_property(MEASURED, f"{event}: {packets}, {calls} of {COUNT} calls lost")

    return told


class Outage:
    """Times between which nobody judges packets."""

    def __init__(self, gateway: Running) -> None:
        self._gateway = gateway
        self.begin = time.time()
        self.end = self.begin

    def over(self, *options: str) -> None:
        """Start the gateway again."""
        (self._gateway.net.folder / "gateway.log").write_text("")
        self._gateway.start(*options)
        self.end = time.time()

    def __contains__(self, when: float) -> bool:
        return self.begin < when < self.end


def lost_in(site: Site) -> Losses:
    """Of both ways."""
    there, back = (
        losses(site.folder / f"{entered}.pcap", site.folder / f"{left}.pcap", source)
        for entered, left, source in WAYS
    )
    return there + back


def nothing_was_clear(site: Site) -> None:
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE, of=COUNT) == []


def another_than(worker: int) -> Callable[[dict[str, Any]], bool]:
    """Whether another process serves the first queue, in a state of the gateway."""
    return lambda state: state["queues"][0]["pid"] not in (worker, None, 0)


@pytest.mark.nightly
def test_a_dying_worker_costs_nothing(site: Site, tell: Tell) -> None:
    lab = RouterLab(site)
    with lab.captured():
        lab.calls.start()
        for _ in range(EVENTS):
            time.sleep(2)
            os.kill(lab.gateway.grown_worker(), signal.SIGKILL)
        calls = lab.calls.lost()
    packets = lost_in(site)
    tell(f"kill -9 of a worker, {EVENTS} times", packets, calls)
    state = lab.gateway.status()
    assert state["queues"][0]["deaths"] == EVENTS
    assert state["queues"][0]["lost"] == 0
    assert (packets.lost, packets.lost_again, calls) == ([], 0, 0)
    assert packets.sent >= PACKETS
    nothing_was_clear(site)


@pytest.mark.nightly
def test_a_reload_costs_nothing(site: Site, tell: Tell) -> None:
    lab = RouterLab(site)
    ring = site.folder / "mask.key"
    with lab.captured():
        lab.calls.start()
        for _ in range(EVENTS):
            time.sleep(2)
            before = lab.gateway.worker()
            KeyRing.load(ring).rotate().save(ring)
            lab.gateway.process.send_signal(signal.SIGHUP)
            lab.gateway.await_status(another_than(before))
        calls = lab.calls.lost()
    packets = lost_in(site)
    tell(f"SIGHUP with a new active key, {EVENTS} times", packets, calls)
    assert lab.gateway.status()["queues"][0]["lost"] == 0
    assert (packets.lost, packets.lost_again, calls) == ([], 0, 0)
    assert packets.sent >= PACKETS
    nothing_was_clear(site)


@pytest.mark.parametrize("how", ["kill -9", pytest.param("SIGTERM", marks=pytest.mark.nightly)])
def test_a_restart_costs_no_call(site: Site, tell: Tell, how: str) -> None:
    lab = RouterLab(site)
    with lab.captured():
        lab.calls.start_for_restarts()
        time.sleep(A_WHILE)
        outage = Outage(lab.gateway)
        if how == "SIGTERM":
            assert lab.gateway.end() == 0
        else:
            lab.gateway.kill()
        outage.over()
        calls = lab.calls.lost()
    packets = lost_in(site)
    tell(f"{how} of the supervisor, started again", packets, calls)
    assert [lost for lost in packets.lost if lost.time not in outage] == []
    assert calls == 0
    assert packets.sent >= PACKETS
    assert len(set(invites(site.folder / "out0.pcap"))) == COUNT  # sent again, it is the same
    nothing_was_clear(site)


@pytest.mark.nightly
def test_dry_run_to_live_to_drain_to_gone_costs_no_call(site: Site, tell: Tell) -> None:
    lab = RouterLab(site, "--dry-run")
    outages = []
    with lab.captured():
        lab.calls.start_for_restarts()
        for options in ((), ("--drain",)):
            time.sleep(4)
            outages.append(Outage(lab.gateway))
            assert lab.gateway.end() == 0
            ended = time.time()
            if not options:
                live = ended  # nothing leaves until somebody masks it
            outages[-1].over(*options)
        drain = ended
        time.sleep(4)
        state = lab.gateway.await_status(lambda state: (state["seconds_since_opened"] or 2) > 1.5)
        assert "masked" not in state["edits"]
        lab.gateway.rules("remove")
        assert lab.gateway.end() == 0
        calls = lab.calls.lost()
    packets = lost_in(site)
    tell("dry run, live, drain, gone", packets, calls)
    out = site.folder / "out0.pcap"
    assert [lost for lost in packets.lost if not any(lost.time in o for o in outages)] == []
    assert calls == 0
    assert packets.sent >= PACKETS
    assert showing(out, Site.OUTSIDE, ALICE, of=3 * RATE, since=live, until=drain) == []
    # It would have been seen, and was there to be seen.
    assert len(showing(out, Site.OUTSIDE, ALICE, of=3 * RATE, until=outages[0].begin)) > 3 * RATE
    assert len(showing(out, Site.OUTSIDE, ALICE, of=RATE, since=outages[1].end)) > RATE
