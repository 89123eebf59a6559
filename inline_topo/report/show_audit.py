"""An audit for people: a table of leaks, and what else is in clear."""

import os
from collections import Counter

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inline_topo.report.audit import Audit
from inline_topo.report.texts import count, is_ascii_only, listing, printable


def show(console: Console, name: str, audit: Audit) -> None:
    """Print the leaks, the counts of what is left in clear on purpose, and the result."""
    if audit.leaks:
        console.print(_leaks(console, audit))
    if audit.by_policy or audit.skipped:
        text = f"left clear by policy: {count(audit.skipped, 'message')}"
        console.print(f"{text}{_counts(audit.by_policy)}", soft_wrap=True)
    if audit.not_masked:
        total = sum(audit.not_masked.values())
        text = f"left clear, as configured: {count(total, 'place')}"
        console.print(f"{text}{_counts(audit.not_masked)}", soft_wrap=True)
    if audit.media:
        total = sum(audit.media.values())
        text = f"media shows inside: {count(total, 'place')}{_counts(audit.media)}"
        console.print(Text(f"{text}: no relay takes the streams over", "yellow"), soft_wrap=True)
    tally = audit.tally
    for number, what in (
        (tally.tcp, "SIP over TCP, which passes untouched"),
        (tally.incomplete, "fragments without the rest of their datagram"),
        (tally.cut, "packets that the capture holds only in part"),
    ):
        if number:
            console.print(f"not read: {number} {what}", soft_wrap=True)
    entering = audit.messages["ingress"]
    others = audit.messages["inside"] + audit.messages["transit"]
    judged = f"{count(audit.judged, 'message')} that leave{'s' * (audit.judged == 1)}"
    line = f"{printable(os.fsencode(name))}: judged {judged}; {entering} that enter"
    if others:
        line += f" and {others} that neither leave nor enter"
    console.print(f"{line} are not judged", soft_wrap=True)
    if audit.leaks:
        packets = len({leak.packet for leak in audit.leaks})
        fields = listing(Counter(leak.field for leak in audit.leaks))
        verdict = f"{count(len(audit.leaks), 'leak')} in {count(packets, 'message')}: {fields}"
        console.print(Text(verdict, "bold red"), soft_wrap=True)
    else:
        console.print(Text("no leaks", "bold green"), soft_wrap=True)


def _counts(counter: Counter[tuple[str, str]]) -> str:
    by_field: Counter[str] = Counter()
    for (field, _), number in counter.items():
        by_field[field] += number
    return f" ({listing(by_field)})" if by_field else ""


def _leaks(console: Console, audit: Audit) -> Table:
    style = box.ASCII2 if is_ascii_only(console.encoding) else box.SIMPLE_HEAD
    # Colour marks the host within its text; without colour it has a column.
    is_marked = console.color_system is not None
    table = Table(box=style, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("packet", justify="right")
    table.add_column("message", overflow="ellipsis", no_wrap=True, max_width=12)
    table.add_column("field", overflow="fold")
    if not is_marked:
        table.add_column("shows", overflow="fold")
    table.add_column("kind")
    table.add_column("in", overflow="fold")
    for leak in audit.leaks:
        shown, text = printable(leak.shown), Text(printable(leak.text))
        text.highlight_words([shown], "bold red")
        row = [str(leak.packet), _message(leak.start_line), leak.field]
        table.add_row(*row, *([] if is_marked else [shown]), leak.kind, text)
    return table


def _message(start_line: bytes) -> str:
    words = printable(start_line).split(" ")
    return " ".join(words[1:]) if words[0].startswith("SIP/") else words[0]
