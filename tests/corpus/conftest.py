"""What the tests on captures share: the command, the bytes of a capture, and tshark's opinion of it."""
# mypy: allow-untyped-calls

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from scapy.utils import RawPcapReader

from inline_topo.cli import main

Words = str | Path

CHECKSUMS = ("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
FIELDS = (
    "frame.protocols",
    "_ws.malformed",
    "ip.checksum.status",
    "udp.checksum.status",
    "ip.flags.mf",
    "ip.frag_offset",
    "ipv6.fraghdr.ident",
    "udp.payload",
    "ip.src",
    "ipv6.src",
)


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Frame(NamedTuple):
    """A packet of a capture: its time in units of the capture, its bytes with the link layer."""

    time: tuple[int, ...]
    data: bytes


class Judged(NamedTuple):
    """What tshark says of a packet. `checksums`: of IP and UDP, bad 0, good 1, absent 3."""

    sip: bool  # SIP over UDP, in no tunnel and in no ICMP error
    fragment: bool
    malformed: bool
    checksums: tuple[str, str]
    payload: bytes  # of UDP, put together from fragments at the last of them
    source: str  # its IP address


@pytest.fixture(scope="session")
def inline_topo() -> Callable[..., Ended]:
    """The command in this process; unlike `command`, for fixtures of any scope."""

    def run(*words: Words) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.object(sys, "argv", ["inline-topo", *map(str, words)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            main()
        code = end.value.code
        return Ended(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def replay(inline_topo: Callable[..., Ended]) -> Callable[..., dict[str, Any]]:
    """`inline-topo replay --json`, and its report."""

    def run(source: Path, target: Path, config: Path, leg: str) -> dict[str, Any]:
        ended = inline_topo(
            "replay", "-r", source, "-w", target, "-c", config, "--leg", leg, "--json"
        )
        assert ended.status == 0, ended.err
        report: dict[str, Any] = json.loads(ended.out)
        return report

    return run


@pytest.fixture(scope="session")
def frames() -> Callable[[Path], list[Frame]]:
    """The packets of a capture, by scapy."""

    def read(path: Path) -> list[Frame]:
        with RawPcapReader(str(path)) as reader:
            return [
                Frame(tuple(meta[1:4] if hasattr(meta, "tshigh") else meta[:2]), data)
                for data, meta in reader
            ]

    return read


@pytest.fixture(scope="session")
def judged() -> Callable[[Path], list[Judged]]:
    """The packets of a capture, by tshark."""
    return cache(_judged)


def _judged(path: Path) -> list[Judged]:
    words = ["tshark", "-r", str(path), *CHECKSUMS, "-T", "fields", "-E", "separator=|"]
    for field in FIELDS:
        words += ["-e", field]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    return [_judgement(*line.split("|")) for line in ran.stdout.splitlines()]


def _judgement(
    protocols: str, malformed: str, ip: str, udp: str, mf: str, offset: str, fragment6: str,
    payload: str, source4: str, source6: str,
) -> Judged:  # fmt: skip
    names = [name for name in protocols.split(":") if name != "ipv6.fraghdr"]
    first = next((n for n, name in enumerate(names) if name in ("ip", "ipv6")), len(names))
    return Judged(
        sip=names[first + 1 : first + 3] == ["udp", "sip"],
        fragment=bool(fragment6) or mf.startswith("1") or offset.split(",")[0] not in ("", "0"),
        malformed=bool(malformed),
        checksums=(ip, udp),
        payload=bytes.fromhex(payload.split(",")[0]),
        source=(source4 or source6).split(",")[0],
    )


@pytest.fixture(scope="session")
def write_config() -> Callable[[Path, dict[str, Any]], Path]:
    """A configuration file with these keys, in a folder."""
    return _write_config


def _write_config(folder: Path, config: dict[str, Any]) -> Path:
    tables = {key: value for key, value in config.items() if isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(config[key])}" for key in config if key not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(table[key])}" for key in table)]
    path = folder / "gw.toml"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")
    return path
