"""Captures of a real Kamailio with topoh: the inside leg opens all of them, and the outside leg on
what it opened gives Kamailio's own bytes back."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CAPTURES = HERE.parents[1] / "captures"
INDEX = tomllib.loads((CAPTURES / "INDEX.toml").read_text())
DIFFERS = tomllib.loads((HERE / "expected.toml").read_text())["differs"]
TOPOH = sorted(name for name in INDEX if re.search(r"-topoh\.pcap(ng)?$", name))
MASKED = sorted(name for name in INDEX if INDEX[name]["view"] == "masked")
NESTED = "spiral-topoh.pcap"  # its messages pass topoh twice, and are masked twice
SETTINGS = ("inside", "own", "topoh")
NO_BODIES = {"sdp": False, "bodies": False}
ORACLE = {
    "hide": NO_BODIES,
    "inside": ["192.168.178.10"],
    "own": ["192.168.178.10", "server.com"],
    "topoh": {"codec": "kamailio", "mask_key": "my secret here", "mask_ip": "10.1.1.10"},
}
TOKEN = re.compile(rb"[;=](?:sr-|z9hG4bKsr-)|!!:|;TH=")

pytestmark = pytest.mark.needs("tshark")

Judged = Callable[[Path], list[Any]]
Replay = Callable[..., dict[str, Any]]
WriteConfig = Callable[[Path, dict[str, Any]], Path]


def messages(judged: list[Any]) -> list[tuple[int, bytes]]:
    """The SIP messages with the number of the packet that ends each."""
    return [(number, judge.payload) for number, judge in enumerate(judged, 1) if judge.sip]


@pytest.fixture
def there_and_back(
    tmp_path: Path, replay: Replay, write_config: WriteConfig
) -> Callable[[Path, dict[str, Any]], tuple[Path, Path, dict[str, Any]]]:
    """What the inside leg makes of a capture, what the outside leg makes of that."""

    def run(source: Path, settings: dict[str, Any]) -> tuple[Path, Path, dict[str, Any]]:
        config = write_config(tmp_path, settings)
        inside, outside = (tmp_path / f"{leg}{source.suffix}" for leg in ("inside", "outside"))
        opened = replay(source, inside, config, "inside")
        replay(inside, outside, config, "outside")
        return inside, outside, opened

    return run


def test_the_oracle_comes_back(
    oracle: Path, there_and_back: Callable[..., Any], judged: Judged
) -> None:
    source = oracle / "kamailio-topoh-calls.pcap"
    inside, outside, _ = there_and_back(source, ORACLE)
    before, opened = messages(judged(source)), messages(judged(inside))
    assert sum(len(TOKEN.findall(payload)) for _, payload in before) > 0
    assert not any(TOKEN.search(payload) for _, payload in opened)
    assert outside.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", [name for name in TOPOH if name != NESTED])
def test_nothing_is_left_masked(
    name: str, there_and_back: Callable[..., Any], judged: Judged
) -> None:
    inside, _, report = there_and_back(CAPTURES / name, settings_of(name))
    before, after = messages(judged(CAPTURES / name)), messages(judged(inside))
    tokens = sum(len(TOKEN.findall(payload)) for _, payload in before)
    assert 0 < tokens == sum(report["edits"]["opened"].values())
    assert not any(TOKEN.search(payload) for _, payload in after)


@pytest.mark.parametrize("name", TOPOH)
def test_kamailios_bytes_come_back(
    name: str, there_and_back: Callable[..., Any], judged: Judged
) -> None:
    _, outside, report = there_and_back(CAPTURES / name, settings_of(name))
    before, after = messages(judged(CAPTURES / name)), messages(judged(outside))
    differs = [
        number for (number, theirs), (_, ours) in zip(before, after, strict=True) if theirs != ours
    ]
    assert differs == DIFFERS.get(name, [])
    if not differs and not report["fragments"]["read"] and name.endswith(".pcap"):
        assert outside.read_bytes() == (CAPTURES / name).read_bytes()


@pytest.mark.parametrize("name", TOPOH)
def test_the_audit_finds_what_topoh_leaves(
    name: str, tmp_path: Path, inline_topo: Callable[..., Any], write_config: WriteConfig
) -> None:
    config = write_config(tmp_path, settings_of(name))
    ran = inline_topo("audit", "-r", CAPTURES / name, "-c", config, "--json")
    leaking = {leak["packet"] for leak in json.loads(ran.out)["leaks"]}
    assert ran.status == (1 if leaking else 0)
    assert leaking <= set(DIFFERS.get(name, []))
    assert bool(leaking) == (name in DIFFERS)


@pytest.mark.parametrize("codec", ["aes-siv", "kamailio"])
@pytest.mark.parametrize("name", MASKED)
def test_tokens_of_others_are_left_alone(
    name: str, codec: str, tmp_path: Path, inline_topo: Callable[..., Any], frames: Judged,
    replay: Replay, write_config: WriteConfig,
) -> None:  # fmt: skip
    """What topoh or topos masked, through a gateway with another key."""
    key = {"mask_key": "another key"}
    if codec == "aes-siv":
        inline_topo("keygen", "-o", tmp_path / "mask.key")
        key = {"mask_key_file": "mask.key"}
    config = write_config(tmp_path, settings_of(name) | {"topoh": {"codec": codec, **key}})
    source = CAPTURES / name
    outside, inside = (tmp_path / f"{leg}{source.suffix}" for leg in ("outside", "inside"))
    assert replay(source, inside, config, "inside")["edits"] == {}
    replay(source, outside, config, "outside")
    replay(outside, inside, config, "inside")
    assert frames(inside) == frames(source)


def test_tokens_inside_tokens_open_one_level_at_a_time(
    tmp_path: Path, there_and_back: Callable[..., Any], judged: Judged
) -> None:
    once, _, _ = there_and_back(CAPTURES / NESTED, settings_of(NESTED))
    twice = there_and_back(once.rename(tmp_path / "once.pcap"), settings_of(NESTED))[0]
    left = [
        sum(len(TOKEN.findall(payload)) for _, payload in messages(judged(path)))
        for path in (CAPTURES / NESTED, tmp_path / "once.pcap", twice)
    ]
    assert left[0] > left[1] > left[2] == 0


def test_the_index_says_which_captures_differ() -> None:
    assert set(DIFFERS) == {name for name in TOPOH if "differs" in INDEX[name]}


def settings_of(name: str) -> dict[str, Any]:
    """The configuration that the index has for a capture, and bodies as topoh leaves them."""
    return {"hide": NO_BODIES} | {key: INDEX[name][key] for key in SETTINGS if key in INDEX[name]}
