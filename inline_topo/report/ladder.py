"""The flow of each call as text: a column an endpoint, an arrow a message (as RFC 3665 draws them).

Double arrows are messages that were changed, with the bytes that they grew by; dotted ones are in
one of the captures only.
"""

import re
import string
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from inline_topo.report.columns import Columns
from inline_topo.report.diff import Difference, by_call
from inline_topo.report.messages import destination_of, source_of
from inline_topo.report.texts import fit, is_ascii_only, printable
from inline_topo.report.wording import figures_of, label_of

_TIME = 11  # columns for the time of a message
_NARROWEST = 12  # columns between two endpoints
_WIDEST = 34
_LETTERS = string.ascii_uppercase
_HOST_PORT = re.compile(r"(.*)(:\d+)")


class _Lines(NamedTuple):
    """What an output can draw."""

    bar: str
    plain: str
    changed: str
    alone: str
    right: str
    left: str


_UNICODE = _Lines("│", "─", "═", "╌", "▶", "◀")
_ASCII = _Lines("|", "-", "=", ".", ">", "<")


def show(console: Console, differences: Sequence[Difference]) -> None:
    """Print a ladder for each Call-ID of BEFORE, in the order in which they begin."""
    lines = _ASCII if is_ascii_only(console.encoding) else _UNICODE
    for call_id, call in by_call(differences).items():
        for line in _call(call_id, call, min(console.width, 120), lines):
            console.print(line, soft_wrap=True)
        console.print()
    console.print(
        Text(
            f"{lines.changed * 3}{lines.right} changed, bytes added   "
            f"{lines.plain * 3}{lines.right} the same   "
            f"{lines.alone * 3}{lines.right} only in BEFORE (-), AFTER (+)",
            "dim",
        ),
        soft_wrap=True,
    )


def _call(call_id: bytes, call: Sequence[Difference], width: int, lines: _Lines) -> Iterable[Text]:
    yield Text.assemble(("Call-ID ", "dim"), (printable(call_id) or "(none)", "bold"))
    yield Text(figures_of(call), "dim")

    columns = Columns([difference.seen for difference in call])
    names = columns.names
    gap = _gap(len(names), width)
    if not gap:
        yield from _list(call, lines)
        return
    yield from _heads(names, gap)
    start = call[0].time
    for difference in call:
        seen = difference.seen
        here = columns.of(seen.source, seen.ports[0])
        there = columns.of(seen.destination, seen.ports[1])
        time = f"{(difference.time - start) / 10**9:{_TIME - 3}.3f}   "
        rung = _rung(difference, here, there, len(names), gap, lines)
        yield Text.assemble((time, "dim"), rung)


def _gap(number: int, width: int) -> int:
    """Columns from one endpoint to the next; 0 if they do not fit."""
    # half a name stands out to the right of the last bar, and to the left of the first
    gap = min(_WIDEST, (width - _TIME - 1) // number)
    return gap if gap >= _NARROWEST else 0


def _heads(names: Sequence[str], gap: int) -> Iterable[Text]:
    """The endpoints over their columns; the port below the address, or letters, where they are wide."""
    rows = [list(names)]
    if any(len(name) >= gap for name in names):
        split = [_HOST_PORT.fullmatch(name) for name in names]
        rows = [[(m[1] if m else name) for m, name in zip(split, names, strict=True)]]
        rows.append([(m[2] if m else "") for m in split])
    if any(len(name) >= gap for name in rows[0]):
        for letter, name in zip(_LETTERS, names, strict=False):
            yield Text(f"{'':{_TIME}}{letter} = {name}", "dim")
        rows = [list(_LETTERS[: len(names)])]
    for row in rows:
        line = "".join(f"{name:^{gap}}" for name in row)
        yield Text((" " * _TIME + line).rstrip(), "bold")


def _rung(
    difference: Difference, here: int, there: int, number: int, gap: int, lines: _Lines
) -> Text:
    """One line: the bars, and between two of them the arrow with its label."""
    bars = [" "] * (gap * number)
    middle = [gap // 2 + gap * column for column in range(number)]
    for position in middle:
        bars[position] = lines.bar
    left, right = sorted((middle[here], middle[there]))
    label, style = label_of(difference), _style(difference)
    shaft = _shaft(difference, lines)
    if left == right:
        loop = f"{shaft}{lines.left} {label}"
        return Text.assemble(("".join(bars[: left + 1]), "dim"), (loop, style))
    room = right - left - 1
    label = fit(label, room - 4)
    arrow = f"{shaft} {label} ".ljust(room - 1, shaft) if label else shaft * (room - 1)
    arrow = arrow + lines.right if there > here else lines.left + arrow
    before, after = "".join(bars[: left + 1]), "".join(bars[right:]).rstrip()
    return Text.assemble((before, "dim"), (arrow, style), (after, "dim"))


def _shaft(difference: Difference, lines: _Lines) -> str:
    if difference.status == "changed":
        return lines.changed
    return lines.plain if difference.status == "unchanged" else lines.alone


def _style(difference: Difference) -> str:
    return {"changed": "bold green", "only_before": "red", "only_after": "yellow"}.get(
        difference.status, ""
    )


def _list(call: Sequence[Difference], lines: _Lines) -> Iterable[Text]:
    """Where the endpoints are too many for the terminal: a message a line."""
    start = call[0].time
    for difference in call:
        seen = difference.seen
        style = _style(difference)
        yield Text.assemble(
            (f"{(difference.time - start) / 10**9:{_TIME - 3}.3f}   ", "dim"),
            source_of(seen),
            (f" {_shaft(difference, lines) * 2}{lines.right} ", style),
            f"{destination_of(seen)}  ",
            (label_of(difference), style),
        )
