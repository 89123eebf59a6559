"""The audit: every place in messages that leave where something hidden shows (masking.leaks)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inline_topo import assemble
from inline_topo.config import Config
from inline_topo.errors import InlineTopoError
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.flow import Direction, Flows
from inline_topo.masking.leaks.scan import BY_POLICY, IN_MEDIA, LEAK
from inline_topo.masking.policy import decides
from inline_topo.report.messages import Seen, Tally
from inline_topo.report.texts import count, printable, seconds
from inline_topo.sip import names

_CALLS_REMEMBERED = 1 << 16


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


@dataclass
class Audit:
    """What was looked at and what was found, counted by (field, kind) where it is no leak: in
    `not_masked` what the configuration hides nothing of, in `by_policy` what a rule leaves clear, in
    `media` where streams go, if no relay takes them over."""

    messages: Counter[str] = field(default_factory=Counter)  # by direction
    judged: int = 0  # messages that leave and that masking applies to
    skipped: int = 0  # messages that leave in clear by a rule
    leaks: list[Leak] = field(default_factory=list)
    not_masked: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_policy: Counter[tuple[str, str]] = field(default_factory=Counter)
    media: Counter[tuple[str, str]] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)


def audit(seen: Iterable[Seen], tally: Tally, config: Config, flows: Flows, codec: Codec) -> Audit:
    """Judge every message of a capture. `tally` is the one that `seen` counts up."""
    auditor = _Auditor(config, flows, codec, Audit(tally=tally))
    for one in seen:
        auditor.look(one)
    return auditor.audit


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


class _Auditor:
    def __init__(self, config: Config, flows: Flows, codec: Codec, audit: Audit) -> None:
        self.audit = audit
        self._scan = assemble.scanner(config, codec).scan
        self._flows = flows
        self._made_outside: set[bytes] = set()

    def look(self, seen: Seen) -> None:
        audit = self.audit
        flow = self._flows.find(seen.endpoints)
        audit.messages[flow.direction.value] += 1
        if flow.direction is Direction.INGRESS:
            self._remember(seen)
        if flow.direction is not Direction.EGRESS:
            return
        if seen.message is None or decides(flow.rules, seen.message):
            audit.judged += 1
        else:
            audit.skipped += 1
        for cause, where, kind, shown, text in self._scan(
            seen.data, flow, self._made_outside.__contains__
        ):
            if cause == LEAK:
                start_line = seen.start_line
                leak = Leak(seen.number, seen.time, start_line, where, kind, shown, text)
                audit.leaks.append(leak)
            elif cause == BY_POLICY:
                audit.by_policy[where, kind] += 1
            else:
                (audit.media if cause == IN_MEDIA else audit.not_masked)[where, kind] += 1

    def _remember(self, seen: Seen) -> None:
        """Call-IDs that an outsider made are his own word: those of requests that begin a dialog."""
        message = seen.message
        if message and message.is_request and b"tag=" not in message.first(names.TO).lower():
            if len(self._made_outside) >= _CALLS_REMEMBERED:
                self._made_outside.clear()
            self._made_outside.add(seen.call_id)


def as_dict(name: str, audit: Audit) -> dict[str, Any]:
    """The audit as report.json_help.AUDIT describes it."""
    directions = ("egress", "ingress", "inside", "transit")
    return {
        "capture": name,
        "messages": {key: audit.messages[key] for key in directions},
        "judged": audit.judged,
        "skipped_by_policy": audit.skipped,
        "leaks": [
            {
                "packet": leak.packet,
                "time": seconds(leak.time),
                "start_line": printable(leak.start_line),
                "field": leak.field,
                "kind": leak.kind,
                "shown": printable(leak.shown),
                "text": printable(leak.text),
            }
            for leak in audit.leaks
        ],
        "not_masked": _counted(audit.not_masked),
        "left_clear_by_policy": _counted(audit.by_policy),
        "media_shown": _counted(audit.media),
        "not_read": {
            "sip_over_tcp": audit.tally.tcp,
            "incomplete_fragments": audit.tally.incomplete,
            "cut_packets": audit.tally.cut,
        },
    }


def _counted(counter: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"field": field, "kind": kind, "count": number}
        for (field, kind), number in sorted(counter.items())
    ]
