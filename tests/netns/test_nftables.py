"""The rules for nft, with the one statement that a kernel may lack put aside."""

import re
import shutil
import socket
import subprocess
from ipaddress import ip_network

import pytest

from inline_topo.rules import nftables
from inline_topo.rules.plan import Family, Plan, Shape
from tests.netns.topology import INSIDE, OUTSIDE, WAN, Row

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "nft")]

NETWORKS = (ip_network("10.9.1.0/24"), ip_network("2001:db8:1::/64"))
ROUTER = Plan(Shape.ROUTER, (5060, 5080), (), NETWORKS, range(2), False)
SHAPES = [ROUTER, ROUTER._replace(shape=Shape.HOST), ROUTER._replace(shape=Shape.NAT)]
BOTH = pytest.mark.parametrize("family", Family, ids=str)


def load(net: Row, plan: Plan) -> None:
    text = nftables.text(plan)
    without, count = re.subn(r"queue num .*", "accept", text)
    assert count == 1
    net.gateway.run("nft", "-f", "-", given=without)


def queued(net: Row) -> tuple[int, int]:
    """Packets and bytes that came to where `queue` would be."""
    chain = net.gateway.run("nft", "list", "chain", "inet", nftables.TABLE, "queued")
    counter = re.search(r"packets (\d+) bytes (\d+)", chain)
    assert counter
    return int(counter[1]), int(counter[2])


@pytest.mark.parametrize("interfaces", [(), ("wan0", "lan0")], ids=["any", "two"])
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("plan", SHAPES, ids=lambda plan: plan.shape.value)
def test_they_load_again_and_again(
    net: Row, plan: Plan, interfaces: tuple[str, ...], resets: bool
) -> None:
    plan = plan._replace(interfaces=interfaces, resets=resets)
    load(net, plan)
    once = net.gateway.run("nft", "list", "ruleset")
    load(net, plan)
    assert net.gateway.run("nft", "list", "ruleset") == once
    net.gateway.run("nft", "delete", "table", "inet", nftables.TABLE)
    assert net.gateway.run("nft", "list", "ruleset") == ""


@pytest.mark.parametrize("bypass", [False, True])
def test_nft_reads_the_queue_statement(net: Row, bypass: bool) -> None:
    """Where the kernel has none, that is all that is wrong."""
    nft = shutil.which("nft")
    assert nft
    with net.gateway.enter():
        done = subprocess.run(
            [nft, "--check", "-f", "-"],
            input=nftables.text(ROUTER._replace(bypass=bypass)),
            capture_output=True,
            text=True,
            check=False,
        )
    errors = re.findall(r"Error: (.*)", done.stderr)
    assert errors in ([], ["Could not process rule: No such file or directory"])
    if errors:
        assert "queue num 0-1" in done.stderr


@BOTH
def test_datagrams_are_whole_and_untracked(net: Row, family: Family) -> None:
    load(net, ROUTER)
    out = net.outside.udp(OUTSIDE[family], 5060)
    net.inside.udp(INSIDE[family], 5060).sendto(b"x" * 3500, (OUTSIDE[family], 5060))
    assert len(out.recv(5000)) == 3500
    assert queued(net) == (1, 3528 if family is Family.IPV4 else 3548)
    assert net.gateway.tracked() == 0


@BOTH
def test_host_both_ways(net: Row, family: Family) -> None:
    load(net, ROUTER._replace(shape=Shape.HOST))
    server = net.gateway.udp(WAN[family], 5060)
    out = net.outside.udp(OUTSIDE[family], 40000)
    out.sendto(b"x" * 3500, (WAN[family], 5060))
    data, source = server.recvfrom(5000)
    server.sendto(data, source)
    assert len(out.recv(5000)) == 3500
    assert queued(net) == (2, 2 * (3528 if family is Family.IPV4 else 3548))
    assert net.gateway.tracked() == 0
    server.sendto(b"x", (WAN[family], 5060))  # by lo
    assert queued(net)[0] == 2


@BOTH
def test_tcp_is_reset_on_its_way_through(net: Row, family: Family) -> None:
    load(net, ROUTER._replace(resets=True))
    kind = socket.AF_INET if family is Family.IPV4 else socket.AF_INET6
    with net.outside.enter():
        server = socket.create_server((OUTSIDE[family], 5060), family=kind)
    with net.inside.enter():
        client = socket.socket(kind, socket.SOCK_STREAM)
    with server, client:
        client.settimeout(5)
        with pytest.raises(ConnectionRefusedError):
            client.connect((OUTSIDE[family], 5060))
    assert queued(net)[0] >= 1


@BOTH
def test_icmp_errors_that_quote_sip(net: Row, family: Family) -> None:
    load(net, ROUTER)
    out = net.outside.udp(OUTSIDE[family], 5060)
    out.connect((INSIDE[family], 5070))  # nobody is there
    out.send(b"x")
    with pytest.raises(ConnectionRefusedError):
        out.recv(1)
    assert queued(net)[0] == 2
    other = net.outside.udp(OUTSIDE[family], 4000)
    other.connect((INSIDE[family], 4000))
    other.send(b"x")
    with pytest.raises(ConnectionRefusedError):
        other.recv(1)
    assert queued(net)[0] == 2
