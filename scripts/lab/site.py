"""A network with an inside and an outside, and a machine between them."""

import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType

from lab.net import LISTENING, Net


class Site(Net):
    """`inside`, `gw` and `outside`, each on a link of its own with `gw`, which routes."""

    INSIDE, OUTSIDE = "192.168.178.10", "203.0.113.9"
    INSIDE6, OUTSIDE6 = "2001:db8:1::10", "2001:db8:2::9"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._sockets: list[socket.socket] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for open_one in self._sockets:
            open_one.close()
        super().__exit__(kind, error, trace)

    def build(self, outside_mtu: int = 1500) -> None:
        """Make hosts, links and routes of both families."""
        self._namespace("gw")
        self._arm("inside", "in0", self.INSIDE, "192.168.178.1", self.INSIDE6, "2001:db8:1::1")
        self._arm("outside", "out0", self.OUTSIDE, "203.0.113.1", self.OUTSIDE6, "2001:db8:2::1")
        for name, interface in (("gw", "out0"), ("outside", "eth0")):
            self._ip(name, "link", "set", interface, "mtu", str(outside_mtu))
        self.run("gw", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def second_router(self) -> None:
        """Make `gw2`, beside `gw`: IPv4 of the outside comes in through it, and leaves through `gw`."""
        self._namespace("gw2")
        for host, interface, net in (
            ("inside", "in0", "192.168.179"),
            ("outside", "out0", "203.0.114"),
        ):
            self._ip("gw2", "link", "add", interface, "type", "veth",
                     "peer", "name", "eth1", "netns", self._prefix + host)  # fmt: skip
            for name, end, number in (("gw2", interface, 1), (host, "eth1", 2)):
                self._ip(name, "addr", "add", f"{net}.{number}/24", "dev", end)
                self._up(name, end)
        self.run("gw2", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._ip("gw2", "route", "add", "192.168.178.0/24", "via", "192.168.179.2")
        self._ip("outside", "route", "add", "192.168.178.0/24", "via", "203.0.114.1")

    def with_homes(self) -> None:
        """Put `gw` on the link of `Net.host` and `Net.home` too: from there all else is behind it."""
        self._ip("gw", "link", "add", "wan0", "type", "veth",
                 "peer", "name", "to-gw", "netns", self._prefix + "link")  # fmt: skip
        self._ip("link", "link", "set", "to-gw", "master", "br0", "up")
        self._ip("gw", "addr", "add", "198.51.100.1/24", "dev", "wan0")
        self._up("gw", "wan0")
        self.run("gw", "sysctl", "-qw", "net.ipv4.conf.wan0.proxy_arp=1")

    def _arm(self, host: str, interface: str, ip: str, router: str, ip6: str, router6: str) -> None:
        self._namespace(host)
        self._ip("gw", "link", "add", interface, "type", "veth",
                 "peer", "name", "eth0", "netns", self._prefix + host)  # fmt: skip
        for name, end, one, six in (("gw", interface, router, router6), (host, "eth0", ip, ip6)):
            self._ip(name, "addr", "add", f"{one}/24", "dev", end)
            self._ip(name, "addr", "add", f"{six}/64", "dev", end, "nodad")
            self._up(name, end)
        self._ip(host, "route", "add", "default", "via", router)
        self._ip(host, "-6", "route", "add", "default", "via", router6)

    def open_socket(self, host: str, kind: int = socket.SOCK_DGRAM, protocol: int = 0,
               family: int = socket.AF_INET) -> socket.socket:  # fmt: skip
        """A socket of this process in a host's namespace."""
        made = self.within(host, lambda: socket.socket(family, kind, protocol))
        self._sockets.append(made)
        made.settimeout(LISTENING)
        return made

    def udp(self, host: str, address: str, port: int = 5060) -> socket.socket:
        """A UDP socket bound in a host."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self.open_socket(host, family=family)
        made.bind((address, port))
        return made


class SharedSite(Site):
    """`inside` and `outside`, each on a link that the routers `gw` and `gw2` share. What they send goes
    to an address that is nobody's until one of the routers takes it. IPv4 alone."""

    ROUTERS = ("gw", "gw2")
    SHARED: Mapping[str, str] = MappingProxyType({"in0": "192.168.178.1", "out0": "203.0.113.1"})

    def build(self, outside_mtu: int = 1500) -> None:
        """Make hosts, links and routes."""
        for link in self.SHARED:
            self._ip("link", "link", "add", link, "type", "bridge")
            self._ip("link", "link", "set", link, "up")
        for number, router in enumerate(self.ROUTERS, 2):
            self._namespace(router)
            for link, shared in self.SHARED.items():
                self._plug(router, link, link, f"{shared[:-1]}{number}")
            self._ip(router, "link", "set", "out0", "mtu", str(outside_mtu))
            self.run(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for host, link, ip in (("inside", "in0", self.INSIDE), ("outside", "out0", self.OUTSIDE)):
            self._namespace(host)
            self._plug(host, "eth0", link, ip)
            self._ip(host, "route", "add", "default", "via", self.SHARED[link])
        self._ip("outside", "link", "set", "eth0", "mtu", str(outside_mtu))

    def _plug(self, host: str, interface: str, link: str, ip: str) -> None:
        self._ip("link", "link", "add", f"{link}-{host}", "master", link, "type", "veth",
                 "peer", "name", interface, "netns", self._prefix + host)  # fmt: skip
        self._ip("link", "link", "set", f"{link}-{host}", "up")
        self._ip(host, "addr", "add", f"{ip}/24", "dev", interface)
        self._up(host, interface)


class SeriesSite(Site):
    """`inside`, the routers `gw` and `gw2` one behind the other, and `outside`. IPv4 alone."""

    def build(self, outside_mtu: int = 1500) -> None:
        """Make hosts, links and routes."""
        arms = (
            ("inside", "eth0", f"{self.INSIDE}/24", "gw", "in0", "192.168.178.1/24"),
            ("gw", "out0", "192.0.2.1/24", "gw2", "in0", "192.0.2.2/24"),
            ("outside", "eth0", f"{self.OUTSIDE}/24", "gw2", "out0", "203.0.113.1/24"),
        )
        for host in ("inside", "gw", "gw2", "outside"):
            self._namespace(host)
        for host, end, address, router, interface, other in arms:
            self._ip(router, "link", "add", interface, "type", "veth",
                     "peer", "name", end, "netns", self._prefix + host)  # fmt: skip
            for name, link, one in ((host, end, address), (router, interface, other)):
                self._ip(name, "addr", "add", one, "dev", link)
                self._up(name, link)
        for host, router in (("inside", "192.168.178.1"), ("outside", "203.0.113.1")):
            self._ip(host, "route", "add", "default", "via", router)
        self._ip("gw", "route", "add", "default", "via", "192.0.2.2")
        self._ip("gw2", "route", "add", "192.168.178.0/24", "via", "192.0.2.1")
        for router in ("gw", "gw2"):
            self.run(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._ip("gw2", "link", "set", "out0", "mtu", str(outside_mtu))
        self._ip("outside", "link", "set", "eth0", "mtu", str(outside_mtu))
