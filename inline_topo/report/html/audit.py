"""An audit as an HTML page."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from inline_topo.audit.findings import NOT_READ_MEANS
from inline_topo.masking.flow import Direction, Flows
from inline_topo.report.html.ladder import Rung, ladder
from inline_topo.report.html.leaks import Leaks, by_packet, leak_facts, leak_listing, leak_texts
from inline_topo.report.html.page import Call, Card, Fact, Listing, Page
from inline_topo.report.html.rows import one_side
from inline_topo.report.media import media_addresses
from inline_topo.report.messages import Seen
from inline_topo.report.texts import count, printable, seconds
from inline_topo.report.wording import name_of, route_of

if TYPE_CHECKING:
    from inline_topo.report.audit import Audit

_LEAK, _CLEAN, _APART = "leak", "unchanged", "apart"
_STATUS = {_LEAK: "leaks", _CLEAN: "leaves, clean"}
_WAYS = {
    Direction.INGRESS: "enters",
    Direction.INSIDE: "between insiders",
    Direction.TRANSIT: "between outsiders",
}
_LEGEND = (
    (_LEAK, "leaves, and shows something hidden"),
    (_CLEAN, "leaves, and shows nothing hidden"),
    (_APART, "does not leave: not judged"),
)
_NUMBERS_SHOWN = 10
_ALL_OPEN = 12  # messages that leak and are shown opened


def page(name: str, messages: Sequence[Seen], audit: "Audit", flows: Flows, most: int) -> Page:
    """The page of an audit of the file `name`, with at most `most` of its messages; calls with
    leaks come first."""
    leaks = by_packet(audit)
    ways = [flows.find(seen.endpoints).direction for seen in messages]
    calls: dict[bytes, list[tuple[Seen, Direction]]] = {}
    for seen, way in zip(messages, ways, strict=True):
        calls.setdefault(seen.call_id, []).append((seen, way))
    ordered = sorted(calls.items(), key=lambda call: not _leaks_in(call[1], leaks))
    shown = list(_calls(ordered, leaks, most))
    cards = {card.anchor for call in shown for card in call.cards}
    left_out = ""
    if len(cards) < len(messages):
        left_out = (
            f"This page shows {count(len(cards), 'message')} of {len(messages)}, and {len(shown)} of "
            f"{count(len(calls), 'call')}, those with leaks first (--max sets how many). The "
            "figures above count all."
        )
    anchors = {seen.number: _anchor(seen) for seen in messages}
    leaving = [s for s, way in zip(messages, ways, strict=True) if way is Direction.EGRESS]
    return Page(
        title="What leaves, and what it shows",
        subtitle=printable(os.fsencode(name)),
        verdict=_verdict(audit, leaks),
        facts=list(_facts(audit, leaks, leaving)),
        calls=shown,
        legend=_LEGEND,
        listings=[
            one
            for one in (
                leak_listing(leaks, anchors, cards),
                _counted("Media shows inside", audit.media),
                _counted("Left in clear by the configuration", audit.not_masked),
                _counted("Left in clear by a rule", audit.by_policy),
                _counted("Names the inside in the Vias of responses", audit.vias),
                _counted("Names the inside in the receiver's own words", audit.echoed),
            )
            if one.rows
        ],
        left_out=left_out,
        notes=list(_not_read(audit)),
    )


def _verdict(audit: "Audit", leaks: Leaks) -> str:
    total = len(audit.leaks) + len(audit.unexplained)
    if total:
        words = count(len(audit.leaks), "leak")
        if audit.unexplained:
            words += f" and {count(len(audit.unexplained), 'name')} not explained"
        return f"{words} in {count(len(leaks), 'message')}"
    if audit.not_read:
        return (
            f"No leaks in what was read; {count(sum(audit.not_read.values()), 'packet')} not read"
        )
    return "No leaks"


def _anchor(seen: Seen) -> str:
    return f"p{seen.number}"


def _leaks_in(call: Sequence[tuple[Seen, Direction]], leaks: Leaks) -> int:
    return sum(len(leaks.get(seen.number, ())) for seen, _ in call)


def _facts(audit: "Audit", leaks: Leaks, leaving: Sequence[Seen]) -> Iterator[Fact]:
    yield from leak_facts(leaks)
    others = sum(audit.messages.values()) - audit.messages["egress"]
    yield Fact("Judged", str(audit.judged), f"messages that leave; {others} others are not judged")
    if audit.skipped:
        yield Fact("Left clear by a rule", str(audit.skipped), "messages that leave")
    media = media_addresses(leaving)
    note = ", ".join(address for address, _ in media.most_common(4))
    more = f" and {len(media) - 4} more" if len(media) > 4 else ""
    yield Fact("Media addresses shown", str(len(media)), f"{note}{more}" or "no SDP leaves")
    if shown := sum(audit.media.values()):
        yield Fact(
            "Media shows inside", count(shown, "place"), "no relay takes the streams over", "bad"
        )


def _not_read(audit: "Audit") -> Iterator[str]:
    for reason, number in audit.not_read.items():
        packets = [f"#{one.packet}" for one in audit.not_read_packets if one.reason == reason]
        where = ", ".join(packets[:_NUMBERS_SHOWN]) + ", ..." * (number > _NUMBERS_SHOWN)
        yield f"Not read: {NOT_READ_MEANS[reason]}: {number} ({where})."


def _counted(title: str, counter: Mapping[tuple[str, str], int]) -> Listing:
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    rows = [("", (field, kind, str(number))) for (field, kind), number in ordered]
    return Listing(f"{title}: {sum(counter.values())}", ("Field", "Kind", "Places"), rows)


def _calls(
    calls: Sequence[tuple[bytes, Sequence[tuple[Seen, Direction]]]], leaks: Leaks, most: int
) -> Iterator[Call]:
    opens = len(leaks) <= _ALL_OPEN
    for number, (call_id, whole) in enumerate(calls, 1):
        if most <= 0:
            return
        call = whole[:most]
        most -= len(call)
        first = call[0][0].time
        figures = f"{count(len(whole), 'message')}, {count(_leaks_in(whole, leaks), 'leak')}"
        if len(call) < len(whole):
            figures += f" (the first {len(call)} shown)"
        yield Call(
            f"call{number}",
            printable(call_id) or "(none)",
            figures,
            ladder([_rung(seen, way, leaks) for seen, way in call]),
            [_card(seen, way, leaks, first, opens) for seen, way in call],
        )


def _kind(seen: Seen, way: Direction, leaks: Leaks) -> str:
    if seen.number in leaks:
        return _LEAK
    return _CLEAN if way is Direction.EGRESS else _APART


def _status(kind: str, way: Direction) -> str:
    return _STATUS.get(kind) or f"{_WAYS.get(way, 'passes')}, not judged"


def _rung(seen: Seen, way: Direction, leaks: Leaks) -> Rung:
    kind = _kind(seen, way, leaks)
    found = leaks.get(seen.number, ())
    title = f"{name_of(seen)}, {_status(kind, way)}"
    if found:
        title = f"{name_of(seen)}, {count(len(found), 'leak')}"
    return Rung(seen, seen.time, name_of(seen), kind, _anchor(seen), title, len(found))


def _card(seen: Seen, way: Direction, leaks: Leaks, first: int, opens: bool) -> Card:
    found = leaks.get(seen.number, [])
    kind = _kind(seen, way, leaks)
    return Card(
        anchor=_anchor(seen),
        kind=kind,
        status=_status(kind, way),
        packets=f"#{seen.number}",
        time=f"{seconds(seen.time - first)[:-3]} s",
        way=route_of(seen).replace("->", "→"),
        start_line=printable(seen.start_line)[:400],
        size=count(len(seen.data), "byte"),
        heads=[f"Packet {seen.number}"],
        rows=one_side(seen, [leak.shown for leak in found]),
        leaks=leak_texts(found),
        is_open=opens and bool(found),
    )
