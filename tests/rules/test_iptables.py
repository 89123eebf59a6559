"""The text of the rules: what each shape holds, and that the files beside the examples are it."""

import shlex
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.rules import iptables, nftables
from inline_topo.rules.plan import Family, Plan, Shape
from tests.conftest import Ran

EXAMPLES = Path(__file__).parents[2] / "iptables"
NETWORKS = (ip_network("10.9.1.0/24"), ip_network("2001:db8:1::/64"))
ROUTER = Plan(Shape.ROUTER, (5060,), (), NETWORKS, range(1), False)

PLANS = st.builds(
    Plan,
    shape=st.sampled_from(Shape),
    ports=st.lists(st.integers(1, 65535), min_size=1, max_size=30, unique=True).map(tuple),
    interfaces=st.lists(st.sampled_from(["eth0", "wan0", "br-lan", "ppp0"]), unique=True).map(
        tuple
    ),
    inside=st.just(NETWORKS),
    queues=st.tuples(st.integers(0, 65000), st.integers(1, 64)).map(lambda n: range(n[0], sum(n))),
    bypass=st.booleans(),
    resets=st.booleans(),
)


def rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("-")]


@pytest.mark.parametrize("shape", ["router", "host", "nat"])
@pytest.mark.parametrize(("suffix", "options"), [("v4", []), ("v6", ["-6"]), ("nft", ["--nft"])])
def test_files_are_what_show_prints(
    command: Callable[..., Ran], shape: str, suffix: str, options: list[str]
) -> None:
    ran = command("rules", "show", *options, "-c", EXAMPLES / f"{shape}.toml")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (EXAMPLES / f"{shape}.{suffix}").read_text()


def test_show_takes_one_kind(command: Callable[..., Ran]) -> None:
    ran = command("rules", "show", "-6", "--nft", "-c", EXAMPLES / "router.toml")
    assert ran.status == 2
    assert "--ipv6 and --nft do not go together" in ran.err


def test_a_bad_configuration_is_named(command: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "gw.toml").write_text('inside = ["10.1.1.1"]\nports = [70000]\n')
    ran = command("rules", "show", "-c", tmp_path / "gw.toml")
    assert (ran.status, ran.out) == (78, "")
    assert "gw.toml: ports[1]: 70000 is not a port" in ran.err


@given(plan=PLANS, family=st.sampled_from(Family))
def test_only_jumps_to_our_chains_go_into_those_of_others(plan: Plan, family: Family) -> None:
    for line in rules(iptables.text(plan, family)):
        words = shlex.split(line)
        if words[0] == "-I":
            assert words[1] in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT")
            assert words[-2] == "-j"
            assert words[-1].startswith("inline-topo")
        else:
            assert words[:2] == ["-A", words[1]]
            assert words[1].startswith("inline-topo")


@given(plan=PLANS, family=st.sampled_from(Family))
def test_packets_pass_unheard_only_where_it_is_configured(plan: Plan, family: Family) -> None:
    text = iptables.text(plan, family)
    assert ("--queue-bypass" in text) is plan.bypass
    assert ("WARNING" in text) is plan.bypass
    native = nftables.text(plan)
    assert (" bypass" in native) is plan.bypass
    assert ("WARNING" in native) is plan.bypass


@given(plan=PLANS, family=st.sampled_from(Family))
def test_every_port_is_in_a_rule_that_iptables_takes(plan: Plan, family: Family) -> None:
    for protocol in ("udp", "tcp"):
        found: list[int] = []
        for line in rules(iptables.text(plan, family)):
            words = shlex.split(line)
            if words[1:4] == ["inline-topo", "-p", protocol] and words[-1] == "inline-topo-queue":
                if "--ports" not in words:
                    continue
                ports = words[words.index("--ports") + 1].split(",")
                assert len(ports) <= 15  # XT_MULTI_PORTS
                found += map(int, ports)
        assert sorted(found) == sorted(plan.ports)


@given(plan=PLANS, family=st.sampled_from(Family))
def test_nat_is_tracked_and_the_others_are_not(plan: Plan, family: Family) -> None:
    text = iptables.text(plan, family)
    assert ("--notrack" in text) is (plan.shape is not Shape.NAT)
    assert ("notrack" in nftables.text(plan)) is (plan.shape is not Shape.NAT)


@given(plan=PLANS, family=st.sampled_from(Family))
def test_tcp_is_reset_where_it_is_configured(plan: Plan, family: Family) -> None:
    text, native = iptables.text(plan, family), nftables.text(plan)
    assert ("*filter" in text) is ("reject with tcp reset" in native) is plan.resets
    found = [line.split() for line in rules(text) if line.endswith("--reject-with tcp-reset")]
    ports = [int(port) for words in found for port in words[words.index("--ports") + 1].split(",")]
    assert sorted(ports) == (sorted(plan.ports) if plan.resets else [])


@pytest.mark.parametrize("family", Family, ids=str)
def test_host_never_takes_lo(family: Family) -> None:
    jumps = [
        line
        for line in rules(iptables.text(ROUTER._replace(shape=Shape.HOST), family))
        if line.startswith("-I")
    ]
    assert len(jumps) == 4
    assert all("! -i lo" in jump or "! -o lo" in jump for jump in jumps)


def test_the_mark_follows_the_configuration() -> None:
    texts = {
        iptables.text(plan, family)
        for family in Family
        for plan in (
            ROUTER,
            ROUTER._replace(ports=(5062,)),
            ROUTER._replace(bypass=True),
            ROUTER._replace(queues=range(2)),
            ROUTER._replace(resets=True),
        )
    }
    marks = {text.split('--comment "inline-topo ')[1][:8] for text in texts}
    assert len(marks) == len(texts) == 10
