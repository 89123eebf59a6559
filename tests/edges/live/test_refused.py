"""The captures of refused and of compared packets stay bounded, and never stand in the way."""

# mypy: allow-untyped-calls

import time
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.utils import rdpcap

from inline_topo.edges.capture import open_capture
from inline_topo.edges.live import bounded
from inline_topo.edges.live.compared import ComparedPackets
from inline_topo.edges.live.refused import RefusedPackets
from inline_topo.edges.records import Packet


def test_two_files_at_most_and_both_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 10_000)
    packets = RefusedPackets(tmp_path, 3)
    for _ in range(100):
        packets.add(bytes(1000), "egress: refused_cut")
    packets.close()
    sizes = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert sizes.keys() == {"refused-3.pcapng", "refused-3.pcapng.old"}
    assert max(sizes.values()) < 12_000


def test_a_packet_has_its_reason_and_its_time(tmp_path: Path) -> None:
    packets = RefusedPackets(tmp_path, 3)
    before = time.time()
    packets.add(bytes(IP() / UDP()), "egress: refused_cut")
    packets.close()
    [packet] = rdpcap(str(tmp_path / "refused-3.pcapng"))
    assert packet.comment == b"egress: refused_cut"
    assert int(before) <= packet.time <= time.time()


def test_two_captures_to_compare_begin_anew_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 10_000)
    packets = ComparedPackets(tmp_path, 3)
    for number in range(100):
        packet = bytes((number,)) * 1000
        packets.add(packet, packet[:100] if number % 2 else None, "egress: masked")
    packets.close()
    for suffix in (".pcapng", ".pcapng.old"):
        with (
            open_capture(str(tmp_path / f"before-3{suffix}")) as before,
            open_capture(str(tmp_path / f"after-3{suffix}")) as after,
        ):
            numbers = [packet.data[0] for packet in before if isinstance(packet, Packet)]
            kept = [packet.data[0] for packet in after if isinstance(packet, Packet)]
        assert kept == [number for number in numbers if number % 2]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_that_is_not_there_costs_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    packets = RefusedPackets(tmp_path / "none", 0)
    packets.add(b"x", "cut")
    packets.add(b"x", "cut")
    packets.flush()
    assert len(caplog.records) == 1
    assert "No such file or directory" in caplog.text


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "refused-0.pcapng").symlink_to(tmp_path / "victim")
    RefusedPackets(tmp_path, 0).add(b"x", "cut")
    assert not (tmp_path / "victim").exists()
