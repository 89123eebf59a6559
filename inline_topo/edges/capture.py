"""Captures, whatever their format: open one to read, create one like it or in the other format."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from inline_topo.errors import CaptureError
from inline_topo.wire.link import network_packet

from .files import Sink, Source
from .pcap import MAGICS, PcapReader, PcapWriter
from .pcapng import (
    INTERFACE,
    MAGIC,
    NAMES,
    SECRETS,
    PcapngMaker,
    PcapngReader,
    PcapngWriter,
    comments,
    parse_interface,
)
from .records import Block, Packet, Writer

_FORMATS = {".pcap": "pcap", ".cap": "pcap", ".pcapng": "pcapng", ".ntar": "pcapng"}


class Capture:
    """A capture to read, once: iterates over its packets and, in pcapng, its other blocks."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.reader = _reader(source)
        self.name = source.name
        self.format = self.reader.format

    def __iter__(self) -> Iterator[Packet | Block]:
        return iter(self.reader)

    def packets(self) -> Iterator[Packet]:
        """The packets alone."""
        return (item for item in self.reader if isinstance(item, Packet))

    def spans(self) -> Iterator[tuple[Packet, tuple[int, int] | None]]:
        """Each packet with the span of the IP packet in it; None where it has none.

        CaptureError, with the packet's number, for an unknown link type.
        """
        for packet in self.packets():
            try:
                span = network_packet(packet.linktype, packet.data)
            except CaptureError as error:
                raise CaptureError(f"{self.name}: packet {packet.number}: {error}") from None
            yield packet, span


@contextmanager
def open_capture(path: str) -> Iterator[Capture]:
    """A pcap or pcapng file, or `-` for standard input, told apart by their first bytes.

    CaptureError, here or while reading, for what is missing, unreadable, cut or no capture.
    """
    source = Source(path)
    try:
        yield Capture(source)
    finally:
        if path != "-":
            source.close()


@contextmanager
def create_capture(path: str, like: Capture) -> Iterator[Writer]:
    """A capture to write what is read from `like`: its format follows from the suffix of `path`,
    and is that of `like` for any other suffix and for `-`, standard output.

    The file stands under its name when the block is left without an exception, and not before.
    CaptureError if it cannot be written, or is the file that `like` reads.
    """
    with Sink(path, like.source) as sink:
        writer = _writer(sink, like, _FORMATS.get(PurePath(path).suffix.lower(), like.format))
        yield writer
        writer.finish()


def _reader(source: Source) -> PcapReader | PcapngReader:
    start = source.peek(24)
    if not start:
        raise CaptureError(f"{source.name}: is empty")
    if start[:4] in MAGICS:
        return PcapReader(source)
    if start[:4] == MAGIC:
        return PcapngReader(source)
    hint = ", but compressed: use gunzip first" if start[:2] == b"\x1f\x8b" else ""
    raise CaptureError(f"{source.name}: is not a pcap or pcapng capture{hint}")


def _writer(sink: Sink, like: Capture, form: str) -> Writer:
    if isinstance(like.reader, PcapReader):
        if form == "pcap":
            return PcapWriter(sink, like.reader.header)
        return PcapngMaker(sink, like.reader.linktype, like.reader.resolution)
    return PcapngWriter(sink) if form == "pcapng" else _Flattener(sink)


class _Flattener:
    """Writes classic pcap from pcapng: nanoseconds if an interface that is described before the
    first packet is finer than microseconds; says what classic pcap has no place for."""

    def __init__(self, sink: Sink) -> None:
        self.warnings: list[str] = []
        self._sink = sink
        self._order = "<"
        self._resolution = 10**6
        self._writer: PcapWriter | None = None
        self._lost: set[str] = set()

    def copy(self, item: Packet | Block) -> None:
        if isinstance(item, Packet):
            self._lose(item)
            self._classic().copy(item)
        elif item.kind == INTERFACE:
            self._note(parse_interface(item.data, "<" if item.data[0] else ">").resolution)
        elif item.kind in (NAMES, SECRETS):
            self._warn("host names" if item.kind == NAMES else "decryption secrets")

    def rewrite(self, packet: Packet, data: bytes, comment: str) -> None:
        self._lose(packet)
        self._classic().rewrite(packet, data, comment)

    def finish(self) -> None:
        self._classic().finish()

    def _note(self, resolution: int) -> None:
        if 10**6 % resolution:
            self._resolution = 10**9

    def _classic(self) -> PcapWriter:
        if self._writer is None:
            self._writer = PcapWriter(self._sink, resolution=self._resolution)
            self._writer.warnings = self.warnings
        return self._writer

    def _lose(self, packet: Packet) -> None:
        if "comments" not in self._lost and comments(packet.block):
            self._warn("comments")

    def _warn(self, what: str) -> None:
        if what not in self._lost:
            self._lost.add(what)
            self.warnings.append(f"{self._sink.name}: classic pcap holds no {what}: left out")
