"""A diff as an HTML page."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from inline_topo.report.diff import SPACING, Difference, Summary, by_call
from inline_topo.report.html.ladder import Rung, ladder
from inline_topo.report.html.leaks import Leaks, leak_facts, leak_listing, leak_texts
from inline_topo.report.html.page import Call, Card, Fact, Listing, Page
from inline_topo.report.html.rows import both_sides, one_side
from inline_topo.report.media import media_addresses
from inline_topo.report.messages import Seen
from inline_topo.report.texts import count, listing, printable, seconds, signed
from inline_topo.report.wording import (
    clocks_text,
    figures_of,
    label_of,
    name_of,
    route_of,
    size_of,
)

_LEGEND = (
    ("changed", "changed, with the bytes added"),
    ("unchanged", "the same"),
    ("only_before", "only in BEFORE"),
    ("only_after", "only in AFTER"),
)
_STATUS = {
    "unchanged": "the same",
    "changed": "changed",
    "only_before": "only in BEFORE",
    "only_after": "only in AFTER",
}
_ALL_OPEN = 12  # messages that a page shows opened
_LISTED = 100


def page(
    before: str,
    after: str,
    differences: Sequence[Difference],
    summary: Summary,
    most: int,
    leaks: Leaks | None = None,
) -> Page:
    """The page of a diff of the files `before` and `after`, with at most `most` messages, and the
    leaks of AFTER's packets (None: they were not looked for)."""
    anchors = {id(difference): f"m{n}" for n, difference in enumerate(differences, 1)}
    calls = by_call(differences)
    shown = list(_calls(calls, anchors, leaks or {}, most))
    messages = sum(len(call.cards) for call in shown)
    left_out = ""
    if messages < len(differences):
        left_out = (
            f"This page shows the first {count(messages, 'message')} of {len(differences)}, and "
            f"{len(shown)} of {count(len(calls), 'call')} (--max sets how many). The figures above "
            "count all."
        )
    listings = [_odd(differences, anchors, messages)]
    if leaks:
        numbers = {
            difference.pair.after.number: anchors[id(difference)]
            for difference in differences
            if difference.pair.after
        }
        listings.insert(0, leak_listing(leaks, numbers, _anchors(shown)))
    return Page(
        title="What the wire showed, before and after",
        subtitle=f"BEFORE: {_file(before)} · AFTER: {_file(after)}",
        verdict=_verdict(summary),
        facts=list(_facts(differences, summary, leaks, len(calls))),
        calls=shown,
        legend=_LEGEND,
        listings=[one for one in listings if one.rows],
        left_out=left_out,
        notes=[f"Messages changed in: {listing(summary.fields)}"] if summary.fields else [],
    )


def _file(name: str) -> str:
    return printable(os.fsencode(name))


def _anchors(calls: Sequence[Call]) -> set[str]:
    return {card.anchor for call in calls for card in call.cards}


def _verdict(summary: Summary) -> str:
    if summary.is_same:
        return "No message differs."
    both = summary.changed + summary.unchanged
    text = f"Of {count(both, 'message')} that both captures have, {summary.changed} changed"
    odd = {"only in BEFORE": summary.only_before, "only in AFTER": summary.only_after}
    others = "".join(f"; {number} {where}" for where, number in odd.items() if number)
    return f"{text}{others}."


def _facts(
    differences: Sequence[Difference], summary: Summary, leaks: Leaks | None, calls: int
) -> Iterator[Fact]:
    yield Fact("Messages", str(summary.messages), f"in {count(calls, 'call')}")
    yield Fact("Changed", str(summary.changed), f"{summary.unchanged} the same")
    note = f"{summary.mean_added_to_changed:+.1f} a changed message" if summary.changed else ""
    if summary.bytes_before:
        note += f" ({100 * summary.bytes_added / summary.bytes_before:+.1f} %)"
    yield Fact("Bytes added", signed(summary.bytes_added), note.strip())
    odd = {
        "only in BEFORE": summary.only_before,
        "only in AFTER": summary.only_after,
        "in another order": summary.reordered,
    }
    if any(odd.values()):
        note = ", ".join(f"{number} {what}" for what, number in odd.items() if number)
        yield Fact("Lost, added or reordered", str(sum(odd.values())), note, "bad")
    yield from leak_facts(leaks)
    media = media_addresses(d.pair.after for d in differences if d.pair.after)
    note = ", ".join(address for address, _ in media.most_common(4))
    more = f" and {len(media) - 4} more" if len(media) > 4 else ""
    yield Fact("Media addresses shown", str(len(media)), f"{note}{more}" or "no SDP in AFTER")
    if summary.clocks and summary.clocks.offset:
        yield Fact("Clocks", f"{summary.clocks.offset / 10**9:+.6f} s", clocks_text(summary.clocks))


def _odd(differences: Sequence[Difference], anchors: Mapping[int, str], most: int) -> Listing:
    rows = []
    for difference in differences:
        if difference.is_reordered or difference.status.startswith("only"):
            status = _STATUS[difference.status]
            if difference.is_reordered:
                status = "in another order"
            anchor = anchors[id(difference)]
            cells = (_packets(difference), status, _way(difference.seen))
            rows.append((anchor, (*cells, printable(difference.seen.start_line)[:200])))
    title = f"Lost, added or reordered: {len(rows)}"
    if len(rows) > _LISTED:
        title += f", the first {_LISTED}"
    return Listing(title, ("Packet", "What", "Way", "Message"), rows[:_LISTED])


def _calls(
    calls: Mapping[bytes, Sequence[Difference]],
    anchors: Mapping[int, str],
    leaks: Leaks,
    most: int,
) -> Iterator[Call]:
    opens = sum(map(len, calls.values())) <= _ALL_OPEN
    for number, (call_id, whole) in enumerate(calls.items(), 1):
        if most <= 0:
            return
        call = list(islice(whole, most))
        most -= len(call)
        first = call[0].time
        figures = figures_of(whole)
        if len(call) < len(whole):
            figures += f" (the first {len(call)} shown)"
        yield Call(
            f"call{number}",
            printable(call_id) or "(none)",
            figures,
            ladder([_rung(one, anchors[id(one)], leaks) for one in call]),
            [_card(one, anchors[id(one)], leaks, first, opens) for one in call],
        )


def _leaks_of(difference: Difference, leaks: Leaks) -> Sequence[object]:
    after = difference.pair.after
    return leaks.get(after.number, ()) if after else ()


def _rung(difference: Difference, anchor: str, leaks: Leaks) -> Rung:
    found = _leaks_of(difference, leaks)
    title = f"{name_of(difference.seen)}, {_STATUS[difference.status]}, {size_of(difference)} bytes"
    if found:
        title += f", {count(len(found), 'leak')}"
    return Rung(
        difference.seen,
        difference.time,
        label_of(difference),
        difference.status,
        anchor,
        title,
        len(found),
    )


def _card(difference: Difference, anchor: str, leaks: Leaks, first: int, opens: bool) -> Card:
    before, after = difference.pair
    found = leaks.get(after.number, []) if after else []
    shown = [leak.shown for leak in found]
    status = _STATUS[difference.status]
    notes = []
    if difference.is_reordered:
        status += ", in another order"
    if before and after and difference.is_moved:
        notes.append(f"Addresses: {_way(before)} became {_way(after)}")
    if any(change.field == SPACING for change in difference.changes):
        notes.append("Line ends or blanks between the values of a list differ.")
    if before and after and before.data != after.data:
        rows = both_sides(before, after, shown)
        heads = [
            f"Before: packet {before.number}, {count(len(before.data), 'byte')}",
            f"After: packet {after.number}, {count(len(after.data), 'byte')}",
        ]
    else:
        rows = one_side(difference.seen, shown)
        where = "the same in both" if before and after else status
        heads = [f"{count(len(difference.seen.data), 'byte')}, {where}"]
    return Card(
        anchor=anchor,
        kind=difference.status,
        status=status,
        packets=_packets(difference),
        time=f"{seconds(difference.time - first)[:-3]} s",
        way=_way(difference.seen),
        start_line=printable(difference.seen.start_line)[:400],
        size=f"{_size(difference)} bytes",
        heads=heads,
        rows=rows,
        leaks=leak_texts(found),
        notes=notes,
        is_open=opens and difference.status == "changed",
    )


def _way(seen: Seen) -> str:
    return route_of(seen).replace("->", "→")


def _size(difference: Difference) -> str:
    before, after = difference.pair
    if before and after and difference.status == "changed":
        added = signed(difference.bytes_added)
        return f"{len(before.data)} → {len(after.data)} ({added})"
    return str(len(difference.seen.data))


def _packets(difference: Difference) -> str:
    before, after = difference.pair
    if before and after:
        same = before.number == after.number
        return f"#{before.number}" if same else f"#{before.number} → #{after.number}"
    return f"#{difference.seen.number}"
