"""What the live gateway counts, and the memory that its processes share for it."""

import time
from bisect import bisect_left
from itertools import product

from inline_topo.gateway import CORRUPT, OUTCOMES, Verdict
from inline_topo.masking import topoh
from inline_topo.masking.flow import Direction
from inline_topo.masking.uris import MASKED, OPENED
from inline_topo.sip import names

from .board import Board, Row

Name = tuple[str, ...]

BOUNDS_NS = tuple(us * 1000 for us in (10, 20, 30, 50, 75, 100, 150, 200, 500, 1000, 5000, 50000))
"""Upper bounds of the histogram of handling times; a last bucket holds the rest."""

# about the process that serves a queue; the supervisor writes pid and deaths, it itself the rest
PID, DEATHS, READY, TURN_NS = ("pid",), ("deaths",), ("ready",), ("turn_ns",)
PACKETS, LOST = ("packets",), ("lost",)
BYTES_ADDED, OVER_MTU, OVER_MTU_IPV6 = ("bytes_added",), ("over_mtu",), ("over_mtu_ipv6",)
HANDLING_NS, OPENED_NS = ("handling_ns",), ("opened_ns",)

FIELDS = (
    *(names.REQUEST_URI, names.VIA, names.ROUTE, names.RECORD_ROUTE, names.PATH),
    *(names.SERVICE_ROUTE, names.CONTACT, *topoh.HIDDEN_ONLY, *topoh.CALL_IDS),
)
DIRECTIONS = tuple(direction.value for direction in Direction)
TCP = "tcp"
"""The outcome of SIP over TCP, which only the live gateway knows by its port."""

ENDINGS = (*OUTCOMES, TCP, *(outcome + CORRUPT for outcome in ("masked", "unmasked", "unchanged")))

OUTCOME, EDIT, BUCKET = "outcome", "edit", "bucket"
NAMES: tuple[Name, ...] = (
    *(PID, DEATHS, READY, TURN_NS, PACKETS, LOST),
    *(BYTES_ADDED, OVER_MTU, OVER_MTU_IPV6, HANDLING_NS, OPENED_NS),
    *((OUTCOME, direction, ending) for direction, ending in product(DIRECTIONS, ENDINGS)),
    *((EDIT, action, field) for action, field in product((MASKED, OPENED), FIELDS)),
    *((BUCKET, str(bound)) for bound in (*BOUNDS_NS, "inf")),
)


def board(workers: int) -> Board[Name]:
    """A board with one row a worker."""
    return Board(NAMES, workers)


class Tally:
    """Counts what one worker does. Offsets are found once, so that a packet costs few steps."""

    def __init__(self, row: Row[Name], mtu: int) -> None:
        self._row = row
        self._mtu = mtu
        self._outcomes: dict[tuple[Direction, str], Name] = {
            (direction, ending): (OUTCOME, direction.value, ending)
            for direction in Direction
            for ending in ENDINGS
        }
        self._buckets = [(BUCKET, str(bound)) for bound in (*BOUNDS_NS, "inf")]

    def note(self, packet: bytes, verdict: Verdict, nanoseconds: int) -> None:
        """One packet, what became of it, and how long that took."""
        row = self._row
        row.add(PACKETS)
        row.add(self._outcomes[verdict.direction, verdict.outcome])
        row.add(HANDLING_NS, nanoseconds)
        row.add(self._buckets[bisect_left(BOUNDS_NS, nanoseconds)])
        for edit in verdict.edits:
            row.add((EDIT, edit.action, edit.field))
            if edit.action == OPENED:
                row.set(OPENED_NS, time.monotonic_ns())
        grown = len(verdict.packet) - len(packet)
        if grown > 0:
            row.add(BYTES_ADDED, grown)
            if len(verdict.packet) > self._mtu >= len(packet):
                row.add(OVER_MTU_IPV6 if packet[0] >> 4 == 6 else OVER_MTU)
