"""The lines of a message side by side, what changed within them and what leaks from them marked."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest

from inline_topo.report.html.page import CHANGED, LEAK, Piece, Row
from inline_topo.report.lines import Line, lines_of
from inline_topo.report.messages import Seen
from inline_topo.report.texts import changed_span, count, printable

_MOST_LINES, _MOST_BYTES = 400, 16384  # of a message
_LONGEST = 4096  # characters of a line

Mark = tuple[int, int, str]  # start, end, kind


def one_side(seen: Seen, leaks: Iterable[bytes] = ()) -> list[Row]:
    """The lines of a message alone."""
    shown = _shown(leaks)
    lines, omitted = _bounded(lines_of(seen))
    return [*(Row("same", _pieces(line, shown), None) for line in lines), *_rest(omitted)]


def both_sides(before: Seen, after: Seen, leaks: Iterable[bytes] = ()) -> list[Row]:
    """The lines of a message before and after; `leaks` are marked after."""
    shown = _shown(leaks)
    ones, omitted = _bounded(lines_of(before))
    others, also_omitted = _bounded(lines_of(after))
    rows: list[Row] = []
    for kind, i, j, k, m in SequenceMatcher(None, ones, others, autojunk=False).get_opcodes():
        if kind == "equal":
            same = (_pieces(line, shown) for line in others[k:m])
            rows += [Row("same", pieces, pieces) for pieces in same]
        else:
            rows += _changed(ones[i:j], others[k:m], shown)
    return rows + list(_rest(max(omitted, also_omitted)))


def _bounded(lines: Iterable[Line]) -> tuple[list[Line], int]:
    """The lines that a page shows, and the number of the others."""
    kept: list[Line] = []
    size = omitted = 0
    for line in lines:
        if omitted or len(kept) == _MOST_LINES or size > _MOST_BYTES:
            omitted += 1
        else:
            kept.append(line)
            size += len(line.text)
    return kept, omitted


def _shown(leaks: Iterable[bytes]) -> list[str]:
    return sorted({printable(leak) for leak in leaks if leak}, key=len, reverse=True)


def _changed(ones: Sequence[Line], others: Sequence[Line], shown: Sequence[str]) -> Iterator[Row]:
    """Lines of one field beside each other, in the order of the fields."""
    for name in dict.fromkeys(line.field for line in (*ones, *others)):
        old = [line for line in ones if line.field == name]
        new = [line for line in others if line.field == name]
        for one, other in zip_longest(old, new):
            if one is None:
                yield Row("added", None, _pieces(other, shown, is_changed=True))
            elif other is None:
                yield Row("removed", _pieces(one, (), is_changed=True), None)
            elif one == other:
                yield Row("same", _pieces(one, ()), _pieces(other, shown))
            else:
                span, other_span = changed_span(printable(one.text), printable(other.text))
                yield Row(
                    "changed",
                    _cut(printable(one.text), [(*span, CHANGED)]),
                    _cut(
                        printable(other.text),
                        [(*other_span, CHANGED), *_leaks(printable(other.text), shown)],
                    ),
                )


def _pieces(line: Line, shown: Sequence[str], *, is_changed: bool = False) -> list[Piece]:
    text = printable(line.text)
    marks = _leaks(text, shown)
    if is_changed:
        marks.append((0, len(text), CHANGED))
    return _cut(text, marks)


def _leaks(text: str, shown: Sequence[str]) -> list[Mark]:
    marks = []
    for leak in shown:
        start = text.find(leak)
        while start >= 0:
            marks.append((start, start + len(leak), LEAK))
            start = text.find(leak, start + len(leak))
    return marks


def _cut(text: str, marks: Sequence[Mark]) -> list[Piece]:
    """The text in pieces that are marked alike; too long a text loses its end."""
    bounds = sorted({0, len(text), *(min(at, len(text)) for mark in marks for at in mark[:2])})
    pieces = []
    for start, end in pairwise(bounds):
        kinds = frozenset(kind for first, last, kind in marks if first <= start and end <= last)
        if start < _LONGEST:
            pieces.append(Piece(text[start : min(end, _LONGEST)], kinds))
    if len(text) > _LONGEST:
        pieces.append(Piece(f" … {count(len(text) - _LONGEST, 'character')} left out"))
    return pieces


def _rest(omitted: int) -> Iterator[Row]:
    if omitted:
        text = f"{count(omitted, 'more line')} left out of this page"
        yield Row("omitted", [Piece(text)], None)
