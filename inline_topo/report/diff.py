"""What differs between the messages of two captures, header by header."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from inline_topo.report.messages import Seen, field_name
from inline_topo.report.pairs import Pair
from inline_topo.report.texts import endpoint_text, printable, seconds
from inline_topo.sip import names, values

START_LINE = "start line"  # of what does not parse, or of a response
BODY = "body"
SPACING = "spacing"  # line ends, or blanks between the values of a list
LISTS = frozenset(
    {
        *(names.VIA, names.ROUTE, names.RECORD_ROUTE, names.CONTACT, names.PATH),
        *(names.SERVICE_ROUTE, names.HISTORY_INFO, names.DIVERSION),
    }
)
"""Fields whose comma-separated values are compared one by one; `Name: ..., ` stands before those
that follow another one in their line."""
_SDP = re.compile(rb"([a-z])=")


class Line(NamedTuple):
    """A line of a message, a folded header field being one, or one value of a list (LISTS)."""

    field: str
    text: bytes


class Change(NamedTuple):
    """Lines of one field that were replaced. Either side may be empty, and merged Vias are several
    before and one after."""

    field: str
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


@dataclass(frozen=True)
class Difference:
    """One message, before and after."""

    pair: Pair
    changes: tuple[Change, ...]

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
    bytes_before: int = 0  # of the messages that both have
    bytes_added: int = 0
    fields: Counter[str] = field(default_factory=Counter)

    @property
    def is_same(self) -> bool:
        return self.messages == self.unchanged

    @property
    def mean_added(self) -> float:
        """Bytes added per message that both captures have."""
        both = self.changed + self.unchanged
        return self.bytes_added / both if both else 0.0

    @property
    def mean_added_to_changed(self) -> float:
        """Bytes added per message that was changed."""
        return self.bytes_added / self.changed if self.changed else 0.0


def compare(pairs: Iterable[Pair]) -> list[Difference]:
    """What differs in each pair."""
    differences = []
    for pair in pairs:
        before, after = pair
        changes: tuple[Change, ...] = ()
        if before and after and before.data != after.data:
            changes = tuple(_changes(list(_lines(before)), list(_lines(after))))
        differences.append(Difference(pair, changes))
    return differences


def summarize(differences: Iterable[Difference]) -> Summary:
    """The figures."""
    summary = Summary()
    for difference in differences:
        summary.messages += 1
        status = difference.status
        setattr(summary, status, getattr(summary, status) + 1)
        if difference.pair.before and difference.pair.after:
            summary.bytes_before += len(difference.pair.before.data)
        summary.bytes_added += difference.bytes_added
        summary.fields.update({change.field for change in difference.changes})
    return summary


def _lines(seen: Seen) -> Iterable[Line]:
    message = seen.message
    end = message.headers[1] if message else len(seen.data)
    start = names.REQUEST_URI if message and message.is_request else START_LINE
    pending: list[bytes] = []
    for line in seen.data[:end].split(b"\n"):
        if line[:1] in (b" ", b"\t") and len(pending) > 1:
            pending[-1] += b"\n" + line
        elif line.strip(b"\r"):
            pending.append(line)
    for index, line in enumerate(pending):
        name = field_name(line.partition(b":")[0].strip()) if index else start
        text = line.rstrip(b"\r")
        if name in LISTS:
            yield from _values(name, text)
        else:
            yield Line(name, text)
    if message:
        for line in seen.data[message.body :].split(b"\n"):
            sdp = _SDP.match(line)
            yield Line(f"{BODY} {sdp[1].decode()}=" if sdp else BODY, line.rstrip(b"\r"))


def _values(name: str, line: bytes) -> Iterable[Line]:
    """Each value of a list on its own: one that changed must not show the others as changed."""
    spelled, _, value = line.partition(b":")
    first, *others = values.split(value, [(0, len(value))]) or [(0, len(value))]
    yield Line(name, line[: len(spelled) + 1 + first[1]])
    for start, end in others:
        yield Line(name, spelled + b": ..., " + value[start:end])


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


def source_of(seen: Seen) -> str:
    """Where a message comes from, as `host:port`."""
    return endpoint_text(seen.source, seen.ports[0])


def destination_of(seen: Seen) -> str:
    """Where a message goes, as `host:port`."""
    return endpoint_text(seen.destination, seen.ports[1])
