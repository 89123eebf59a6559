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
    gone = frozenset(gone)
    for span in spans:
        if is_whole(message.data, span, gone):
            found.append(line(message, span))
            continue
        entries = values.split(message.data, [span])
        kept = [at for at, entry in enumerate(entries) if entry not in gone]
        if kept[0] > 0:
            found.append((entries[0][0], entries[kept[0]][0]))
        for one, two in pairwise(kept):
            if two > one + 1:
                start = entries[two][0]
                found.append((entries[one][1], start - _separator(message.data, start)))
        if kept[-1] < len(entries) - 1:
            found.append((entries[kept[-1]][1], entries[-1][1]))
    return merged(found)


def is_whole(data: bytes, span: Span, gone: frozenset[Span]) -> bool:
    """Whether a line's value is among those that are taken out, or all of its single values are."""
    return span in gone or all(entry in gone for entry in values.split(data, [span]))


def cut(message: Message, name: str, gone: list[Span]) -> list[Edit]:
    """The edits that take values out of the fields of a name."""
    if not gone:
        return []
    spans = cuts(message, message.fields[name], gone)
    return [Edit(start, end, b"", name, REMOVED) for start, end in spans]


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
