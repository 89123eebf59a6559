"""The audit: every place in messages that leave where something hidden shows.

It reads a capture as a peer outside would, and shares with the masker only the parsing of fields and
the configuration, so that it finds what the masker overlooks.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inline_topo.config import Config
from inline_topo.errors import InlineTopoError
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.flow import Direction, Flow, Flows
from inline_topo.masking.policy import decides
from inline_topo.report.messages import Seen, Tally
from inline_topo.report.places import CALL_ID, NAMED_ONLY, OPEN, Place, Places, visible
from inline_topo.report.sightings import Judge, Sighting
from inline_topo.report.texts import count, printable, seconds
from inline_topo.sip import names

# Fields that say what a program is: four numbers with dots are a version there, no address.
_VERSIONS = frozenset({"User-Agent", "Server", "SDP s=", "SDP a=tool", "Allow", "Supported"})
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
    """What was looked at and what was found. `not_masked` counts what this version leaves in clear by
    (field, kind), `by_policy` what a rule of the policy does."""

    messages: Counter[str] = field(default_factory=Counter)  # by direction
    judged: int = 0  # messages that leave and that masking applies to
    skipped: int = 0  # messages that leave in clear by a rule
    leaks: list[Leak] = field(default_factory=list)
    not_masked: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_policy: Counter[tuple[str, str]] = field(default_factory=Counter)
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
        self._judge = Judge(config)
        self._places = Places(config)
        self._flows = flows
        self._codec = codec
        self._made_outside: set[bytes] = set()

    def look(self, seen: Seen) -> None:
        flow = self._flows.find(seen.endpoints)
        self.audit.messages[flow.direction.value] += 1
        if flow.direction is Direction.INGRESS:
            self._remember(seen)
        if flow.direction is not Direction.EGRESS:
            return
        masked = seen.message is None or decides(flow.rules, seen.message)
        if masked:
            self.audit.judged += 1
        else:
            self.audit.skipped += 1
        for place in self._places.of(seen, flow):
            for sighting in self._sightings(place, flow):
                self._file(seen, flow, place, sighting, masked)

    def _file(self, seen: Seen, flow: Flow, place: Place, sighting: Sighting, masked: bool) -> None:
        by_rule = flow.masks_identifiers if place.sort == CALL_ID else masked
        if place.sort == OPEN:
            self.audit.not_masked[place.field, sighting.kind] += 1
        elif not by_rule:
            self.audit.by_policy[place.field, sighting.kind] += 1
        else:
            self.audit.leaks.append(
                Leak(
                    seen.number,
                    seen.time,
                    seen.start_line,
                    place.field,
                    sighting.kind,
                    sighting.shown,
                    place.text,
                )
            )

    def _sightings(self, place: Place, flow: Flow) -> list[Sighting]:
        is_call_id = place.sort == CALL_ID or place.field.endswith(names.CALL_ID)
        if is_call_id and place.text in self._made_outside:
            return []
        search: Callable[..., list[Sighting]] = self._judge.hidden
        if is_call_id:
            search = self._judge.mentioned
        elif place.sort == NAMED_ONLY or place.field in _VERSIONS:
            search = self._judge.named
        found = search(place.text, visible(flow))
        if found and place.sort != OPEN:  # digits in a token may read as an address, by chance
            found = search(self._without_tokens(place.text), visible(flow))
        return found

    def _without_tokens(self, text: bytes) -> bytes:
        rest = bytearray(text)
        for token in self._codec.reveal(text):
            rest[token.start : token.end] = b"_" * (token.end - token.start)
        return bytes(rest)

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
