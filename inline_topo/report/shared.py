"""What was done to make a capture fit for sharing, in a few lines for a person."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from inline_topo.gateway import OUTCOMES
from inline_topo.report.texts import count

if TYPE_CHECKING:
    from inline_topo.anonymise.run import Report
    from inline_topo.edges.replay import ReplayReport

_WIDTH = 12


def lines(report: "ReplayReport", more: "Report") -> Iterator[str]:
    """The figures, a line each."""
    counts = more.counts
    yield _line("packets", f"{report.packets_read} read, {report.packets_written} written")
    yield _line("SIP", f"{count(counts.messages, 'message')} with pseudonyms")
    if counts.media:
        yield _line(
            "media",
            f"addresses replaced in {count(counts.media, 'description')}: "
            "as it stands there, no audio would flow",
        )
    if counts.removed:
        fields = ", ".join(f"{name} {number}" for name, number in counts.removed.most_common())
        yield _line("removed", fields)
    if counts.bodies:
        kinds = ", ".join(f"{kind} {number}" for kind, number in counts.bodies.most_common())
        yield _line("bodies", f"dropped: {kinds}")
    if more.stripped:
        yield _line("payloads", f"dropped of {count(more.stripped, 'packet')}")
    if more.payloads.unreadable:
        yield _line(
            "unreadable",
            f"{count(more.payloads.unreadable, 'message')} of those: SIP that does not parse",
        )
    if report.left_out:
        yield _line("left out", f"{count(report.left_out, 'packet')} between insiders")
    if more.left_out:
        yield _line("left out", f"{count(more.left_out, 'frame')} neither IP nor ARP")
    for reason, refused in report.refused.items():
        numbers = ", ".join(map(str, refused.packets))
        yield _line("REFUSED", f"{refused.count}: {OUTCOMES[reason]} (packet {numbers})")
    looked = more.looked_for
    yield _line(
        "searched",
        f"for {looked['addresses']} addresses, {looked['mac_addresses']} MAC addresses, "
        f"{looked['host_names']} host names and {looked['user_names']} user names of the original: "
        "none shows",
    )


def warnings(report: "ReplayReport", more: "Report") -> Iterator[str]:
    """What a person should know before sharing the output."""
    yield from report.warnings
    if not report.messages["egress"] and not report.messages["ingress"]:
        yield "no SIP message enters or leaves: does `inside` fit this capture?"


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"
