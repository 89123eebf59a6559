"""Classic pcap, through scapy (https://www.tcpdump.org/manpages/pcap-savefile.5.html)."""

import logging
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from inline_topo.errors import CaptureError, CutCaptureError

from .files import Sink, Source
from .records import Block, Packet

if TYPE_CHECKING:
    from scapy.utils import RawPcapReader, RawPcapWriter

HEADER = 24
MAX_SNAPLEN = 262144  # what libpcap takes at most, and means by "all of it"
# byte order and ticks a second, by magic number
MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}


def make_header(linktype: int, resolution: int) -> bytes:
    """A file header, little-endian; resolution is 10**6 or 10**9 ticks a second."""
    magic = 0xA1B23C4D if resolution == 10**9 else 0xA1B2C3D4
    return struct.pack("<IHHiIII", magic, 2, 4, 0, 0, MAX_SNAPLEN, linktype)


class PcapReader:
    """Reads the packets of `source`, which stands at the start of a classic pcap file."""

    format = "pcap"

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self._source = source
        self.header = source.peek(HEADER)
        order, self.resolution = MAGICS[self.header[:4]]
        if len(self.header) < HEADER:
            raise CaptureError(f"{self.name}: the file is cut within its header")
        # the upper bits of the word tell of frame check sequences
        self.linktype = struct.unpack_from(order + "I", self.header, 20)[0] & 0xFFFF
        self._scapy = _reader(source)

    def __iter__(self) -> Iterator[Packet]:
        # not next(): that cuts packets at 65,535 bytes, which a frame may exceed
        read = self._scapy._read_packet
        name, resolution, linktype = self.name, self.resolution, self.linktype
        number = 0
        while True:
            try:
                data, (seconds, fraction, wire_length, captured) = read(MAX_SNAPLEN)
            except EOFError:
                break
            number += 1
            if captured > MAX_SNAPLEN:
                raise CaptureError(f"{name}: packet {number}: claims {captured} captured bytes")
            # scapy ends silently wherever a file ends
            if len(data) != captured:
                raise CutCaptureError(
                    f"{name}: packet {number}: the file is cut, {len(data)} of {captured} bytes"
                )
            yield Packet(number, seconds, fraction, resolution, linktype, data, wire_length)
        if self._source.cut:
            raise CutCaptureError(f"{name}: packet {number + 1}: the file is cut within its header")


class PcapWriter:
    """Writes one link type's packets; `header` is the file header to begin with, if known now.

    Without one, it follows from the first packet: its link type, and `resolution`.
    """

    def __init__(self, sink: Sink, header: bytes = b"", resolution: int = 10**6) -> None:
        self.warnings: list[str] = []
        self._sink = sink
        self._resolution = resolution
        self._linktype = -1
        self._time_lost = False
        self._scapy: RawPcapWriter | None = None
        if header:
            self._start(header)

    def _start(self, header: bytes) -> "RawPcapWriter":
        order, self._resolution = MAGICS[header[:4]]
        self._snaplen, linktype = struct.unpack_from(order + "II", header, 16)
        self._linktype = linktype & 0xFFFF
        self._order = order
        scapy = _writer(self._sink, order, self._resolution)
        # ours, since scapy's own would lose the time zone, accuracy and version of the original
        if not self._sink.seekable and 0 < self._snaplen < MAX_SNAPLEN:
            header = header[:16] + self._raise_snaplen() + header[20:]
        self._sink.write(header)
        self._scapy = scapy
        return scapy

    def _raise_snaplen(self) -> bytes:
        self._snaplen = MAX_SNAPLEN
        return struct.pack(self._order + "I", MAX_SNAPLEN)

    def copy(self, item: Packet | Block) -> None:
        if isinstance(item, Packet):
            self._write(item, item.data, item.wire_length)

    def rewrite(self, packet: Packet, data: bytes, comment: str) -> None:
        self._write(packet, data, max(packet.wire_length + len(data) - len(packet.data), len(data)))
        # libpcap cuts, or refuses, what is longer than the file's snapshot length
        if 0 < self._snaplen < len(data) and self._sink.seekable:
            self._sink.patch(16, self._raise_snaplen())

    def _write(self, packet: Packet, data: bytes, wire_length: int) -> None:
        scapy = self._scapy or self._start(make_header(packet.linktype, self._resolution))
        if packet.linktype != self._linktype:
            raise CaptureError(
                f"{self._sink.name}: packet {packet.number}: link type {packet.linktype} after "
                f"{self._linktype}, and classic pcap holds one: write pcapng"
            )
        fraction = packet.fraction
        if packet.resolution != self._resolution:
            fraction, rest = divmod(fraction * self._resolution, packet.resolution)
            if rest and not self._time_lost:
                self._time_lost = True
                self.warnings.append(
                    f"{self._sink.name}: timestamps cut to {self._resolution} ticks a second "
                    f"from packet {packet.number} on"
                )
        if not 0 <= packet.seconds <= 0xFFFFFFFF:
            raise CaptureError(
                f"{self._sink.name}: packet {packet.number}: its time is none for classic pcap"
            )
        scapy.write_packet(
            data, sec=packet.seconds, usec=fraction, caplen=len(data), wirelen=wire_length
        )

    def finish(self) -> None:
        if self._scapy is None:
            self._start(make_header(1, self._resolution))


def _reader(source: Source) -> "RawPcapReader":
    _quieten()
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapReader

    try:
        return RawPcapReader(cast(Any, source))
    except Scapy_Exception as error:
        raise CaptureError(f"{source.name}: {error}") from None


def _writer(sink: Sink, order: str, resolution: int) -> "RawPcapWriter":
    _quieten()
    from scapy.utils import RawPcapWriter

    writer = RawPcapWriter(cast(Any, sink), endianness=order, nano=resolution == 10**9)
    writer.linktype = 0  # of no account here, the header is ours; scapy wants one
    writer.header_present = True
    return writer


def _quieten() -> None:
    """What scapy logs on import and about odd records is no message of ours.
    (It is imported this late because it takes a tenth of a second.)"""
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
