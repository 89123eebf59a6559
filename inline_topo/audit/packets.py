"""IP packets in which no message was read, though there may be SIP in them: over TCP, TLS, in a tunnel,
broken or incomplete. It matters where a port of SIP is theirs, or SIP is in sight; any other traffic
does not.
"""

import re
from typing import Final, NamedTuple

from inline_topo.audit.findings import INCOMPLETE, MALFORMED, TCP, TLS, TUNNEL

SIPS_PORT: Final = 5061

OTHER_TRANSPORTS: Final = frozenset({TCP, TLS, TUNNEL})
"""What is not read whichever way it goes."""

_VERSION: Final = re.compile(rb"/[0-9]+\.[0-9]")
_START_LINE: Final = re.compile(
    rb"\n(?:sip/[0-9]\.[0-9] [0-9]{3} |[a-z]{1,32} [a-z]{1,16}:[^\s]{1,256} sip/[0-9])",
    re.IGNORECASE,
)
_TCP, _UDP, _SCTP, _UDP_LITE = 6, 17, 132, 136  # IANA's protocol numbers
_ICMP: Final = frozenset({1, 58})  # they quote
_SKIPPED_IPV6: Final = frozenset({0, 43, 60, 135, 139, 140})
_FRAGMENT, _AUTHENTICATION = 44, 51
_TLS_RECORDS: Final = (b"\x14\x03", b"\x15\x03", b"\x16\x03", b"\x17\x03")
_DTLS_RECORDS: Final = (b"\x14\xfe", b"\x15\xfe", b"\x16\xfe", b"\x17\xfe")


class Unread(NamedTuple):
    """Why a packet was not read (a key of findings.NOT_READ_MEANS), and its packed addresses."""

    reason: str
    source: bytes
    destination: bytes


class _Packet(NamedTuple):
    """`payload` is where the transport's header begins; `is_whole`: no fragment, nothing missing."""

    source: bytes
    destination: bytes
    protocol: int
    payload: int
    end: int
    is_whole: bool


def unread(packet: bytes, ports: frozenset[int]) -> Unread | None:
    """Why an IP packet, in which no message was read, may hold one; None where it does not matter.
    `ports` are those of SIP."""
    network = _decode(packet)
    if network is None:
        return Unread(MALFORMED, *_addresses(packet)) if in_sight(packet) else None
    reason = _reason(packet, network, ports | {SIPS_PORT})
    return Unread(reason, network.source, network.destination) if reason else None


def unread_frame(frame: bytes) -> str:
    """The same for a frame that carries no IP packet that we know (MPLS, ...); empty for None."""
    return TUNNEL if in_sight(frame) else ""


def in_sight(data: bytes, start: int = 0) -> bool:
    """Whether a version of SIP stands in data[start:], in any case."""
    for match in _VERSION.finditer(data, start + 3):
        if data[match.start() - 3 : match.start()].lower() == b"sip":
            return True
    return False


def may_matter(packet: bytes) -> bool:
    """Whether a whole UDP datagram that is no SIP may be told at all: a quick look."""
    return b"\xfe\xfd" in packet or b"\xfe\xff" in packet or in_sight(packet)


def _addresses(packet: bytes) -> tuple[bytes, bytes]:
    """Source and destination, though the headers do not fit; empty where they are not there."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        return packet[12:16], packet[16:20]
    return b"", b""


def _reason(packet: bytes, network: _Packet, ports: frozenset[int]) -> str:
    protocol, start = network.protocol, network.payload
    has_ports = protocol in (_TCP, _UDP, _SCTP) and start + 4 <= len(packet)
    source = int.from_bytes(packet[start : start + 2], "big") if has_ports else 0
    destination = int.from_bytes(packet[start + 2 : start + 4], "big") if has_ports else 0
    on_port = source in ports or destination in ports
    is_seen = in_sight(packet, start)
    if not on_port and not is_seen:
        return ""
    if not network.is_whole:
        return INCOMPLETE
    if protocol == _TCP:
        head = start + 12 < len(packet) and (packet[start + 12] >> 4) * 4
        begin = packet[start + head : start + head + 2] if head else b""
        is_tls = begin in _TLS_RECORDS or SIPS_PORT in (source, destination)
        return TLS if is_tls and not is_seen else TCP
    if protocol == _SCTP:
        return TCP
    if protocol == _UDP:
        if _does_not_fit(packet, network):
            return MALFORMED
        if packet[start + 8 : start + 10] in _DTLS_RECORDS:
            return TLS
        if not is_seen:
            return ""
        return MALFORMED if on_port or _START_LINE.search(packet, start + 8) else TUNNEL
    if not is_seen or protocol in _ICMP:
        return ""
    return MALFORMED if protocol == _UDP_LITE else TUNNEL


def _does_not_fit(packet: bytes, network: _Packet) -> bool:
    """Whether the length of a UDP header is not that of its datagram (zeros behind it are padding)."""
    start = network.payload
    length = int.from_bytes(packet[start + 4 : start + 6], "big")
    end = start + length
    return start + 8 > network.end or length < 8 or end > network.end or any(packet[end:])


def _decode(packet: bytes) -> _Packet | None:
    """The network layer of a packet; None where its headers do not fit."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        start, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big") or len(packet)
        if start < 20 or total < start:
            return None
        is_fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF
        is_whole = not is_fragment and len(packet) >= total
        return _Packet(packet[12:16], packet[16:20], packet[9], start, total, is_whole)
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return _decode_ipv6(packet)
    return None


def _decode_ipv6(packet: bytes) -> _Packet | None:
    protocol, start = packet[6], 40
    length = int.from_bytes(packet[4:6], "big")
    total = 40 + length if length else len(packet)
    is_whole = len(packet) >= total
    while start + 8 <= len(packet):
        if protocol == _FRAGMENT:
            is_whole = (
                is_whole and not int.from_bytes(packet[start + 2 : start + 4], "big") & 0xFFF9
            )
            protocol, start = packet[start], start + 8
        elif protocol == _AUTHENTICATION:
            protocol, start = packet[start], start + (packet[start + 1] + 2) * 4
        elif protocol in _SKIPPED_IPV6:
            protocol, start = packet[start], start + (packet[start + 1] + 1) * 8
        else:
            break
    return _Packet(packet[8:24], packet[24:40], protocol, start, total, is_whole)
