"""What went in on one side of the gateway and never came out on the other."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.live.traffic import packed, timed

Key = tuple[bytes, ...]
"""What tells a message from all others but the same one sent again, and what masking leaves alone in
shapes router and host: method or status, Call-ID, CSeq, topmost branch."""

_START = re.compile(rb"SIP/2\.0 (\d{3}) |([A-Z]+) \S+ SIP/2\.0\r\n")
_FIELDS = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        rb"^Call-ID: (.+)\r$",
        rb"^CSeq: (.+)\r$",
        rb"^Via: [^,\r\n]*?;branch=([^;,\s]+)",
    )
]


class Lost(NamedTuple):
    """A datagram that did not come out: when it went in, by the clock, and what it was."""

    time: float
    key: Key


@dataclass(frozen=True)
class Losses:
    """How many datagrams went in, and which of them were lost; those that were sent again apart."""

    sent: int
    lost: list[Lost]
    sent_again: int
    lost_again: int

    def __add__(self, other: "Losses") -> "Losses":
        return Losses(
            self.sent + other.sent,
            self.lost + other.lost,
            self.sent_again + other.sent_again,
            self.lost_again + other.lost_again,
        )

    def __str__(self) -> str:
        again = f" (and {self.lost_again} of {self.sent_again} sent again)" * bool(self.sent_again)
        return f"{len(self.lost)} of {self.sent} packets{again}"


def losses(entered: Path, left: Path, source: str) -> Losses:
    """Of all that `source` sent, by captures of the sides where it enters and where it leaves;
    AssertionError where more came out than went in, and on what is no SIP."""
    came_in, came_out = _times(entered, source), _times(left, source)
    lost, lost_again = [], 0
    for key, times in came_in.items():
        out = came_out.pop(key, [])
        missing = len(times) - len(out)
        assert missing >= 0, f"{key} went in {len(times)} times and came out {len(out)} times"
        # What came out before it was sent again was the first.
        if missing and not (out and len(times) > 1 and out[0] < times[1]):
            lost.append(Lost(times[0], key))
            missing -= 1
        lost_again += missing
    assert not came_out, f"came out and never went in: {list(came_out)[:3]}"
    again = sum(len(times) - 1 for times in came_in.values())
    return Losses(len(came_in), lost, again, lost_again)


def _times(file: Path, source: str) -> dict[Key, list[float]]:
    """When each message of `source` was captured, and was again."""
    times = defaultdict(list)
    for when, ip, _, payload in timed(file):
        if ip == packed(source):
            times[_key(payload)].append(when)
    return times


def _key(payload: bytes) -> Key:
    start = _START.match(payload)
    assert start is not None, payload
    key = [start[1] or start[2]]
    for field in _FIELDS:
        found = field.search(payload)
        assert found is not None, payload
        key.append(found[1])
    return tuple(key)
