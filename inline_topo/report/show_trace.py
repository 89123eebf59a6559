"""The trace of a call for people: a line for what came, and below it what became of it."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from inline_topo.report.texts import count, listing, printable
from inline_topo.report.trace import EXPLAINED, Step, Trace

_INDENT = " " * 4
_REFUSED = "refused_"
_TOLD = re.compile(rf"\b{_REFUSED}\w+")


def show(console: Console, trace: Trace) -> None:
    """Print the names of the call, every step, and what went wrong in all."""
    for line in _names(trace):
        console.print(line, soft_wrap=True)
    for step in trace.steps:
        console.print(Text(_headline(step), "" if step.packet is None else "bold"), soft_wrap=True)
        for text, style in _below(step):
            console.print(Text(_INDENT + text, style), soft_wrap=True)
    refused = Counter(filter(None, map(_refusal, trace.steps)))
    for outcome, number in sorted(refused.items()):
        text = f"{count(number, 'message')} refused: {EXPLAINED[outcome]}"
        console.print(Text(text, "bold red"), soft_wrap=True)
    if not refused and trace.steps:
        console.print("no message of this call is refused", soft_wrap=True)
    if trace.held_back:
        text = (
            f"the log holds {count(trace.held_back, 'line')} back: there may be more of this call"
        )
        console.print(text, soft_wrap=True)


def _names(trace: Trace) -> Iterator[str]:
    names = trace.names
    yield f"Call-ID inside:  {printable(names.inside)}"
    if names.outside != names.inside:
        yield f"Call-ID outside: {printable(names.outside)}"
    yield f"in the log:      call={names.mark}"


def _headline(step: Step) -> str:
    if step.packet is None:
        return f"{_clock(step.time)}  {os.path.basename(step.origin)}: {step.text}"
    ends = f"{step.source} -> {step.destination}  " if step.source else ""
    return f"{_clock(step.time)}  {os.path.basename(step.origin)} #{step.packet}  {ends}{step.text}"


def _below(step: Step) -> Iterator[tuple[str, str]]:
    if step.packet is None:
        return
    if step.reason:
        yield f"not let out: {step.reason}", "red"
    style = "red" if step.outcome.startswith(_REFUSED) else ""
    direction = f"{step.direction}: " if step.direction else ""
    yield f"{direction}{step.outcome}: {EXPLAINED.get(step.outcome, 'passes')}", style
    for action, fields in step.edits.items():
        yield f"{action}: {listing(fields)}", ""
    if step.leaks:
        yield f"shows something hidden: {', '.join(step.leaks)}", "red"


def _refusal(step: Step) -> str:
    """The outcome by which a message was refused: as the live gateway wrote it, or as it is judged
    here. Empty where it was not."""
    told = _TOLD.search(step.reason)
    if told and told[0] in EXPLAINED:
        return told[0]
    return step.outcome if step.outcome.startswith(_REFUSED) else ""


def _clock(time: int | None) -> str:
    if time is None:
        return "(no time)"
    moment = datetime.fromtimestamp(time // 10**9, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time % 10**9 // 10**6:03d}"
