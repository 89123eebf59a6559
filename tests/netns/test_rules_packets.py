"""Real packets through the rules: which of them come to the queue, and how."""

import select
import socket
from contextlib import ExitStack

import pytest

from inline_topo.rules import firewall, iptables, preflight, status
from inline_topo.rules.plan import Family
from tests.netns import nfqueue
from tests.netns.applied import HEADERS, HOST, NAT, ROUTER, apply, seen
from tests.netns.nfqueue import Listener
from tests.netns.topology import INSIDE, LAN, OUTSIDE, WAN, Row, phone_address

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]

BOTH = pytest.mark.parametrize("family", Family, ids=str)
FULL = pytest.mark.full
BY_BACKEND = pytest.mark.parametrize(
    ("backend", "family"),
    [
        ("nft", Family.IPV4),
        ("legacy", Family.IPV6),
        pytest.param("nft", Family.IPV6, marks=FULL),
        pytest.param("legacy", Family.IPV4, marks=FULL),
    ],
    ids=str,
    indirect=["backend"],
)
"""Each kind of iptables with one family by default."""


def by_interfaces(*each: tuple[str, ...]) -> pytest.MarkDecorator:
    """Every choice of interfaces with both families, by default with one by turns."""
    pairs = [
        pytest.param(family, names, marks=[FULL] if (at + turn) % 2 else [])
        for at, names in enumerate(each)
        for turn, family in enumerate(Family)
    ]
    return pytest.mark.parametrize(
        ("family", "interfaces"),
        pairs,
        ids=lambda value: str(value) if isinstance(value, Family) else "+".join(value) or "any",
    )


@BY_BACKEND
def test_datagrams_arrive_whole_and_leave_no_conntrack_entries(
    net: Row, backend: str, family: Family
) -> None:
    apply(net.gateway, ROUTER)
    out = net.outside.udp(OUTSIDE[family], 5060)
    phone = net.inside.udp(INSIDE[family], 40000)
    with Listener(net.gateway) as listener:
        phone.sendto(b"x" * 3500, (OUTSIDE[family], 5060))
        queued = listener.accept()
        assert (queued.hook, len(queued.packet)) == (nfqueue.FORWARD, 3500 + HEADERS[family])
        assert len(out.recv(5000)) == 3500
        out.sendto(b"y" * 2000, (INSIDE[family], 40000))
        assert len(listener.accept().packet) == 2000 + HEADERS[family]
        assert len(phone.recv(5000)) == 2000
        assert not listener.has_more()
    assert net.gateway.tracked() == 0


@BY_BACKEND
def test_conntrack_stays_off_for_all_other_traffic_too(
    net: Row, backend: str, family: Family
) -> None:
    apply(net.gateway, ROUTER)
    out = net.outside.udp(OUTSIDE[family], 4000)
    net.inside.udp(INSIDE[family], 4000).sendto(b"x" * 3500, (OUTSIDE[family], 4000))
    assert len(out.recv(5000)) == 3500
    assert net.gateway.tracked() == 0


@BOTH
def test_sip_stays_untracked_where_others_are_tracked(net: Row, family: Family) -> None:
    program = "iptables" if family is Family.IPV4 else "ip6tables"
    net.gateway.run(
        program, "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"
    )
    apply(net.gateway, ROUTER)
    out = net.outside.udp(OUTSIDE[family], 4000)
    sip = net.outside.udp(OUTSIDE[family], 5060)
    with Listener(net.gateway) as listener:
        net.inside.udp(INSIDE[family], 5060).sendto(b"x" * 3500, (OUTSIDE[family], 5060))
        assert len(listener.accept().packet) == 3500 + HEADERS[family]
    assert len(sip.recv(5000)) == 3500
    assert net.gateway.tracked() == 0
    net.inside.udp(INSIDE[family], 4000).sendto(b"x", (OUTSIDE[family], 4000))
    assert out.recv(5000) == b"x"
    assert net.gateway.tracked() == 1


@BOTH
def test_fragments_reach_the_queue_where_nothing_puts_them_together(
    net: Row, family: Family
) -> None:
    apply(net.gateway, ROUTER)
    program = "iptables" if family is Family.IPV4 else "ip6tables"
    net.gateway.run(program, "-t", "raw", "-F", iptables.DEFRAGMENT)
    out = net.outside.udp(OUTSIDE[family], 5060)
    with Listener(net.gateway) as listener:
        net.inside.udp(INSIDE[family], 5060).sendto(b"x" * 3500, (OUTSIDE[family], 5060))
        assert [len(listener.accept().packet) > 500 for _ in range(3)] == [True] * 3
        assert not listener.has_more()
    assert len(out.recv(5000)) == 3500
    with net.gateway.enter():
        found = preflight.judge(ROUTER, family, firewall.read(family))
    assert [finding.text.split(",")[0] for finding in found] == [
        f"{family}: nothing puts fragments together"
    ]


@BY_BACKEND
def test_host_judges_what_comes_and_goes_but_not_lo(net: Row, backend: str, family: Family) -> None:
    apply(net.gateway, HOST)
    server = net.gateway.udp(WAN[family], 5060)
    out = net.outside.udp(OUTSIDE[family], 5060)
    with Listener(net.gateway) as listener:
        out.sendto(b"x" * 3500, (WAN[family], 5060))
        queued = listener.accept()
        assert (queued.hook, len(queued.packet)) == (nfqueue.INPUT, 3500 + HEADERS[family])
        assert len(server.recv(5000)) == 3500
        server.sendto(b"y" * 3500, (OUTSIDE[family], 5060))
        queued = listener.accept()
        assert (queued.hook, len(queued.packet)) == (nfqueue.OUTPUT, 3500 + HEADERS[family])
        assert len(out.recv(5000)) == 3500
        local = net.gateway.udp(LAN[family], 5062)
        local.sendto(b"z", (WAN[family], 5060))
        assert server.recv(5000) == b"z"
        assert not listener.has_more()
    assert net.gateway.tracked() == 0


def test_nat_sees_the_private_address_and_whole_datagrams(net: Row, backend: str) -> None:
    masquerade = ["-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE"]
    net.gateway.run(f"iptables-{backend}", *masquerade)
    apply(net.gateway, NAT)
    out = net.outside.udp("198.51.100.2", 5060)
    phone = net.inside.udp("10.9.1.2", 5060)
    with Listener(net.gateway) as listener:
        phone.sendto(b"x" * 3500, ("198.51.100.2", 5060))
        queued = listener.accept().packet
        assert len(queued) == 3528
        assert socket.inet_ntoa(queued[12:16]) == "10.9.1.2"
        data, source = out.recvfrom(5000)
        assert (len(data), source) == (3500, ("198.51.100.1", 5060))
        out.sendto(b"y" * 3500, source)
        queued = listener.accept().packet
        assert len(queued) == 3528
        assert socket.inet_ntoa(queued[16:20]) == "10.9.1.2"
        assert len(phone.recv(5000)) == 3500
    assert net.gateway.tracked() == 1
    assert seen(net.gateway, NAT)[0].renumbered == 0


def test_nat_keeps_a_new_flow_whose_packets_wait_together(net: Row) -> None:
    masquerade = ["-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE"]
    net.gateway.run("iptables", *masquerade)
    apply(net.gateway, NAT)
    out = net.outside.udp("198.51.100.2", 5060)
    phone = net.inside.udp("10.9.1.2", 5060)
    with Listener(net.gateway) as listener:
        for number in range(5):  # none is judged yet, so conntrack has confirmed none
            phone.sendto(b"%d" % number, ("198.51.100.2", 5060))
        with net.gateway.enter():
            queues = status.listeners()
        assert queues
        assert queues[0].waiting == 5
        for _ in range(5):
            listener.accept()
        received = [out.recvfrom(5000) for _ in range(5)]
    assert received == [(b"%d" % number, ("198.51.100.1", 5060)) for number in range(5)]


def test_nat_says_when_it_changed_a_port(net: Row) -> None:
    masquerade = ["-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE"]
    net.gateway.run("iptables", *masquerade)
    apply(net.gateway, NAT)
    out = net.outside.udp("198.51.100.2", 5060)
    with Listener(net.gateway) as listener:
        ports = []
        for address in ("10.9.1.2", "10.9.1.3"):  # two phones cannot have the one port
            phone = net.inside.udp(address, 5060)
            for _ in range(2):  # the NAT decides on the first packet
                phone.sendto(b"x", ("198.51.100.2", 5060))
                listener.accept()
                ports.append(out.recvfrom(5000)[1][1])
    assert ports[:2] == [5060, 5060]
    assert 5060 not in ports[2:]
    assert seen(net.gateway, NAT)[0].renumbered == 1


@BOTH
def test_nothing_passes_while_nobody_listens(net: Row, family: Family) -> None:
    apply(net.gateway, ROUTER)
    out = net.outside.udp(OUTSIDE[family], 5060)
    phone = net.inside.udp(INSIDE[family], 5060)
    phone.sendto(b"x", (OUTSIDE[family], 5060))
    assert not select.select([out], [], [], 0.3)[0]
    apply(net.gateway, ROUTER._replace(bypass=True))
    phone.sendto(b"x", (OUTSIDE[family], 5060))
    assert out.recv(5000) == b"x"


@by_interfaces(("wan0",), ("lan0",), ("wan0", "lan0"))
def test_interfaces_narrow_what_is_queued(
    net: Row, family: Family, interfaces: tuple[str, ...]
) -> None:
    apply(net.gateway, ROUTER._replace(interfaces=interfaces))
    out = net.outside.udp(OUTSIDE[family], 5060)
    phone = net.inside.udp(INSIDE[family], 5060)
    with Listener(net.gateway) as listener:
        for source, target, there in ((phone, out, OUTSIDE), (out, phone, INSIDE)):
            source.sendto(b"x" * 3500, (there[family], 5060))
            assert len(listener.accept().packet) == 3500 + HEADERS[family]
            assert len(target.recv(5000)) == 3500
    assert net.gateway.tracked() == 0
    apply(net.gateway, ROUTER._replace(interfaces=("dmz0",)))
    phone.sendto(b"x", (OUTSIDE[family], 5060))
    assert out.recv(5000) == b"x"


@BY_BACKEND
def test_icmp_errors_that_quote_sip_are_queued_and_no_others(
    net: Row, backend: str, family: Family
) -> None:
    apply(net.gateway, ROUTER)
    icmp = 1 if family is Family.IPV4 else 58
    at = 9 if family is Family.IPV4 else 6
    sip = net.outside.udp(OUTSIDE[family], 5060)
    other = net.outside.udp(OUTSIDE[family], 4000)
    with Listener(net.gateway) as listener:
        sip.sendto(b"the inside", (INSIDE[family], 5070))  # nobody is there
        assert listener.accept().packet[at] == 17
        error = listener.accept()
        assert (error.hook, error.packet[at]) == (nfqueue.FORWARD, icmp)
        assert error.packet.endswith(b"the inside")
        other.sendto(b"not SIP", (INSIDE[family], 4000))
        assert not listener.has_more()


@by_interfaces((), ("lan0",), ("wan0",))
def test_the_routers_own_icmp_errors_are_queued(
    net: Row, family: Family, interfaces: tuple[str, ...]
) -> None:
    apply(net.gateway, ROUTER._replace(interfaces=interfaces))
    gone = "10.9.1.77" if family is Family.IPV4 else "2001:db8:1::77"
    at = 9 if family is Family.IPV4 else 6
    net.gateway.run("ip", "neigh", "flush", "all")
    with net.gateway.enter():
        for setting in ("ipv4", "ipv6"):
            with open(f"/proc/sys/net/{setting}/neigh/lan0/retrans_time_ms", "w") as file:
                file.write("50")
    with Listener(net.gateway) as listener:
        net.outside.udp(OUTSIDE[family], 5060).sendto(b"opened", (gone, 5060))
        assert listener.accept().packet[at] == 17
        error = listener.accept()
        assert (error.hook, error.packet[at]) == (nfqueue.OUTPUT, 1 if at == 9 else 58)
        assert error.packet.endswith(b"opened")


@BOTH
def test_sip_over_tcp_is_queued(net: Row, family: Family) -> None:
    apply(net.gateway, ROUTER)
    kind = socket.AF_INET if family is Family.IPV4 else socket.AF_INET6
    with net.inside.enter():
        tcp = socket.socket(kind, socket.SOCK_STREAM)
    tcp.setblocking(False)
    with Listener(net.gateway) as listener:
        tcp.connect_ex((OUTSIDE[family], 5060))
        assert listener.accept().packet[9 if family is Family.IPV4 else 6] == 6
    tcp.close()


@BOTH
def test_messages_between_two_hosts_share_a_queue(net: Row, family: Family) -> None:
    apply(net.gateway, ROUTER._replace(queues=range(4)))
    out = net.outside.udp(OUTSIDE[family], 5060)
    used = set()
    with ExitStack() as stack:
        listeners = [stack.enter_context(Listener(net.gateway, number)) for number in range(4)]

        def judged() -> int:
            ready, _, _ = select.select(listeners, [], [], 2)
            ready[0].accept()
            return listeners.index(ready[0])

        for number in range(20, 32):
            phone = net.inside.udp(phone_address(family, number), 5060)
            phone.sendto(b"x", (OUTSIDE[family], 5060))
            used.add(there := judged())
            _, source = out.recvfrom(5000)
            out.sendto(b"y", source)
            assert judged() == there
            other = net.inside.udp(source[0], 5062)
            other.sendto(b"z", (OUTSIDE[family], 5060))
            assert judged() == there
            out.recv(5000)
    assert len(used) > 1
