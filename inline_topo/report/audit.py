"""The audit: every place in messages that leave where something hidden shows (inline_topo.audit), and
what nobody read."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inline_topo import assemble
from inline_topo.audit.findings import (
    BY_POLICY,
    ECHOED,
    IN_MEDIA,
    IN_VIAS,
    LEAK,
    NOT_READ,
    NOT_READ_MEANS,
    TUNNEL,
    UNEXPLAINED,
    Finding,
)
from inline_topo.audit.packets import unread, unread_frame
from inline_topo.audit.said import Said
from inline_topo.audit.scan import Context
from inline_topo.config import Config
from inline_topo.errors import InlineTopoError
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.flow import Direction, Flows
from inline_topo.masking.policy import decides
from inline_topo.report.messages import Missed, Seen, Tally
from inline_topo.report.texts import count, printable, seconds

_MOST_LISTED = 1000


class Leak(NamedTuple):
    """Something hidden that shows in a message that leaves: `kind` is ipv4, ipv6 or name; `shown`
    is the host as it is spelled there, `text` the value that it stands in."""

    packet: int
    time: int
    start_line: bytes
    field: str
    kind: str
    shown: bytes
    text: bytes


class NotRead(NamedTuple):
    """A packet in which something was not read; `reason` is a key of NOT_READ_MEANS."""

    packet: int
    time: int
    reason: str


@dataclass
class Audit:
    """What was looked at and what was found, counted by (field, kind) where it is no leak: in
    `not_masked` what the configuration hides nothing of, in `by_policy` what a rule leaves clear, in
    `media` where streams go, if no relay takes them over, in `vias` what names the inside in the Vias
    of responses, in `echoed` the same in the receiver's own words. `unexplained`: names where the
    receiver's own words stand, which nobody said earlier in the capture. `not_read` counts by the
    reason what leaves and was not read; `not_read_packets` lists the first of it."""

    messages: Counter[str] = field(default_factory=Counter)  # by direction
    judged: int = 0  # messages that leave and that masking applies to
    skipped: int = 0  # messages that leave in clear by a rule
    leaks: list[Leak] = field(default_factory=list)
    not_masked: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_policy: Counter[tuple[str, str]] = field(default_factory=Counter)
    media: Counter[tuple[str, str]] = field(default_factory=Counter)
    vias: Counter[tuple[str, str]] = field(default_factory=Counter)
    echoed: Counter[tuple[str, str]] = field(default_factory=Counter)
    unexplained: list[Leak] = field(default_factory=list)
    not_read: Counter[str] = field(default_factory=Counter)
    not_read_packets: list[NotRead] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    @property
    def status(self) -> int:
        """The exit status: 1 where something shows, 3 where something was not read, else 0."""
        if self.leaks or self.unexplained:
            return 1
        return 3 if self.not_read else 0

    def miss(self, packet: int, time: int, reason: str) -> None:
        """Count something that was not read."""
        self.not_read[reason] += 1
        if len(self.not_read_packets) < _MOST_LISTED:
            self.not_read_packets.append(NotRead(packet, time, reason))


def audit(seen: Iterable[Seen], tally: Tally, config: Config, flows: Flows, codec: Codec) -> Audit:
    """Judge every message of a capture. `tally` is the one that `seen` counts up."""
    return Auditor(config, flows, codec, tally).look_at_all(seen)


def check_judged(audit: Audit, name: str) -> None:
    """Raise InlineTopoError, with the reason, where no message was judged."""
    if audit.judged:
        return
    total = sum(audit.messages.values())
    if not total:
        reason = "no SIP over UDP in it"
        if audit.tally.tcp:
            reason += f" ({count(audit.tally.tcp, 'message')} over TCP, which pass untouched)"
    elif audit.skipped:
        reason = f"all of {count(audit.skipped, 'message')} that leave are skipped by a rule"
    else:
        found = ", ".join(f"{number} {name}" for name, number in sorted(audit.messages.items()))
        reason = f"none of {count(total, 'message')} leaves `inside` ({found})"
    raise InlineTopoError(f"{name}: nothing was judged: {reason}")


class Auditor:
    """Judges the messages of a capture in order (`look`) and counts what is none (`miss`)."""

    def __init__(self, config: Config, flows: Flows, codec: Codec, tally: Tally) -> None:
        self.audit = Audit(tally=tally)
        scanner = assemble.scanner(config, codec)
        self._scan = scanner.scan
        self._said = Said(scanner.hosts)
        self._flows = flows
        self._ports = frozenset(config.ports)

    def look_at_all(self, seen: Iterable[Seen]) -> Audit:
        """Judge messages; what was found so far."""
        for one in seen:
            self.look(one)
        return self.audit

    def look(self, seen: Seen) -> None:
        """Judge a message."""
        audit = self.audit
        flow = self._flows.find(seen.endpoints)
        audit.messages[flow.direction.value] += 1
        if flow.direction is Direction.INGRESS:
            self._said.hear(seen.data, flow.outside)
        if flow.direction is not Direction.EGRESS:
            return
        masked = seen.message is None or decides(flow.rules, seen.message)
        if masked:
            audit.judged += 1
        else:
            audit.skipped += 1
        for finding in self._scan(seen.data, flow, Context(masked, None, self._said)):
            self._count(seen, finding)

    def _count(self, seen: Seen, finding: Finding) -> None:
        audit = self.audit
        cause, where, kind, shown, text = finding
        if cause in (LEAK, UNEXPLAINED):
            leak = Leak(seen.number, seen.time, seen.start_line, where, kind, shown, text)
            (audit.leaks if cause == LEAK else audit.unexplained).append(leak)
        elif cause == NOT_READ:
            audit.miss(seen.number, seen.time, where)
        else:
            counters = {
                BY_POLICY: audit.by_policy,
                IN_MEDIA: audit.media,
                IN_VIAS: audit.vias,
                ECHOED: audit.echoed,
            }
            counters.get(cause, audit.not_masked)[where, kind] += 1

    def miss(self, missed: Missed) -> None:
        """A packet in which no message was read: it counts where it leaves, and may hold SIP."""
        if not missed.is_ip:
            if reason := unread_frame(missed.network):
                self.audit.miss(missed.number, missed.time, reason)
            return
        why = unread(missed.network, self._ports)
        if why is None:
            return
        if why.source:
            way = self._flows.find(why.source + why.destination + bytes(4)).direction
            passes = way is Direction.TRANSIT and why.reason == TUNNEL
            if way is not Direction.EGRESS and not passes:
                return
        self.audit.miss(missed.number, missed.time, why.reason)


def as_dict(name: str, audit: Audit) -> dict[str, Any]:
    """The audit as report.json_help.AUDIT describes it."""
    directions = ("egress", "ingress", "inside", "transit")
    return {
        "capture": name,
        "messages": {key: audit.messages[key] for key in directions},
        "judged": audit.judged,
        "skipped_by_policy": audit.skipped,
        "leaks": [_leak(leak) for leak in audit.leaks],
        "not_explained": [_leak(leak) for leak in audit.unexplained],
        "not_masked": _counted(audit.not_masked),
        "left_clear_by_policy": _counted(audit.by_policy),
        "media_shown": _counted(audit.media),
        "in_vias_of_responses": _counted(audit.vias),
        "receivers_own_words": _counted(audit.echoed),
        "not_read": {reason: audit.not_read[reason] for reason in NOT_READ_MEANS},
        "not_read_packets": [
            {"packet": one.packet, "time": seconds(one.time), "reason": one.reason}
            for one in audit.not_read_packets
        ],
    }


def _leak(leak: Leak) -> dict[str, Any]:
    return {
        "packet": leak.packet,
        "time": seconds(leak.time),
        "start_line": printable(leak.start_line),
        "field": leak.field,
        "kind": leak.kind,
        "shown": printable(leak.shown),
        "text": printable(leak.text),
    }


def _counted(counter: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"field": field, "kind": kind, "count": number}
        for (field, kind), number in sorted(counter.items())
    ]
