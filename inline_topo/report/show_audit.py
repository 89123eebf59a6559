"""An audit for people: a table of leaks, and what else is in clear."""

import os
from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inline_topo.audit.findings import NOT_READ_MEANS
from inline_topo.report.audit import Audit, Leak
from inline_topo.report.texts import count, is_ascii_only, listing, printable

_NUMBERS_SHOWN = 10


def show(console: Console, name: str, audit: Audit) -> None:
    """Print the leaks, the counts of what is left in clear on purpose, and the result."""
    if audit.leaks:
        console.print(_leaks(console, audit.leaks))
    if audit.unexplained:
        text = "not explained: who receives these never said them before in this capture"
        console.print(Text(text, "bold red"), soft_wrap=True)
        console.print(_leaks(console, audit.unexplained))
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
    for counter, what in (
        (audit.vias, "in the Vias of responses, as their requests had them"),
        (audit.echoed, "in the receiver's own words"),
    ):
        if counter:
            places = count(sum(counter.values()), "place")
            console.print(f"names the inside {what}: {places}{_counts(counter)}", soft_wrap=True)
    for reason, number in audit.not_read.items():
        numbers = [str(one.packet) for one in audit.not_read_packets if one.reason == reason]
        more = ", ..." if number > _NUMBERS_SHOWN else ""
        where = f"packet{'s' * (number > 1)} {', '.join(numbers[:_NUMBERS_SHOWN])}{more}"
        line = f"not read: {NOT_READ_MEANS[reason]}: {number} ({where})"
        console.print(Text(line, "yellow"), soft_wrap=True)
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
    elif audit.unexplained:
        fields = listing(Counter(leak.field for leak in audit.unexplained))
        places = count(len(audit.unexplained), "place")
        console.print(Text(f"{places} not explained: {fields}", "bold red"), soft_wrap=True)
    elif audit.not_read:
        packets_missed = count(sum(audit.not_read.values()), "packet")
        verdict = f"no leaks in what was read; {packets_missed} not read"
        console.print(Text(verdict, "bold yellow"), soft_wrap=True)
    else:
        console.print(Text("no leaks", "bold green"), soft_wrap=True)


def _counts(counter: Counter[tuple[str, str]]) -> str:
    by_field: Counter[str] = Counter()
    for (field, _), number in counter.items():
        by_field[field] += number
    return f" ({listing(by_field)})" if by_field else ""


def _leaks(console: Console, leaks: Sequence[Leak]) -> Table:
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
    for leak in leaks:
        shown, text = printable(leak.shown), Text(printable(leak.text))
        text.highlight_words([shown], "bold red")
        row = [str(leak.packet), _message(leak.start_line), leak.field]
        table.add_row(*row, *([] if is_marked else [shown]), leak.kind, text)
    return table


def _message(start_line: bytes) -> str:
    words = printable(start_line).split(" ")
    return " ".join(words[1:]) if words[0].startswith("SIP/") else words[0]
