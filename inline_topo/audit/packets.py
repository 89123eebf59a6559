"""IP packets in which no message was read, though there may be SIP in them: over TCP, TLS, in a tunnel,
broken or incomplete. It matters where a port of SIP is theirs, or SIP is in sight; any other traffic
does not.
"""

import re
from typing import Final, NamedTuple

from inline_topo.audit.findings import INCOMPLETE, MALFORMED, TCP, TLS, TUNNEL

SIPS_PORT: Final = 5061

_IN_SIGHT: Final = re.compile(rb"sip/[0-9]+\.[0-9]", re.IGNORECASE)
_TCP, _UDP, _SCTP = 6, 17, 132
_TUNNELS: Final = frozenset({4, 41, 47, 55, 94, 97, 98, 115, 137})  # IANA's protocol numbers
_SKIPPED_IPV6: Final = frozenset({0, 43, 60, 135})
_FRAGMENT, _AUTHENTICATION = 44, 51
_MOST_EXTENSIONS: Final = 16
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
        in_sight = _IN_SIGHT.search(packet)
        return Unread(MALFORMED, b"", b"") if in_sight else None
    reason = _reason(packet, network, ports | {SIPS_PORT})
    return Unread(reason, network.source, network.destination) if reason else None


def _reason(packet: bytes, network: _Packet, ports: frozenset[int]) -> str:
    protocol, start = network.protocol, network.payload
    has_ports = protocol in (_TCP, _UDP, _SCTP) and start + 4 <= len(packet)
    source = int.from_bytes(packet[start : start + 2], "big") if has_ports else 0
    destination = int.from_bytes(packet[start + 2 : start + 4], "big") if has_ports else 0
    on_port = source in ports or destination in ports
    in_sight = _IN_SIGHT.search(packet, start) is not None
    if not on_port and not in_sight:
        return ""
    if not network.is_whole:
        return INCOMPLETE
    if protocol == _TCP:
        head = start + 12 < len(packet) and (packet[start + 12] >> 4) * 4
        begin = packet[start + head : start + head + 2] if head else b""
        is_tls = begin in _TLS_RECORDS or SIPS_PORT in (source, destination)
        return TLS if is_tls and not in_sight else TCP
    if protocol == _SCTP:
        return TCP
    if protocol == _UDP:
        if _does_not_fit(packet, network):
            return MALFORMED
        if packet[start + 8 : start + 10] in _DTLS_RECORDS:
            return TLS
        return TUNNEL if in_sight else ""
    return TUNNEL if in_sight and protocol in _TUNNELS else ""


def _does_not_fit(packet: bytes, network: _Packet) -> bool:
    """Whether the length of a UDP header is not that of its datagram."""
    start = network.payload
    length = int.from_bytes(packet[start + 4 : start + 6], "big")
    return start + 8 > network.end or length < 8 or start + length > network.end


def _decode(packet: bytes) -> _Packet | None:
    """The network layer of a packet; None where its headers do not fit."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        start, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
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
    total = 40 + int.from_bytes(packet[4:6], "big")
    is_whole = len(packet) >= total
    for _ in range(_MOST_EXTENSIONS):
        if start + 8 > len(packet):
            break
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
