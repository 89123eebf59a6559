"""Mode topos on the project's captures: the legs, and a gateway that has nothing but its store."""
# mypy: allow-untyped-calls

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.utils import rdpcap

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import load
from inline_topo.gateway import Ask, Gateway, Verdict
from inline_topo.masking import effects
from inline_topo.masking.flow import Direction
from tests.masking.network import RING, unmarked

CAPTURES = Path(__file__).parents[2] / "captures"
INDEX = tomllib.loads((CAPTURES / "INDEX.toml").read_text())
CLEAR = sorted(name for name in INDEX if INDEX[name]["view"] == "clear")
FRAGMENTS = {"fragments.pcap", "fragments6.pcap"}  # a gateway sees whole datagrams
NAT = "nat.pcap"  # taken before the translation, so not what a gateway would see outside
# A phone outside has an address of the inside's range. The capture was taken without a gateway, so what the
# inside answers to it has no mark: leg outside leaves what the phone said before, a gateway seals it.
STRANGER = "remote-phone.pcap"
SPIRAL = "spiral.pcap"  # what one pass takes out the other never has: not so in a clear capture
SETTINGS = ("inside", "own", "shape", "public", "protected")

# Header fields whose lines a gateway puts together anew: their values count, in order.
LISTS = ("Via", "Record-Route", "Route")

Frames = Callable[[Path], list[Any]]


def config_of(name: str, store: Path, profile: str) -> dict[str, Any]:
    keys = {"profile": profile} | {key: INDEX[name][key] for key in SETTINGS if key in INDEX[name]}
    key_ring = store.parent / "mask.key"
    if not key_ring.exists():
        RING.save(key_ring)
    topos = {"store": f"sqlite:///{store}"}
    return keys | {"mode": "topos", "topoh": {"mask_key_file": "mask.key"}, "topos": topos}


def live(name: str, profile: str) -> Callable[[bytes, float], Verdict]:
    """A gateway with a store in memory."""
    keys = {key: INDEX[name][key] for key in SETTINGS if key in INDEX[name]}
    config = load(
        None,
        env={},
        overrides=keys | {"profile": profile, "mode": "topos", "topos.store": "memory:"},
        key_ring_given=True,
    )
    gateway: Gateway = assemble.gateway(config, Leg.GATEWAY, ring=RING)
    performers = assemble.performers(config)

    def judge(packet: bytes, now: float) -> Verdict:
        verdict = gateway.handle(packet, now)
        while isinstance(verdict, Ask):
            verdict = verdict.resume(effects.perform(performers, verdict.effect))
        return verdict

    return judge


@pytest.fixture
def legs(
    tmp_path: Path, replay: Callable[..., Any], write_config: Callable[..., Path]
) -> Callable[..., tuple[Path, Path]]:
    """What the outside leg makes of a capture, and the inside leg, with the same store, of that."""

    def run(name: str, profile: str = "default") -> tuple[Path, Path]:
        config = write_config(tmp_path, config_of(name, tmp_path / "dialogs.db", profile))
        source = CAPTURES / name
        outside, inside = (tmp_path / f"{leg}{source.suffix}" for leg in ("outside", "inside"))
        for origin, target in ((source, outside), (outside, inside)):
            report = replay(origin, target, config, target.stem)
            assert report["refused"] == {}
        return outside, inside

    return run


@pytest.mark.parametrize("name", CLEAR)
def test_the_capture_comes_back_and_nothing_of_the_inside_shows(
    name: str,
    legs: Callable[..., Any],
    frames: Frames,
    tmp_path: Path,
    inline_topo: Callable[..., Any],
) -> None:
    outside, inside = legs(name)
    assert frames(outside) != frames(CAPTURES / name)
    assert frames(inside) == frames(CAPTURES / name)
    ran = inline_topo("audit", "-r", outside, "-c", tmp_path / "gw.toml")
    assert ran.status == 0, ran.out
    assert inline_topo("audit", "-r", CAPTURES / name, "-c", tmp_path / "gw.toml").status == 1


@pytest.mark.parametrize("profile", ["default", "topoh"])
@pytest.mark.parametrize("name", sorted({*CLEAR} - FRAGMENTS - {NAT, SPIRAL, STRANGER}))
def test_a_gateway_makes_of_the_outside_what_the_inside_had(
    name: str, profile: str, legs: Callable[..., Any]
) -> None:
    """The gateway sees what leaves as it left, and what enters as the outside leg has it: it must
    bring back every value, by its store alone, and what leaves must be the outside leg's bytes."""
    outside, _ = legs(name, profile)
    judge = live(name, profile)
    directions = set()
    for clear, seen in zip(rdpcap(str(CAPTURES / name)), rdpcap(str(outside)), strict=True):
        layer = IP if IP in clear else IPv6
        if UDP not in clear:
            continue
        before, after = bytes(clear[layer]), bytes(seen[layer])
        verdict = judge(before, float(clear.time))
        if verdict.direction is Direction.EGRESS:
            assert payload(verdict.packet) == payload(after)
        elif verdict.direction is Direction.INGRESS:
            verdict = judge(after, float(clear.time))
            assert values(unmarked(payload(verdict.packet))) == values(payload(before))
        directions.add(verdict.direction)
    assert {Direction.EGRESS, Direction.INGRESS} <= directions


def payload(packet: bytes) -> bytes:
    return bytes((IPv6 if packet[0] >> 4 == 6 else IP)(packet)[UDP].payload)


def values(message: bytes) -> tuple[list[str], dict[str, list[str]], bytes]:
    """The lines of a message but those of LISTS, in order; the values of those; the body.

    Without the Record-Routes of a failure, which mean nothing (RFC 3261 section 12.1.1).
    """
    head, _, body = message.partition(b"\r\n\r\n")
    lines, lists = [], {name: list[str]() for name in LISTS}
    for text in head.decode().split("\r\n"):
        field, colon, value = text.partition(":")
        name = {"v": "Via"}.get(field, field)
        if colon and name in LISTS:
            lists[name] += re.split(r"\s*,\s*", value.strip())
        else:
            lines.append(text)
    if not re.match("SIP/2.0 [12]|[A-Z]+ ", lines[0]):
        lists["Record-Route"].clear()
    return lines, lists, body


@pytest.mark.parametrize("profile", ["default", "topoh"])
@pytest.mark.parametrize("name", sorted({*CLEAR} - FRAGMENTS))
def test_requests_that_lose_something_leave_shorter(name: str, profile: str) -> None:
    judge = live(name, profile)
    judged = lost = 0
    for packet in rdpcap(str(CAPTURES / name)):
        data = bytes(packet[IPv6 if IPv6 in packet else IP])
        text = bytes(packet[UDP].payload)
        verdict = judge(data, float(packet.time))
        if verdict.direction is not Direction.EGRESS or text.startswith(b"SIP/2.0"):
            continue
        judged += 1
        if profile == "topoh" and text.startswith(b"REGISTER "):
            continue  # which the profile leaves alone
        if len(re.findall(rb"\r\n(?:Via|v):", text)) > 1 or b"\r\nRecord-Route:" in text:
            lost += 1
            assert len(verdict.packet) < len(data), text
    assert judged
    assert lost or name == NAT or (name.startswith("register") and profile == "topoh")
