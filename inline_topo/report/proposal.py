"""A configuration that would fit a capture: who would be inside, who own.

A guess from what is seen, each value with its reason; a person judges it.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from inline_topo.config.values import is_name
from inline_topo.masking.hosts import pack_address
from inline_topo.report.messages import Seen
from inline_topo.report.texts import count, printable
from inline_topo.sip import address, names, uri, values, via
from inline_topo.sip import message as sip
from inline_topo.sip.message import Message

_PRIVATE: dict[int, list[IPv4Network] | list[IPv6Network]] = {
    4: [IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    + [IPv4Network(net) for net in ("127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10")],
    6: [IPv6Network(net) for net in ("fc00::/7", "fe80::/10", "::1/128")],
}


class Reasoned(NamedTuple):
    """A proposed value and why."""

    value: str | int
    reason: str


@dataclass(frozen=True)
class Proposal:
    """Values for the keys of a configuration."""

    inside: tuple[Reasoned, ...]
    own: tuple[Reasoned, ...]
    ports: tuple[Reasoned, ...]

    def settings(self) -> dict[str, list[str | int]]:
        """By key, as a configuration takes them."""
        return {key: [item.value for item in items] for key, items in vars(self).items()}

    def toml(self, name: str, messages: int) -> list[str]:
        """As lines to paste into a configuration, with the reasons."""
        source = f"{count(messages, 'SIP message')} in {printable(os.fsencode(name))}"
        lines = [f"# proposed from {source}: judge for yourself"]
        for key, items in vars(self).items():
            lines += [f"# {item.value}: {item.reason}" for item in items]
            shown = [f'"{item.value}"' if key != "ports" else str(item.value) for item in items]
            lines.append(f"{key} = [{', '.join(shown)}]")
        return lines


@dataclass
class _Host:
    """What is known of one address of packets."""

    calls: set[bytes] = field(default_factory=set)
    peers: set[bytes] = field(default_factory=set)
    ports: Counter[int] = field(default_factory=Counter)
    forwarded: int = 0  # requests it sent that came from somewhere else: two Vias or more
    record_routed: int = 0  # ... with a Record-Route of its own
    for_private: int = 0  # ... and a private address in a lower Via
    domains: Counter[str] = field(default_factory=Counter)  # of requests sent to it

    @property
    def is_proxy(self) -> bool:
        return bool(self.forwarded or self.record_routed)


def propose(messages: Iterable[Seen]) -> Proposal | None:
    """A configuration that would fit; None where there is no SIP.

    Where private and public addresses talk to each other the private side is inside. Elsewhere the
    proxy with the most dialogs is, or else the busiest endpoint.
    """
    hosts = _hosts(messages)
    if not hosts:
        return None
    private = {host for host in hosts if _is_private(host)}
    inside = private | {host for host in hosts if hosts[host].for_private}
    proxies = {host for host in hosts if hosts[host].is_proxy}
    if private and inside != hosts.keys():
        places = list(_networks(host for host in hosts if host in private))
        places += [
            Reasoned(_text(host), f"forwards {count(hosts[host].for_private, 'request')} of theirs")
            for host in hosts
            if host in inside - private
        ]
    else:
        centre = max(proxies or hosts, key=lambda host: _weight(hosts[host]))
        inside = {centre}
        places = [Reasoned(_text(centre), _why_centre(hosts[centre]))]
    border = {host for host in inside if hosts[host].peers - inside}
    own = (border & proxies) or border or inside
    ports = sum((hosts[host].ports for host in own), Counter[int]())
    return Proposal(
        tuple(places),
        (
            *(Reasoned(_text(host), _why_own(hosts[host])) for host in hosts if host in own),
            *_domains(hosts[host] for host in own),
        ),
        tuple(
            Reasoned(port, f"{count(number, 'message')} from or to an own address")
            for port, number in ports.most_common()
            if port
        ),
    )


def _hosts(messages: Iterable[Seen]) -> dict[bytes, _Host]:
    """By packed address, in the order in which they are seen."""
    hosts: defaultdict[bytes, _Host] = defaultdict(_Host)
    for seen in messages:
        message = seen.message
        if not message:
            continue
        source, destination = hosts[seen.source], hosts[seen.destination]
        for host, peer, port in (
            (source, seen.destination, seen.ports[0]),
            (destination, seen.source, seen.ports[1]),
        ):
            host.calls.add(seen.call_id)
            host.peers.add(peer)
            host.ports[port] += 1
        if message.is_request:
            behind = _via_hosts(message)[1:]
            source.forwarded += bool(behind)
            source.for_private += any(_is_private(host) for host in behind if host)
            routes = uri_hosts(message, names.RECORD_ROUTE)[:1]
            source.record_routed += [pack_address(host) for host in routes] == [seen.source]
            parts = uri.parse(message.data[message.request_uri[0] : message.request_uri[1]])
            name = printable(parts.host.lower()).removesuffix(".") if parts else ""
            if "." in name and is_name(name):
                destination.domains[name] += 1
    return dict(hosts)


def _networks(private: Iterable[bytes]) -> Iterator[Reasoned]:
    """Private addresses, those of one network (/24, /64) as that network."""
    by_network: defaultdict[str, list[bytes]] = defaultdict(list)
    for host in private:
        network = ip_network((host, 24 if len(host) == 4 else 64), strict=False)
        by_network[str(network)].append(host)
    for name, members in by_network.items():
        if len(members) == 1:
            yield Reasoned(_text(members[0]), "a private address, and public ones are seen too")
        else:
            yield Reasoned(name, f"{len(members)} private addresses, and public ones are seen too")


def _weight(host: _Host) -> tuple[int, int]:
    return len(host.calls), len(host.peers)


def _why_centre(host: _Host) -> str:
    what = "the proxy" if host.is_proxy else "the endpoint"
    peers, calls = count(len(host.peers), "peer"), count(len(host.calls), "Call-ID")
    return f"{what} with the most dialogs ({calls}, {peers}); all others count as outside"


def _why_own(host: _Host) -> str:
    if host.record_routed:
        return f"record-routes ({count(host.record_routed, 'request')})"
    if host.forwarded:
        return f"forwards requests ({host.forwarded}), without Record-Route"
    return "what the outside talks to"


def _domains(hosts: Iterable[_Host]) -> Iterator[Reasoned]:
    domains = sum((host.domains for host in hosts), Counter[str]())
    for name, number in domains.most_common():
        yield Reasoned(name, f"the domain of {count(number, 'request')} to an own address")


def _is_private(packed: bytes) -> bool:
    """RFC 1918, 4193, 6598, link-local, loopback. Not `is_private`: that counts the documentation's
    addresses, which stand for public ones in examples, as private too."""
    host = ip_address(packed)
    return any(host in network for network in _PRIVATE[host.version])


def _text(packed: bytes) -> str:
    return str(ip_address(packed))


def _entries(message: Message, name: str) -> list[sip.Span]:
    return values.split(message.data, message.fields.get(name, []))


def _via_hosts(message: Message) -> list[bytes]:
    """The packed sent-by address of each Via; empty where it is a name."""
    parsed = (via.parse(message.data, *entry) for entry in _entries(message, names.VIA))
    return [
        pack_address(message.data[parts.host[0] : parts.host[1]]) if parts else b""
        for parts in parsed
    ]


def uri_hosts(message: Message, name: str) -> list[bytes]:
    """The host of each URI in a list of values, as it stands."""
    hosts = []
    for entry in _entries(message, name):
        where = address.locate(message.data, *entry)
        parts = uri.parse(message.data[where.start : where.end]) if where else None
        if parts:
            hosts.append(parts.host)
    return hosts
