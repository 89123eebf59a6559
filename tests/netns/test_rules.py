"""The rules in real kernels' tables."""

import pytest

from inline_topo.errors import RulesError
from inline_topo.rules import firewall, iptables
from inline_topo.rules.plan import Family, Plan
from tests.netns.applied import HOST, NAT, ROUTER, apply, remove, seen
from tests.netns.topology import Namespace, Row

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]


def saved(host: Namespace) -> list[str]:
    """All rules of both families, without what changes by itself."""
    with host.enter():
        texts = [firewall.run([firewall._SAVE[family]]) for family in Family]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("#")]
    return [line.split(" [")[0] for line in lines]


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


@pytest.mark.parametrize(
    ("plan", "backend"),
    [
        (ROUTER, "nft"),
        (HOST, "legacy"),
        (NAT, "nft"),
        *(pytest.param(plan, "legacy", marks=pytest.mark.full) for plan in (ROUTER, NAT)),
        pytest.param(HOST, "nft", marks=pytest.mark.full),
        (ROUTER._replace(resets=True), "nft"),
        pytest.param(HOST._replace(resets=True), "legacy", marks=pytest.mark.full),
    ],
    ids=lambda value: value if isinstance(value, str) else value.shape.value,
    indirect=["backend"],
)
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
