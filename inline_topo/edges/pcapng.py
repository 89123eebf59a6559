"""pcapng, block by block (draft-ietf-opsawg-pcapng): what does not change is copied verbatim.

scapy knows pcapng's microseconds only, and writes none of its options back.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from inline_topo.errors import CaptureError, CutCaptureError

from .files import Sink, Source
from .pcap import MAX_SNAPLEN
from .records import Block, Packet

SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, NAMES, PACKET, SECRETS = (
    0x0A0D0D0A,
    1,
    2,
    3,
    4,
    6,
    10,
)
MAGIC = b"\x0a\x0d\x0d\x0a"

_END, _COMMENT = 0, 1
_IF_TSRESOL, _IF_TSOFFSET = 9, 14
_PACKET_HASH = 3  # epb_hash and pack_hash
_FIXED = 28  # where the bytes of a packet start in both packet blocks with a header
_LARGEST_BLOCK = 16 << 20  # libpcap's limit
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_ORDER_AT = 8  # of the byte-order magic in a section header
_SECTION_LENGTH_AT, _SNAPLEN_AT = 16, 12
_UNKNOWN = b"\xff" * 8  # section length


class Interface(NamedTuple):
    linktype: int
    snaplen: int  # 0 is no limit
    resolution: int  # ticks a second
    offset: int  # seconds to add


def _pad(size: int) -> int:
    return (size + 3) & ~3


def _order(block: bytes) -> str:
    """The byte order of a packet block: all their types fit into one byte."""
    return "<" if block[0] else ">"


def options(area: bytes, order: str) -> Iterator[tuple[int, bytes, bytes]]:
    """Code, value and original bytes of each option; ValueError where the list is broken."""
    at = 0
    while at < len(area):
        if at + 4 > len(area):
            raise ValueError("an option is cut")
        code, size = struct.unpack_from(order + "HH", area, at)
        if code == _END:
            return
        after = at + 4 + _pad(size)
        if after > len(area):
            raise ValueError("an option is longer than its block")
        yield code, area[at + 4 : at + 4 + size], area[at:after]
        at = after


def parse_interface(block: bytes, order: str) -> Interface:
    """An interface description block; ValueError where it is broken."""
    if len(block) < 20:
        raise ValueError("an interface description is too short")
    linktype, snaplen = struct.unpack_from(order + "HxxI", block, 8)
    resolution, offset = 10**6, 0
    for code, value, _ in options(block[16:-4], order):
        if code == _IF_TSRESOL and len(value) == 1:
            exponent = value[0] & 0x7F
            resolution = 2**exponent if value[0] & 0x80 else 10**exponent
        elif code == _IF_TSOFFSET and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0]
    return Interface(linktype, snaplen, resolution, offset)


class PcapngReader:
    """Reads the blocks of `source`, which stands at the start of a pcapng file."""

    format = "pcapng"

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self._source = source

    def __iter__(self) -> Iterator[Packet | Block]:
        read = self._source.read
        order, interfaces = "<", list[Interface]()
        number = count = 0
        while head := read(8):
            count += 1
            if head[:4] == MAGIC:
                head += read(4)
                if len(head) < 12:
                    raise self._cut(count, number, "the file is cut")
                order = _ORDERS.get(head[_ORDER_AT:], "")
                if not order:
                    raise self._error(count, number, "the byte order of a section is missing")
                interfaces = []
            if len(head) < 8:
                raise self._cut(count, number, "the file is cut")
            kind, length = struct.unpack_from(order + "II", head)
            if length < 12 or length % 4 or length > _LARGEST_BLOCK:
                raise self._error(count, number, f"a block of {length} bytes is none")
            block = head + read(max(length - len(head), 0))
            if len(block) != length:
                raise self._cut(count, number, f"the file is cut, {len(block)} of {length} bytes")
            if block[-4:] != head[4:8]:
                raise self._error(count, number, "the two lengths of a block differ")
            try:
                if kind in (PACKET, OLD_PACKET, SIMPLE_PACKET):
                    yield _parse_packet(kind, block, order, interfaces, number + 1)
                    number += 1
                    continue
                if kind == INTERFACE:
                    interfaces.append(parse_interface(block, order))
                elif kind == SECTION and length < 28:
                    raise ValueError("a section header is too short")
            except ValueError as error:
                raise self._error(count, number, str(error)) from None
            yield Block(kind, block)

    def _error(self, count: int, number: int, reason: str) -> CaptureError:
        return CaptureError(f"{self.name}: block {count}, after packet {number}: {reason}")

    def _cut(self, count: int, number: int, reason: str) -> CaptureError:
        return CutCaptureError(f"{self.name}: block {count}, after packet {number}: {reason}")


def _parse_packet(
    kind: int, block: bytes, order: str, interfaces: list[Interface], number: int
) -> Packet:
    if kind == SIMPLE_PACKET:
        if not interfaces or len(block) < 16:
            raise ValueError("a simple packet without an interface or a length")
        interface = interfaces[0]
        wire_length = struct.unpack_from(order + "I", block, 8)[0]
        captured = min(wire_length, interface.snaplen or wire_length)
        if 12 + _pad(captured) + 4 != len(block):
            raise ValueError("a simple packet does not fill its block")
        data = block[12 : 12 + captured]
        return Packet(
            number, 0, 0, interface.resolution, interface.linktype, data, wire_length, block
        )
    if len(block) < _FIXED + 4:
        raise ValueError("a packet block is too short")
    where, high, low, captured, wire_length = struct.unpack_from(order + "IIIII", block, 8)
    if kind == OLD_PACKET:
        where = struct.unpack_from(order + "H", block, 8)[0]
    if where >= len(interfaces):
        raise ValueError(f"a packet of interface {where}, which is not described")
    if _FIXED + _pad(captured) + 4 > len(block):
        raise ValueError(f"{captured} captured bytes in a block of {len(block)}")
    interface = interfaces[where]
    seconds, fraction = divmod(high << 32 | low, interface.resolution)
    return Packet(
        number,
        seconds + interface.offset,
        fraction,
        interface.resolution,
        interface.linktype,
        block[_FIXED : _FIXED + captured],
        wire_length,
        block,
    )


def packet_options(block: bytes) -> bytes:
    """The options of a packet block; none in a simple one."""
    order = _order(block)
    if struct.unpack_from(order + "I", block)[0] == SIMPLE_PACKET:
        return b""
    captured: int = struct.unpack_from(order + "I", block, 20)[0]
    return block[_FIXED + _pad(captured) : -4]


def comments(block: bytes) -> list[bytes]:
    """The comments of a packet block."""
    try:
        found = options(packet_options(block), _order(block))
        return [value for code, value, _ in found if code == _COMMENT]
    except ValueError:
        return []


class PcapngWriter:
    """Writes pcapng from pcapng.

    Three fields outside changed packets may have to change with them: a snapshot length that a
    packet has outgrown (readers refuse it) and the length of a section (set to unknown), when
    first needed, or at once where the output cannot be written over later.
    """

    def __init__(self, sink: Sink) -> None:
        self.warnings: list[str] = []
        self._sink = sink
        self._section_at = -1  # where the section's length stands, if it is given
        self._interfaces: list[tuple[int, int]] = []  # snapshot length, where it stands
        self._order = "<"
        self._raised = False  # the snapshot length of simple packets, interface 0's
        self._simple_cut = False  # a simple packet depends on that length
        self._seen: set[int] = set()

    def copy(self, item: Packet | Block) -> None:
        if isinstance(item, Packet):
            if item.wire_length > len(item.data) and _is_simple(item.block):
                self._simple_cut = True
                self._check_simple(item)
            self._sink.write(item.block)
        elif item.kind == SECTION:
            self._begin_section(item.data)
        elif item.kind == INTERFACE:
            self._add_interface(item.data)
        else:
            if item.kind in (NAMES, SECRETS) and item.kind not in self._seen:
                what = "host names" if item.kind == NAMES else "decryption secrets"
                self.warnings.append(f"{self._sink.name}: the {what} stored in the input are kept")
                self._seen.add(item.kind)
            self._sink.write(item.data)

    def rewrite(self, packet: Packet, data: bytes, comment: str) -> None:
        block = packet.block
        order = _order(block)
        wire_length = max(packet.wire_length + len(data) - len(packet.data), len(data))
        padded = data + bytes(-len(data) % 4)
        lengths = struct.pack(order + "II", len(data), wire_length)
        if _is_simple(block):
            interface = 0
            body = lengths[4:] + padded
        else:
            kind = struct.unpack_from(order + "I", block)[0]
            interface = struct.unpack_from(order + ("H" if kind == OLD_PACKET else "I"), block, 8)[
                0
            ]
            try:
                added = _comment_added(packet_options(block), comment, order)
            except ValueError as error:
                raise CaptureError(f"{self._sink.name}: packet {packet.number}: {error}") from None
            body = block[8:20] + lengths + padded + added
        self._raise_snaplen(interface, packet, len(data))
        total = struct.pack(order + "I", len(body) + 12)
        if self._section_at >= 0 and len(body) + 12 != len(block):
            self._sink.patch(self._section_at, _UNKNOWN)
            self._section_at = -1
        self._sink.write(block[:4] + total + body + total)

    def finish(self) -> None:
        """Nothing: the input's blocks are all there is."""

    def _begin_section(self, block: bytes) -> None:
        self._order = _ORDERS[block[_ORDER_AT : _ORDER_AT + 4]]
        self._interfaces = []
        self._raised = self._simple_cut = False
        self._section_at = -1
        if block[_SECTION_LENGTH_AT : _SECTION_LENGTH_AT + 8] != _UNKNOWN:
            if self._sink.seekable:
                self._section_at = self._sink.position + _SECTION_LENGTH_AT
            else:
                block = block[:_SECTION_LENGTH_AT] + _UNKNOWN + block[_SECTION_LENGTH_AT + 8 :]
        self._sink.write(block)

    def _add_interface(self, block: bytes) -> None:
        snaplen = struct.unpack_from(self._order + "I", block, _SNAPLEN_AT)[0]
        if not self._sink.seekable and 0 < snaplen < MAX_SNAPLEN:
            snaplen = MAX_SNAPLEN
            self._raised = self._raised or not self._interfaces
            block = block[:_SNAPLEN_AT] + self._largest() + block[_SNAPLEN_AT + 4 :]
        self._interfaces.append((snaplen, self._sink.position + _SNAPLEN_AT))
        self._sink.write(block)

    def _raise_snaplen(self, interface: int, packet: Packet, size: int) -> None:
        snaplen, position = self._interfaces[interface]
        if 0 < snaplen < size:
            self._raised = self._raised or interface == 0
            self._check_simple(packet)
            self._sink.patch(position, self._largest())
            self._interfaces[interface] = (MAX_SNAPLEN, position)

    def _check_simple(self, packet: Packet) -> None:
        # how many bytes a simple packet holds follows from the snapshot length alone
        if self._raised and self._simple_cut:
            raise CaptureError(
                f"{self._sink.name}: packet {packet.number}: simple packets that were cut at the "
                "snapshot length stand beside packets that outgrow it: convert the input first"
            )

    def _largest(self) -> bytes:
        return struct.pack(self._order + "I", MAX_SNAPLEN)


class Writable(Protocol):
    """All that PcapngMaker needs of a file."""

    def write(self, data: bytes) -> None: ...


class PcapngMaker:
    """Writes pcapng from classic pcap: one section, one interface."""

    def __init__(self, sink: Writable, linktype: int, resolution: int) -> None:
        """`resolution` is 10**6 or 10**9 ticks a second."""
        self.warnings: list[str] = []
        self._sink = sink
        self._resolution = resolution
        section = b"\x4d\x3c\x2b\x1a" + struct.pack("<HH", 1, 0) + _UNKNOWN
        section += _option(4, b"inline-topo", "<") + bytes(4)  # shb_userappl
        sink.write(_block(SECTION, section))
        interface = struct.pack("<HHI", linktype, 0, MAX_SNAPLEN)
        interface += _option(_IF_TSRESOL, bytes([len(str(resolution)) - 1]), "<") + bytes(4)
        sink.write(_block(INTERFACE, interface))

    def copy(self, item: Packet | Block) -> None:
        if isinstance(item, Packet):
            self._write(item, item.data, item.wire_length, b"")

    def rewrite(self, packet: Packet, data: bytes, comment: str) -> None:
        wire_length = max(packet.wire_length + len(data) - len(packet.data), len(data))
        self._write(packet, data, wire_length, _comment_added(b"", comment, "<"))

    def finish(self) -> None:
        """Nothing: the section and its interface are written."""

    def _write(self, packet: Packet, data: bytes, wire_length: int, added: bytes) -> None:
        ticks = packet.seconds * self._resolution + packet.fraction
        fixed = (0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire_length)
        body = struct.pack("<IIIII", *fixed) + data + bytes(-len(data) % 4) + added
        self._sink.write(_block(PACKET, body))


def _is_simple(block: bytes) -> bool:
    return block[0] | block[3] == SIMPLE_PACKET


def _comment_added(area: bytes, comment: str, order: str) -> bytes:
    # a hash of the packet as it was would be wrong now
    kept = [raw for code, _, raw in options(area, order) if code != _PACKET_HASH]
    return b"".join(kept) + _option(_COMMENT, comment.encode()[:0xFFFF], order) + bytes(4)


def _option(code: int, value: bytes, order: str) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    total = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + total + body + total
