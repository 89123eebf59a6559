"""Direction and mask address, by the addresses of a packet."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from inline_topo.masking.flow import Direction, Flow, Flows
from inline_topo.masking.hosts import Hosts, Networks
from inline_topo.masking.policy import Policy, Rule

INSIDE = ["10.0.0.0/8", "fd00::/8", "192.0.2.10"]


def endpoints(source: str, target: str, sport: int = 5060, dport: int = 5060) -> bytes:
    packed = ip_address(source).packed + ip_address(target).packed
    return packed + sport.to_bytes(2, "big") + dport.to_bytes(2, "big")


def flows(own: list[str], **settings: Any) -> Flows:
    hosts = Hosts(map(ip_network, INSIDE), map(ip_address, own), own_is_inside="public" in settings)
    return Flows(hosts, settings.pop("policy", Policy()), **settings)


def flow(own: list[str], *words: Any, **settings: Any) -> Flow:
    return flows(own, **settings).find(endpoints(*words))


@pytest.mark.parametrize(
    ("source", "target", "direction"),
    [
        ("10.0.0.5", "198.51.100.1", Direction.EGRESS),
        ("198.51.100.1", "10.0.0.5", Direction.INGRESS),
        ("10.0.0.5", "192.0.2.10", Direction.INSIDE),
        ("198.51.100.1", "203.0.113.1", Direction.TRANSIT),
        ("fd00::5", "2001:db8::1", Direction.EGRESS),
        ("2001:db8::1", "fd00::5", Direction.INGRESS),
        ("fd00::5", "fd00::6", Direction.INSIDE),
    ],
)
def test_direction(source: str, target: str, direction: Direction) -> None:
    found = flow(["192.0.2.10"], source, target)
    assert found.direction is direction
    if direction in (Direction.EGRESS, Direction.INGRESS):
        inside = source if direction is Direction.EGRESS else target
        assert found.inside == ip_address(inside).packed


MASKS: dict[str, tuple[list[str], tuple[Any, ...], dict[str, Any], bytes]] = {
    "the inside address, if that is own": (
        ["192.0.2.10", "192.0.2.11"],
        ("192.0.2.10", "198.51.100.1"),
        {},
        b"192.0.2.10",
    ),
    "and its port, if that is not 5060": (
        ["192.0.2.10"],
        ("192.0.2.10", "198.51.100.1", 5080),
        {},
        b"192.0.2.10:5080",
    ),
    "the inside port in ingress too": (
        ["192.0.2.10"],
        ("198.51.100.1", "192.0.2.10", 5099, 5080),
        {},
        b"192.0.2.10:5080",
    ),
    "else the first own address of the family": (
        ["2001:db8::10", "192.0.2.10", "192.0.2.11"],
        ("10.0.0.5", "198.51.100.1", 5080),
        {},
        b"192.0.2.10",
    ),
    "of IPv6 too, in brackets": (
        ["192.0.2.10", "2001:db8::10"],
        ("fd00::5", "2001:db8::1", 5080),
        {},
        b"[2001:db8::10]",
    ),
    "without one of that family the packet's source": (
        ["192.0.2.10"],
        ("fd00::5", "2001:db8::1", 5080),
        {},
        b"[fd00::5]:5080",
    ),
    "without any own address (a router, no proxy)": (
        [],
        ("10.0.0.5", "198.51.100.1", 5062),
        {},
        b"10.0.0.5:5062",
    ),
    "shape nat: the public one, with the port that the NAT keeps": (
        ["203.0.113.5"],
        ("10.0.0.5", "198.51.100.1", 1024),
        {"public": (ip_address("203.0.113.5").packed,)},
        b"203.0.113.5:1024",
    ),
    "shape nat: none of that family": (
        ["203.0.113.5"],
        ("fd00::5", "2001:db8::1"),
        {"public": (ip_address("203.0.113.5").packed,)},
        b"[fd00::5]",
    ),
    "an address of the configuration's, never with a port": (
        ["192.0.2.10"],
        ("192.0.2.10", "198.51.100.1", 5080),
        {"mask_ip": ip_address("10.1.1.10").packed},
        b"10.1.1.10",
    ),
}


@pytest.mark.parametrize(("own", "words", "settings", "mask"), MASKS.values(), ids=MASKS.keys())
def test_mask_address(
    own: list[str], words: tuple[Any, ...], settings: dict[str, Any], mask: bytes
) -> None:
    assert flow(own, *words, **settings).mask == mask


def test_shape_nat_counts_the_public_address_as_inside() -> None:
    """Offline, a capture of the outside shows the public address in place of the private one."""
    public = (ip_address("203.0.113.5").packed,)
    found = flow(["203.0.113.5"], "203.0.113.5", "198.51.100.1", 1024, public=public)
    assert (found.direction, found.mask) == (Direction.EGRESS, b"203.0.113.5:1024")


def test_rules_that_can_match() -> None:
    near = Networks([ip_network("198.51.100.1/32")])
    skip = Rule(False, destination=near)
    later = Rule(False, method=frozenset((b"INVITE",)))
    for policy, peer, rules, identifiers in (
        (Policy([skip, later]), "198.51.100.1", (skip,), False),
        (Policy([skip, later]), "198.51.100.2", (later,), True),
        (Policy([later, skip]), "198.51.100.1", (later, skip), False),
        (Policy([Rule(True, destination=near), skip]), "198.51.100.1", None, True),
    ):
        for words in ((("192.0.2.10"), peer), (peer, "192.0.2.10")):
            found = flow(["192.0.2.10"], *words, policy=policy)
            assert rules is None or found.rules == rules
            assert found.masks_identifiers is identifiers


def test_memory_of_flows_is_bounded() -> None:
    table = flows(["192.0.2.10"])
    for port in range(20_000):
        found = table.find(endpoints("192.0.2.10", "198.51.100.1", port % 65536))
        assert found.port == port
    assert len(table._known) <= 1 << 14
