"""Network namespaces in a row: a host outside, the gateway's machine, hosts inside.

outside 198.51.100.2 -- wan0 198.51.100.1, gateway, lan0 10.9.1.1 -- inside 10.9.1.2 to 33;
in IPv6 2001:db8:2::2, 2001:db8:2::1, 2001:db8:1::1, 2001:db8:1::2 to ::33.
"""

import ctypes
import itertools
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from inline_topo.rules.plan import Family

OFFLOAD = Path(__file__).parents[2] / "scripts" / "lab" / "offload.py"
_SOL_PACKET, _PACKET_AUXDATA, _TP_STATUS_VLAN_VALID = 263, 8, 16  # packet(7)
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()

OUTSIDE = {Family.IPV4: "198.51.100.2", Family.IPV6: "2001:db8:2::2"}
WAN = {Family.IPV4: "198.51.100.1", Family.IPV6: "2001:db8:2::1"}
LAN = {Family.IPV4: "10.9.1.1", Family.IPV6: "2001:db8:1::1"}
INSIDE = {Family.IPV4: "10.9.1.2", Family.IPV6: "2001:db8:1::2"}
PHONES = range(2, 34)


def phone_address(family: Family, number: int) -> str:
    """The address of an inside host, whose number is one of `PHONES`."""
    return f"10.9.1.{number}" if family is Family.IPV4 else f"2001:db8:1::{number}"


class Namespace(NamedTuple):
    """One host, and the sockets that were made for it."""

    name: str
    sockets: list[socket.socket]

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Be in it: sockets that are made and programs that are started belong to it."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        within = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _setns(within)
            yield
        finally:
            _setns(before)
            os.close(within)
            os.close(before)

    def run(self, *command: str, given: str = "") -> str:
        """Run a program in it; its standard output. CalledProcessError if it fails."""
        with self.enter():
            done = subprocess.run(
                command, input=given, check=True, text=True, stdout=subprocess.PIPE
            )
        return done.stdout

    def udp(self, address: str, port: int) -> socket.socket:
        """A socket there; what it receives is waited for at most two seconds, and DF is clear."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.enter():
            udp = socket.socket(family, socket.SOCK_DGRAM)
        self.sockets.append(udp)
        udp.bind((address, port))
        udp.settimeout(2)
        if family == socket.AF_INET:
            udp.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: IP_PMTUDISC_DONT
        return udp

    def link(self) -> socket.socket:
        """A socket for whole frames on its eth0; see `receive_tagged`."""
        with self.enter():
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sockets.append(link)
            link.bind(("eth0", 0x0003))  # ETH_P_ALL
        link.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        link.settimeout(2)
        return link

    def tracked(self) -> int:
        """How many entries its conntrack has."""
        with self.enter():
            return int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())


class Row(NamedTuple):
    """The three hosts in a row."""

    outside: Namespace
    gateway: Namespace
    inside: Namespace


def receive_tagged(link: socket.socket) -> tuple[bytes, int]:
    """The next frame with a VLAN tag that comes, without it, and the VLAN."""
    while True:
        frame, [(_, _, auxiliary)], *_ = link.recvmsg(65536, 100)
        if struct.unpack_from("=I", auxiliary)[0] & _TP_STATUS_VLAN_VALID:
            return frame, struct.unpack_from("=H", auxiliary, 16)[0]


@contextmanager
def row(*, bridge: bool = False) -> Iterator[Row]:
    """Make them, and take them away at the end. `bridge`: the gateway's machine is no router but a
    bridge, br0, and the inside host is on the outside's networks too."""
    number = next(_numbers)
    names = (f"it{os.getpid()}-{number}{name}" for name in ("out", "gw", "in"))
    hosts = Row(*(Namespace(name, []) for name in names))
    outside, gateway, inside = hosts
    try:
        for host in hosts:
            subprocess.run(["ip", "netns", "add", host.name], check=True)
            _ip(host, "link", "set", "lo", "up")
            # or addresses could not be used for their first second
            host.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        for host, port in ((outside, "wan0"), (inside, "lan0")):
            link = ["link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.name]
            _ip(gateway, *link)
        if bridge:
            _bridge(hosts)
        else:
            _route(hosts)
        yield hosts
    finally:
        for host in hosts:
            for each in host.sockets:
                each.close()
            subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)


def _route(hosts: Row) -> None:
    outside, gateway, inside = hosts
    phones = {f: [phone_address(f, number) for number in PHONES] for f in Family}
    for host, port, addresses in (
        (outside, "eth0", {f: [OUTSIDE[f]] for f in Family}),
        (gateway, "wan0", {f: [WAN[f]] for f in Family}),
        (gateway, "lan0", {f: [LAN[f]] for f in Family}),
        (inside, "eth0", phones),
    ):
        _up(host, port, addresses)
    for host, router in ((outside, WAN), (inside, LAN)):
        for family in Family:
            _ip(host, f"-{family.value}", "route", "add", "default", "via", router[family])
    gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")


def _bridge(hosts: Row) -> None:
    outside, gateway, inside = hosts
    _ip(gateway, "link", "add", "br0", "type", "bridge")
    _ip(gateway, "link", "set", "br0", "up")
    for port in ("wan0", "lan0"):
        _ip(gateway, "link", "set", port, "master", "br0")
        _up(gateway, port, {})
    _up(outside, "eth0", {f: [OUTSIDE[f]] for f in Family})
    _up(inside, "eth0", {f: [WAN[f]] for f in Family})
    calls = [f"net.bridge.bridge-nf-call-{name}=1" for name in ("iptables", "ip6tables")]
    gateway.run("sysctl", "-qw", *calls)


def _up(host: Namespace, port: str, addresses: Mapping[Family, list[str]]) -> None:
    lines = [f"addr add {each}/24 dev {port}" for each in addresses.get(Family.IPV4, [])]
    lines += [f"addr add {each}/64 dev {port} nodad" for each in addresses.get(Family.IPV6, [])]
    lines.append(f"link set {port} up")
    host.run("ip", "-batch", "-", given="\n".join(lines))
    host.run(sys.executable, "-I", "-S", str(OFFLOAD), port)


def _ip(host: Namespace, *arguments: str) -> None:
    host.run("ip", *arguments)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
