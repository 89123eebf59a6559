"""A diff for people: what changed in each message, old lines red and new ones green."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from inline_topo.report.diff import Change, Difference, Summary
from inline_topo.report.lines import START_LINE
from inline_topo.report.texts import changed_span, count, listing, printable, signed
from inline_topo.report.wording import clocks_text, route_of, size_of
from inline_topo.sip import names

_OLD, _NEW = "red", "green"
_OLD_SPAN, _NEW_SPAN = "bold red reverse", "bold green reverse"
_INDENT = "  "


def show(console: Console, differences: Sequence[Difference], summary: Summary) -> None:
    """Print every message with what changed in it, and the summary."""
    start = min((difference.time for difference in differences), default=0)
    for difference in differences:
        _message(console, difference, start)
    console.print()
    show_summary(console, summary)


def show_summary(console: Console, summary: Summary) -> None:
    """Print the figures."""
    parts = [count(summary.messages, "message"), f"{summary.changed} changed"]
    if summary.unchanged:
        parts.append(f"{summary.unchanged} the same")
    for number, where in ((summary.only_before, "BEFORE"), (summary.only_after, "AFTER")):
        if number:
            parts.append(f"{number} only in {where}")
    if summary.reordered:
        parts.append(f"{summary.reordered} in another order")
    console.print(Text(", ".join(parts), "bold"), soft_wrap=True)
    if summary.clocks and summary.clocks.offset:
        console.print(clocks_text(summary.clocks), soft_wrap=True)
    if summary.changed:
        added = summary.bytes_added
        line = f"{signed(added)} bytes: {summary.mean_added:+.1f} a message"
        if summary.unchanged:
            line += f", {summary.mean_added_to_changed:+.1f} a changed message"
        if summary.bytes_before:
            line += f" ({100 * added / summary.bytes_before:+.1f} %)"
        console.print(line, soft_wrap=True)
    if summary.fields:
        console.print(f"messages changed in: {listing(summary.fields)}", soft_wrap=True)


def _message(console: Console, difference: Difference, start: int) -> None:
    seen, status = difference.seen, difference.status
    style = {"unchanged": "dim", "only_before": _OLD, "only_after": _NEW}.get(status, "bold")
    if status != "unchanged":
        console.print()
    # the columns of a capture's list, the start line below: both fit in 80 columns
    head = Text.assemble(
        (f"{seen.number:>3} {(difference.time - start) / 10**9:9.6f}  ", "dim"),
        (route_of(seen), style),
        (f"  {size_of(difference)}", "" if status == "changed" else style),
        "  (in another order)" if difference.is_reordered else "",
    )
    console.print(head, soft_wrap=True)
    line = Text(f"{_INDENT}{printable(seen.start_line)}", style)
    if not any(change.field in (START_LINE, names.REQUEST_URI) for change in difference.changes):
        console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
    changes = list(difference.changes)
    before, after = difference.pair
    if before and after and difference.is_moved:  # by a NAT: shown as if it were a line
        routes = (route_of(before).encode(),), (route_of(after).encode(),)
        changes.insert(0, Change("addresses", *routes))
    for change in changes:
        for sign, text in _change(change):
            _row(console, sign, text)


def _change(change: Change) -> Iterator[tuple[str, Text]]:
    old = [printable(line) for line in change.before]
    new = [printable(line) for line in change.after]
    if not old and not new:
        yield "~", Text(f"{change.field} differs", "dim")
    if len(old) == len(new) == 1:
        span_old, span_new = changed_span(old[0], new[0])
        yield "-", _marked(old[0], _OLD, _OLD_SPAN, span_old)
        yield "+", _marked(new[0], _NEW, _NEW_SPAN, span_new)
        return
    for line in old:
        yield "-", Text(line, _OLD)
    for line in new:
        yield "+", Text(line, _NEW)
    if len(old) > 1 and new:
        yield " ", Text(f"({len(old)} became {len(new)})", "dim")


def _marked(line: str, style: str, span_style: str, span: tuple[int, int]) -> Text:
    text = Text(line, style)
    text.stylize(span_style, *span)
    return text


def _row(console: Console, sign: str, text: Text) -> None:
    style = {"-": _OLD, "+": _NEW}.get(sign, "")
    width = console.width - len(_INDENT) - 2
    # Cut anywhere: a token has no blanks, and breaking before it would leave half a line empty.
    pieces = text.divide(range(width, len(text), width)) if width > 0 else [text]
    for piece in pieces:
        console.print(Text.assemble((f"{_INDENT}{sign} ", style), piece), soft_wrap=True)
        sign = " "
