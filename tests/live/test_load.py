"""Hundreds of calls at a hundred a second, while nothing happens and while junk comes."""

import os
import time
from itertools import cycle
from pathlib import Path

import pytest

from attacks import cost
from lab import calls
from lab.live import Lab
from lab.net import Net
from lab.site import Site
from tests.live.running import Running
from tests.live.traffic import (
    ALICE,
    COUNT,
    ROUTER,
    Calls,
    RouterLab,
    dump,
    replays_as_it_was,
    showing,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

HOST = f"""\
shape = "host"
inside = ["{calls.PROXY}"]
own = ["{calls.PROXY}", "server.com"]
[topoh]
mask_key_file = "mask.key"
"""


@pytest.mark.full
def test_on_the_proxys_own_host(tmp_path: Path) -> None:
    with Net(tmp_path) as net:
        lab = Lab(net, topoh=False)
        for host, address in (("srv", calls.PROXY), ("alice", calls.ALICE), ("bob", calls.BOB)):
            net.host(host, address)
        lab.proxy("srv", f"{calls.PROXY}:5060", defines={"BOB": f'"sip:bob@{calls.BOB}:5060"'})
        running = Running(net, HOST, host="srv")
        many = Calls(lab, ("alice", calls.ALICE), ("bob", calls.BOB), calls.PROXY)
        with dump(net, "srv", "eth0"):
            many.start()
            many.done()
        state = running.status()
    assert state["queues"][0]["lost"] == 0
    assert state["outcomes"]["egress"].keys() <= {"masked", "unchanged"}
    assert showing(tmp_path / "eth0.pcap", calls.BOB, calls.ALICE, of=COUNT) == []
    assert showing(tmp_path / "eth0.pcap", calls.ALICE, calls.BOB, of=COUNT) == []


def test_on_a_router_and_as_replay_does(site: Site) -> None:
    lab = RouterLab(site)
    with lab.captured():
        lab.calls.start()
        lab.calls.done()
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE, of=COUNT) == []
    replays_as_it_was(lab)


@pytest.mark.full
def test_junk_and_broken_sip_at_a_thousand_a_second_cost_no_call(site: Site) -> None:
    lab = RouterLab(site)
    lab.calls.start()
    inside = site.udp("inside", ALICE, 5070)
    outside = site.udp("outside", Site.OUTSIDE, 5070)
    junk = [
        b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP\r\nContact: <<<\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: ;;;\r\nRecord-Route: \x00\r\n\r\n",
        os.urandom(900),
        bytes.fromhex("000100002112a442b7e7a701bc34d686fa87dfae"),
        b"\r\n",
    ]
    begin = time.monotonic()
    for number in range(8 * COUNT):
        message = junk[number // 2 % len(junk)]
        if number % 2:
            inside.sendto(message, (Site.OUTSIDE, 5060))
        else:
            outside.sendto(message, (Site.INSIDE, 5060))
        time.sleep(max(0.0, number / 1000 - (time.monotonic() - begin)))
    lab.calls.done()
    state = lab.gateway.status()
    assert state["queues"][0]["deaths"] == 0
    assert state["queues"][0]["lost"] == 0
    assert state["packets"] > 8 * COUNT
    assert "error" not in lab.gateway.outcomes()


@pytest.mark.full
@pytest.mark.parametrize("audit", ["0", "enforce"])
def test_a_datagram_of_every_kind_from_outside_costs_no_call(site: Site, audit: str) -> None:
    """An outsider sends the longest datagrams there are, ten a second, one of each kind that the grid of
    costs has, as far as the calls last (with LIVE_CALLS=1000 each twenty-fifth)."""
    lab = RouterLab(site, config=f'audit = "{audit}"\n{ROUTER}')
    outside = site.udp("outside", Site.OUTSIDE, 5070)
    number = COUNT // 10
    kinds = cost.patterns()
    kinds = kinds[:: len(kinds) // number][:number]
    sent = 0
    lab.calls.start()
    begin = time.monotonic()
    for kind, way in zip(kinds, cycle(("entering request", "entering response")), strict=False):
        outside.sendto(kind.payload(way, cost.SIZES[-1], sent), (ALICE, 5060))
        sent += 1
        time.sleep(max(0.0, sent / 10 - (time.monotonic() - begin)))
    lab.calls.done()
    state = lab.gateway.status()
    assert state["queues"][0]["deaths"] == 0
    assert state["queues"][0]["lost"] == 0
    assert state["packets"] >= 6 * COUNT + sent
    assert "error" not in lab.gateway.outcomes()
