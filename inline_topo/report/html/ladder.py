"""The ladder of a call as a drawing: where its columns and arrows stand."""

from collections.abc import Sequence
from typing import NamedTuple

from inline_topo.report.columns import Columns
from inline_topo.report.html.page import Arrow, Ladder
from inline_topo.report.messages import Seen, destination_of, source_of
from inline_topo.report.texts import fit

_MOST_COLUMNS = 24
_TIMES = 64  # pixels for the times, left of the columns
_GAP = 208  # from one column to the next
_HEAD = 40
_STEP = 38  # from one arrow to the next
_CHARACTER = 7.3  # of the labels, in the widest of the fonts
_LOOP = 46


class Rung(NamedTuple):
    """A message to draw, its time in nanoseconds."""

    seen: Seen
    time: int
    label: str
    kind: str
    anchor: str
    title: str
    leaks: int = 0


def ladder(rungs: Sequence[Rung]) -> Ladder | None:
    """The drawing of a call, times counted from its first message; None where it would have too
    many columns."""
    columns = Columns([rung.seen for rung in rungs])
    if len(columns.names) > _MOST_COLUMNS:
        return None
    middle = [_TIMES + _GAP // 2 + _GAP * column for column in range(len(columns.names))]
    first = min(rung.time for rung in rungs)
    arrows = []
    for row, rung in enumerate(rungs):
        seen = rung.seen
        start = middle[columns.of(seen.source, seen.ports[0])]
        end = middle[columns.of(seen.destination, seen.ports[1])]
        room = max(abs(end - start), _GAP) - 2 * 14 - (_LOOP if start == end else 0)
        arrows.append(
            Arrow(
                y=_HEAD + 30 + row * _STEP,
                time=f"{(rung.time - first) / 10**9:.3f}",
                start=start,
                end=end,
                label=fit(rung.label, int(room / _CHARACTER) - (3 if rung.leaks else 0)),
                label_x=start + _LOOP + 6 if start == end else (start + end) // 2,
                kind=rung.kind,
                anchor=rung.anchor,
                title=f"{rung.title}, from {source_of(seen)} to {destination_of(seen)}",
                leaks=rung.leaks,
            )
        )
    width = _TIMES + _GAP * len(middle)
    height = _HEAD + 20 + len(rungs) * _STEP
    return Ladder(width, height, list(zip(middle, columns.names, strict=True)), arrows)
