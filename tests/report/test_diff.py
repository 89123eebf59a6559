"""What differs between messages, by field, and in figures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from inline_topo.report.diff import Change, as_dict, compare, summarize
from inline_topo.report.messages import Tally, load
from inline_topo.report.pairs import pair

Make = Callable[..., Path]
Changes = Callable[[str, str | bytes], tuple[Change, ...]]

BEFORE = """\
INVITE sip:bob@203.0.113.9 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1
Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK2
v: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bK3
From: <sip:a@x.example>;tag=a
To: <sip:b@y.example>
Call-ID: 1@10.0.0.3
CSeq: 1 INVITE
m: <sip:a@10.0.0.3>
Content-Type: application/sdp
Content-Length: 0

v=0
o=- 1 1 IN IP4 10.0.0.3
"""


@pytest.fixture
def changes(make_capture: Make) -> Changes:
    """What changed from one text to another one."""

    def run(before: str, after: str | bytes) -> tuple[Change, ...]:
        ends = ("10.0.0.1", "203.0.113.9")
        files = make_capture("a.pcap", (*ends, before)), make_capture("b.pcap", (*ends, after))
        [difference] = compare(pair(*(load(str(file), Tally()) for file in files)))
        return difference.changes

    return run


def test_the_same(changes: Changes) -> None:
    assert changes(BEFORE, BEFORE) == ()


def test_lines_are_named_by_their_field_in_full(changes: Changes) -> None:
    after = BEFORE.replace("m: <sip:a@10.0.0.3>", "m: <sip:token@192.0.2.1>")
    [change] = changes(BEFORE, after)
    assert change == ("Contact", (b"m: <sip:a@10.0.0.3>",), (b"m: <sip:token@192.0.2.1>",))


def test_the_request_uri(changes: Changes) -> None:
    [change] = changes(BEFORE, BEFORE.replace("sip:bob@203.0.113.9", "sip:t@192.0.2.1"))
    assert change.field == "Request-URI"
    assert change.after == (b"INVITE sip:t@192.0.2.1 SIP/2.0",)


def test_two_vias_that_became_one(changes: Changes) -> None:
    lower = BEFORE[BEFORE.index("Via: SIP/2.0/UDP 10.0.0.2") : BEFORE.index("From")]
    [change] = changes(BEFORE, BEFORE.replace(lower, "Via: SIP/2.0/UDP 192.0.2.1;branch=token\n"))
    assert change.field == "Via"
    assert change.before == tuple(lower.encode().splitlines())
    assert change.after == (b"Via: SIP/2.0/UDP 192.0.2.1;branch=token",)


def test_neighbours_of_different_fields_are_two_changes(changes: Changes) -> None:
    after = BEFORE.replace("10.0.0.3;branch", "192.0.2.1;branch").replace("<sip:a@x", "<sip:c@x")
    assert [change.field for change in changes(BEFORE, after)] == ["Via", "From"]


def test_a_folded_field_is_one_line(changes: Changes) -> None:
    folded = BEFORE.replace("m: <sip:a", "m: A\n <sip:a")
    [change] = changes(folded, folded.replace("a@10.0.0.3>", "t@192.0.2.1>"))
    assert change.before == (b"m: A\r\n <sip:a@10.0.0.3>",)


def test_one_value_of_a_list(changes: Changes) -> None:
    routes = "Record-Route: <sip:x.example;lr>,<sip:10.0.0.3;lr> , <sip:y.example;lr>\n"
    before = BEFORE.replace("\nm: ", f"\n{routes}m: ")
    [change] = changes(before, before.replace("<sip:10.0.0.3;lr>", "<sip:t@192.0.2.1;lr>"))
    assert change == (
        "Record-Route",
        (b"Record-Route: ..., <sip:10.0.0.3;lr>",),
        (b"Record-Route: ..., <sip:t@192.0.2.1;lr>",),
    )


def test_the_body(changes: Changes) -> None:
    [change] = changes(BEFORE, BEFORE.replace("IP4 10.0.0.3", "IP4 192.0.2.1"))
    assert change.field == "body o="


def test_line_ends_alone(changes: Changes) -> None:
    assert changes(BEFORE, BEFORE.encode()) == (("spacing", (), ()),)


def test_the_slide_call(captures: Path) -> None:
    before = load(str(captures / "slides-inside.pcap"), Tally())
    after = load(str(captures / "slides-outside.pcap"), Tally())
    differences = compare(pair(before, after))
    # page by page, what the slides colour
    assert [[change.field for change in one.changes] for one in differences] == [
        [],
        ["Via", "Contact"],
        ["Via"],
        ["Contact"],
        ["Request-URI"],
        ["Via", "Contact"],
    ]
    contact = differences[1].changes[1]
    assert contact.before == (b'Contact: "alice" <sip:105@192.168.178.27:40416>',)
    assert contact.after == (
        b'Contact: "alice" <sip:10.1.1.10;line=sr-ORylIHvlTJS.IXenCXNciHvPItcZTMWfC6m.T5**>',
    )
    summary = summarize(differences)
    sizes = [path.stat().st_size for path in captures.glob("slides-*side.pcap")]
    assert summary.bytes_added == max(sizes) - min(sizes)
    assert (summary.messages, summary.changed, summary.unchanged) == (6, 5, 1)
    assert summary.fields == {"Via": 3, "Contact": 3, "Request-URI": 1}
    assert summary.mean_added == pytest.approx(summary.bytes_added / 6)


def test_a_translated_address_is_a_change(make_capture: Make) -> None:
    before = make_capture("a.pcap", ("10.0.0.1", "203.0.113.9", BEFORE))
    after = make_capture("b.pcap", ("192.0.2.1", "203.0.113.9", BEFORE))
    differences = compare(pair(load(str(before), Tally()), load(str(after), Tally())))
    [message] = as_dict("a.pcap", "b.pcap", differences)["messages"]
    assert message["status"] == "changed"
    assert message["changes"] == []
    assert message["source"] == ["10.0.0.1:5060", "192.0.2.1:5060"]


def test_messages_in_one_capture_only(make_capture: Make) -> None:
    ends = ("10.0.0.1", "203.0.113.9")
    before = make_capture("a.pcap", (*ends, BEFORE))
    after = make_capture("b.pcap", (*ends, BEFORE.replace("CSeq: 1", "CSeq: 2")))
    differences = compare(pair(load(str(before), Tally()), load(str(after), Tally())))
    summary = summarize(differences)
    assert (summary.only_before, summary.only_after, summary.bytes_added) == (1, 1, 0)
    assert not summary.is_same
    first, last = as_dict("a.pcap", "b.pcap", differences)["messages"]
    wire = len(BEFORE.replace("\n", "\r\n"))
    assert (first["packet"], first["size"]) == ([1, None], [wire, None])
    assert (last["packet"], last["time"]) == ([None, 1], [None, "1700000000.000000000"])
