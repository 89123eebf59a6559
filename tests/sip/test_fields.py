"""Header lines, found by two ways that must agree: one is fast interpreted, the other compiled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.sip.fields import (
    Fields,
    Malformed,
    end_by_byte,
    end_by_search,
    find,
    find_by_byte,
    find_by_line,
)
from inline_topo.sip.fields import end as end_of_headers
from inline_topo.sip.names import FieldNames

NAMES = ("Via", "Contact", "X-*")
PIECES = st.sampled_from(
    [
        b"Via",
        b"v",
        b"CONTACT",
        b"X-Y",
        b"To",
        b":",
        b" ",
        b"\t",
        b"\r",
        b"\n",
        b"\r\n",
        b",",
        b"a",
        b"\xff",
    ]
)


def either(data: bytes, start: int, end: int) -> list[Fields | str]:
    found: list[Fields | str] = []
    for way in (find, find_by_line, find_by_byte):
        try:
            found.append(way(data, start, end, FieldNames(NAMES)))
        except Malformed as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (b"Via: a\r\nv:b \r\nTo: c\r\n", {"Via": [b"a", b"b"]}),
        (b"Via: a\r\n b\r\nContact:\r\n\tc\r\n", {"Via": [b"a\r\n b"], "Contact": [b"c"]}),
        (b"To: a\r\n Via: b\r\nCONTACT : <sip:c>", {"Contact": [b"<sip:c>"]}),
        (b"x-y:\r\nX-Y: 1\n", {"X-*": [b"", b"1"]}),
        (b"", {}),
    ],
)
def test_lines_and_their_values(lines: bytes, values: dict[str, list[bytes]]) -> None:
    # RFC 3261 section 7.3.1: blanks before the colon, any case, folds
    data = b"start\n" + lines + b"\r\n\r\nVia: of the body"
    for found in either(data, 6, 6 + len(lines)):
        assert isinstance(found, dict)
        assert {name: [data[a:b] for a, b in spans] for name, spans in found.items()} == values


@pytest.mark.parametrize(
    "lines", [b"Via\r\n", b"a b: c\r\n", b"\r\n", b": a\r\n", b"Via: a\r\n\xff"]
)
def test_a_line_without_a_name_does_not_parse(lines: bytes) -> None:
    assert len(set(map(str, either(lines, 0, len(lines))))) == 1
    with pytest.raises(Malformed):
        find(lines, 0, len(lines), FieldNames(NAMES))


@given(st.lists(PIECES, max_size=30), st.integers(0, 5), st.integers(0, 5))
def test_both_ways_agree(pieces: list[bytes], before: int, behind: int) -> None:
    data = b"".join(pieces)
    end = max(len(data) - behind, 0)
    first, *others = either(data, min(before, end), end)
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"a: b\r\n\r\nc\n\n", 6),
        (b"a: b\n\nc\r\n\r\n", 5),
        (b"a: b\n\r\n", 5),
        (b"a: b\r\n\r\r\n", 9),  # a line of a lone CR is no empty line
        (b"a: b\r\n\r", 7),
        (b"\r\nc", 0),
        (b"\nc", 0),
        (b"\rc\n\n", 3),
        (b"", 0),
    ],
)
def test_the_end_of_the_headers(data: bytes, end: int) -> None:
    # RFC 3261 section 7: an empty line, and nothing else, stands before the body
    ways = (end_of_headers, end_by_byte, end_by_search)
    assert [way(b"start\n" + data, 6) for way in ways] == [6 + end] * 3


@given(st.lists(PIECES, max_size=12).map(b"".join), st.integers(0, 3))
def test_both_ways_find_the_same_end(data: bytes, start: int) -> None:
    if start <= len(data):
        assert end_by_byte(data, start) == end_by_search(data, start) == end_of_headers(data, start)
