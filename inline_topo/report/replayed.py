"""What a replay did, in a few lines for a person."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from inline_topo.gateway import CORRUPT, OUTCOMES

if TYPE_CHECKING:
    from inline_topo.edges.replay import ReplayReport

_WIDTH = 12


def lines(report: "ReplayReport") -> Iterator[str]:
    """The figures of a replay, a line each."""
    yield _line("packets", f"{report.packets_read} read, {report.packets_written} written")
    for direction, done in (("egress", "masked"), ("ingress", "unmasked")):
        count = report.messages[direction]
        changed = report.outcomes[done] + report.outcomes[done + CORRUPT]
        yield _line(direction, f"{count} SIP messages, {changed} rewritten")
    for action, fields in report.edits.items():
        counts = ", ".join(f"{field} {count}" for field, count in fields.most_common())
        yield _line(action, counts)
    changed = sum(_rewritten(report))
    if changed:
        mean = report.bytes_added / changed
        yield _line("bytes", f"{report.bytes_added:+} in all, {mean:+.1f} a rewritten message")
    if report.fragments.read:
        pieces = report.fragments
        yield _line(
            "fragments",
            f"{pieces.read} read, {pieces.datagrams} datagrams whole, {pieces.written} written",
        )
    if report.left_out:
        yield _line("left out", f"{report.left_out} packets between insiders")
    others = {
        outcome: count
        for outcome, count in report.outcomes.items()
        if not outcome.startswith(("masked", "unmasked", "unchanged", "refused_"))
    }
    if others:
        counts = "; ".join(f"{count} {OUTCOMES[name]}" for name, count in others.items())
        yield _line("untouched", counts)
    for reason, refused in report.refused.items():
        numbers = ", ".join(map(str, refused.packets))
        more = ", ..." if refused.count > len(refused.packets) else ""
        yield _line("REFUSED", f"{refused.count}: {OUTCOMES[reason]} (packet {numbers}{more})")


def warnings(report: "ReplayReport", *, only_outside: bool) -> Iterator[str]:
    """What a person should know before trusting the output."""
    yield from report.warnings
    if not report.messages["egress"] and not report.messages["ingress"]:
        yield "no SIP message enters or leaves: does `inside` fit this capture?"
    insiders = report.outcomes["inside"]
    if insiders and not only_outside:
        yield (
            f"{insiders} packets between insiders are in the output, as they were "
            "(--only-outside leaves them out)"
        )
    corrupt = sum(n for name, n in report.outcomes.items() if name.endswith(CORRUPT))
    if corrupt:
        yield f"{corrupt} rewritten messages came with a wrong UDP checksum and keep a wrong one"


def _rewritten(report: "ReplayReport") -> list[int]:
    done = ("masked", "unmasked")
    return [report.outcomes[name + end] for name in done for end in ("", CORRUPT)]


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"
