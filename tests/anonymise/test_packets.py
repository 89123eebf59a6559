"""Headers with other addresses, by scapy: nothing else of the packet stays, and the checksums are right."""
# mypy: allow-untyped-calls

from collections.abc import Iterator
from typing import Any

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from inline_topo.anonymise.frames import Frames
from inline_topo.anonymise.packets import Packets
from inline_topo.anonymise.pseudonyms import Pseudonyms

MAC, OTHER = "52:54:00:aa:bb:01", "52:54:00:aa:bb:02"
SECRETS = (
    b"SECRET",
    bytes.fromhex("525400aabb"),
    b"\x0a\x09\x08",
    bytes.fromhex("fd12345600000000"),
)
V4: dict[str, Any] = {"src": "10.9.8.7", "dst": "10.9.8.6"}
V6: dict[str, Any] = {"src": "fd12:3456::7", "dst": "fd12:3456::6"}
ETHER = Ether(src=MAC, dst=OTHER)
FRAMES = {
    "udp": ETHER / IP(**V4) / UDP(sport=4000, dport=4002) / Raw(b"SECRET"),
    "udp6": ETHER / IPv6(**V6) / UDP(sport=4000, dport=4002) / Raw(b"SECRET"),
    "dns": ETHER / Dot1Q(vlan=7) / IP(**V4) / UDP() / DNS(qd=DNSQR(qname="SECRET.example")),
    "tcp": ETHER / IP(**V4) / TCP(options=[("MSS", 1460), ("Timestamp", (7, 8)), ("WScale", 3)])
    / Raw(b"SECRET"),
    "tcp6": ETHER / IPv6(**V6) / TCP(dport=5060) / Raw(b"BYE sip:SECRET SIP/2.0"),
    "echo": ETHER / IP(**V4) / ICMP(id=7, seq=3) / Raw(b"SECRET"),
    "echo6": ETHER / IPv6(**V6) / ICMPv6EchoRequest(id=7, data=b"SECRET"),
    "error": ETHER / IP(**V4) / ICMP(type=3, code=3) / IP(**V4) / UDP(sport=5060) / Raw(b"SECRET"),
    "redirect": ETHER / IP(**V4) / ICMP(type=5, code=1, gw="10.9.8.1") / IP(**V4) / UDP(),
    "error6": ETHER / IPv6(**V6) / ICMPv6DestUnreach(code=4) / IPv6(**V6) / UDP() / Raw(b"SECRET"),
    "options": ETHER / IP(**V4, options=IPOption_RR(routers=["10.9.8.1", "10.9.8.2"])) / UDP(),
    "extension": ETHER / IPv6(**V6) / IPv6ExtHdrDestOpt(options=[]) / UDP() / Raw(b"SECRET"),
    "fragment": ETHER / IP(**V4, flags="MF") / UDP() / Raw(b"SECRET.."),
    "later": ETHER / IP(**V4, frag=9) / Raw(b"SECRET"),
    "later6": ETHER / IPv6(**V6) / IPv6ExtHdrFragment(offset=9, nh=17) / Raw(b"SECRET"),
    "unknown": ETHER / IP(**V4, proto=89) / Raw(b"SECRET"),
    "arp": ETHER / ARP(op=2, hwsrc=MAC, psrc="10.9.8.7", hwdst=OTHER, pdst="10.9.8.6"),
    "neighbour": ETHER / IPv6(**V6) / ICMPv6ND_NS(tgt=V6["dst"]) / ICMPv6NDOptSrcLLAddr(lladdr=MAC),
    "router": ETHER / IPv6(**V6) / ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="fd12:3456::"),
}  # fmt: skip


@pytest.fixture
def names() -> Pseudonyms:
    return Pseudonyms(b"key")


def stripped(names: Pseudonyms, frame: Packet | bytes, *, zero: bool = False) -> bytes:
    result = Frames(names, Packets(names, zero=zero)).strip(1, bytes(frame))
    assert result
    return result[0]


def layers(packet: Packet) -> Iterator[Packet]:
    while packet:
        yield packet
        packet = packet.payload


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("name", FRAMES)
def test_nothing_of_the_original_stays(names: Pseudonyms, name: str, zero: bool) -> None:
    new = stripped(names, FRAMES[name], zero=zero)
    assert not [secret for secret in SECRETS if secret in new]


@pytest.mark.parametrize(
    "name", [name for name in FRAMES if name not in ("later", "later6", "unknown")]
)
def test_addresses_are_the_same_everywhere(names: Pseudonyms, name: str) -> None:
    before, after = Ether(bytes(FRAMES[name])), Ether(stripped(names, FRAMES[name]))
    for old, new in zip(layers(before), layers(after), strict=False):
        if new.name in ("Raw", "Padding"):
            break
        assert old.name == new.name
        for field in (
            "src",
            "dst",
            "hwsrc",
            "psrc",
            "hwdst",
            "pdst",
            "tgt",
            "lladdr",
            "gw",
            "prefix",
        ):
            if field in old.fields and old.fields[field] not in (None, "::"):
                expected = pseudonym(names, old.fields[field])
                assert new.fields[field] == expected, (new.name, field)


def pseudonym(names: Pseudonyms, shown: str) -> str:
    from ipaddress import ip_address

    if shown.count(":") == 5 and "::" not in shown:
        return names.mac(bytes.fromhex(shown.replace(":", ""))).hex(":")
    return str(ip_address(names.address(ip_address(shown).packed)))


@pytest.mark.parametrize(
    "name", ["udp", "udp6", "tcp", "tcp6", "echo", "echo6", "options", "extension"]
)
def test_checksums_are_those_of_zeros(names: Pseudonyms, name: str) -> None:
    packet = Ether(stripped(names, FRAMES[name], zero=True))
    assert len(packet) == len(FRAMES[name])
    found: list[Any] = []
    for layer in layers(packet):
        if "chksum" in layer.fields or "cksum" in layer.fields:
            found.append((layer.name, layer.fields.get("chksum", layer.fields.get("cksum"))))
    for layer in layers(packet):
        layer.fields.pop("chksum", None)
        layer.fields.pop("cksum", None)
    again = Ether(bytes(packet))
    made = [
        (layer.name, layer.fields.get("chksum", layer.fields.get("cksum")))
        for layer in layers(again)
        if "chksum" in layer.fields or "cksum" in layer.fields
    ]
    assert found == made
    assert found


def test_a_cut_packet_keeps_its_lengths(names: Pseudonyms) -> None:
    packet = Ether(stripped(names, FRAMES["udp"]))
    assert (packet[IP].len, packet[UDP].len) == (34, 14)
    assert len(bytes(packet)) == 14 + 20 + 8


def test_tcp_keeps_what_shows_no_clock(names: Pseudonyms) -> None:
    options = Ether(stripped(names, FRAMES["tcp"]))[TCP].options
    assert [option for option in options if option[0] != "NOP"] == [("MSS", 1460), ("WScale", 3)]


def test_padding_goes(names: Pseudonyms) -> None:
    frame = bytes(FRAMES["arp"]) + b"SECRET"
    assert stripped(names, frame) == stripped(names, FRAMES["arp"])


def test_what_is_neither_ip_nor_arp_goes(names: Pseudonyms) -> None:
    lldp = Ether(src=MAC, dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(b"SECRET")
    assert Frames(names, Packets(names)).strip(1, bytes(lldp)) is None
