"""A gateway that seals as Kamailio's topoh does, and a real topoh with its key at the link's other end."""

from pathlib import Path

import pytest

from lab import calls
from lab.live import Lab
from lab.net import Net
from lab.site import Site
from tests.live.running import Running
from tests.live.traffic import (
    ALICE,
    COUNT,
    Calls,
    RouterLab,
    answering,
    dump,
    refused,
    replays_as_it_was,
    showing,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

CARRIER = "198.51.100.60"
"""The far proxy, with topoh."""

BOB = "203.0.113.22"
"""bob's phone in shape router, on the far proxy's own machine."""

TOPOH = """\
[topoh]
codec = "kamailio"
mask_key = "my secret here"
mask_ip = "10.1.1.10"
"""
HOST = f"""\
shape = "host"
inside = ["{calls.PROXY}"]
own = ["{calls.PROXY}", "server.com"]
{TOPOH}"""
ROUTER = f"""\
inside = ["192.168.178.0/24"]
own = ["{Site.INSIDE}", "server.com"]
{TOPOH}"""


@pytest.mark.parametrize("mask_ip", ["10.2.2.20", "10.1.1.10"], ids=["another", "the same"])
def test_on_the_proxys_own_host(tmp_path: Path, mask_ip: str) -> None:
    # A Contact that shows our mask address is not sealed again: the far topoh gets its own token
    # opened, and would take a `line` that bob's phone put there for another one.
    bob = answering("bob") if mask_ip in TOPOH else calls.answering_bob()
    with Net(tmp_path) as net:
        plain, topoh = Lab(net, topoh=False), Lab(net, topoh=True)
        net.host("srv", calls.PROXY)
        net.host("alice", calls.ALICE)
        net.host("carrier", CARRIER)
        net.host("bob", calls.FAR)
        plain.proxy("srv", f"{calls.PROXY}:5060", defines={"BOB": f'"sip:bob@{CARRIER}:5060"'})
        defines = {"BOB": f'"sip:bob@{calls.FAR}:5060"', "MASK_IP": f'"{mask_ip}"'}
        topoh.proxy("carrier", f"{CARRIER}:5060", defines=defines)
        running = Running(net, HOST, host="srv")
        many = Calls(plain, ("alice", calls.ALICE), ("bob", calls.FAR), calls.PROXY)
        with dump(net, "link", "br0"):
            many.start(callee=bob)
            many.done()
        state = running.status()
    assert state["queues"][0]["lost"] == 0
    assert refused(state) == []
    assert state["edits"]["opened"]["Request-URI"] >= 2 * COUNT
    for target in (CARRIER, calls.FAR):
        assert showing(tmp_path / "br0.pcap", target, calls.ALICE, of=COUNT) == []
    for target in (calls.PROXY, calls.ALICE):
        assert showing(tmp_path / "br0.pcap", target, calls.FAR, of=COUNT) == []


def test_on_a_router_and_as_replay_does(site: Site) -> None:
    site.run("outside", "ip", "addr", "add", f"{BOB}/24", "dev", "eth0")
    lab = RouterLab(site, config=ROUTER)
    defines = {"BOB": f'"sip:bob@{BOB}:5060"'}
    Lab(site, topoh=True).proxy("outside", f"{Site.OUTSIDE}:5060", defines=defines)
    many = Calls(Lab(site, topoh=False), ("inside", ALICE), ("outside", BOB), Site.INSIDE)
    with lab.captured(), dump(site, "outside", "lo"):
        many.start()
        many.done()
    state = lab.gateway.status()
    assert refused(state) == []
    assert state["edits"]["opened"]["Via"] >= 3 * COUNT
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE, of=COUNT) == []
    assert showing(site.folder / "out0.pcap", Site.INSIDE, BOB, of=COUNT) == []
    assert showing(site.folder / "lo.pcap", BOB, ALICE, of=COUNT) == []
    replays_as_it_was(lab)
