"""What an HTML page shows, as plain text: the templates only lay it out and escape it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

CHANGED, LEAK = "changed", "leak"


class Piece(NamedTuple):
    """A run of text within a line, with the same marks (CHANGED, LEAK) throughout."""

    text: str
    marks: frozenset[str] = frozenset()


class Row(NamedTuple):
    """A line on both sides; None where a side has no such line. `kind`: same, changed, removed,
    added, or omitted, where `before` says how much was left out."""

    kind: str
    before: Sequence[Piece] | None
    after: Sequence[Piece] | None


class Arrow(NamedTuple):
    """A message of a ladder; lengths in pixels. `shaft` goes from `start` to `end`, the `head`
    stands at its end; `kind` as a Card's."""

    y: int
    time: str
    start: int
    end: int
    label: str
    label_x: int
    kind: str
    anchor: str
    title: str
    leaks: int

    @property
    def is_loop(self) -> bool:
        return self.start == self.end

    @property
    def head(self) -> str:
        """The points of the triangle."""
        step = -9 if self.is_loop or self.end > self.start else 9
        return f"{self.end},{self.y} {self.end + step},{self.y - 5} {self.end + step},{self.y + 5}"


@dataclass(frozen=True)
class Ladder:
    """The flow of a call: a column an endpoint, `(x, name)`, an arrow a message."""

    width: int
    height: int
    columns: Sequence[tuple[int, str]]
    arrows: Sequence[Arrow]


@dataclass(frozen=True)
class Card:
    """A message. `kind`: unchanged, changed, only_before, only_after; `status` says so in words.
    `heads` are what stands over its columns, one or two."""

    anchor: str
    kind: str
    status: str
    packets: str
    time: str
    way: str
    start_line: str
    size: str
    heads: Sequence[str]
    rows: Sequence[Row]
    leaks: Sequence[str] = ()
    notes: Sequence[str] = ()
    is_open: bool = False


@dataclass(frozen=True)
class Call:
    """The messages of one Call-ID; `ladder` is None where the endpoints are too many."""

    anchor: str
    call_id: str
    figures: str
    ladder: Ladder | None
    cards: Sequence[Card]


class Fact(NamedTuple):
    """A figure of the summary; `tone`: good, bad, or none."""

    name: str
    value: str
    note: str = ""
    tone: str = ""


class Listing(NamedTuple):
    """A table of the summary: its rows are cells of text, the first one with the anchor of what it
    is about (empty: left out of the page)."""

    title: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Page:
    """The whole page; `left_out` says what does not stand in it."""

    title: str
    subtitle: str
    verdict: str
    facts: Sequence[Fact]
    calls: Sequence[Call]
    legend: Sequence[tuple[str, str]]
    listings: Sequence[Listing] = ()
    left_out: str = ""
    notes: Sequence[str] = field(default_factory=tuple)
