"""Why a call failed: its messages and log lines in the order of time, with what became of each.

A Call-ID may be the inside's or the outside's. Every message of it in the captures is given to a
gateway of the same configuration, which says what it does with such a packet; a packet that the live
gateway refused and kept has the reason with it.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from inline_topo import assemble
from inline_topo.config import Config
from inline_topo.edges.capture import Capture
from inline_topo.edges.pcapng import comments
from inline_topo.edges.records import Packet
from inline_topo.gateway import OUTCOMES, REFUSED_CLAIM, Ask
from inline_topo.masking.effects import Exchange
from inline_topo.masking.flow import Direction
from inline_topo.masking.leaks.scan import LEAK
from inline_topo.masking.marks import CallMarks
from inline_topo.masking.media import MediaDelete
from inline_topo.masking.revealed import reveal
from inline_topo.masking.topos.ids import keys_in
from inline_topo.report.texts import endpoint_text, printable, seconds
from inline_topo.sip import peek
from inline_topo.wire import fragments, ip

AS_IT_LEFT = "as_it_left"
AS_IT_ENTERED = "as_it_entered"
NOT_JUDGED = "not_judged"
EXPLAINED = {
    **OUTCOMES,
    AS_IT_LEFT: "as it left: it has tokens or ids",
    AS_IT_ENTERED: "as it entered, opened or never masked (from outside it would be refused)",
    NOT_JUDGED: "not judged here: the verdict needs the dialog store or the media relay",
}

_STAMP = re.compile(
    r"(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|(?P<unix>\d{9,10}\.\d+)\s"
)
_MARK = re.compile(r"\bcall=([0-9a-f]+)")
_HELD_BACK = re.compile(r"\bevent=\S+ more=(\d+)")


@dataclass(frozen=True)
class Names:
    """What a call is called: its Call-ID inside and outside, and its mark in the log."""

    inside: bytes
    outside: bytes
    mark: str


@dataclass
class Step:
    """A message, or a line of the log (`text`; without a packet). `time` is in nanoseconds, None
    where the line has none; `reason` what the live gateway wrote beside a packet that it refused."""

    time: int | None
    origin: str
    text: str
    packet: int | None = None
    source: str = ""
    destination: str = ""
    direction: str = ""
    outcome: str = ""
    edits: dict[str, Counter[str]] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)
    reason: str = ""


@dataclass
class Trace:
    """What was found of a call. `held_back`: lines that the log says it left out, of any call."""

    names: Names
    steps: list[Step] = field(default_factory=list)
    held_back: int = 0

    def sort(self) -> None:
        """In the order of time; lines without one last."""
        self.steps.sort(key=lambda step: (step.time is None, step.time or 0))


class _Piece(NamedTuple):
    """A fragment, with the packet of the capture that it came in."""

    packet: Packet
    network: bytes


class Tracer:
    """Follows one call."""

    def __init__(self, config: Config, call_id: bytes) -> None:
        self._calls = _calls(assemble.call_marks(config), call_id)
        self._evidence: Counter[Names] = Counter()
        self.trace = Trace(self._calls[0])
        if config.audit != "enforce":
            config = config.model_copy(update={"audit": 1.0})
        self._gateway = assemble.gateway(config, relayed=True)
        codec = assemble.codec(config)
        self._codec = codec
        self._scan = assemble.scanner(config, codec).scan
        self._flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))

    def finish(self) -> Trace:
        """All that was found, in order; of two calls that the Call-ID may mean, the one that is there
        (or both, under the name of the one that there is more of)."""
        self.trace.names = max(self._calls, key=lambda names: self._evidence[names])
        self.trace.sort()
        return self.trace

    def capture(self, capture: Capture) -> None:
        """Add the messages of a capture. CaptureError for a broken one, or an unknown link type."""
        reassembler: fragments.Reassembler[_Piece] = fragments.Reassembler()
        alone: list[_Piece] = []
        for packet, span in capture.spans():
            if span is None:
                continue
            network = packet.data[span[0] : span[1]]
            piece = fragments.parse(network)
            if piece and not _comments(packet):  # one that was refused alone stays alone
                now = packet.seconds + packet.fraction / packet.resolution
                alone += chain.from_iterable(reassembler.expire(now))
                result = reassembler.add(piece, _Piece(packet, network), now)
                if isinstance(result, fragments.Refused):
                    alone += result.tags
                if not isinstance(result, fragments.Whole):
                    continue
                network = result.packet
            self._look(capture.name, packet, network)
        while lost := reassembler.give_up():
            alone += lost
        for packet, network in alone:
            self._look(capture.name, packet, network)

    def _look(self, name: str, packet: Packet, network: bytes) -> None:
        call_id = peek.call_id(network)
        calls = [names for names in self._calls if call_id in (names.inside, names.outside)]
        if calls:
            step = self._message(name, packet, network)
            self.trace.steps.append(step)
            entered = step.direction == Direction.INGRESS.value
            self._evidence.update(c for c in calls if not entered or call_id == c.outside)

    def _message(self, name: str, packet: Packet, network: bytes) -> Step:
        time = packet.seconds * 10**9 + packet.fraction * 10**9 // packet.resolution
        step = Step(time, name, printable(_start_line(network)), packet.number)
        datagram = ip.decode(network)
        if isinstance(datagram, ip.Datagram):
            step.source, step.destination = _ends(datagram.endpoints)
        step.reason = "; ".join(map(printable, _comments(packet)))
        if isinstance(datagram, ip.Datagram) and self._has_left(datagram):
            # The gateway need not see it: it would take it for a message that has nothing to lose.
            step.direction, step.outcome = Direction.EGRESS.value, AS_IT_LEFT
            return step
        answer = self._gateway.handle(network, time / 1e9)
        while isinstance(answer, Ask) and _needs_no_answer(answer.effect):
            answer = answer.resume({})
        if isinstance(answer, Ask):
            step.outcome = NOT_JUDGED
            return step
        step.direction, step.outcome = answer.direction.value, answer.outcome
        if answer.outcome == REFUSED_CLAIM and not step.reason:
            step.outcome = AS_IT_ENTERED
        for edit in answer.edits:
            step.edits.setdefault(edit.action, Counter())[edit.field] += 1
        leaks = (finding.field for finding in answer.shown or () if finding.cause == LEAK)
        step.leaks = list(dict.fromkeys(leaks))
        return step

    def _has_left(self, datagram: ip.Datagram) -> bool:
        """Whether this was taken outside: it has tokens, and shows nothing that masking hides."""
        flow = self._flows.find(datagram.endpoints)
        if flow.direction is not Direction.EGRESS:
            return False
        if not reveal(datagram.payload, self._codec) and not keys_in(datagram.payload):
            return False
        return all(one.cause != LEAK for one in self._scan(datagram.payload, flow))

    def log(self, name: str, lines: Iterable[str]) -> None:
        """Add the lines of the gateway's log that name the call, as its journal or a file has them."""
        spelled = {
            name.decode("latin-1") for call in self._calls for name in (call.inside, call.outside)
        }
        marks = {call.mark: call for call in self._calls}
        for line in lines:
            text = line.rstrip("\r\n")
            held_back = _HELD_BACK.search(text)
            self.trace.held_back += int(held_back[1]) if held_back else 0
            mark = _MARK.search(text)
            if mark and mark[1] in marks:
                self._evidence[marks[mark[1]]] += 1
            if (mark and mark[1] in marks) or any(word in text for word in spelled):
                self.trace.steps.append(Step(_time(text), name, printable(text.encode())))


def _calls(marks: CallMarks, call_id: bytes) -> list[Names]:
    """The calls that a Call-ID may mean, the likelier one first: the inside's that shows it, and the
    outside's."""
    inside = marks.inside(call_id)
    here = Names(call_id, marks.outside(call_id), marks.of(call_id))
    there = Names(inside, marks.outside(inside), marks.of(inside))
    if inside == call_id:
        return [here]
    is_token = not inside.endswith(call_id)
    return [there] if is_token else [here, there]


def _needs_no_answer(effect: Any) -> bool:
    """What the live gateway told the dialog store or the media relay, and asked nothing. Nobody is
    told it again here; what this gateway would have kept it remembers itself."""
    return isinstance(effect, MediaDelete) or (isinstance(effect, Exchange) and not effect.load)


def _comments(packet: Packet) -> list[bytes]:
    return comments(packet.block) if packet.block else []


def _time(line: str) -> int | None:
    stamp = _STAMP.match(line)
    if not stamp:
        return None
    if stamp["unix"]:
        whole, _, rest = stamp["unix"].partition(".")
        return int(whole) * 10**9 + int(rest[:9].ljust(9, "0"))
    try:
        moment = datetime.fromisoformat(stamp["iso"].replace(",", "."))
    except ValueError:
        return None
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _start_line(network: bytes) -> bytes:
    """Of a whole message or of what is there of it."""
    datagram = ip.decode(network)
    if isinstance(datagram, ip.Datagram):
        return datagram.payload.lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r")
    found = re.search(rb"SIP/2\.0 \d{3} [^\r\n]*|[A-Z]+ sips?:[^\r\n]*", network)
    return found[0] if found else b""


def _ends(endpoints: bytes) -> tuple[str, str]:
    size = (len(endpoints) - 4) // 2
    ports = int.from_bytes(endpoints[-4:-2], "big"), int.from_bytes(endpoints[-2:], "big")
    return endpoint_text(endpoints[:size], ports[0]), endpoint_text(endpoints[size:-4], ports[1])


def as_dict(trace: Trace) -> dict[str, Any]:
    """The trace as report.json_help.TRACE describes it."""
    return {
        "call_id": {
            "inside": printable(trace.names.inside),
            "outside": printable(trace.names.outside),
            "mark": trace.names.mark,
        },
        "steps": list(map(_step, trace.steps)),
        "log_lines_held_back": trace.held_back,
    }


def _step(step: Step) -> dict[str, Any]:
    time = None if step.time is None else seconds(step.time)
    if step.packet is None:
        return {"time": time, "log": step.origin, "line": step.text}
    return {
        "time": time,
        "capture": step.origin,
        "packet": step.packet,
        "source": step.source,
        "destination": step.destination,
        "start_line": step.text,
        "direction": step.direction,
        "outcome": step.outcome,
        "edits": {action: dict(fields) for action, fields in step.edits.items()},
        "leaks": step.leaks,
        "refused_because": step.reason or None,
    }
