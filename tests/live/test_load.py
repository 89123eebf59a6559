"""A thousand calls at a hundred a second, while nothing happens and while much does."""

import os
import signal
import time
from pathlib import Path

import pytest

from inline_topo.masking.codecs.keyring import KeyRing
from lab import calls
from lab.live import Lab
from lab.net import Net
from lab.ours import INLINE_TOPO
from lab.site import Site
from tests.live.running import Running
from tests.live.traffic import ALICE, COUNT, Calls, RouterLab, dump, invites, payloads, showing

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

LONG = 6000
"""A call's milliseconds that outlast a restart: sipp's callee fails on a BYE before the ACK, and a lost
ACK is said again only after the answer is."""

HOST = f"""\
shape = "host"
inside = ["{calls.PROXY}"]
own = ["{calls.PROXY}", "server.com"]
[topoh]
mask_key_file = "mask.key"
"""


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
    assert showing(tmp_path / "eth0.pcap", calls.BOB, calls.ALICE) == []
    assert showing(tmp_path / "eth0.pcap", calls.ALICE, calls.BOB) == []


def test_on_a_router_and_as_replay_does(site: Site) -> None:
    lab = RouterLab(site)
    with dump(site, "gw", "in0"), dump(site, "gw", "out0"):
        lab.calls.start()
        lab.calls.done()
    folder = site.folder
    assert showing(folder / "out0.pcap", Site.OUTSIDE, ALICE) == []
    for entered, left, source in (("in0", "out0", Site.INSIDE), ("out0", "in0", Site.OUTSIDE)):
        words = ("replay", "-r", f"{entered}.pcap", "-w", "replayed.pcap", "-c", "gw.toml")
        site.run("gw", "env", "-C", str(folder), *INLINE_TOPO, *words)
        replayed = payloads(folder / "replayed.pcap", source)
        assert sum(replayed.values()) >= 3 * COUNT
        assert replayed == payloads(folder / f"{left}.pcap", source)


@pytest.mark.full
def test_calls_outlive_dying_workers_and_rotating_keys(site: Site) -> None:
    lab = RouterLab(site)
    ring = site.folder / "mask.key"
    with dump(site, "gw", "out0"):
        lab.calls.start()
        for _ in range(3):
            time.sleep(1.2)
            os.kill(lab.gateway.worker(), signal.SIGKILL)
            time.sleep(1.2)
            KeyRing.load(ring).rotate().save(ring)
            lab.gateway.process.send_signal(signal.SIGHUP)
        lab.calls.few_failed()
    state = lab.gateway.status()
    assert state["queues"][0]["deaths"] == 3
    assert state["queues"][0]["lost"] == 0
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE) == []


@pytest.mark.full
def test_calls_outlive_a_gateway_that_is_killed_and_started_again(site: Site) -> None:
    lab = RouterLab(site)
    with dump(site, "gw", "out0"):
        lab.calls.start(pause=LONG)
        time.sleep(2)
        lab.gateway.process.kill()
        lab.gateway.process.wait()
        time.sleep(1)  # its workers notice
        (site.folder / "gateway.log").write_text("")
        lab.gateway.start()
        lab.calls.few_failed()
    assert len(set(invites(site.folder / "out0.pcap"))) <= COUNT  # sent again, it is the same
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE) == []


@pytest.mark.full
def test_calls_outlive_dry_run_to_live_to_drain_to_gone(site: Site) -> None:
    lab = RouterLab(site, "--dry-run")
    lab.calls.start(pause=LONG)
    for options in ((), ("--drain",)):
        time.sleep(2)
        assert lab.gateway.end() == 0
        (site.folder / "gateway.log").write_text("")
        lab.gateway.start(*options)
    time.sleep(3)
    state = lab.gateway.await_status(lambda state: (state["seconds_since_opened"] or 2) > 1.5)
    assert "masked" not in state["edits"]
    lab.gateway.rules("remove")
    assert lab.gateway.end() == 0
    lab.calls.few_failed()


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
    for number in range(8000):
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
    assert state["packets"] > 8000
    assert "error" not in lab.gateway.outcomes()
