"""What reports call a message, its way, its size, a call and the clocks."""

from collections.abc import Sequence

from inline_topo.report.diff import Difference
from inline_topo.report.messages import Seen, destination_of, source_of
from inline_topo.report.pairs import Clocks
from inline_topo.report.texts import count, printable, signed


def route_of(seen: Seen) -> str:
    """`source -> destination`."""
    return f"{source_of(seen)} -> {destination_of(seen)}"


def name_of(seen: Seen) -> str:
    """`INVITE`, `180 Ringing`."""
    message = seen.message
    if not message:
        return "(does not parse)"
    if message.is_request:
        return printable(message.method)
    return printable(seen.start_line.partition(b" ")[2].strip())


def label_of(difference: Difference) -> str:
    """What stands on the arrow of a message: `INVITE +37`, `- 180 Ringing`, `BYE (moved) +4`."""
    label = name_of(difference.seen) + " (moved)" * difference.is_reordered
    if difference.status == "changed":
        return f"{label} {difference.bytes_added:+d}"
    return {"only_before": f"- {label}", "only_after": f"+ {label}"}.get(difference.status, label)


def size_of(difference: Difference) -> str:
    """`557 -> 594 (+37)`."""
    before, after = difference.pair
    if not before:
        return f"{len(difference.seen.data)}, only in AFTER"
    if not after:
        return f"{len(before.data)}, only in BEFORE"
    if difference.status == "unchanged":
        return f"{len(before.data)}, the same"
    return f"{len(before.data)} -> {len(after.data)} ({signed(difference.bytes_added)})"


def figures_of(call: Sequence[Difference]) -> str:
    """`6 messages, 5 changed, +347 bytes`."""
    changed = sum(difference.status == "changed" for difference in call)
    added = sum(difference.bytes_added for difference in call)
    return f"{count(len(call), 'message')}, {changed} changed, {signed(added)} bytes"


def clocks_text(clocks: Clocks) -> str:
    """How AFTER's clock stands to BEFORE's."""
    where = "ahead of" if clocks.offset >= 0 else "behind"
    text = f"times in AFTER are {_time(abs(clocks.offset))} {where} BEFORE's"
    return f"{text} (median; half of them within {_time(clocks.spread)})"


def _time(nanoseconds: int) -> str:
    if nanoseconds >= 10**9:
        return f"{nanoseconds / 10**9:.6f} s"
    return f"{nanoseconds / 10**6:.3f} ms"
