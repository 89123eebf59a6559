"""`scripts/demo --live`: a real call through a real Kamailio with the gateway on the router."""

import re
import signal
import subprocess
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader

from tests.demo import start_demo

pytest.importorskip("netfilterqueue", reason="NetfilterQueue is not installed")
pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump")]

ALICE, BOB, SERVER = "203.0.113.27", "203.0.113.9", "192.168.178.10"
STEPS = ["INVITE", "100", "180", "200", "ACK", "BYE"]  # RFC 3665, 3.2, without the challenge


def namespaces(program: int) -> list[str]:
    """Those that a process made and that are still there."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return re.findall(rf"^lab{program}-\S+", listed.stdout, re.MULTILINE)


def headers(file: Path) -> list[tuple[str, str]]:
    """Destination and header of each packet of a capture."""
    with RawPcapReader(str(file)) as reader:
        packets = [bytes(frame)[14:] for frame, _ in reader]
    return [
        (".".join(map(str, p[16:20])), p[28:].partition(b"\r\n\r\n")[0].decode()) for p in packets
    ]


def test_shows_a_call_on_both_sides_of_the_gateway(tmp_path: Path) -> None:
    demo = start_demo("--live", tmp_path)
    said, errors = demo.communicate(timeout=120)
    assert demo.returncode == 0, errors
    assert namespaces(demo.pid) == []

    ladder = said.partition("$ inline-topo diff --ladder")[2].partition("═══▶ changed")[0]
    arrows = re.findall(r"[─═] ([A-Z]+|\d{3}) ?", ladder)
    assert list(dict.fromkeys(arrows)) == STEPS  # a busy machine may have sent some again
    assert "│═ INVITE +" in ladder
    assert "╌" not in ladder  # each is on both sides
    assert "-j NFQUEUE" in said
    assert "state       ok" in said
    in_clear, _, outside = said.partition("audit -r outside.pcap")
    assert "leaks in" in in_clear
    assert "no leaks" in outside

    for name, shows in (("inside.pcap", True), ("outside.pcap", False)):
        received = headers(tmp_path / name)
        assert len(received) == len(arrows) >= 13
        assert any(ALICE in header for to, header in received if to == BOB) is shows
        assert any(BOB in header for to, header in received if to == ALICE) is shows
        opened = [header for to, header in received if to == SERVER and header.startswith("BYE")]
        assert {
            header.startswith(f"BYE sip:bob@{BOB}:5060;line=mu3z2i1j ") for header in opened
        } == {shows}


def test_takes_all_away_when_it_is_ended(tmp_path: Path) -> None:
    demo = start_demo("--live", tmp_path / "never")
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("$ inline-topo run"):
            break
    assert namespaces(demo.pid)
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert namespaces(demo.pid) == []
    assert not (tmp_path / "never").exists()
