"""Every capture of the corpus and of captures/ through the outside leg and the inside leg.

`expected.toml` says what must happen to each; tshark, scapy and the audit judge the result.
"""

import re
import tomllib
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

HERE = Path(__file__).parent
CAPTURES = HERE.parents[1] / "captures"
ETHERNET_IP_UDP = 14 + 20 + 8
SETTINGS: tuple[str, ...] = ("shape", "public", "inside", "own", "topoh")
BARE_CONTACT = re.compile(rb"(?m)^(Contact: )(sips?:[^<>\r\n;]+)")

pytestmark = pytest.mark.needs("tshark")


@dataclass(frozen=True)
class Row:
    """A capture, a configuration for it, and what is expected of it (expected.toml says what)."""

    name: str
    corpus: bool
    config: dict[str, Any]
    edits: dict[str, int]
    merged_vias: int
    nothing: str
    bare: int
    refused: dict[str, list[int]]
    shows_nothing: str
    cookies: int
    spirals: int
    strangers: list[int]

    @property
    def left_out(self) -> Set[int]:
        """The numbers of all packets that are refused."""
        return {number for numbers in self.refused.values() for number in numbers}

    def masked(self, codec: str) -> dict[str, int]:
        """How often each field is masked."""
        edits = dict(self.edits)
        if codec == "aes-siv" and self.merged_vias:
            edits["Via"] = self.merged_vias
        return edits


def _row(name: str, corpus: bool, config: dict[str, Any], expected: dict[str, Any]) -> Row:
    settings = {key: config[key] for key in SETTINGS if key in config}
    return Row(
        name,
        corpus,
        settings,
        expected.get("edits", {}),
        expected.get("merged_vias", 0),
        expected.get("nothing", ""),
        expected.get("bare", 0),
        expected.get("refused", {}),
        expected.get("shows_nothing", ""),
        expected.get("cookies", 0),
        expected.get("spirals", 0),
        expected.get("strangers", [0, 0]),
    )


EXPECTED = tomllib.loads((HERE / "expected.toml").read_text())
INDEX = tomllib.loads((CAPTURES / "INDEX.toml").read_text())
CLEAR = {name for name, entry in INDEX.items() if entry["view"] == "clear"}
ROWS = [_row(row["file"], True, row, row) for row in EXPECTED["corpus"]]
ROWS += [
    _row(name, False, INDEX[name], expected)
    for name, expected in EXPECTED["captures"].items()
    if name in INDEX
]


def test_every_capture_of_the_corpus_has_a_row(corpus: Path) -> None:
    files = {str(path.relative_to(corpus)) for path in corpus.glob("*/pcap/*.pcap*")}
    assert files == {row.name for row in ROWS if row.corpus}


def test_every_clear_capture_has_a_row() -> None:
    assert set(EXPECTED["captures"]) == CLEAR


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.rpartition("/")[2])
def test_a_row_expects_edits_or_says_why_not(row: Row) -> None:
    assert bool(row.edits) != bool(row.nothing)
    assert all(count > 0 for count in row.edits.values())


class Legs(NamedTuple):
    """A capture, what the outside leg made of it, what the inside leg made of that."""

    config: Path
    before: Path
    outside: Path
    inside: Path
    masked: dict[str, Any]
    opened: dict[str, Any]


@pytest.fixture(scope="session")
def legs_of(
    tmp_path_factory: pytest.TempPathFactory,
    inline_topo: Callable[..., Any],
    replay: Callable[..., dict[str, Any]],
    write_config: Callable[[Path, dict[str, Any]], Path],
    request: pytest.FixtureRequest,
) -> Callable[[str, int], Legs]:
    """The legs of a row (by its number) with a codec, made once."""
    ring = tmp_path_factory.mktemp("key") / "mask.key"
    inline_topo("keygen", "-o", ring)

    @cache
    def legs_of(codec: str, number: int) -> Legs:
        row = ROWS[number]
        source = request.getfixturevalue("corpus") if row.corpus else CAPTURES
        before = source / row.name
        folder = tmp_path_factory.mktemp(codec)
        topoh = {"mask_key": "my secret here"} | row.config.get("topoh", {}) | {"codec": codec}
        if codec == "aes-siv":
            del topoh["mask_key"]
            topoh["mask_key_file"] = str(ring)
        config = write_config(folder, row.config | {"topoh": topoh})
        outside, inside = (folder / f"{leg}{before.suffix}" for leg in ("outside", "inside"))
        masked = replay(before, outside, config, "outside")
        opened = replay(outside, inside, config, "inside")
        return Legs(config, before, outside, inside, masked, opened)

    return legs_of


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.rpartition("/")[2])
class RoundTrip:
    """What must hold with either codec."""

    codec: ClassVar[str]

    @pytest.fixture
    def legs(self, row: Row, legs_of: Callable[[str, int], Legs]) -> Legs:
        return legs_of(self.codec, ROWS.index(row))

    @pytest.fixture
    def kept(self, row: Row, legs: Legs, frames: Callable[[Path], list[Any]]) -> list[Any]:
        """The frames that are to be written."""
        before = enumerate(frames(legs.before), 1)
        return [frame for number, frame in before if number not in row.left_out]

    def test_edits(self, row: Row, legs: Legs) -> None:
        expected = row.masked(self.codec)
        for report, action in ((legs.masked, "masked"), (legs.opened, "opened")):
            assert in_headers(report["edits"].get(action, {})) == expected
            assert set(report["edits"]) <= {action}

    def test_packets_and_times(
        self, row: Row, legs: Legs, kept: list[Any], frames: Callable[[Path], list[Any]]
    ) -> None:
        for report in (legs.masked, legs.opened):
            pieces = report["fragments"]
            whole = pieces["read"] - pieces["incomplete"] - pieces["contradictory"]
            refused = sum(refusal["count"] for refusal in report["refused"].values())
            assert report["packets_written"] == (
                report["packets_read"] - refused + pieces["written"] - whole
            )
        assert [frame.time for frame in frames(legs.outside)] == [frame.time for frame in kept]

    def test_refusals(self, row: Row, legs: Legs) -> None:
        refused = legs.masked["refused"]
        assert {outcome: refusal["count"] for outcome, refusal in refused.items()} == {
            outcome: len(numbers) for outcome, numbers in row.refused.items()
        }
        for outcome, refusal in refused.items():
            assert row.refused[outcome][: len(refusal["packets"])] == refusal["packets"]
        assert legs.opened["refused"] == {}

    def test_the_same_bytes_come_back(
        self, row: Row, legs: Legs, kept: list[Any], frames: Callable[[Path], list[Any]],
        judged: Callable[[Path], list[Any]],
    ) -> None:  # fmt: skip
        back = frames(legs.inside)
        assert [frame.time for frame in back] == [frame.time for frame in kept]
        changed = [n for n, pair in enumerate(zip(kept, back, strict=True)) if pair[0] != pair[1]]
        # topoh has no word for a Contact without <>
        assert len(changed) == (row.bare if self.codec == "kamailio" else 0)
        for number in changed:
            clear, again = (judged(path)[number].payload for path in (legs.before, legs.inside))
            assert again == BARE_CONTACT.sub(rb"\1<\2>", clear) != clear
        # pcapng keeps a comment in each rewritten packet
        if legs.before.suffix == ".pcap" and not changed and not row.refused:
            assert legs.inside.read_bytes() == legs.before.read_bytes()

    def test_what_is_not_sip_over_udp_is_untouched(
        self, row: Row, legs: Legs, frames: Callable[[Path], list[Any]],
        judged: Callable[[Path], list[Any]],
    ) -> None:  # fmt: skip
        def others(path: Path, without: Set[int] = frozenset()) -> list[Any]:
            both = zip(frames(path), judged(path), strict=True)
            return [
                frame
                for number, (frame, judge) in enumerate(both, 1)
                if not judge.sip and not judge.fragment and number not in without
            ]

        assert others(legs.outside) == others(legs.before, row.left_out)

    def test_tshark_finds_nothing_new(
        self, row: Row, legs: Legs, judged: Callable[[Path], list[Any]]
    ) -> None:
        numbered = enumerate(judged(legs.before), 1)
        before = [judge for number, judge in numbered if number not in row.left_out]
        after = judged(legs.outside)
        for number, (old, new) in enumerate(zip(before, after, strict=True), 1):
            assert new.sip == old.sip, number
            assert new.malformed <= old.malformed, number
            assert new.checksums == old.checksums, number

    def test_the_legs_agree_with_the_live_gateway(
        self, row: Row, legs: Legs, tmp_path: Path, replay: Callable[..., dict[str, Any]],
        frames: Callable[[Path], list[Any]], judged: Callable[[Path], list[Any]],
    ) -> None:  # fmt: skip
        """What leaves leaves as in the outside leg; what enters enters as in the inside leg."""
        sides = [
            is_in(judge.source, row.config["inside"]) if judge.sip or judge.fragment else None
            for number, judge in enumerate(judged(legs.before), 1)
            if number not in row.left_out
        ]

        def differ(one: Path, other: Path, *, leaving: bool) -> int:
            pairs = zip(sides, frames(one), frames(other), strict=True)
            # the headers before are the live gateway's and the kernel's: DF, translated addresses
            return sum(
                x.data[ETHERNET_IP_UDP:] != y.data[ETHERNET_IP_UDP:]
                for side, x, y in pairs
                if side is leaving
            )

        masked, opened = (tmp_path / f"{leg}{legs.before.suffix}" for leg in ("out", "in"))
        replay(legs.before, masked, legs.config, "gateway")
        replay(legs.outside, opened, legs.config, "gateway")
        cookies = row.cookies if self.codec == "kamailio" else 0
        left, entered = row.strangers
        assert differ(legs.outside, masked, leaving=True) == cookies + left
        assert differ(legs.inside, opened, leaving=False) == row.spirals + entered

    def test_audit(self, row: Row, legs: Legs, inline_topo: Callable[..., Any]) -> None:
        before = inline_topo("audit", "-r", legs.before, "-c", legs.config, "--json")
        after = inline_topo("audit", "-r", legs.outside, "-c", legs.config, "--json")
        clean = 0 if legs.masked["messages"].get("egress") else 2  # 2: none to judge
        found = 1 if row.edits and not row.shows_nothing else clean
        assert (before.status, after.status) == (found, clean), after.out


def in_headers(edits: dict[str, int]) -> dict[str, int]:
    """The edits but for those of bodies, which test_bodies.py is about."""
    return {
        field: number
        for field, number in edits.items()
        if field not in ("SDP", "Content-Length") and not field.startswith("body ")
    }


def is_in(address: str, networks: list[str]) -> bool:
    """Whether an address lies in one of these networks; "" (no IP) does not."""
    return any(ip_address(address) in ip_network(net) for net in networks if address)


class TestAesSiv(RoundTrip):
    codec = "aes-siv"


class TestKamailio(RoundTrip):
    codec = "kamailio"
