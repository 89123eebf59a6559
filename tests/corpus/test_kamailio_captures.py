"""Captures of a real Kamailio with topoh: the inside leg opens all of them, and the outside leg on
what it opened gives Kamailio's own bytes back."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gathered import gathered

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

Replay = Callable[..., dict[str, Any]]
WriteConfig = Callable[[Path, dict[str, Any]], Path]


Messages = list[tuple[int, bytes]]


def messages(judged: list[Any]) -> Messages:
    """The SIP messages with the number of the packet that ends each."""
    return [(number, judge.payload) for number, judge in enumerate(judged, 1) if judge.sip]


class Trip(NamedTuple):
    """A capture of Kamailio's, what the inside leg made of it, what the outside leg made of that; the
    messages of each, and the report of the inside leg."""

    config: Path
    paths: tuple[Path, Path, Path]
    messages: tuple[Messages, Messages, Messages]
    opened: dict[str, Any]


@pytest.fixture(scope="session")
def there_and_back(
    tmp_path_factory: pytest.TempPathFactory, replay: Replay, write_config: WriteConfig,
    judged: Callable[..., list[Any]],
) -> Callable[[dict[Path, dict[str, Any]]], list[Trip]]:  # fmt: skip
    """Captures with the settings for each, there and back; tshark reads all in one run."""

    def run(settings: dict[Path, dict[str, Any]]) -> list[Trip]:
        done = []
        for source, keys in settings.items():
            folder = tmp_path_factory.mktemp("legs")
            config = write_config(folder, keys)
            inside, outside = (folder / f"{leg}{source.suffix}" for leg in ("inside", "outside"))
            opened = replay(source, inside, config, "inside")
            replay(inside, outside, config, "outside")
            done.append((config, (source, inside, outside), opened))
        found = map(messages, judged(*(path for _, paths, _ in done for path in paths)))
        return [
            Trip(config, paths, (next(found), next(found), next(found)), opened)
            for config, paths, opened in done
        ]

    return run


@pytest.fixture(scope="module")
def trips(there_and_back: Callable[..., list[Trip]]) -> dict[str, Trip]:
    """All captures of topoh."""
    made = there_and_back({CAPTURES / name: settings_of(name) for name in TOPOH})
    return dict(zip(TOPOH, made, strict=True))


def test_the_oracle_comes_back(oracle: Path, there_and_back: Callable[..., list[Trip]]) -> None:
    source = oracle / "kamailio-topoh-calls.pcap"
    [trip] = there_and_back({source: ORACLE})
    before, opened, _ = trip.messages
    assert sum(len(TOKEN.findall(payload)) for _, payload in before) > 0
    assert not any(TOKEN.search(payload) for _, payload in opened)
    assert trip.paths[2].read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", TOPOH)
def test_the_legs_open_it_and_give_kamailios_bytes_back(
    name: str, trips: dict[str, Trip], inline_topo: Callable[..., Any]
) -> None:
    trip = trips[name]
    left_masked = [] if name == NESTED else [lambda: nothing_is_left_masked(trip)]
    gathered(
        *left_masked,
        lambda: kamailios_bytes_come_back(name, trip),
        lambda: the_audit_finds_what_topoh_leaves(name, trip, inline_topo),
    )


def nothing_is_left_masked(trip: Trip) -> None:
    before, opened, _ = trip.messages
    tokens = sum(len(TOKEN.findall(payload)) for _, payload in before)
    assert 0 < tokens == sum(trip.opened["edits"]["opened"].values())
    assert not any(TOKEN.search(payload) for _, payload in opened)


def kamailios_bytes_come_back(name: str, trip: Trip) -> None:
    before, _, after = trip.messages
    pairs = zip(before, after, strict=True)
    differs = [number for (number, theirs), (_, ours) in pairs if theirs != ours]
    assert differs == DIFFERS.get(name, [])
    if not differs and not trip.opened["fragments"]["read"] and name.endswith(".pcap"):
        assert trip.paths[2].read_bytes() == trip.paths[0].read_bytes()


def the_audit_finds_what_topoh_leaves(
    name: str, trip: Trip, inline_topo: Callable[..., Any]
) -> None:
    ran = inline_topo("audit", "-r", trip.paths[0], "-c", trip.config, "--json")
    leaking = {leak["packet"] for leak in json.loads(ran.out)["leaks"]}
    assert ran.status == (1 if leaking else 0)
    assert leaking <= set(DIFFERS.get(name, []))
    assert bool(leaking) == (name in DIFFERS)


@pytest.mark.parametrize("codec", ["aes-siv", "kamailio"])
@pytest.mark.parametrize("name", MASKED)
def test_tokens_of_others_are_left_alone(
    name: str, codec: str, tmp_path: Path, inline_topo: Callable[..., Any],
    frames: Callable[[Path], list[Any]], replay: Replay, write_config: WriteConfig,
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
    trips: dict[str, Trip], there_and_back: Callable[..., list[Trip]]
) -> None:
    once = trips[NESTED]
    [twice] = there_and_back({once.paths[1]: settings_of(NESTED)})
    left = [
        sum(len(TOKEN.findall(payload)) for _, payload in found)
        for found in (*once.messages[:2], twice.messages[1])
    ]
    assert left[0] > left[1] > left[2] == 0


def test_the_index_says_which_captures_differ() -> None:
    assert set(DIFFERS) == {name for name in TOPOH if "differs" in INDEX[name]}


def settings_of(name: str) -> dict[str, Any]:
    """The configuration that the index has for a capture, and bodies as topoh leaves them."""
    return {"hide": NO_BODIES} | {key: INDEX[name][key] for key in SETTINGS if key in INDEX[name]}
