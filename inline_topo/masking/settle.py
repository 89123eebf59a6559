"""Which of several edits stands, where two want the same bytes of a message."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking.uris import REMOVED, STRIPPED, UNMARKED
from inline_topo.sip.message import Span

_GONE: Final = (REMOVED, STRIPPED)


def settle(edits: list[Edit]) -> list[Edit]:
    """`edits`, but for those that overlap another that goes before them: what is taken out goes first,
    then what is restored, then what stands first in the list. The same list where none overlap."""
    ordered = sorted(edits)
    if all(not _overlap(one, two) for one, two in pairwise(ordered)):
        return edits
    kept: list[Edit] = []  # in the order of the message
    for edit in sorted(edits, key=_rank):
        at = bisect_left(kept, edit)
        before, after = kept[max(at - 1, 0) : at], kept[at : at + 1]
        if not any(_overlap(one, edit) for one in before) and not any(
            _overlap(edit, one) for one in after
        ):
            kept.insert(at, edit)
    return kept


def outside_of(edits: Sequence[Edit], taken: Sequence[Span]) -> list[Edit]:
    """The edits that overlap none of the spans `taken`, which are in order and apart. Of two insertions
    in one place the second is none."""
    if not taken:
        return list(edits)
    kept = []
    at = 0
    for edit in sorted(edits):
        while at < len(taken) and taken[at][1] < edit.start:
            at += 1
        beside = [span for span in taken[at : at + 3] if _share((edit.start, edit.end), span)]
        if not beside:
            kept.append(edit)
    return kept


def _rank(edit: Edit) -> int:
    return 0 if edit.action in _GONE else 1 if edit.action == UNMARKED else 2


def _overlap(first: Edit, second: Edit) -> bool:
    """Whether two edits, in the order of the message, want the same bytes. What was to be added right
    behind a value goes with it."""
    if second.start < first.end:
        return True
    adds = second.start == second.end == first.end
    return adds and first.action == REMOVED and first.start < first.end


def _share(edit: Span, span: Span) -> bool:
    return edit == span or (edit[0] < span[1] and span[0] < edit[1])
