"""The port to the kernel's queues."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from lab.ours import PYTHON
from lab.site import Site
from tests.live.holding import PACKETS

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]

SCRIPT = Path(__file__).with_name("orphan.py")
QUEUE = ("iptables", "-t", "mangle", "-A", "FORWARD", "-p", "udp", "-j", "NFQUEUE")


@pytest.mark.parametrize(("fate", "arrive"), [("REPEAT", {b"1", b"2"}), ("DROP", {b"2"})])
def test_the_packet_in_a_killed_workers_hand(site: Site, fate: str, arrive: set[bytes]) -> None:
    site.run("gw", *QUEUE)
    program = site.start("gw", "orphan.log", *PYTHON, str(SCRIPT), fate)
    site.await_text("orphan.log", "bound")
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    inside.sendto(b"1", (Site.OUTSIDE, 5060))
    site.await_text("orphan.log", "killed")
    inside.sendto(b"2", (Site.OUTSIDE, 5060))
    assert {outside.recv(100) for _ in arrive} == arrive
    assert program.wait(10) == 0
    site.await_text("orphan.log", f"judged {len(arrive)}")


def test_no_verdict_waits_for_the_judging_of_all_that_were_read_with_it(site: Site) -> None:
    site.run("gw", *QUEUE)
    site.start("gw", "holding.log", *PYTHON, str(SCRIPT.with_name("holding.py")))
    site.await_text("holding.log", "bound")
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    burst = [b"%d" % number for number in range(PACKETS)]
    for message in burst:
        inside.sendto(message, (Site.OUTSIDE, 5060))
    came = []
    for _ in burst:
        came.append((outside.recv(100), time.monotonic()))
    assert [message for message, _ in came] == burst
    gaps = [after - before for (_, before), (_, after) in pairwise(came)]
    assert max(gaps) < 0.3
    assert came[-1][1] - came[0][1] > 0.25
