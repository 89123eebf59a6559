"""Which message of one capture is which of another one, and how far apart their clocks are.

The captures may have been taken at two points: then hops are missing, clocks differ, and what was
lost, sent again or overtaken on the way is so in one of them alone.
"""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice, product
from statistics import median
from typing import NamedTuple

from inline_topo.report.likeness import Likeness, likenesses
from inline_topo.report.messages import Seen

_MILLISECOND = 10**6
_LEAST_TOLERANCE = 200 * _MILLISECOND  # half of what parts two retransmissions (RFC 3261, T1)
_MOST_STEPS = 1 << 16  # of the alignment of messages that nothing but time tells apart
_SAMPLE = 4096

_Likes = tuple[Sequence[Likeness], Sequence[Likeness]]
_Sort = Callable[[Likeness], Hashable]
_SORTS: tuple[_Sort, ...] = (  # from the surest likeness to the least that makes a pair
    lambda like: like,
    lambda like: (like.key, like.branch, like.call_id),
    lambda like: (like.key, like.branch, like.body),
    lambda like: (like.key, like.branch),
)


class Pair(NamedTuple):
    """A message in both captures, or in one of them alone."""

    before: Seen | None
    after: Seen | None


class Clocks(NamedTuple):
    """How the clock of AFTER stands to that of BEFORE, in nanoseconds: how far ahead it is, the way
    between the two points included, and by how much half of the messages deviate at most."""

    offset: int
    spread: int


def pair(before: Iterable[Seen], after: Iterable[Seen]) -> list[Pair]:
    """All messages of both, in the order of `before`; those only in `after` where their time puts
    them. Messages that are alike (retransmissions) belong together by time, clocks set equal."""
    left, right = list(before), list(after)
    likes = likenesses(left, right)
    clocks = _estimate(left, right, likes)
    partner: dict[int, int] = {}
    for sort in _SORTS:
        taken = set(partner.values())
        for ones, others in _alike(likes, sort):
            are_sole = len(ones) == len(others) == 1  # whatever their times
            ones = [index for index in ones if index not in partner]
            others = [index for index in others if index not in taken]
            partner.update(
                zip(ones, others, strict=False)
                if are_sole
                else _align(left, right, ones, others, clocks)
            )
    return _merge(left, right, partner, clocks.offset)


def clocks(pairs: Iterable[Pair]) -> Clocks | None:
    """The clocks as the pairs show them; None without any pair."""
    deltas = [after.time - before.time for before, after in pairs if before and after]
    return _middle(deltas) if deltas else None


def out_of_order(pairs: Sequence[Pair], of: Callable[[Seen], Hashable]) -> set[int]:
    """The positions of the fewest pairs that would have to move for the others to stand in one
    order in both captures; only those within one group, told by `of` BEFORE's message, count."""
    groups: defaultdict[Hashable, list[tuple[int, int]]] = defaultdict(list)
    for position, (before, after) in enumerate(pairs):
        if before and after:
            groups[of(before)].append((position, after.number))
    return set().union(*(_moved(group) for group in groups.values()))


def _moved(group: Sequence[tuple[int, int]]) -> set[int]:
    """All but a longest run of rising numbers (patience sorting)."""
    tops: list[int] = []
    ends: list[int] = []  # the index at the end of the best run of each length
    previous: list[int] = []
    for index, (_, number) in enumerate(group):
        length = bisect_left(tops, number)
        previous.append(ends[length - 1] if length else -1)
        tops[length : length + 1] = [number]
        ends[length : length + 1] = [index]
    kept = set()
    index = ends[-1] if ends else -1
    while index >= 0:
        kept.add(group[index][0])
        index = previous[index]
    return {position for position, _ in group} - kept


def _alike(likes: _Likes, sort: _Sort) -> Iterator[tuple[list[int], list[int]]]:
    """The indexes of messages that are alike, of one capture and of the other."""
    ones, others = (_sorted_by(sort, side) for side in likes)
    return ((indexes, others[key]) for key, indexes in ones.items() if key in others)


def _sorted_by(sort: _Sort, likes: Sequence[Likeness]) -> dict[Hashable, list[int]]:
    found: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, like in enumerate(likes):
        found[sort(like)].append(index)
    return found


def _estimate(left: Sequence[Seen], right: Sequence[Seen], likes: _Likes) -> Clocks:
    """From the messages that are there once on each side; without any, the difference that most
    pairs of retransmissions agree on."""
    repeated: list[int] = []
    for sort in _SORTS:
        once: list[int] = []
        for ones, others in _alike(likes, sort):
            deltas = (right[j].time - left[i].time for i, j in product(ones, others))
            if len(ones) == len(others) == 1:
                once += deltas
            elif len(repeated) < _SAMPLE:
                repeated += islice(deltas, _SAMPLE)
        if once:
            return _middle(once)
    if not repeated:
        return Clocks(0, 0)
    [(commonest, _)] = Counter(delta // (10 * _MILLISECOND) for delta in repeated).most_common(1)
    return _middle([d for d in repeated if d // (10 * _MILLISECOND) == commonest])


def _middle(deltas: Sequence[int]) -> Clocks:
    offset = int(median(deltas))
    return Clocks(offset, int(median(abs(delta - offset) for delta in deltas)))


def _align(
    left: Sequence[Seen],
    right: Sequence[Seen],
    ones: Sequence[int],
    others: Sequence[int],
    clocks: Clocks,
) -> Iterator[tuple[int, int]]:
    """Partners among messages that are alike: those for which the times fit best altogether, where
    a message without a partner costs as much as a deviation by the tolerance."""
    ones = sorted(ones, key=lambda index: (left[index].time, index))
    others = sorted(others, key=lambda index: (right[index].time, index))
    if len(ones) * len(others) > _MOST_STEPS:
        yield from zip(ones, others, strict=False)
        return
    alone = max(_LEAST_TOLERANCE, 6 * clocks.spread)
    times = [left[index].time + clocks.offset for index in ones]
    other_times = [right[index].time for index in others]
    costs = [[alone * column for column in range(len(others) + 1)]]
    for row, time in enumerate(times, 1):
        above, line = costs[-1], [alone * row]
        for column, other in enumerate(other_times, 1):
            together = above[column - 1] + abs(other - time)
            line.append(min(together, above[column] + alone, line[-1] + alone))
        costs.append(line)
    row, column = len(ones), len(others)
    while row and column:
        cost = costs[row][column]
        if cost == costs[row - 1][column] + alone:
            row -= 1
        elif cost == costs[row][column - 1] + alone:
            column -= 1
        else:
            row, column = row - 1, column - 1
            yield ones[row], others[column]


def _merge(
    left: Sequence[Seen], right: Sequence[Seen], partner: dict[int, int], offset: int
) -> list[Pair]:
    taken = set(partner.values())
    missing = [seen for index, seen in enumerate(right) if index not in taken]
    alone = deque(sorted(missing, key=lambda seen: seen.time))
    pairs = []
    for index, seen in enumerate(left):
        while alone and alone[0].time - offset < seen.time:
            pairs.append(Pair(None, alone.popleft()))
        pairs.append(Pair(seen, right[partner[index]] if index in partner else None))
    return pairs + [Pair(None, seen) for seen in alone]
