"""The leaks of an audit, as an HTML page words them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from inline_topo.report.html.page import Fact, Listing
from inline_topo.report.texts import count, printable

if TYPE_CHECKING:
    from inline_topo.report.audit import Audit, Leak

Leaks = Mapping[int, Sequence["Leak"]]  # by packet number

_LISTED = 200


def by_packet(audit: "Audit") -> dict[int, list["Leak"]]:
    """The leaks of each packet."""
    found: dict[int, list[Leak]] = {}
    for leak in (*audit.leaks, *audit.unexplained):
        found.setdefault(leak.packet, []).append(leak)
    return found


def leak_facts(leaks: Leaks | None) -> Iterator[Fact]:
    """How many there are; `leaks` is None where nothing was judged."""
    if leaks is None:
        yield Fact("Leaks", "not judged", "-c FILE or --inside NET says what must not show")
        return
    total = sum(map(len, leaks.values()))
    note = f"in {count(len(leaks), 'message')}" if total else "nothing hidden shows"
    yield Fact("Leaks", str(total), note, "bad" if total else "good")


def leak_texts(leaks: Sequence["Leak"]) -> list[str]:
    """A line each."""
    return [f"{leak.field} shows {printable(leak.shown)} ({leak.kind})" for leak in leaks]


def leak_listing(leaks: Leaks, anchors: Mapping[int, str], shown: Collection[str]) -> Listing:
    """The table of leaks, each with the anchor of its packet's message where the page shows it."""
    rows = []
    for packet, found in leaks.items():
        anchor = anchors.get(packet, "")
        for leak in found:
            text = printable(leak.text.strip())[:300]
            cells = (f"#{packet}", leak.field, printable(leak.shown), leak.kind, text)
            rows.append((anchor if anchor in shown else "", cells))
    title = f"Leaks: {len(rows)}"
    if len(rows) > _LISTED:
        title += f", the first {_LISTED}"
    return Listing(title, ("Packet", "Field", "Shows", "Kind", "In"), rows[:_LISTED])
