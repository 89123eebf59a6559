"""A rewrite is a list of edits; every byte outside them stays."""

from collections.abc import Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """Put `new` in place of the bytes [start, end) of a message.

    `field` and `action` ("masked" or "opened") are for counters and reports.
    """

    start: int
    end: int
    new: bytes
    field: str
    action: str


def splice(data: bytes, edits: Sequence[Edit]) -> bytes:
    """`data` with all edits done. Raises ValueError where two overlap."""
    if len(edits) == 1:
        start, end, new, _, _ = edits[0]
        return b"".join((data[:start], new, data[end:]))
    pieces = []
    position = 0
    for start, end, new, _, _ in sorted(edits):
        if start < position:
            raise ValueError(f"edits overlap at byte {start}")
        pieces.append(data[position:start])
        pieces.append(new)
        position = end
    pieces.append(data[position:])
    return b"".join(pieces)
