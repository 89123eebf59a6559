"""What the tests on captures share: the command, the bytes of a capture, and tshark's opinion of it."""
# mypy: allow-untyped-calls

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from scapy.utils import RawPcapReader

from inline_topo.cli import main
from tests import tshark

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
    "ip.dst",
    "ipv6.dst",
    "sip.Content-Length",
    "sdp.owner.username",
    "sdp.owner.address",
)
SESSION = (
    *("sdp.owner.sessionid", "sdp.owner.version", "sdp.connection_info", "sdp.media"),
    *("sdp.media_attr", "_ws.malformed"),
)
"""What no masking of a body may touch."""


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Frame(NamedTuple):
    """A packet of a capture: its time in units of the capture, its bytes with the link layer."""

    time: tuple[int, ...]
    data: bytes


class Described(NamedTuple):
    """SDP, as tshark reads it. `length`: what Content-Length says; `session`: the fields of SESSION."""

    length: str
    username: str
    address: str
    session: tuple[str, ...]


class Judged(NamedTuple):
    """What tshark says of a packet. `checksums`: of IP and UDP, bad 0, good 1, absent 3."""

    sip: bool  # SIP over UDP, in no tunnel and in no ICMP error
    fragment: bool
    malformed: bool
    checksums: tuple[str, str]
    payload: bytes  # of UDP, put together from fragments at the last of them
    source: str  # its IP address
    destination: str
    described: Described | None  # where it has SDP


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
def judged() -> Callable[..., list[list[Judged]]]:
    """The packets of captures, by tshark, in one run."""
    return _judged


def _judged(*paths: Path) -> list[list[Judged]]:
    captures = tshark.read(paths, [*dict.fromkeys(FIELDS + SESSION)], *CHECKSUMS)
    return [[_judgement(packet) for packet in packets] for packets in captures]


def _judgement(packet: tshark.Packet) -> Judged:
    names = [name for name in packet["frame.protocols"].split(":") if name != "ipv6.fraghdr"]
    first = next((n for n, name in enumerate(names) if name in ("ip", "ipv6")), len(names))
    offset = packet["ip.frag_offset"].split(",")[0]
    is_later = packet["ip.flags.mf"].startswith("1") or offset not in ("", "0")
    return Judged(
        sip=names[first + 1 : first + 3] == ["udp", "sip"],
        fragment=bool(packet["ipv6.fraghdr.ident"]) or is_later,
        malformed=bool(packet["_ws.malformed"]),
        checksums=(packet["ip.checksum.status"], packet["udp.checksum.status"]),
        payload=bytes.fromhex(packet["udp.payload"].split(",")[0]),
        source=(packet["ip.src"] or packet["ipv6.src"]).split(",")[0],
        destination=(packet["ip.dst"] or packet["ipv6.dst"]).split(",")[0],
        described=_described(packet) if {"sdp", "udp"} <= {*names} else None,
    )


def _described(packet: tshark.Packet) -> Described:
    owner = (packet["sdp.owner.username"], packet["sdp.owner.address"])
    session = tuple(packet[name] for name in SESSION)
    return Described(packet["sip.Content-Length"], *owner, session)


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
