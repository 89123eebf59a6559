"""Taking whole values and lines of header fields out of a message, and putting them back."""

from collections.abc import Collection
from itertools import pairwise

from inline_topo.edits import Edit
from inline_topo.masking.uris import REMOVED
from inline_topo.sip import values
from inline_topo.sip.message import Message, Span


def line(message: Message, value: Span) -> Span:
    """The header field with this value: from its name to the end of its last line, folds included."""
    data, (first, end) = message.data, message.headers
    start = data.rfind(b"\n", first, value[0]) + 1 or first
    while start > first and data[start : start + 1] in (b" ", b"\t"):
        start = data.rfind(b"\n", first, start - 1) + 1 or first
    stop = _next_line(data, value[1], end)
    while data[stop : stop + 1] in (b" ", b"\t") and stop < end:  # a fold with nothing in it
        stop = _next_line(data, stop, end)
    return start, stop


def _next_line(data: bytes, position: int, end: int) -> int:
    return data.find(b"\n", position, end) + 1 or end


def cuts(message: Message, spans: list[Span], gone: Collection[Span]) -> list[Span]:
    """The spans to take out of a message, so that the values `gone` go from the fields `spans`, and
    lines that hold nothing else."""
    found: list[Span] = []
    for span in spans:
        if span in gone:
            found.append(line(message, span))
            continue
        entries = values.split(message.data, [span])
        if all(entry in gone for entry in entries):
            found.append(line(message, span))
            continue
        kept = [entry for entry in entries if entry not in gone]
        if entries[0] in gone:
            found.append((entries[0][0], kept[0][0]))
        found += [
            (one[1], two[0] - _separator(message.data, two[0]))
            for one, two in pairwise(kept)
            if _between(entries, one, two)
        ]
        if entries[-1] in gone:
            found.append((kept[-1][1], entries[-1][1]))
    return merged(found)


def cut(message: Message, name: str, gone: list[Span]) -> list[Edit]:
    """The edits that take values out of the fields of a name."""
    if not gone:
        return []
    spans = cuts(message, message.fields[name], gone)
    return [Edit(start, end, b"", name, REMOVED) for start, end in spans]


def _between(entries: list[Span], one: Span, two: Span) -> bool:
    return entries.index(two) > entries.index(one) + 1


def _separator(data: bytes, start: int) -> int:
    """The length of the comma and the blanks before a value."""
    comma = data.rfind(b",", 0, start)
    return start - comma


def merged(spans: list[Span]) -> list[Span]:
    """The spans in order, those that touch as one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


def end_of_line(message: Message) -> bytes:
    """How the lines of a message end."""
    start = message.headers[0]
    return b"\r\n" if message.data[max(start - 2, 0) : start] == b"\r\n" else b"\n"


def as_lines(text: bytes, message: Message) -> bytes:
    """Whole lines of another message, with this one's line ends."""
    plain = text.replace(b"\r\n", b"\n")
    return plain.replace(b"\n", end_of_line(message))
