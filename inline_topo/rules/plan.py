"""What the rules depend on."""

from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from inline_topo.config import Config


class Shape(Enum):
    """Where the gateway stands."""

    ROUTER = "router"
    HOST = "host"
    NAT = "nat"


class Family(Enum):
    """IPv4 or IPv6."""

    IPV4 = 4
    IPV6 = 6

    def __str__(self) -> str:
        return f"IPv{self.value}"


class Plan(NamedTuple):
    """The part of a configuration that its rules follow. `queues` are the first and the last
    number; `bypass`: SIP passes in clear where nobody listens; `resets`: SIP over TCP is answered with a
    RST."""

    shape: Shape
    ports: tuple[int, ...]
    interfaces: tuple[str, ...]
    inside: tuple[IPv4Network | IPv6Network, ...]
    queues: range
    bypass: bool
    resets: bool = False

    @property
    def tracked(self) -> bool:
        """Whether SIP stays in conntrack, which translates it."""
        return self.shape is Shape.NAT


def plan(config: Config) -> Plan:
    """What the rules of this configuration depend on."""
    return Plan(
        shape=Shape(config.shape),
        ports=tuple(sorted(set(config.ports))),
        interfaces=config.interfaces,
        inside=config.inside,
        queues=config.queue.range(),
        bypass=config.queue.fail_open,
        resets=config.queue.on_tcp == "reset",
    )
