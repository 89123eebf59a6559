"""The offline edge: every packet of a capture through the gateway, in the order of the file.

The output is held back only while a fragmented datagram is incomplete, so that rewritten
fragments keep their places. What stays incomplete, or contradicts itself, is given to the gateway
fragment by fragment: it decides what may pass unread.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from inline_topo.errors import CaptureError, CutCaptureError
from inline_topo.gateway import Action, Ask, Verdict
from inline_topo.wire import fragments
from inline_topo.wire.ip import MAX_PACKET
from inline_topo.wire.link import network_packet, path, replace

from .capture import Capture
from .records import Block, Packet, Writer

MAX_HELD_PACKETS = 10_000
MAX_HELD_BYTES = 64 << 20
_NUMBERS_KEPT = 10  # packet numbers named for each reason of refusal
_PROGRESS_EVERY = 500  # packets
# outcomes, less "refused_", of packets in which no message was looked at
_NO_MESSAGE = frozenset(
    {
        *("not_ip", "not_udp", "icmp_cut", "not_sip", "malformed_packet", "udp_lite"),
        *("fragment", "cut", "inside", "transit"),
    }
)
Unread = Callable[[bytes, str], str]
"""Why an IP packet that stays in the output, in which no message was read, may hold one, from the packet
and its outcome; and the same for a frame without one ("not_ip"). A key of findings.NOT_READ_MEANS, or
empty."""


class Judge(Protocol):
    """What a replay needs of a gateway."""

    def handle(self, packet: bytes, now: float) -> Verdict | Ask:
        """As Gateway.handle."""


@dataclass
class Refusals:
    """Datagrams left out of the output, or not read, for one reason. `details`: how many, by field and what
    is wrong with it."""

    count: int = 0
    packets: list[int] = field(default_factory=list)  # the first numbers
    details: Counter[str] = field(default_factory=Counter)

    def add(self, number: int) -> None:
        self.count += 1
        if len(self.packets) < _NUMBERS_KEPT:
            self.packets.append(number)

    def as_dict(self) -> dict[str, Any]:
        return {"count": self.count, "packets": self.packets}


@dataclass
class FragmentCounts:
    """Fragments of UDP datagrams."""

    read: int = 0
    datagrams: int = 0  # that were put together
    written: int = 0  # fragments of those
    incomplete: int = 0  # fragments judged alone, for want of the others
    contradictory: int = 0  # fragments judged alone, because they overlap


@dataclass
class ReplayReport:
    """What a replay did. `edits` counts by action ("masked"), then by field ("Via")."""

    packets_read: int = 0
    packets_written: int = 0
    messages: Counter[str] = field(default_factory=Counter)  # by direction, "egress" or "ingress"
    outcomes: Counter[str] = field(default_factory=Counter)
    edits: dict[str, Counter[str]] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)  # messages, by what was noted of them
    opens_refused: Counter[str] = field(default_factory=Counter)  # tokens, by field
    bytes_added: int = 0  # to IP packets
    over_mtu: Counter[str] = field(default_factory=Counter)  # grown beyond it, "ipv4" or "ipv6"
    left_out: int = 0  # packets between insiders, if only the outside was asked for
    refused: dict[str, Refusals] = field(default_factory=dict)
    not_read: dict[str, Refusals] = field(default_factory=dict)  # in the output, by the reason
    is_cut: bool = False  # the capture ends in the middle of a packet
    fragments: FragmentCounts = field(default_factory=FragmentCounts)
    warnings: list[str] = field(default_factory=list)

    @property
    def refusals(self) -> int:
        return sum(refusals.count for refusals in self.refused.values())

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        return {
            "packets_read": self.packets_read,
            "packets_written": self.packets_written,
            "messages": dict(self.messages),
            "outcomes": dict(self.outcomes),
            "edits": {action: dict(fields) for action, fields in self.edits.items()},
            "notes": dict(self.notes),
            "opens_refused": dict(self.opens_refused),
            "bytes_added": self.bytes_added,
            "over_mtu": dict(self.over_mtu),
            "left_out": self.left_out,
            "refused": {
                reason: one.as_dict() | {"details": dict(one.details)}
                for reason, one in self.refused.items()
            },
            "not_read": {reason: one.as_dict() for reason, one in self.not_read.items()},
            "fragments": vars(self.fragments).copy(),
            "warnings": list(self.warnings),
        }


def replay(
    capture: Capture,
    writer: Writer,
    gateway: Judge,
    *,
    only_outside: bool = False,
    progress: Callable[[int], None] | None = None,
    perform: Callable[[Any], Any] | None = None,
    mtu: int = MAX_PACKET,
    unread: Unread | None = None,
) -> ReplayReport:
    """Give every packet of `capture` to `gateway` and write what it decides to `writer`.

    `only_outside` leaves out what insiders say to each other. `progress` is called with the number
    of bytes read so far. `perform` runs the effect of an Ask and returns what the gateway waits
    for. What grows past `mtu` is counted. `unread` tells what stays in the output unread. Of a capture
    that ends in the middle of a packet, the whole ones are written. CaptureError, with the packet's
    number, for a broken capture or an unknown link type.
    """
    run = _Replay(capture.name, writer, gateway, only_outside, perform, mtu, unread)
    try:
        for count, item in enumerate(capture):
            if isinstance(item, Packet):
                run.packet(item)
            else:
                run.block(item)
            if progress is not None and not count % _PROGRESS_EVERY:
                progress(capture.source.position)
    except CutCaptureError as error:
        run.report.is_cut = True
        run.report.warnings.append(f"{error}; what is whole before it is in the output")
    run.finish()
    if progress is not None:
        progress(capture.source.position)
    return run.report


class _Write(NamedTuple):
    item: Packet | Block
    data: bytes | None = None  # the new frame; None to copy the item
    comment: str = ""


@dataclass
class _Slot:
    """A place in the order of the output; `writes` is None until it is decided."""

    size: int
    writes: list[_Write] | None = None


class _Held(NamedTuple):
    """A fragment whose datagram is incomplete."""

    slot: _Slot
    packet: Packet
    offset: int
    end: int

    @property
    def network(self) -> bytes:
        return self.packet.data[self.offset : self.end]


class _Replay:
    def __init__(
        self,
        name: str,
        writer: Writer,
        gateway: Judge,
        only_outside: bool,
        perform: Callable[[Any], Any] | None,
        mtu: int,
        unread: Unread | None,
    ) -> None:
        self._unread = unread
        self.report = ReplayReport(warnings=writer.warnings)
        self._name = name
        self._writer = writer
        self._gateway = gateway
        self._only_outside = only_outside
        self._perform = perform
        self._mtu = mtu
        self._reassembler: fragments.Reassembler[_Held] = fragments.Reassembler()
        self._queue: deque[_Slot] = deque()
        self._queued_bytes = 0

    def block(self, block: Block) -> None:
        self._put([_Write(block)], len(block.data))

    def packet(self, packet: Packet) -> None:
        self.report.packets_read += 1
        try:
            span = network_packet(packet.linktype, packet.data)
        except CaptureError as error:
            raise self._named(packet, error) from None
        if span is None:
            self.report.outcomes["not_ip"] += 1
            self._tell(packet.data, "not_ip", packet.number)
            self._put([_Write(packet)], len(packet.data))
            return
        offset, end = span
        network = packet.data[offset:end]
        now = _time(packet)
        if self._queue:
            self._release(now)
        fragment = fragments.parse(network)
        if fragment is not None:
            self._fragment(fragment, packet, offset, end, now)
            return
        writes = self._judge_packet(packet, offset, end, network)
        self._put(writes, len(packet.data))

    def finish(self) -> None:
        """Decide what still waits, and write it."""
        while held := self._reassembler.give_up():
            self._give_up(held)
        self._drain()

    def _fragment(
        self, fragment: fragments.Fragment, packet: Packet, offset: int, end: int, now: float
    ) -> None:
        counts = self.report.fragments
        counts.read += 1
        slot = _Slot(len(packet.data))
        self._queue.append(slot)
        self._queued_bytes += slot.size
        held = _Held(slot, packet, offset, end)
        result = self._reassembler.add(fragment, held, now, path(packet.data, offset))
        if isinstance(result, fragments.Whole):
            counts.datagrams += 1
            self._judge_whole(result, now)
        elif isinstance(result, fragments.Refused):
            counts.contradictory += len(result.tags)
            self._judge_alone(result.tags)
        self._drain()

    def _judge_packet(self, packet: Packet, offset: int, end: int, network: bytes) -> list[_Write]:
        verdict = self._judge(network, _time(packet))
        if self._is_out(verdict, packet):
            return []
        if verdict.action is Action.ACCEPT:
            self._tell(network, verdict.outcome, packet.number)
            return [_Write(packet)]
        frame = self._frame(packet, offset, end, verdict.packet)
        return [_Write(packet, frame, _comment(verdict, network))]

    def _judge_whole(self, whole: fragments.Whole[_Held], now: float) -> None:
        helds = [arrival.tag for arrival in whole.arrivals]
        verdict = self._judge(whole.packet, now)
        if self._is_out(verdict, helds[0].packet, len(helds)):
            for held in helds:
                held.slot.writes = []
            return
        if verdict.action is Action.ACCEPT:
            self._tell(whole.packet, verdict.outcome, helds[0].packet.number)
            for held in helds:
                held.slot.writes = [_Write(held.packet)]
            self.report.fragments.written += len(helds)
            return
        comment = f"{_comment(verdict, whole.packet)} in all fragments"
        kept, extra = fragments.fragment(whole, verdict.packet)
        for held, network in zip(helds, kept, strict=True):
            held.slot.writes = []
            if network is not None:
                held.slot.writes.append(self._rewritten(held, network, comment))
        last = helds[-1]
        writes = [self._rewritten(last, network, comment) for network in extra]
        last.slot.writes = (last.slot.writes or []) + writes
        self.report.fragments.written += len(kept) - kept.count(None) + len(extra)

    def _give_up(self, helds: tuple[_Held, ...]) -> None:
        self.report.fragments.incomplete += len(helds)
        self._judge_alone(helds)

    def _judge_alone(self, helds: tuple[_Held, ...]) -> None:
        for held in helds:
            held.slot.writes = self._judge_packet(held.packet, held.offset, held.end, held.network)

    def _judge(self, network: bytes, now: float) -> Verdict:
        verdict = self._gateway.handle(network, now)
        while isinstance(verdict, Ask):
            if self._perform is None:
                raise RuntimeError("the gateway asks, and nothing is there to answer it")
            verdict = verdict.resume(self._perform(verdict.effect))
        report = self.report
        outcome = verdict.outcome
        report.outcomes[outcome] += 1
        report.notes.update(verdict.notes)
        report.opens_refused.update(verdict.unopened)
        if outcome.removeprefix("refused_") not in _NO_MESSAGE:
            report.messages[verdict.direction.value] += 1
        if verdict.action is Action.REPLACE:
            report.bytes_added += len(verdict.packet) - len(network)
            if len(verdict.packet) > self._mtu >= len(network):
                report.over_mtu["ipv6" if network[0] >> 4 == 6 else "ipv4"] += 1
            for edit in verdict.edits:
                report.edits.setdefault(edit.action, Counter())[edit.field] += 1
        return verdict

    def _is_out(self, verdict: Verdict, packet: Packet, count: int = 1) -> bool:
        """Whether nothing of the packet is to be written; says so in the report."""
        if verdict.action is Action.DROP:
            self._refuse(verdict, packet.number)
            return True
        if self._only_outside and verdict.outcome == "inside":
            self.report.left_out += count
            return True
        return False

    def _refuse(self, verdict: Verdict, number: int) -> None:
        refusals = self.report.refused.setdefault(verdict.outcome, Refusals())
        refusals.add(number)
        if verdict.detail:
            refusals.details[verdict.detail] += 1

    def _tell(self, packet: bytes, outcome: str, number: int) -> None:
        """Count what goes on, and nobody has read."""
        if self._unread is not None and outcome.removeprefix("refused_") in _NO_MESSAGE:
            reason = self._unread(packet, outcome)
            if reason:
                self.report.not_read.setdefault(reason, Refusals()).add(number)

    def _rewritten(self, held: _Held, network: bytes, comment: str) -> _Write:
        if network == held.network:
            return _Write(held.packet)
        frame = self._frame(held.packet, held.offset, held.end, network)
        return _Write(held.packet, frame, comment)

    def _frame(self, packet: Packet, offset: int, end: int, network: bytes) -> bytes:
        try:
            return replace(packet.data, offset, end, network)
        except CaptureError as error:
            raise self._named(packet, error) from None

    def _named(self, packet: Packet, error: CaptureError) -> CaptureError:
        return CaptureError(f"{self._name}: packet {packet.number}: {error}")

    def _put(self, writes: list[_Write], size: int) -> None:
        if self._queue:
            self._queue.append(_Slot(size, writes))
            self._queued_bytes += size
        else:
            self._write(writes)

    def _release(self, now: float) -> None:
        """Give up what waits too long, or makes too much wait."""
        for held in self._reassembler.expire(now):
            self._give_up(held)
        while len(self._queue) > MAX_HELD_PACKETS or self._queued_bytes > MAX_HELD_BYTES:
            self._give_up(self._reassembler.give_up())
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._queue and (writes := self._queue[0].writes) is not None:
            self._queued_bytes -= self._queue.popleft().size
            self._write(writes)

    def _write(self, writes: list[_Write]) -> None:
        for item, data, comment in writes:
            if isinstance(item, Packet):
                self.report.packets_written += 1
                if data is not None:
                    self._writer.rewrite(item, data, comment)
                    continue
            self._writer.copy(item)


def _time(packet: Packet) -> float:
    return packet.seconds + packet.fraction / packet.resolution


def _comment(verdict: Verdict, before: bytes) -> str:
    """What was done, for whoever opens the output; names and sizes, no values."""
    fields: dict[str, dict[str, None]] = {}
    for edit in verdict.edits:
        fields.setdefault(edit.action, {})[edit.field] = None
    done = [f"{action} {', '.join(names)}" for action, names in fields.items()]
    sizes = f"{len(before)} -> {len(verdict.packet)} bytes"
    return f"inline-topo: {'; '.join([*done, sizes])}"
