"""`scripts/demo`, the first thing that a newcomer runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo import ROOT, start_demo

CAPTURES = ROOT / "captures"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "demo"


def test_shows_the_call_before_and_after(folder: Path) -> None:
    folder.mkdir()  # it may be there, and a capture in it
    (folder / "inside.pcap").write_bytes(b"of another day")
    demo = start_demo(folder)
    said, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, errors
    clear = (CAPTURES / "slides-inside.pcap").read_bytes()
    assert (folder / "inside.pcap").read_bytes() == clear
    slides = (CAPTURES / "slides-outside.pcap").read_bytes()
    assert (folder / "kamailio.pcap").read_bytes() == slides
    phone = b'Contact: "alice" <sip:105@192.168.178.27:40416>'  # as the slides show it
    assert phone in clear
    assert phone not in (folder / "outside.pcap").read_bytes()
    in_clear, _, masked = said.partition("== The same call masked.")
    assert "leaks in" in in_clear
    assert "no leaks" not in in_clear
    assert masked.count("no leaks") == 1
    assert "│═ INVITE +" in masked


def test_stops_at_what_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    demo = start_demo(tmp_path / "file")
    said, errors = demo.communicate(timeout=60)
    assert demo.returncode != 0
    assert said == ""
    assert "file" in errors


def test_live_needs_root(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    demo = start_demo("--live", tmp_path / "never", environment={"PATH": path})
    said, errors = demo.communicate(timeout=60)
    assert demo.returncode == 2
    assert said == ""
    assert re.fullmatch(r".*/scripts/demo: --live needs root, .*\n", errors)


def test_live_names_the_packages_it_needs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "live_demo.py", tmp_path / "never"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"demo --live: .*: apt install .*\bsip-tester\b.*\n", done.stderr)
    assert not (tmp_path / "never").exists()
