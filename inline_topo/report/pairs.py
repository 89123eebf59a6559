"""Which message of one capture is which of another one, masked or opened.

Masking changes Call-ID, Request-URI, Vias, routes and Contacts, and shape nat the addresses; a
refused message is missing. It leaves alone what the key is made of: request or response, method or
status, CSeq, and the tags of From and To (RFC 3261 section 12: they name the dialog).
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inline_topo.masking.topoh import tag_of
from inline_topo.report.messages import Seen
from inline_topo.sip import names

_Key = tuple[bytes | int, ...]


class Pair(NamedTuple):
    """A message in both captures, or in one of them alone."""

    before: Seen | None
    after: Seen | None


def pair(before: Iterable[Seen], after: Iterable[Seen]) -> list[Pair]:
    """All messages of both, in the order of `before`; those only in `after` where their time puts
    them. Of several messages with one key those of the same time belong together, and what is left
    in the order of the files."""
    left, right = list(before), list(after)
    partner = _same_time(left, right)
    _in_order(left, right, partner)
    return _merge(left, right, partner)


def _key(seen: Seen) -> _Key:
    message = seen.message
    if not message:
        return (b"", seen.start_line.partition(b" ")[0])
    return (
        message.method.upper() or message.status,
        b" ".join(message.first(names.CSEQ).split()).upper(),
        tag_of(message, names.FROM),
        tag_of(message, names.TO),
    )


def _same_time(left: Sequence[Seen], right: Sequence[Seen]) -> dict[int, int]:
    waiting: defaultdict[tuple[_Key, int], deque[int]] = defaultdict(deque)
    for index, seen in enumerate(right):
        waiting[_key(seen), seen.time].append(index)
    partner = {}
    for index, seen in enumerate(left):
        candidates = waiting.get((_key(seen), seen.time))
        if candidates:
            partner[index] = candidates.popleft()
    return partner


def _in_order(left: Sequence[Seen], right: Sequence[Seen], partner: dict[int, int]) -> None:
    taken = set(partner.values())
    waiting: defaultdict[_Key, deque[int]] = defaultdict(deque)
    for index, seen in enumerate(right):
        if index not in taken:
            waiting[_key(seen)].append(index)
    for index, seen in enumerate(left):
        if index not in partner and waiting.get(_key(seen)):
            partner[index] = waiting[_key(seen)].popleft()


def _merge(left: Sequence[Seen], right: Sequence[Seen], partner: dict[int, int]) -> list[Pair]:
    taken = set(partner.values())
    alone = deque(seen for index, seen in enumerate(right) if index not in taken)
    pairs = []
    for index, seen in enumerate(left):
        while alone and alone[0].time < seen.time:
            pairs.append(Pair(None, alone.popleft()))
        pairs.append(Pair(seen, right[partner[index]] if index in partner else None))
    return pairs + [Pair(None, seen) for seen in alone]
