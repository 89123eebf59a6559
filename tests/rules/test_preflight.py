"""What the start-up check says, one line each, about rules as iptables-save and nft write them."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from inline_topo.rules import firewall, iptables, preflight, status
from inline_topo.rules.forwarding import Forwarding
from inline_topo.rules.plan import Family, Plan, Shape

ROUTER = Plan(Shape.ROUTER, (5060, 5080), (), (ip_network("10.9.1.0/24"),), range(2, 4), False)
NAT = ROUTER._replace(shape=Shape.NAT)
GOOD = """\
*raw
[0:0] -A elsewhere -m socket
COMMIT
*mangle
[0:0] -A FORWARD -p udp -m udp --dport 5060 -j NFQUEUE --queue-balance 2:3
COMMIT
"""


def texts(saved: str, native: str = "", plan: Plan = ROUTER) -> list[tuple[bool, str]]:
    return [
        (finding.fatal, finding.text)
        for finding in preflight.judge(plan, Family.IPV4, firewall.parse(saved), native)
    ]


def test_finds_nothing_where_nothing_is_wrong() -> None:
    assert texts(GOOD) == []


def test_finds_our_own_rules_good() -> None:
    written = iptables.text(ROUTER, Family.IPV4).replace("\n-A", "\n[0:0] -A")
    assert texts(written) == []


def test_finds_what_is_missing() -> None:
    assert texts("") == [
        (False, "IPv4: no rule sends packets to queue 2, 3: inline-topo rules apply"),
        (
            False,
            "IPv4: nothing puts fragments together, long messages are cut: inline-topo rules apply",
        ),
    ]
    one = GOOD.replace("--queue-balance 2:3", "--queue-num 2")
    assert texts(one) == [
        (False, "IPv4: no rule sends packets to queue 3: inline-topo rules apply")
    ]


def test_finds_where_nothing_resets_tcp() -> None:
    resets = ROUTER._replace(resets=True)
    [(fatal, text)] = texts(GOOD, plan=resets)
    assert (fatal, "no rule resets SIP over TCP" in text) == (False, True)
    assert texts(GOOD, "table inet x {\n tcp dport 5060 reject with tcp reset\n}", resets) == []
    written = iptables.text(resets, Family.IPV4).replace("\n-A", "\n[0:0] -A")
    assert texts(written, plan=resets) == []


@pytest.mark.parametrize(
    ("rule", "defragments"),
    [
        ("raw -A PREROUTING -p udp -m udp --dport 5060 -j CT --notrack", False),
        ("raw -A PREROUTING -p tcp -j CT --zone 1", True),
        ("filter -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", True),
        ("filter -A FORWARD -m state --state NEW -j ACCEPT", True),
        ("nat -A PREROUTING -p tcp -j REDIRECT", True),
        ("mangle -A PREROUTING -p udp -j TPROXY --on-port 5060", True),
    ],
)
def test_knows_what_turns_defragmentation_on(rule: str, defragments: bool) -> None:
    table, _, line = rule.partition(" ")
    found = texts(f"*{table}\n[0:0] {line}\nCOMMIT\n")
    assert any("fragments" in text for _, text in found) is not defragments


@pytest.mark.parametrize(
    ("rule", "fatal"),
    [
        ("-A PREROUTING -p udp -m udp --dport 5060 -j CT --helper sip", True),
        ("-A PREROUTING -p udp -m multiport --dports 5000:5070,6000 -j CT --helper sip", True),
        ("-A PREROUTING -p udp -j CT --helper sip", True),
        ("-A PREROUTING -p udp -m udp --dport 5070 -j CT --helper sip", False),
        ("-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp", False),
    ],
)
def test_the_kernels_sip_helper_on_our_port_is_fatal(rule: str, fatal: bool) -> None:
    found = texts(GOOD + f"*raw\n[0:0] {rule}\nCOMMIT\n")
    assert [is_fatal for is_fatal, _ in found] == [True] * fatal
    assert all("nf_conntrack_sip" in text for _, text in found)


def test_native_rules_of_nftables_count() -> None:
    native = """table inet mine {
    ct helper sip-5060 { type "sip" protocol udp; }
    chain forward {
        type filter hook forward priority mangle; policy accept;
        ct state established accept
        udp dport 5060 queue flags bypass to 2-3
        udp dport 5060 ct helper set "sip-5060"
    }
}
"""
    found = texts("", native)
    assert [is_fatal for is_fatal, _ in found] == [True]
    assert "ct helper set" in found[0][1]
    unused = native.replace('udp dport 5060 ct helper set "sip-5060"', "")
    assert texts("", unused) == []


def test_tables_of_the_other_family_do_not_count() -> None:
    ruleset = "table ip one {\n a\n}\ntable ip6 two {\n b\n}\ntable inet three {\n c\n}\n"
    ipv4 = preflight._tables_of(Family.IPV4, ruleset)
    assert (" a" in ipv4, " b" in ipv4, " c" in ipv4) == (True, False, True)
    ipv6 = preflight._tables_of(Family.IPV6, ruleset)
    assert (" a" in ipv6, " b" in ipv6, " c" in ipv6) == (False, True, True)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("-A POSTROUTING -o wan0 -j MASQUERADE", ""),
        ("-A POSTROUTING -o wan0 -j SNAT --to-source 203.0.113.7", ""),
        ("-A POSTROUTING -o wan0 -j MASQUERADE --random-fully", "changes source ports"),
        (
            "-A POSTROUTING -o wan0 -j SNAT --to-source 203.0.113.7:1024-9000",
            "changes source ports",
        ),
        ("-A PREROUTING -i wan0 -j DNAT --to-destination 10.9.1.2", "no rule translates"),
    ],
)
def test_shape_nat_wants_a_nat_that_keeps_ports(rule: str, says: str) -> None:
    found = texts(GOOD + f"*nat\n[0:0] {rule}\nCOMMIT\n", plan=NAT)
    assert [is_fatal for is_fatal, _ in found] == ([False] if says else [])
    assert all(says in text for _, text in found)


def test_the_other_shapes_are_not_for_a_router_that_translates() -> None:
    nat = "*nat\n[0:0] -A POSTROUTING -o wan0 -j MASQUERADE\nCOMMIT\n"
    assert texts(GOOD + nat, plan=NAT) == []
    assert texts(GOOD + nat) == [
        (False, 'shape "router" keeps SIP from the NAT of this machine: is it shape "nat"?')
    ]


@pytest.mark.parametrize(
    ("capabilities", "has"),
    [("000001ffffffffff", True), ("0000000000001000", True), ("00000000a80425fb", False)],
)
def test_reads_the_effective_capabilities(tmp_path: Path, capabilities: str, has: bool) -> None:
    file = tmp_path / "status"
    file.write_text(f"Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t{capabilities}\nCapBnd:\t0\n")
    assert preflight.has_capability(file) is has


def test_reads_who_listens(tmp_path: Path) -> None:
    file = tmp_path / "nfnetlink_queue"
    file.write_text(
        "    0  31104     5 2 65531     7     9      123  1\n    3    -12 0 2 0 0 0 0 1\n"
    )
    assert status.listeners(file) == [
        status.Queue(0, 31104, 5, 7, 9),
        status.Queue(3, -12, 0, 0, 0),
    ]
    assert status.listeners(tmp_path / "absent") is None


ROUTES = Forwarding(True, {"lo": "", "wan0": "", "br0": "", "lan0": "br0"}, frozenset())
BRIDGE = ROUTES._replace(routes=False, interfaces={**ROUTES.interfaces, "lan1": "br0"})
NOTHING = "this machine sends nothing on (net.ipv4.ip_forward, net.ipv6.conf.all.forwarding)"


@pytest.mark.parametrize(
    ("shape", "interfaces", "machine", "said"),
    [
        ("router", (), ROUTES, []),
        ("router", ("wan0", "br0"), ROUTES, []),
        ("router", ("lan0",), ROUTES, ["interfaces: lan0 is a port of br0, name that"]),
        ("host", ("eth0",), BRIDGE, ["interfaces: this machine has no eth0"]),
        ("host", (), ROUTES._replace(routes=False), []),
        ("router", (), ROUTES._replace(routes=False), [f'shape "router": {NOTHING}']),
        ("router", ("wan0",), BRIDGE, [f'shape "router": {NOTHING}']),
        ("nat", (), BRIDGE, [f'shape "nat": {NOTHING}']),
        ("router", ("br0",), BRIDGE._replace(judged=frozenset(Family)), []),
        (
            "router",
            (),
            BRIDGE._replace(judged=frozenset({Family.IPV4})),
            [
                "IPv6: what br0 sends on passes by, in clear: "
                "sysctl net.bridge.bridge-nf-call-ip6tables=1 (module br_netfilter)"
            ],
        ),
    ],
)
def test_says_what_packets_would_not_come_to_the_rules(
    shape: str, interfaces: tuple[str, ...], machine: Forwarding, said: list[str]
) -> None:
    plan = ROUTER._replace(shape=Shape(shape), interfaces=interfaces)
    assert [finding.text for finding in preflight.judge_way(plan, machine)] == said
