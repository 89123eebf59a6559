"""How packets pass through this machine: its routing, its bridges, and what they show to rules."""

import json
from pathlib import Path
from typing import NamedTuple

from inline_topo.rules import firewall
from inline_topo.rules.plan import Family

_SYSCTL = Path("/proc/sys/net")
_ROUTES = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
_JUDGED = {
    Family.IPV4: "bridge/bridge-nf-call-iptables",
    Family.IPV6: "bridge/bridge-nf-call-ip6tables",
}


class Forwarding(NamedTuple):
    """`routes`: whether packets of either family are routed; `interfaces`: all of them, each with
    the bridge that it is a port of, or ""; `judged`: families whose frames rules see where a bridge
    sends them on."""

    routes: bool
    interfaces: dict[str, str]
    judged: frozenset[Family]

    def bridges(self) -> list[str]:
        """Those that can send something on: with two ports or more."""
        of_ports = [bridge for bridge in self.interfaces.values() if bridge]
        return sorted(bridge for bridge in set(of_ports) if of_ports.count(bridge) > 1)


def read() -> Forwarding:
    """That of this network namespace. RulesError where iproute2 does not say."""
    return Forwarding(
        routes=any(_is_set(name) for name in _ROUTES),
        interfaces=parse(firewall.run(["ip", "-json", "-details", "link", "show"])),
        judged=frozenset(family for family, name in _JUDGED.items() if _is_set(name)),
    )


def parse(links: str) -> dict[str, str]:
    """The interfaces in what `ip -json -details link show` writes, each with its bridge or ""."""
    found = {}
    for link in json.loads(links):
        is_port = link.get("linkinfo", {}).get("info_slave_kind") == "bridge"
        found[link["ifname"]] = link["master"] if is_port else ""
    return found


def sysctl_of(family: Family) -> str:
    """The name of the setting by which rules see what a bridge sends on."""
    return "net." + _JUDGED[family].replace("/", ".")


def _is_set(name: str) -> bool:
    try:
        return (_SYSCTL / name).read_text().strip() != "0"
    except OSError:  # the module of bridges is not there, or the kernel has no IPv6
        return False
