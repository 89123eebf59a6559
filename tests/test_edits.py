"""Splicing: every byte outside the edits stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.edits import Edit, splice


def edit(start: int, end: int, new: bytes) -> Edit:
    return Edit(start, end, new, "Via", "masked")


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], b"0123456789"),
        ([edit(2, 4, b"XYZ")], b"01XYZ456789"),
        ([edit(0, 0, b"X")], b"X0123456789"),
        ([edit(10, 10, b"X")], b"0123456789X"),
        ([edit(0, 10, b"")], b""),
        ([edit(6, 8, b"B"), edit(1, 3, b"A")], b"0A345B89"),
        ([edit(1, 3, b"A"), edit(3, 5, b"B")], b"0AB56789"),
    ],
)
def test_splice(edits: list[Edit], expected: bytes) -> None:
    assert splice(b"0123456789", edits) == expected


@pytest.mark.parametrize("edits", [[(1, 4), (3, 5)], [(1, 4), (2, 3)], [(3, 5), (1, 4)]])
def test_edits_must_not_overlap(edits: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="overlap at byte"):
        splice(b"0123456789", [edit(start, end, b"") for start, end in edits])


@given(st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=5), st.binary(max_size=5))))
def test_what_is_kept_and_what_is_new(pieces: list[tuple[bytes, bytes, bytes]]) -> None:
    data, expected, edits = b"", b"", []
    for kept, old, new in pieces:
        start = len(data) + len(kept)
        data += kept + old
        expected += kept + new
        if old:  # two insertions at one place have no order of their own
            edits.append(edit(start, start + len(old), new))
        else:
            expected = expected.removesuffix(new) if new else expected
    assert splice(data, edits[::-1]) == expected
