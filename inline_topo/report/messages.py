"""The SIP messages of a capture, fragments put together, and a count of what is none."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from inline_topo.edges.capture import Capture, open_capture
from inline_topo.edges.records import Packet
from inline_topo.report.texts import endpoint_text
from inline_topo.sip import message as sip
from inline_topo.sip import names
from inline_topo.sip.message import Message, Span
from inline_topo.sip.names import FieldNames, field_name
from inline_topo.wire import fragments, ip
from inline_topo.wire.link import path

_TCP = 6
_TCP_START = re.compile(rb"SIP/2\.0 [1-6][0-9]{2} |[A-Za-z]+ [a-z]+:[^\r\n]* SIP/2\.0\r\n")
MAX_FORWARDS, RSEQ = "Max-Forwards", "RSeq"
_PARSED_FOR = FieldNames(
    (
        *(names.FROM, names.TO, names.CSEQ, names.CALL_ID, names.VIA, names.ROUTE),
        *(names.RECORD_ROUTE, MAX_FORWARDS, RSEQ),
    )
)


class Seen(NamedTuple):
    """A SIP message where it was seen.

    `number` is that of the packet that made it whole, `time` its time in nanoseconds since 1970,
    `endpoints` as in wire.ip.Datagram. `message` is None where `data` looks like SIP and does not
    parse. `packets` counts the fragments that it came in (1: none); `length` is that of the IP
    packet, and `checksum` one of wire.ip's VALID, ABSENT, PARTIAL, CORRUPT. `has_surplus`: bytes
    stand behind the datagram.
    """

    number: int
    time: int
    endpoints: bytes
    data: bytes
    message: Message | None
    packets: int
    length: int
    checksum: str
    has_surplus: bool = False

    @property
    def source(self) -> bytes:
        return self.endpoints[: (len(self.endpoints) - 4) // 2]

    @property
    def destination(self) -> bytes:
        return self.endpoints[(len(self.endpoints) - 4) // 2 : -4]

    @property
    def ports(self) -> tuple[int, int]:
        """Source and destination port."""
        pair = self.endpoints
        return int.from_bytes(pair[-4:-2], "big"), int.from_bytes(pair[-2:], "big")

    @property
    def start_line(self) -> bytes:
        """Without the line break; leading blank lines left out."""
        return self.data.lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r")

    @property
    def call_id(self) -> bytes:
        return self.message.first(names.CALL_ID) if self.message else b""


@dataclass
class Tally:
    """What else a capture holds: packets in all, and what could not be looked into."""

    packets: int = 0
    tcp: int = 0  # TCP segments that begin with a SIP start line
    incomplete: int = 0  # fragments without the rest of their datagram
    cut: int = 0  # packets on SIP's way that were captured only in part


class Missed(NamedTuple):
    """An IP packet in which no message was read: its number, its time in nanoseconds since 1970. Not
    `is_ip`: a frame without one."""

    number: int
    time: int
    network: bytes
    is_ip: bool = True


def read(
    capture: Capture, tally: Tally, miss: Callable[[Missed], None] = lambda missed: None
) -> Iterator[Seen]:
    """Every SIP message over UDP, in order; `tally` is counted up on the way. `miss` is called with
    every other packet, and with the IP packet of a message that has bytes behind its datagram.

    CaptureError, with the packet's number, for a broken capture or an unknown link type.
    """
    reassembler: fragments.Reassembler[Missed] = fragments.Reassembler()

    def lose(pieces: Iterable[Missed]) -> None:
        for piece in pieces:
            tally.incomplete += 1
            miss(piece)

    for packet, span in capture.spans():
        tally.packets += 1
        if span is None:
            miss(Missed(packet.number, _time(packet), packet.data, is_ip=False))
            continue
        network = packet.data[span[0] : span[1]]
        fragment = fragments.parse(network)
        pieces = 1
        if fragment:
            now = packet.seconds + packet.fraction / packet.resolution
            for expired in reassembler.expire(now):
                lose(expired)
            route = path(packet.data, span[0])
            piece = Missed(packet.number, _time(packet), network)
            result = reassembler.add(fragment, piece, now, route)
            if isinstance(result, fragments.Refused):
                lose(result.tags)
            if not isinstance(result, fragments.Whole):
                continue
            network, pieces = result.packet, len(result.arrivals)
        seen = _look(packet, network, pieces, tally)
        if seen:
            yield seen
        if seen is None or seen.has_surplus:
            miss(Missed(packet.number, _time(packet), network))
    while lost := reassembler.give_up():
        lose(lost)


def _look(packet: Packet, network: bytes, pieces: int, tally: Tally) -> Seen | None:
    datagram = ip.decode(network)
    if isinstance(datagram, str):
        if datagram == ip.NOT_UDP and _TCP_START.match(_tcp_payload(network)):
            tally.tcp += 1
        return None
    if datagram.flaw == ip.FRAGMENT:
        tally.incomplete += 1
        return None
    try:
        message = sip.parse(datagram.payload, _PARSED_FOR, _PARSED_FOR)
        if message is None:
            return None
    except sip.Malformed:
        message = None
    if datagram.flaw:
        tally.cut += 1
        return None
    state = ip.checksum_state(datagram)[0]
    return Seen(
        packet.number,
        _time(packet),
        datagram.endpoints,
        datagram.payload,
        message,
        pieces,
        len(network),
        state,
        bool(ip.surplus(datagram)),
    )


def _time(packet: Packet) -> int:
    return packet.seconds * 10**9 + packet.fraction * 10**9 // packet.resolution


def _tcp_payload(packet: bytes) -> bytes:
    if packet[0] >> 4 == 4:
        start, protocol = (packet[0] & 15) * 4, packet[9]
    else:
        start, protocol = 40, packet[6]
    if protocol != _TCP or len(packet) < start + 20:
        return b""
    return packet[start + (packet[start + 12] >> 4) * 4 :]


def header_fields(message: Message) -> Iterator[tuple[str, Span]]:
    """Every header field by its `field_name`, with the span of its value."""
    for spelled, span in sip.header_fields(message):
        yield field_name(spelled), span


def load(path: str, tally: Tally) -> list[Seen]:
    """All SIP messages of a capture file (`-`: standard input), as `read`."""
    with open_capture(path) as capture:
        return list(read(capture, tally))


def source_of(seen: Seen) -> str:
    """Where a message comes from, as `host:port`."""
    return endpoint_text(seen.source, seen.ports[0])


def destination_of(seen: Seen) -> str:
    """Where a message goes, as `host:port`."""
    return endpoint_text(seen.destination, seen.ports[1])
