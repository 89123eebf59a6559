"""The rules of the shapes, put into a host."""

from ipaddress import ip_network

from inline_topo.rules import firewall, iptables, status
from inline_topo.rules.plan import Family, Plan, Shape
from tests.netns.topology import Namespace

NETWORKS = (ip_network("10.9.1.0/24"), ip_network("2001:db8:1::/64"))
ROUTER = Plan(Shape.ROUTER, (5060,), (), NETWORKS, range(1), False)
HOST = ROUTER._replace(shape=Shape.HOST)
NAT = ROUTER._replace(shape=Shape.NAT, interfaces=("wan0",))
HEADERS = {Family.IPV4: 28, Family.IPV6: 48}
"""Bytes of a packet before UDP's payload."""


def apply(host: Namespace, plan: Plan) -> None:
    with host.enter():
        firewall.change({family: iptables.text(plan, family) for family in Family})


def remove(host: Namespace) -> None:
    with host.enter():
        firewall.change(dict.fromkeys(Family, ""))


def seen(host: Namespace, plan: Plan) -> list[status.FamilyStatus]:
    with host.enter():
        return status.status(plan)
