"""Every capture of the corpus and of captures/ through the outside leg and the inside leg.

`expected.toml` says what must happen to each; tshark, scapy and the audit judge the result.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

from tests.corpus.conftest import Frame, Judged
from tests.corpus.origins import check_origins
from tests.corpus.rows import CAPTURES, CLEAR, EXPECTED, ROWS, Row, is_in, param
from tests.corpus.strangers import Words, routes_inside, speaks_of_the_inside
from tests.gathered import gathered

ETHERNET_IP_UDP = 14 + 20 + 8
BARE_CONTACT = re.compile(rb"(?m)^(Contact: )(sips?:[^<>\r\n;]+)")

pytestmark = pytest.mark.needs("tshark")


def test_every_capture_of_the_corpus_has_a_row(corpus: Path) -> None:
    files = {str(path.relative_to(corpus)) for path in corpus.glob("*/pcap/*.pcap*")}
    assert files == {row.name for row in ROWS if row.corpus}


def test_every_clear_capture_has_a_row() -> None:
    assert set(EXPECTED["captures"]) == CLEAR


def test_a_row_expects_edits_or_says_why_not() -> None:
    for row in ROWS:
        assert bool(row.edits) != bool(row.nothing), row.name
        assert all(count > 0 for count in row.edits.values()), row.name


class Legs(NamedTuple):
    """A capture, what the outside leg made of it, what the inside leg made of that."""

    config: Path
    before: Path
    outside: Path
    inside: Path
    masked: dict[str, Any]
    opened: dict[str, Any]


class Trip(NamedTuple):
    """The legs of a capture, and tshark's opinion of it before and outside."""

    legs: Legs
    before: list[Judged]
    outside: list[Judged]


@pytest.fixture(scope="class")
def trips(
    tmp_path_factory: pytest.TempPathFactory, inline_topo: Callable[..., Any],
    replay: Callable[..., dict[str, Any]], judged: Callable[..., list[list[Judged]]],
    write_config: Callable[[Path, dict[str, Any]], Path], request: pytest.FixtureRequest,
) -> dict[int, Trip]:  # fmt: skip
    """All rows that are asked for, by their numbers, so that tshark starts once for them."""
    codec = request.cls.codec
    ring = tmp_path_factory.mktemp("key") / "mask.key"
    inline_topo("keygen", "-o", ring)

    def legs_of(row: Row) -> Legs:
        source = request.getfixturevalue("corpus") if row.corpus else CAPTURES
        before, folder = source / row.name, tmp_path_factory.mktemp(codec)
        topoh = {"mask_key": "my secret here"} | row.config.get("topoh", {})
        topoh["codec"] = codec
        if codec == "aes-siv":
            del topoh["mask_key"]
            topoh["mask_key_file"] = str(ring)
        config = write_config(folder, row.config | {"topoh": topoh})
        outside, inside = (folder / f"{leg}{before.suffix}" for leg in ("outside", "inside"))
        masked = replay(before, outside, config, "outside")
        opened = replay(outside, inside, config, "inside")
        return Legs(config, before, outside, inside, masked, opened)

    items: list[Any] = [*request.session.items]
    rows = [item.callspec.params["row"] for item in items if item.cls is request.cls]
    legs = {ROWS.index(row): legs_of(row) for row in rows}
    # where something is refused, fragments may be left that wait for the next capture's
    apart = [[number] for number in legs if ROWS[number].refused]
    together = [number for number in legs if not ROWS[number].refused]
    trips: dict[int, Trip] = {}
    for numbers in (together, *apart):
        paths = [path for number in numbers for path in legs[number][1:3]]
        opinions = iter(judged(*paths))
        trips |= {n: Trip(legs[n], next(opinions), next(opinions)) for n in numbers}
    return trips


class RoundTrip:
    """What must hold with either codec."""

    codec: ClassVar[str]

    def test_there_and_back(
        self, row: Row, trips: dict[int, Trip], frames: Callable[[Path], list[Frame]],
        replay: Callable[..., dict[str, Any]], inline_topo: Callable[..., Any],
    ) -> None:  # fmt: skip
        legs, before, outside = trips[ROWS.index(row)]
        kept = [judge for number, judge in enumerate(before, 1) if number not in row.left_out]
        clear = [f for number, f in enumerate(frames(legs.before), 1) if number not in row.left_out]
        masked, back = frames(legs.outside), frames(legs.inside)
        # shape nat translates addresses
        is_nat = row.config.get("shape") == "nat"
        origins = [] if is_nat else [lambda: check_origins(row, kept, outside)]
        gathered(
            lambda: self.edits(row, legs),
            lambda: self.packets_and_times(legs, clear, masked),
            lambda: self.refusals(row, legs),
            lambda: self.the_same_bytes_come_back(row, legs, kept, clear, back),
            lambda: self.what_is_not_sip_over_udp_is_untouched(kept, outside, clear, masked),
            lambda: self.tshark_finds_nothing_new(kept, outside),
            lambda: self.the_legs_agree_with_the_live_gateway(row, legs, replay, frames, kept),
            lambda: self.audit(row, legs, inline_topo),
            *origins,
        )

    def edits(self, row: Row, legs: Legs) -> None:
        expected = row.masked(self.codec)
        for report, action in ((legs.masked, "masked"), (legs.opened, "opened")):
            assert in_headers(report["edits"].get(action, {})) == expected
            assert set(report["edits"]) <= {action, "stripped"}
            cut = {"behind body": len(row.cut)} if row.cut and action == "masked" else {}
            assert report["edits"].get("stripped", {}) == cut

    def packets_and_times(self, legs: Legs, clear: list[Frame], masked: list[Frame]) -> None:
        for report in (legs.masked, legs.opened):
            pieces = report["fragments"]
            whole = pieces["read"] - pieces["incomplete"] - pieces["contradictory"]
            refused = sum(refusal["count"] for refusal in report["refused"].values())
            assert report["packets_written"] == (
                report["packets_read"] - refused + pieces["written"] - whole
            )
        assert [frame.time for frame in masked] == [frame.time for frame in clear]

    def refusals(self, row: Row, legs: Legs) -> None:
        refused = legs.masked["refused"]
        assert {outcome: refusal["count"] for outcome, refusal in refused.items()} == {
            outcome: len(numbers) for outcome, numbers in row.refused.items()
        }
        for outcome, refusal in refused.items():
            assert row.refused[outcome][: len(refusal["packets"])] == refusal["packets"]
        assert legs.opened["refused"] == {}

    def the_same_bytes_come_back(
        self, row: Row, legs: Legs, kept: list[Judged], clear: list[Frame], back: list[Frame]
    ) -> None:
        assert [frame.time for frame in back] == [frame.time for frame in clear]
        changed = [n for n, pair in enumerate(zip(clear, back, strict=True)) if pair[0] != pair[1]]
        for number in sorted(set(changed) & {one - 1 for one in row.cut}):
            changed.remove(number)
            assert kept[number].payload.startswith(sip_of(back[number]))
        # topoh has no word for a Contact without <>
        assert len(changed) == (row.bare if self.codec == "kamailio" else 0)
        for number in changed:
            text = kept[number].payload
            bracketed = BARE_CONTACT.sub(rb"\1<\2>", text)
            assert bracketed != text
            assert back[number].data.endswith(bracketed)
        # pcapng keeps a comment in each rewritten packet
        if legs.before.suffix == ".pcap" and not changed and not row.refused and not row.cut:
            assert legs.inside.read_bytes() == legs.before.read_bytes()

    def what_is_not_sip_over_udp_is_untouched(
        self, kept: list[Judged], outside: list[Judged], clear: list[Frame], masked: list[Frame]
    ) -> None:
        def others(frames: list[Frame], judges: list[Judged]) -> list[Frame]:
            both = zip(frames, judges, strict=True)
            return [frame for frame, judge in both if not judge.sip and not judge.fragment]

        assert others(masked, outside) == others(clear, kept)

    def tshark_finds_nothing_new(self, kept: list[Judged], outside: list[Judged]) -> None:
        for number, (old, new) in enumerate(zip(kept, outside, strict=True), 1):
            assert new.sip == old.sip, number
            assert new.malformed <= old.malformed, number
            assert new.checksums == old.checksums, number

    def the_legs_agree_with_the_live_gateway(
        self, row: Row, legs: Legs, replay: Callable[..., dict[str, Any]],
        frames: Callable[[Path], list[Frame]], kept: list[Judged],
    ) -> None:  # fmt: skip
        """What leaves leaves as in the outside leg; what enters enters as in the inside leg, but for
        what makes a claim. Answers in clear do not enter: no gateway was there when the capture was
        taken."""
        inside = row.config["inside"]
        refused = row.left_out
        numbers = [n for n in range(1, len(kept) + len(refused) + 1) if n not in refused]
        claims = {numbers.index(number) for number in row.claims}
        kept = [judge for index, judge in enumerate(kept) if index not in claims]
        unread = {*row.not_read, *row.unread}
        was_read = [number not in unread for number in numbers if number not in row.claims]
        sides = [is_in(one.source, inside) if one.sip or one.fragment else None for one in kept]

        def payloads(path: Path) -> list[bytes]:
            # the headers before are the live gateway's and the kernel's: DF, translated addresses
            out = claims if path in (legs.outside, legs.inside) else ()
            read = enumerate(frames(path))
            return [frame.data[ETHERNET_IP_UDP:] for index, frame in read if index not in out]

        def of_side(path: Path, *, leaving: bool) -> list[bytes]:
            pairs = zip(sides, payloads(path), strict=True)
            return [payload for side, payload in pairs if side is leaving]

        masked, opened = (legs.config.with_name(f"{n}{legs.before.suffix}") for n in ("out", "in"))
        replay(legs.before, masked, legs.config, "gateway")
        live = replay(legs.outside, opened, legs.config, "gateway")
        assert {key: one["count"] for key, one in live["refused"].items()} == (
            {"refused_claim": len(claims)} if claims else {}
        )
        cookies = row.cookies if self.codec == "kamailio" else 0
        mask = row.config.get("topoh", {}).get("mask_ip")
        is_nat = row.config.get("shape") == "nat"  # where the host inside is one to be hidden
        mask = row.config["public"] if is_nat else mask
        own = row.config.get("own", [net for net in inside if "/" not in net and not is_nat])

        def words(*, leaving: bool) -> list[tuple[bytes, Words]]:
            """What passes outside, with the networks inside and the addresses that may be seen."""
            found = []
            both = zip(kept, sides, was_read, strict=True)
            ends = [(one, read) for one, side, read in both if side is leaving]
            messages = of_side(legs.outside, leaving=leaving)
            for message, (one, read) in zip(messages, ends, strict=True):
                end, other = (one.source, one.destination)[:: 1 if leaving else -1]
                crosses = is_in(end, inside) and not is_in(other, inside)
                named = inside if read and crosses else []
                found.append((message, (named, [*own, mask or end])))
            return found

        of_strangers = sum(routes_inside(*one) for one in words(leaving=True))
        left = Counter(of_side(legs.outside, leaving=True))
        assert (left - Counter(payloads(masked))).total() == cookies + of_strangers
        back, entered = (of_side(path, leaving=False) for path in (legs.inside, opened))
        differ = [one != other for one, other in zip(back, entered, strict=True)]
        marked = [speaks_of_the_inside(*one) for one in words(leaving=False)]
        assert all(differs for differs, marks in zip(differ, marked, strict=True) if marks)
        assert sum(differ) == row.spirals + sum(marked)

    def audit(self, row: Row, legs: Legs, inline_topo: Callable[..., Any]) -> None:
        before = inline_topo("audit", "-r", legs.before, "-c", legs.config, "--json")
        after = inline_topo("audit", "-r", legs.outside, "-c", legs.config, "--json")
        clean = 3 if row.not_read else 0
        if not legs.masked["messages"].get("egress"):
            clean = 2  # none to judge
        if clean < 2 or row.not_read:
            missed = json.loads(after.out)["not_read_packets"]
            assert len(missed) == len(row.not_read)
        found = 1 if row.edits and not row.shows_nothing else clean
        assert (before.status, after.status) == (found, clean), after.out


def sip_of(frame: Frame) -> bytes:
    """What a frame carries over UDP."""
    return bytes(frame.data[ETHERNET_IP_UDP:])


def in_headers(edits: dict[str, int]) -> dict[str, int]:
    """The edits but for those of bodies, which test_bodies.py is about."""
    return {
        field: number
        for field, number in edits.items()
        if field not in ("SDP", "Content-Length") and not field.startswith("body ")
    }


def rows(codec: str) -> pytest.MarkDecorator:
    """By default codec kamailio has the rows where it does something else."""
    params = []
    for row in ROWS:
        marks = [pytest.mark.full] if codec == "kamailio" and not row.differs_by_codec else []
        one = param(row, row.name, {"full": row.full})
        params.append(pytest.param(row, id=one.id, marks=[*one.marks, *marks]))
    return pytest.mark.parametrize("row", params)


@rows("aes-siv")
class TestAesSiv(RoundTrip):
    codec = "aes-siv"


@rows("kamailio")
class TestKamailio(RoundTrip):
    codec = "kamailio"
