"""From a capture to one fit for sharing, in one pass; and the search of what was written."""

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from inline_topo.anonymise.frames import Frames
from inline_topo.anonymise.gateway import Anonymiser, Payloads
from inline_topo.anonymise.message import Counts, Messages
from inline_topo.anonymise.originals import Originals
from inline_topo.anonymise.packets import Packets
from inline_topo.anonymise.pseudonyms import Pseudonyms
from inline_topo.anonymise.search import Search
from inline_topo.edges.capture import Capture, open_capture
from inline_topo.edges.files import Sink
from inline_topo.edges.pcap import PcapWriter
from inline_topo.edges.pcapng import PcapngMaker
from inline_topo.edges.records import Block, Packet, Writer
from inline_topo.edges.replay import ReplayReport, replay
from inline_topo.errors import CaptureError, LeakError
from inline_topo.gateway import Gateway

_NANOSECONDS = 10**9


@dataclass(frozen=True)
class Wishes:
    """What the person wants. `key` makes the pseudonyms; `zero`: payloads become zeros instead of going;
    `products`: User-Agent and Server stay; `rebase`: the first packet is at time 0."""

    key: bytes
    zero: bool = False
    products: bool = False
    rebase: bool = False


@dataclass
class Report:
    """What was done beside the replay. `left_out` counts frames that are neither IP nor ARP, `looked_for`
    what the output was searched for."""

    counts: Counts
    payloads: Payloads
    stripped: int = 0  # packets whose payload went
    left_out: int = 0
    looked_for: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        counts = self.counts
        return {
            "messages": counts.messages,
            "headers_removed": dict(counts.removed),
            "bodies_dropped": dict(counts.bodies),
            "media_replaced": counts.media,
            "unreadable_sip": self.payloads.unreadable,
            "payloads_dropped": self.stripped,
            "frames_left_out": self.left_out,
            "looked_for": self.looked_for,
            "found": 0,
        }


def anonymise(
    capture: Capture,
    target: str,
    gateway: Gateway,
    is_inside: Callable[[bytes], bool],
    wishes: Wishes,
    **options: Any,
) -> tuple[ReplayReport, Report]:
    """Write `capture`, as the outside sees it and with pseudonyms, to the file `target`.

    `gateway` makes the outside leg; `options` are replay's. CaptureError as there, and where `target`
    cannot be read again; LeakError where a name of the original shows in what was written, and then
    nothing is left behind.
    """
    pseudonyms, originals = Pseudonyms(wishes.key), Originals()
    messages = Messages(
        pseudonyms, products=wishes.products, zero=wishes.zero, times=not wishes.rebase
    )
    anonymiser = Anonymiser(gateway, messages, pseudonyms, originals, is_inside)
    frames = Frames(pseudonyms, Packets(pseudonyms, zero=wishes.zero))
    with _sink(target, capture) as sink:
        writer = _Writer(sink, capture, frames, originals, rebase=wishes.rebase)
        report = replay(capture, writer, anonymiser, only_outside=True, **options)
        writer.finish()
        sink.flush()
        _search(sink, originals, writer.numbers)
    report.packets_written -= writer.left_out
    more = Report(messages.counts, anonymiser.payloads, writer.stripped, writer.left_out)
    more.looked_for = {
        "addresses": len(originals.addresses),
        "mac_addresses": len(originals.macs),
        "host_names": len(originals.hosts),
        "user_names": len(originals.users),
    }
    return report, more


@contextmanager
def _sink(target: str, capture: Capture) -> Iterator[Sink]:
    with Sink(target, capture.source) as sink:
        if not sink.path:
            raise CaptureError(f"{sink.name}: is no file, and what is written must be read again")
        yield sink


def _search(sink: Sink, originals: Originals, numbers: Sequence[int]) -> None:
    with open_capture(sink.path) as written:
        found = Search(originals).first(written)
    if found:
        number, what = found
        raise LeakError(
            f"{sink.name}: {what} of the original would show in what packet {numbers[number - 1]} "
            "becomes: nothing is written"
        )


class _Writer:
    """Writes frames without payloads, comments and names; those of messages as they are given."""

    def __init__(
        self, sink: Sink, capture: Capture, frames: Frames, originals: Originals, *, rebase: bool
    ) -> None:
        self.warnings: list[str] = []
        self.left_out = self.stripped = 0
        self.numbers = array("L")  # in the original, of each packet written
        self._sink = sink
        self._frames = frames
        self._originals = originals
        suffix = PurePath(sink.name).suffix.lower()
        is_pcapng = suffix in (".pcapng", ".ntar") or (
            capture.format == "pcapng" and suffix not in (".pcap", ".cap")
        )
        self._is_pcapng = is_pcapng
        self._resolution = getattr(capture.reader, "resolution", _NANOSECONDS)
        self._linktype = -1
        self._inner: Writer | None = None
        self._first: int | None = None if rebase else 0

    def copy(self, item: Packet | Block) -> None:
        if not isinstance(item, Packet):
            return
        self._note(item.linktype, item.data)
        result = self._frames.strip(item.linktype, item.data)
        if result is None:
            self.left_out += 1
            return
        data, behind = result
        self.stripped += len(data) < len(item.data) - behind
        self._write(item, data, max(item.wire_length - behind, len(data)))

    def rewrite(self, packet: Packet, data: bytes, comment: str) -> None:
        self._note(packet.linktype, packet.data)
        new, behind = self._frames.finish(packet.linktype, data)
        length = packet.wire_length + len(data) - len(packet.data) - behind
        self._write(packet, new, max(length, len(new)))

    def finish(self) -> None:
        (self._inner or self._start(1)).finish()

    def _note(self, linktype: int, frame: bytes) -> None:
        macs, addresses = self._frames.ends(linktype, frame)
        self._originals.macs.update(macs)
        self._originals.addresses.update(addresses)

    def _write(self, packet: Packet, data: bytes, wire_length: int) -> None:
        inner = self._inner or self._start(packet.linktype)
        if packet.linktype != self._linktype:
            raise CaptureError(
                f"{self._sink.name}: packet {packet.number}: link type {packet.linktype} after "
                f"{self._linktype}: take the capture apart by interface first"
            )
        ticks = packet.seconds * self._resolution
        ticks += packet.fraction * self._resolution // packet.resolution
        if self._first is None:
            self._first = ticks
        ticks = max(ticks - self._first, 0)
        seconds, fraction = divmod(ticks, self._resolution)
        new = Packet(
            packet.number, seconds, fraction, self._resolution, packet.linktype, data, wire_length
        )
        self.numbers.append(packet.number)
        try:
            inner.copy(new)
        except struct.error:
            raise CaptureError(
                f"{self._sink.name}: packet {packet.number}: its time or length is none"
            ) from None

    def _start(self, linktype: int) -> Writer:
        self._linktype = linktype
        self._inner = (
            PcapngMaker(self._sink, linktype, self._resolution)
            if self._is_pcapng
            else PcapWriter(self._sink, resolution=self._resolution)
        )
        return self._inner
