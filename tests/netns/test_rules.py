"""The rules in real kernels' tables, with real packets through them."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from inline_topo.errors import RulesError
from inline_topo.rules import firewall, iptables, preflight, status
from inline_topo.rules.plan import Family, Plan, Shape
from tests.netns import nfqueue
from tests.netns.nfqueue import Listener
from tests.netns.topology import (
    INSIDE,
    LAN,
    OUTSIDE,
    WAN,
    Namespace,
    Row,
    phone_address,
    receive_tagged,
    row,
)

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]

NETWORKS = (ip_network("10.9.1.0/24"), ip_network("2001:db8:1::/64"))
ROUTER = Plan(Shape.ROUTER, (5060,), (), NETWORKS, range(1), False)
HOST = ROUTER._replace(shape=Shape.HOST)
NAT = ROUTER._replace(shape=Shape.NAT, interfaces=("wan0",))
HEADERS = {Family.IPV4: 28, Family.IPV6: 48}
BOTH = pytest.mark.parametrize("family", Family, ids=str)


@pytest.fixture
def net() -> Iterator[Row]:
    with row() as hosts:
        yield hosts


@pytest.fixture(params=["nft", "legacy"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of iptables that a Debian has."""
    for family, prefix in ((Family.IPV4, "iptables"), (Family.IPV6, "ip6tables")):
        monkeypatch.setitem(firewall._SAVE, family, f"{prefix}-{request.param}-save")
        monkeypatch.setitem(firewall._RESTORE, family, f"{prefix}-{request.param}-restore")
    return str(request.param)


def apply(host: Namespace, plan: Plan) -> None:
    with host.enter():
        firewall.change({family: iptables.text(plan, family) for family in Family})


def remove(host: Namespace) -> None:
    with host.enter():
        firewall.change(dict.fromkeys(Family, ""))


def saved(host: Namespace) -> list[str]:
    """All rules of both families, without what changes by itself."""
    with host.enter():
        texts = [firewall.run([firewall._SAVE[family]]) for family in Family]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("#")]
    return [line.split(" [")[0] for line in lines]


def seen(host: Namespace, plan: Plan) -> list[status.FamilyStatus]:
    with host.enter():
        return status.status(plan)


def foreign(host: Namespace, backend: str) -> None:
    """Rules of somebody else, in every table that ours touch and in others."""
    text = """\
*raw
:somebody - [0:0]
-A PREROUTING -p tcp -m tcp --dport 53 -j CT --notrack
-A PREROUTING -j somebody
-A somebody -p udp -m udp --dport 53 -m comment --comment "like -j inline-topo" -j CT --notrack
COMMIT
*mangle
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
-A POSTROUTING -p udp -j DSCP --set-dscp 0x1a
COMMIT
*nat
-A POSTROUTING -o ppp0 -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
:inline-topology - [0:0]
-A FORWARD -p udp -m udp --dport 5060 -j ACCEPT
-A FORWARD -j inline-topology
COMMIT
"""
    for program in ("iptables", "ip6tables"):
        host.run(f"{program}-{backend}-restore", given=text)


@pytest.mark.parametrize("plan", [ROUTER, HOST, NAT], ids=lambda plan: plan.shape.value)
def test_apply_may_be_repeated_and_remove_leaves_the_rest(
    net: Row, backend: str, plan: Plan
) -> None:
    foreign(net.gateway, backend)
    before = saved(net.gateway)
    assert len(before) > 20
    apply(net.gateway, plan)
    once = saved(net.gateway)
    assert [line for line in once if "inline-topo" not in line] != []
    apply(net.gateway, plan)
    assert saved(net.gateway) == once
    ours = [line for line in once if line not in before]
    assert all("inline-topo" in line for line in ours)
    assert all(state.as_configured for state in seen(net.gateway, plan))
    remove(net.gateway)
    assert saved(net.gateway) == before
    remove(net.gateway)
    assert saved(net.gateway) == before


def test_another_shape_takes_the_place_of_the_first(net: Row, backend: str) -> None:
    apply(net.gateway, HOST)
    assert not any(state.as_configured for state in seen(net.gateway, NAT))
    apply(net.gateway, NAT)
    assert all(state.as_configured for state in seen(net.gateway, NAT))
    assert not any("notrack" in line for line in saved(net.gateway))


def test_a_text_that_was_loaded_by_hand_is_known(net: Row) -> None:
    net.gateway.run("iptables-restore", "--noflush", given=iptables.text(ROUTER, Family.IPV4))
    net.gateway.run("ip6tables-restore", "--noflush", given=iptables.text(ROUTER, Family.IPV6))
    assert all(state.as_configured for state in seen(net.gateway, ROUTER))
    net.gateway.run("iptables-restore", "--noflush", given=iptables.text(ROUTER, Family.IPV4))
    ipv4, ipv6 = seen(net.gateway, ROUTER)
    assert "mangle FORWARD has 2 jumps to our chains, not 1" in ipv4.differences
    assert ipv6.as_configured
    apply(net.gateway, ROUTER)
    assert all(state.as_configured for state in seen(net.gateway, ROUTER))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            "iptables -t mangle -I FORWARD -j ACCEPT",
            "mangle FORWARD: other rules stand before ours",
        ),
        ("iptables -t mangle -F inline-topo", "chain inline-topo in mangle has 0 rules, not 4"),
        ("iptables -t raw -F PREROUTING", "raw PREROUTING has 0 jumps to our chains, not 1"),
        ("iptables -t raw -A inline-topo -j RETURN", "chain inline-topo in raw has 2 rules, not 1"),
    ],
)
def test_status_sees_a_hand_in_them(net: Row, command: str, says: str) -> None:
    apply(net.gateway, ROUTER)
    net.gateway.run(*command.split())
    ipv4, ipv6 = seen(net.gateway, ROUTER)
    assert ipv4.differences == (says,)
    assert ipv6.as_configured
    apply(net.gateway, ROUTER)
    assert all(state.as_configured for state in seen(net.gateway, ROUTER))


def test_what_iptables_refuses_is_said_and_changes_nothing(net: Row, backend: str) -> None:
    foreign(net.gateway, backend)
    before = saved(net.gateway)
    refused = ROUTER._replace(queues=range(65536, 65537))
    with pytest.raises(RulesError, match=rf"^iptables-{backend}-restore: .*out of range"):
        apply(net.gateway, refused)
    assert saved(net.gateway) == before


@pytest.mark.parametrize("first", [{}, dict.fromkeys(Family, HOST)], ids=["none", "host"])
def test_what_one_family_refuses_changes_neither(
    net: Row, backend: str, first: dict[Family, Plan]
) -> None:
    foreign(net.gateway, backend)
    with net.gateway.enter():
        firewall.change({family: iptables.text(plan, family) for family, plan in first.items()})
    before = saved(net.gateway)
    # mangle is good, and is loaded before raw
    text = iptables.text(ROUTER, Family.IPV6).replace("-j CT --notrack", "-j NOWHERE")
    wanted = {Family.IPV4: iptables.text(ROUTER, Family.IPV4), Family.IPV6: text}
    refused = pytest.raises(RulesError, match=rf"^ip6tables-{backend}-restore: [^;]*NOWHERE[^;]*$")
    with refused, net.gateway.enter():
        firewall.change(wanted)
    assert saved(net.gateway) == before


def test_what_cannot_be_put_back_is_said(net: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = firewall._restore
    ran: list[Family] = []

    def fail_after_the_first(family: Family, now: firewall.Saved, text: str) -> None:
        if ran:
            raise RulesError("no more")
        ran.append(family)
        restore(family, now, text)

    monkeypatch.setattr(firewall, "_restore", fail_after_the_first)
    with pytest.raises(RulesError, match=r"^no more; IPv4 stays changed: no more$"):
        apply(net.gateway, ROUTER)


@BOTH
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


@BOTH
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


@BOTH
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


@BOTH
@pytest.mark.parametrize("interfaces", [("wan0",), ("lan0",), ("wan0", "lan0")], ids="+".join)
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


@BOTH
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


@BOTH
@pytest.mark.parametrize("interfaces", [(), ("lan0",), ("wan0",)], ids=["any", "lan0", "wan0"])
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


@pytest.mark.parametrize("interfaces", [(), ("br0",)], ids=["any", "br0"])
def test_a_bridge_judges_frames_where_br_netfilter_is_on(interfaces: tuple[str, ...]) -> None:
    with row(bridge=True) as net:
        apply(net.gateway, ROUTER._replace(interfaces=interfaces))
        for family in Family:
            out = net.outside.udp(OUTSIDE[family], 5060)
            phone = net.inside.udp(WAN[family], 5060)
            with Listener(net.gateway) as listener:
                for size in (100, 3500):
                    phone.sendto(b"x" * size, (OUTSIDE[family], 5060))
                    queued = listener.accept()
                    assert queued.hook == nfqueue.FORWARD
                    assert len(queued.packet) == size + HEADERS[family]
                    assert len(out.recv(5000)) == size
        assert net.gateway.tracked() == 0


@BOTH
def test_a_bridge_judges_tagged_frames_where_told_to(family: Family) -> None:
    ip = (IP if family is Family.IPV4 else IPv6)(src=WAN[family], dst=OUTSIDE[family])
    with row(bridge=True) as net:
        apply(net.gateway, ROUTER)
        sender, receiver = net.inside.link(), net.outside.link()
        frame = Ether(dst=receiver.getsockname()[4], src=sender.getsockname()[4])
        frame = frame / Dot1Q(vlan=7) / ip / UDP(sport=5060, dport=5060) / Raw(b"x" * 100)
        for judged in (False, True):
            setting = f"net.bridge.bridge-nf-filter-vlan-tagged={int(judged)}"
            net.gateway.run("sysctl", "-qw", setting)
            with Listener(net.gateway) as listener:
                sender.send(bytes(frame))
                if judged:
                    assert len(listener.accept().packet) == 100 + HEADERS[family]
                assert not listener.has_more(0)
            payload, vlan = receive_tagged(receiver)
            assert payload.endswith(b"x" * 100)
            assert vlan == 7
