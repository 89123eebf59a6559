"""Header lines, found by two ways that must agree: one is fast interpreted, the other compiled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.sip.fields import Found, Malformed, find, find_by_byte, find_by_line
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


def either(data: bytes, start: int, end: int) -> list[Found | str]:
    found: list[Found | str] = []
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
        assert not isinstance(found, str)
        fields, end, *_ = found
        assert {name: [data[a:b] for a, b in spans] for name, spans in fields.items()} == values
        assert end == 6 + len(lines)


@pytest.mark.parametrize("lines", [b"Via\r\n", b"a b: c\r\n", b": a\r\n", b"Via: a\r\n\xff"])
def test_a_line_without_a_name_does_not_parse(lines: bytes) -> None:
    assert len(set(map(str, either(lines, 0, len(lines))))) == 1
    with pytest.raises(Malformed):
        find(lines, 0, len(lines), FieldNames(NAMES))


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"To: b\r\n\r\nc\n\n", 7),
        (b"To: b\n\nc\r\n\r\n", 6),
        (b"To: b\n\r\n", 6),
        (b"To: b\r\nTo:\r\r\n", 13),  # two line breaks, no empty line
        (b"To: b\r\nTo:\n\r", 11),
        (b"\r\nc", 0),
        (b"\nc", 0),
        (b"", 0),
    ],
)
def test_the_end_of_the_headers(data: bytes, end: int) -> None:
    # RFC 3261 section 7: an empty line, and nothing else, stands before the body
    for found in either(b"start\n" + data, 6, 6 + len(data)):
        assert isinstance(found, str) or found[1] == 6 + end


@pytest.mark.parametrize(
    ("lines", "commas", "has_lone_cr"),
    [
        (b"Via: a,b\r\nTo: ,\r\n", 2, False),
        (b"Via: a\rRoute: b\r\n", 0, True),
        (b"Via: a\r\r\n", 0, True),
        (b"Via: a\nTo: c\r", 0, True),
        (b"Via: a\r\nTo: c", 0, False),
        (b"Via: a\r\n\r\nTo: ,\r", 0, False),  # of the body
    ],
)
def test_commas_and_lone_crs_are_seen(lines: bytes, commas: int, has_lone_cr: bool) -> None:
    for found in either(lines, 0, len(lines)):
        assert not isinstance(found, str)
        assert found[2:] == (commas, has_lone_cr)


@given(st.lists(PIECES, max_size=30), st.integers(0, 5), st.integers(0, 5))
def test_both_ways_agree(pieces: list[bytes], before: int, behind: int) -> None:
    data = b"".join(pieces)
    end = max(len(data) - behind, 0)
    first, *others = either(data, min(before, end), end)
    assert all(other == first for other in others)
