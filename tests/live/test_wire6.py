"""IPv6 as senders may write it: what stands between its header and UDP's, on the real kernel."""

import socket

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    PadN,
    fragment6,
)
from scapy.packet import Packet, Raw

from lab.site import Site
from tests.live.messages import HIDDEN, invite, ok_to
from tests.live.running import Running

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]

OPTIONS = [PadN(optdata=bytes(4))]
HEADERS = {
    "hop by hop": IPv6ExtHdrHopByHop(options=OPTIONS),
    "destination": IPv6ExtHdrDestOpt(options=OPTIONS),
    "both": IPv6ExtHdrHopByHop(options=OPTIONS) / IPv6ExtHdrDestOpt(options=OPTIONS),
    "atomic fragment": IPv6ExtHdrFragment(id=7),
    "atomic fragment after options": IPv6ExtHdrHopByHop(options=OPTIONS) / IPv6ExtHdrFragment(id=8),
}


class Pair6:
    """A sender of packets and a listener, on either side."""

    def __init__(self, site: Site) -> None:
        self._addresses = {"inside": Site.INSIDE6, "outside": Site.OUTSIDE6}
        self._raw = {
            host: site.open_socket(host, socket.SOCK_RAW, socket.IPPROTO_RAW, socket.AF_INET6)
            for host in self._addresses
        }
        self._udp = {host: site.udp(host, address) for host, address in self._addresses.items()}

    def send(self, packet: Packet, source: str, target: str) -> None:
        """Send what comes after the IPv6 header, in fragments if it is long."""
        packet = IPv6(src=self._addresses[source], dst=self._addresses[target]) / packet
        parts = fragment6(packet, 1280) if len(packet) > 1500 else [packet]  # type: ignore[no-untyped-call]
        for part in parts:
            self._raw[source].sendto(bytes(part), (self._addresses[target], 0))

    def over(self, headers: Packet, payload: bytes, source: str, target: str) -> bytes:
        """What arrives of a datagram with these headers before UDP's."""
        self.send(headers / UDP(sport=5060, dport=5060) / Raw(payload), source, target)
        return self._udp[target].recv(65535)


def leaving(padding: int = 0) -> bytes:
    """`invite` over IPv6."""
    return invite(padding=padding).replace(Site.INSIDE.encode(), f"[{Site.INSIDE6}]".encode())


def test_what_stands_before_udp_is_passed_over(gateway: Running) -> None:
    pair = Pair6(gateway.site)
    for name, headers in HEADERS.items():
        for padding in (0, 3500):
            sent = leaving(padding)
            masked = pair.over(headers, sent, "inside", "outside")
            assert HIDDEN.encode() not in masked, name
            assert pair.over(headers, ok_to(masked), "outside", "inside") == ok_to(sent), name
    assert gateway.outcomes() == {"masked": 2 * len(HEADERS), "unmasked": 2 * len(HEADERS)}


def test_a_checksum_that_is_wrong_or_zero_is_not_made_good(gateway: Running) -> None:
    """Zero is no checksum over IPv4 alone (RFC 8200, 8.1)."""
    pair = Pair6(gateway.site)
    for checksum in (0, 0x1234):
        datagram = UDP(sport=5060, dport=5060, chksum=checksum) / Raw(leaving())
        pair.send(datagram, "inside", "outside")
    assert pair.over(HEADERS["destination"], b"\r\n", "inside", "outside") == b"\r\n"
    assert gateway.outcomes()["masked_corrupt"] == 2
