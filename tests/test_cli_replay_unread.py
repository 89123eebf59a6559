"""`replay`: what stays in the output and nobody has read; captures that end in the middle of a packet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.layers.vxlan import VXLAN
from scapy.utils import PcapNgWriter, rdpcap, wrpcap

from tests.masking.network import wire

Command = Callable[..., Any]

PROXY, PHONE, PEER, OTHER = "10.0.0.1", "10.0.0.5", "198.51.100.7", "198.51.100.8"
INSIDE = ("--inside", "10.0.0.0/24", "--set", "own=['10.0.0.1']")
INVITE = wire("""
    INVITE sip:bob@198.51.100.7 SIP/2.0
    Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa
    Contact: <sip:alice@10.0.0.5>
""")


def udp(payload: bytes = INVITE, source: str = PROXY, target: str = PEER) -> Any:
    return IP(src=source, dst=target) / UDP(sport=5060, dport=5060) / payload


def tcp(source: str = PROXY, target: str = PEER, port: int = 5060, data: bytes = INVITE) -> Any:
    return IP(src=source, dst=target) / TCP(sport=40000, dport=port, flags="PA") / data


INNER = udp()
OUTER: dict[str, Any] = {"src": PROXY, "dst": PEER}
HEP = b"HEP3" + b"\0\x40" + bytes(20) + INVITE
TUNNELS = {
    "GRE": Ether() / IP(**OUTER) / GRE() / INNER,
    "IPIP": Ether() / IP(**OUTER) / INNER,
    "6in4": Ether() / IP(**OUTER) / IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP() / INVITE,
    "VXLAN": Ether() / IP(**OUTER) / UDP(sport=7, dport=4789) / VXLAN(vni=1) / Ether() / INNER,
    "MPLS": Ether() / MPLS(label=9, s=1) / INNER,
    "GTP-U": Ether() / IP(**OUTER) / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=1) / INNER,
    "HEP": Ether() / IP(**OUTER) / UDP(sport=9060, dport=9060) / HEP,
}


def written(folder: Path, *packets: Any) -> Path:
    path = folder / "in.pcap"
    wrpcap(str(path), [one if Ether in one else Ether() / one for one in packets])
    return path


@pytest.fixture
def told(command: Command, tmp_path: Path) -> Callable[..., Any]:
    """Replay packets: exit status, what was said, the report."""

    def run(*packets: Any, words: tuple[str, ...] = ()) -> tuple[int, str, dict[str, Any]]:
        path, out = written(tmp_path, *packets), tmp_path / "out.pcap"
        ended = command("replay", "-r", path, "-w", out, *INSIDE, *words, "--json")
        return ended.status, ended.err, json.loads(ended.out)

    return run


@pytest.mark.parametrize("name", TUNNELS)
def test_tunnels_pass_untouched_and_are_told(
    told: Callable[..., Any], command: Command, tmp_path: Path, name: str
) -> None:
    for words, status in ((), 0), (("--strict",), 1):
        ended, said, report = told(udp(), TUNNELS[name], words=words)
        assert ended == status
        assert report["not_read"] == {"tunnel": {"count": 1, "packets": [2]}}
        assert "1 packet in the output, as before, not read: SIP in a tunnel" in said
        assert bytes(rdpcap(str(tmp_path / "out.pcap"))[1]) == bytes(TUNNELS[name])
    audited = command("audit", "-r", tmp_path / "out.pcap", *INSIDE)
    assert audited.status == 3
    assert "not read: SIP in a tunnel: 1 (packet 2)" in audited.out


def test_sip_over_tcp_is_told_and_inside_is_not_blamed(told: Callable[..., Any]) -> None:
    status, said, report = told(tcp(), tcp(PEER, PROXY))
    assert status == 0
    assert report["not_read"] == {"tcp": {"count": 2, "packets": [1, 2]}}
    assert "2 packets in the output, as before, not read: SIP over TCP" in said
    assert "`inside`" not in said


@pytest.mark.parametrize(
    ("packets", "words", "left"),
    [
        ([tcp()], (), []),  # refused
        ([tcp()], ("--set", "queue.on_tcp=accept"), ["tcp"]),
        ([tcp(PEER, PROXY)], (), ["tcp"]),
        ([tcp(PEER, OTHER)], (), ["tcp"]),
        ([tcp(port=5061, data=b"\x16\x03\x01\x02")], (), []),
        ([tcp(PEER, PROXY, 5061, b"\x16\x03\x01\x02")], (), ["tls"]),
    ],
)
def test_with_strict_it_is_an_error(
    told: Callable[..., Any], packets: list[Any], words: tuple[str, ...], left: list[str]
) -> None:
    status, said, report = told(*packets, words=("--strict", *words))
    assert status == 1
    assert list(report["not_read"]) == left
    assert bool(report["refused"]) is not bool(left)
    assert not left or "`inside`" not in said


@pytest.mark.parametrize(
    "packet",
    [
        tcp(PHONE, PROXY),  # between insiders
        tcp(port=80, data=b"GET / HTTP/1.1\r\n\r\n"),
        udp(b"\x80\0" + bytes(range(170))),
        Ether(type=0x0806) / (b"\0" * 46),
        udp(source=PEER, target=OTHER),  # SIP, and nobody's here
    ],
)
def test_other_traffic_is_not_told(told: Callable[..., Any], packet: Any) -> None:
    status, said, report = told(udp(), packet, words=("--strict",))
    assert status == 0
    assert report["not_read"] == {}
    assert "not read" not in said


# --- cut captures -------------------------------------------------------------------------------------


def classic(path: Path) -> None:
    wrpcap(str(path), [Ether() / udp()] * 3)


def newer(path: Path) -> None:
    with PcapNgWriter(str(path)) as writer:
        for _ in range(3):
            writer.write(Ether() / udp())


@pytest.mark.parametrize("write", [classic, newer])
@pytest.mark.parametrize("missing", [1, 10, 100, -5])
def test_a_capture_that_ends_within_a_packet(
    command: Command, tmp_path: Path, write: Callable[[Path], None], missing: int
) -> None:
    """All but the last packet is written. -5: of that, five bytes of its header are there."""
    source, out = tmp_path / "in.cap", tmp_path / "out.cap"
    write(source)
    data = source.read_bytes()
    size = len(bytes(Ether() / udp()))
    last = 16 + size if write is classic else 32 + (size + 3) // 4 * 4
    source.write_bytes(data[: -missing if missing > 0 else len(data) - last - missing])
    ended = command("replay", "-r", source, "-w", out, *INSIDE)
    assert ended.status == 1
    assert "the file is cut" in ended.err
    assert "what is whole before it is in the output" in ended.err
    assert "`inside`" not in ended.err
    kept = rdpcap(str(out))
    assert len(kept) == 2
    assert all(b"10.0.0.5" not in bytes(packet) for packet in kept)
    assert command("audit", "-r", out, *INSIDE).status == 0
    assert command("diff", source, out).status == 2  # nothing is compared in part
