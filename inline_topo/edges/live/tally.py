"""What the live gateway counts, and the memory that its processes share for it."""

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from typing import Final

from inline_topo.audit.findings import CAUSES, NOT_READ, NOT_READ_MEANS, OF_PACKETS, Finding
from inline_topo.gateway import CORRUPT, OUTCOMES, Verdict
from inline_topo.masking.bodies import base as bodies
from inline_topo.masking.callid import CALL_IDS
from inline_topo.masking.carriers import IDENTITIES, REFERENCES, TEXTS
from inline_topo.masking.effects import KINDS
from inline_topo.masking.flow import Direction
from inline_topo.masking.uris import (
    IRREVERSIBLE,
    MARKED,
    MASKED,
    OPENED,
    REMOVED,
    RESTORED,
    UNMARKED,
    WITHDRAWN,
)
from inline_topo.sip import names

from .board import Board, Row

Name = tuple[str, ...]

BOUNDS_NS: Final = tuple(
    us * 1000 for us in (10, 20, 30, 50, 75, 100, 150, 200, 500, 1000, 5000, 50000)
)
"""Upper bounds of the histogram of handling times; a last bucket holds the rest."""

# about the process that serves a queue; the supervisor writes pid and deaths, it itself the rest
PID, DEATHS, READY, TURN_NS = ("pid",), ("deaths",), ("ready",), ("turn_ns",)
PACKETS, LOST, HELD = ("packets",), ("lost",), ("held",)
BYTES_ADDED, OVER_MTU, OVER_MTU_IPV6 = ("bytes_added",), ("over_mtu",), ("over_mtu_ipv6",)
TOLD_TOO_BIG, OVER_1300 = ("told_too_big",), ("over_1300",)
HANDLING_NS, OPENED_NS = ("handling_ns",), ("opened_ns",)

FIELDS: Final = (
    *(names.REQUEST_URI, names.VIA, names.ROUTE, names.RECORD_ROUTE, names.PATH),
    *(names.SERVICE_ROUTE, names.CONTACT, *REFERENCES, *CALL_IDS),
    *(*IDENTITIES, *TEXTS, names.REASON_PHRASE, names.FROM, names.TO),
    *(names.USER_AGENT, names.SERVER, names.ORGANIZATION),
)
PLACES: Final = ("SDP", "body")
"""Where an audit looks besides."""
OTHER: Final = "other"
"""What a field is called that has no counter of its own."""
_EDITED: Final = (*FIELDS, *bodies.FIELDS, OTHER)
ACTIONS: Final = (MASKED, OPENED, REMOVED, RESTORED, WITHDRAWN, MARKED, UNMARKED, *IRREVERSIBLE)
DIRECTIONS: Final = tuple(direction.value for direction in Direction)
TCP: Final = "tcp"
"""The outcome of SIP over TCP, which only the live gateway knows by its port."""

TOO_MANY: Final = "too_many_wait"
"""The outcome of a packet dropped because one of its Call-ID waits, and no more can."""

DONE, FAILED, LATE, CROWDED = "done", "failed", "late", "crowded"
"""How an effect ends; crowded: it was not begun, because too many packets wait."""

ENDINGS: Final = (
    *OUTCOMES,
    TCP,
    TOO_MANY,
    *(outcome + CORRUPT for outcome in ("masked", "unmasked", "unchanged")),
)

AUDITED, SHOWN = ("audited",), "shown"
"""Messages that an audit looked at, and hosts that it found: by cause and field."""

NOTED: Final = "noted"
"""Messages in which something was seen and left (NOTES)."""

TCP_CLEAR, LITTLE_MASKED = "tcp_in_clear", "little_masked"
NOTES: Final = {
    **bodies.NOTES,
    TCP_CLEAR: "connections of SIP over TCP, which passes in clear (queue.on_tcp)",
    LITTLE_MASKED: "so many messages left, and hardly one had more to mask than a Via: is what outsiders "
    "may see too much (own), or are phones routed to a registrar outside, with no proxy before them?",
}
"""What is told in `status` and once in the log, by note."""

ENOUGH: Final = 500
"""Messages that left, before it is said that little is masked in them."""

_HARDLY: Final = 50  # messages that left for each that had something hidden

REFUSED: Final = "opens_refused"
"""Tokens that did not open, by field (masking.unopened)."""

OUTCOME, EDIT, BUCKET = "outcome", "edit", "bucket"
EFFECT, EFFECT_NS = "effect", "effect_ns"
NAMES: Final[tuple[Name, ...]] = (
    *(PID, DEATHS, READY, TURN_NS, PACKETS, LOST, HELD),
    *(BYTES_ADDED, OVER_MTU, OVER_MTU_IPV6, TOLD_TOO_BIG, OVER_1300, HANDLING_NS, OPENED_NS),
    *((OUTCOME, direction, ending) for direction, ending in product(DIRECTIONS, ENDINGS)),
    *((EDIT, action, field) for action, field in product(ACTIONS, _EDITED)),
    *((BUCKET, str(bound)) for bound in (*BOUNDS_NS, "inf")),
    *((EFFECT, kind, ending) for kind, ending in product(KINDS, (DONE, FAILED, LATE, CROWDED))),
    *((EFFECT_NS, kind) for kind in KINDS),
    *((NOTED, note) for note in NOTES),
    *((REFUSED, field) for field in _EDITED),
    AUDITED,
    *((SHOWN, cause, field) for cause, field in product(CAUSES, (*FIELDS, *PLACES, OTHER))),
    *((SHOWN, NOT_READ, reason) for reason in NOT_READ_MEANS),
)


_BUCKETS: Final = [(BUCKET, str(bound)) for bound in (*BOUNDS_NS, "inf")]
_COUNTED: Final = frozenset(FIELDS)
_HIDES: Final = (MASKED, REMOVED, *IRREVERSIBLE)
_LEFT: Final = ("masked", "unchanged")
_HEADERS, _HEADERS_IPV6 = 28, 48  # of a packet, before its message
_LONG: Final = 1300
"""Bytes of a request above which its sender takes TCP (RFC 3261 section 18.1.1, where nobody knows the
path MTU)."""
_EGRESS, _INGRESS = Direction.EGRESS, Direction.INGRESS


def known_field(finding: Finding) -> str:
    """The field of a finding by a name of ours: one of a message's choosing may show something."""
    if finding.cause == NOT_READ:
        return finding.field
    family = finding.family
    return family if family in _COUNTED or family in PLACES else OTHER


def board(workers: int) -> Board[Name]:
    """A board with one row a worker."""
    return Board(NAMES, workers)


class Tally:
    """Counts what one worker does, for itself at first: `flush` puts it where others see it."""

    def __init__(self, row: Row[Name], mtu: int) -> None:
        self._row = row
        self._mtu = mtu
        self._outcomes: dict[Direction, dict[str, int]] = {d: defaultdict(int) for d in Direction}
        self._egress = self._outcomes[Direction.EGRESS]
        self._ingress = self._outcomes[Direction.INGRESS]
        self._edits: dict[str, dict[str, int]] = {a: defaultdict(int) for a in ACTIONS}
        self._buckets = [0] * (len(BOUNDS_NS) + 1)
        self._handling_ns = 0
        self._left = self._hidden = 0  # messages that left, and values in them that were not Vias

    def note(self, packet: bytes, verdict: Verdict, nanoseconds: int) -> bool:
        """One packet, what became of it, and how long that took. Whether it is lost by its growth
        if it did not come in fragments: no router cuts a packet of IPv6."""
        sent, direction, outcome = verdict.packet, verdict.direction, verdict.outcome
        if direction is _EGRESS:  # without the hash of an Enum, which is Python's own code
            self._egress[outcome] += 1
        elif direction is _INGRESS:
            self._ingress[outcome] += 1
        else:
            self._outcomes[direction][outcome] += 1
        self._handling_ns += nanoseconds
        self._buckets[bisect_left(BOUNDS_NS, nanoseconds)] += 1
        for edit in verdict.edits:
            self._edits[edit.action][edit.field] += 1
        grown = len(sent) - len(packet)
        if grown > 0:
            self._row.add(BYTES_ADDED, grown)
            longest = _LONG + (_HEADERS_IPV6 if packet[0] >> 4 == 6 else _HEADERS)
            if len(sent) > longest >= len(packet):
                self._row.add(OVER_1300)
            if len(sent) > self._mtu >= len(packet):
                is_lost = packet[0] >> 4 == 6
                self._row.add(OVER_MTU_IPV6 if is_lost else OVER_MTU)
                return is_lost
        return False

    def note_shown(self, shown: Sequence[Finding]) -> None:
        """What an audit found in one message, or that no message was read in a packet."""
        if not any(finding.cause == NOT_READ and finding.field in OF_PACKETS for finding in shown):
            self._row.add(AUDITED)
        for finding in shown:
            self._row.add((SHOWN, finding.cause, known_field(finding)))

    def note_seen(self, notes: Sequence[str]) -> None:
        """What was seen in one message, and left."""
        for note in notes:
            self._row.add((NOTED, note))

    def note_unopened(self, fields: Sequence[str]) -> None:
        """Tokens of one message that did not open."""
        for field in fields:
            self._row.add((REFUSED, field if field in _EDITED else OTHER))

    def note_told(self) -> None:
        """A sender that was told of its growth."""
        self._row.add(TOLD_TOO_BIG)

    def masks_little(self) -> bool:
        """Whether hardly one of enough messages that left had more to mask than a Via: then it is counted."""
        if self._left < ENOUGH or self._hidden * _HARDLY >= self._left:
            return False
        self._row.set((NOTED, LITTLE_MASKED), self._left)
        return True

    def note_effect(self, kind: str, ending: str, seconds: float) -> None:
        """One effect, how it ended, and how long that took."""
        self._row.add((EFFECT, kind, ending))
        self._row.add((EFFECT_NS, kind), int(seconds * 1e9))

    def flush(self) -> None:
        """Add what was counted since the last time to the shared row."""
        row = self._row
        for direction, outcomes in self._outcomes.items():
            for outcome, count in outcomes.items():
                row.add((OUTCOME, direction.value, outcome), count)
                row.add(PACKETS, count)
                if direction is _EGRESS and outcome in _LEFT:
                    self._left += count
            outcomes.clear()
        if self._edits[OPENED] or self._edits[RESTORED]:
            row.set(OPENED_NS, time.monotonic_ns())
        for action, fields in self._edits.items():
            for field, count in fields.items():
                row.add((EDIT, action, field if field in _EDITED else OTHER), count)
                if action in _HIDES and field != names.VIA:
                    self._hidden += count
            fields.clear()
        for place, count in enumerate(self._buckets):
            if count:
                row.add(_BUCKETS[place], count)
                self._buckets[place] = 0
        row.add(HANDLING_NS, self._handling_ns)
        self._handling_ns = 0
