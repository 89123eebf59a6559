"""What differs between the messages of two captures, header by header."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from inline_topo.report.lines import Line, lines_of
from inline_topo.report.messages import Seen, destination_of, source_of
from inline_topo.report.pairs import Clocks, Pair, clocks, out_of_order
from inline_topo.report.texts import printable, seconds

SPACING = "spacing"  # line ends, or blanks between the values of a list


class Change(NamedTuple):
    """Lines of one field that were replaced. Either side may be empty, and merged Vias are several
    before and one after."""

    field: str
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


@dataclass(frozen=True)
class Difference:
    """One message, before and after: `time` by the clock of BEFORE, in nanoseconds, `is_reordered`
    where AFTER has it elsewhere in its call."""

    pair: Pair
    changes: tuple[Change, ...]
    time: int
    is_reordered: bool = False

    @property
    def status(self) -> str:
        """unchanged, changed, only_before or only_after."""
        before, after = self.pair
        if before and after:
            return "changed" if self.changes or self.is_moved else "unchanged"
        return "only_before" if before else "only_after"

    @property
    def seen(self) -> Seen:
        """The message, as it was before if it was there."""
        seen = self.pair.before or self.pair.after
        assert seen
        return seen

    @property
    def is_moved(self) -> bool:
        """Whether it has other addresses or ports (NAT)."""
        before, after = self.pair
        return bool(before and after and before.endpoints != after.endpoints)

    @property
    def bytes_added(self) -> int:
        """To the SIP message, headers of IP and UDP not counted."""
        before, after = self.pair
        return len(after.data) - len(before.data) if before and after else 0


@dataclass
class Summary:
    """The figures of a whole diff; `fields` counts the messages in which a field changed."""

    messages: int = 0
    changed: int = 0
    unchanged: int = 0
    only_before: int = 0
    only_after: int = 0
    reordered: int = 0
    clocks: Clocks | None = None
    bytes_before: int = 0  # of the messages that both have
    bytes_added: int = 0
    fields: Counter[str] = field(default_factory=Counter)

    @property
    def is_same(self) -> bool:
        """Whether both captures have the same messages in the same order, whatever their times."""
        return self.messages == self.unchanged and not self.reordered

    @property
    def mean_added(self) -> float:
        """Bytes added per message that both captures have."""
        both = self.changed + self.unchanged
        return self.bytes_added / both if both else 0.0

    @property
    def mean_added_to_changed(self) -> float:
        """Bytes added per message that was changed."""
        return self.bytes_added / self.changed if self.changed else 0.0


def compare(pairs: Sequence[Pair]) -> list[Difference]:
    """What differs in each pair."""
    differences = []
    moved = out_of_order(pairs, of=lambda seen: seen.call_id)
    found = clocks(pairs)
    offset = found.offset if found else 0
    for position, pair in enumerate(pairs):
        before, after = pair
        changes: tuple[Change, ...] = ()
        if before and after and before.data != after.data:
            changes = tuple(_changes(list(lines_of(before)), list(lines_of(after))))
        time = before.time if before else after.time - offset if after else 0
        differences.append(Difference(pair, changes, time, position in moved))
    return differences


def by_call(differences: Sequence[Difference]) -> dict[bytes, list[Difference]]:
    """The messages of each call, by the Call-ID of BEFORE, in the order in which calls begin. What
    is in AFTER alone belongs to the call that its Call-ID stands for in other messages."""
    clear: dict[bytes, bytes] = {}
    for before, after in (difference.pair for difference in differences):
        if before and after:
            clear.setdefault(after.call_id, before.call_id)
    calls: dict[bytes, list[Difference]] = {}
    for difference in differences:
        call_id = difference.seen.call_id
        if not difference.pair.before:
            call_id = clear.get(call_id, call_id)
        calls.setdefault(call_id, []).append(difference)
    return calls


def summarize(differences: Sequence[Difference]) -> Summary:
    """The figures."""
    summary = Summary(clocks=clocks(difference.pair for difference in differences))
    for difference in differences:
        summary.messages += 1
        status = difference.status
        setattr(summary, status, getattr(summary, status) + 1)
        summary.reordered += difference.is_reordered
        if difference.pair.before and difference.pair.after:
            summary.bytes_before += len(difference.pair.before.data)
        summary.bytes_added += difference.bytes_added
        summary.fields.update({change.field for change in difference.changes})
    return summary


def _changes(before: Sequence[Line], after: Sequence[Line]) -> Iterable[Change]:
    found = False
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            found = True
            yield from _by_field(before[i:j], after[k:m])
    if not found:
        yield Change(SPACING, (), ())


def _by_field(before: Sequence[Line], after: Sequence[Line]) -> Iterable[Change]:
    for name in dict.fromkeys(line.field for line in (*before, *after)):
        old = tuple(line.text for line in before if line.field == name)
        new = tuple(line.text for line in after if line.field == name)
        if len(old) == len(new):
            for one, other in zip(old, new, strict=True):
                if one != other:
                    yield Change(name, (one,), (other,))
        else:
            yield Change(name, old, new)


def as_dict(before: str, after: str, differences: Sequence[Difference]) -> dict[str, Any]:
    """The whole diff as report.json_help.DIFF describes it."""
    summary = summarize(differences)
    return {
        "before": before,
        "after": after,
        "summary": {
            "messages": summary.messages,
            "changed": summary.changed,
            "unchanged": summary.unchanged,
            "only_before": summary.only_before,
            "only_after": summary.only_after,
            "reordered": summary.reordered,
            "clock_offset": summary.clocks and seconds(summary.clocks.offset),
            "clock_spread": summary.clocks and seconds(summary.clocks.spread),
            "bytes_before": summary.bytes_before,
            "bytes_added": summary.bytes_added,
            "bytes_added_per_message": round(summary.mean_added, 2),
            "fields": dict(sorted(summary.fields.items())),
        },
        "messages": [_message_as_dict(difference) for difference in differences],
    }


def _message_as_dict(difference: Difference) -> dict[str, Any]:
    both = difference.pair
    return {
        "status": difference.status,
        "reordered": difference.is_reordered,
        "packet": [seen and seen.number for seen in both],
        "time": [seen and seconds(seen.time) for seen in both],
        "source": [seen and source_of(seen) for seen in both],
        "destination": [seen and destination_of(seen) for seen in both],
        "size": [seen and len(seen.data) for seen in both],
        "start_line": printable(difference.seen.start_line),
        "call_id": printable(difference.seen.call_id),
        "changes": [
            {
                "field": change.field,
                "before": [printable(line) for line in change.before],
                "after": [printable(line) for line in change.after],
            }
            for change in difference.changes
        ],
    }
