"""What a replay did, in a few lines for a person."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from inline_topo.audit.findings import NOT_READ_MEANS
from inline_topo.gateway import CORRUPT, OUTCOMES, REFUSED_CLAIM
from inline_topo.masking.bodies.base import NOTES
from inline_topo.report.texts import count

if TYPE_CHECKING:
    from inline_topo.edges.replay import Refusals, ReplayReport

_WIDTH = 12
_MOST_DETAILS = 8


def lines(report: "ReplayReport") -> Iterator[str]:
    """The figures of a replay, a line each."""
    yield _line("packets", f"{report.packets_read} read, {report.packets_written} written")
    for direction, done in (("egress", "masked"), ("ingress", "unmasked")):
        messages = report.messages[direction]
        changed = report.outcomes[done] + report.outcomes[done + CORRUPT]
        yield _line(direction, f"{messages} SIP messages, {changed} rewritten")
    for action, fields in report.edits.items():
        counts = ", ".join(f"{field} {number}" for field, number in fields.most_common())
        yield _line(action, counts)
    if report.opens_refused:
        ranked = report.opens_refused.most_common()
        yield _line("not opened", ", ".join(f"{name} {times}" for name, times in ranked))
    for note, number in report.notes.items():
        yield _line("noted", f"{number}: {NOTES[note]}")
    changed = sum(_rewritten(report))
    if changed:
        mean = report.bytes_added / changed
        yield _line("bytes", f"{report.bytes_added:+} in all, {mean:+.1f} a rewritten message")
    if longer := report.over_mtu["ipv4"]:
        yield _line(
            "over MTU", f"{count(longer, 'packet')} of IPv4 that may be fragmented on its way"
        )
    if report.fragments.read:
        pieces = report.fragments
        yield _line(
            "fragments",
            f"{pieces.read} read, {pieces.datagrams} datagrams whole, {pieces.written} written",
        )
    if report.left_out:
        yield _line("left out", f"{count(report.left_out, 'packet')} between insiders")
    others = {
        outcome: count
        for outcome, count in report.outcomes.items()
        if not outcome.startswith(("masked", "unmasked", "unchanged", "refused_"))
    }
    if others:
        counts = "; ".join(f"{number} {OUTCOMES[name]}" for name, number in others.items())
        yield _line("untouched", counts)
    for reason, refused in report.refused.items():
        yield _line("REFUSED", _numbered(refused, OUTCOMES[reason]))
        for detail, number in refused.details.most_common(_MOST_DETAILS):
            yield _line("", f"{number}: {detail}")
    for reason, unread in report.not_read.items():
        yield _line("NOT READ", _numbered(unread, NOT_READ_MEANS[reason]))


def warnings(report: "ReplayReport", *, only_outside: bool) -> Iterator[str]:
    """What a person should know before trusting the output."""
    yield from report.warnings
    if report.not_read:
        total = sum(unread.count for unread in report.not_read.values())
        kinds = "; ".join(NOT_READ_MEANS[reason] for reason in report.not_read)
        yield f"{count(total, 'packet')} in the output, as before, not read: {kinds}"
    elif not report.messages["egress"] and not report.messages["ingress"]:
        yield "no SIP message enters or leaves: does `inside` fit this capture?"
    if claims := report.outcomes[REFUSED_CLAIM]:
        yield (
            f"{count(claims, 'response')} refused, which name the inside in clear: no gateway was there "
            "when this capture was taken (--leg outside shows what the outside would have seen)"
        )
    insiders = report.outcomes["inside"]
    if insiders and not only_outside:
        yield (
            f"{count(insiders, 'packet')} between insiders in the output, as before "
            "(--only-outside leaves such out)"
        )
    corrupt = sum(n for name, n in report.outcomes.items() if name.endswith(CORRUPT))
    if lost := report.over_mtu["ipv6"]:
        yield (
            f"{count(lost, 'packet')} of IPv6 grew past the MTU; live, those are lost "
            "(a larger `mtu` behind the gateway, or less to mask)"
        )
    if corrupt:
        yield f"{corrupt} rewritten messages came with a wrong UDP checksum and keep a wrong one"


def _rewritten(report: "ReplayReport") -> list[int]:
    done = ("masked", "unmasked")
    return [report.outcomes[name + end] for name in done for end in ("", CORRUPT)]


def _numbered(packets: "Refusals", what: str) -> str:
    """How many packets, what they are, and the numbers of the first."""
    numbers = ", ".join(map(str, packets.packets))
    more = ", ..." if packets.count > len(packets.packets) else ""
    return f"{packets.count}: {what} (packet {numbers}{more})"


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"
