"""Link layers of captures: where the IP packet lies in a frame, and a frame with another one in it.

Link types are LINKTYPE_ numbers (https://www.tcpdump.org/linktypes.html). What the IP header does
not count (Ethernet padding, a frame check sequence) lies behind the packet and is never touched.
"""

from typing import Final

from inline_topo.errors import CaptureError

NULL, ETHERNET, LOOP, LINUX_SLL, LINUX_SLL2 = 0, 1, 108, 113, 276
# LINKTYPE_RAW, both numbers that BSDs wrote for DLT_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6
RAW_IP: Final = frozenset({101, 12, 14, 228, 229})

_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_TAGS: Final = frozenset(
    {b"\x81\x00", b"\x88\xa8", b"\x91\x00"}
)  # IEEE 802.1Q, 802.1ad, the older QinQ
_PPPOE_SESSION: Final = b"\x88\x64"  # RFC 2516, section 4
_PPPOE_START: Final = b"\x11\x00"  # version 1, type 1, code 0: session data
# RFC 1332, RFC 5072; in one byte where the zero is left out (RFC 1661, section 6.5)
_PPP: Final = {b"\x00\x21": _IPV4, b"\x21": _IPV4, b"\x00\x57": _IPV6, b"\x57": _IPV6}
_SUPPORTED: Final = (
    "Ethernet (1), Linux cooked (113, 276), raw IP (101, 12, 14, 228, 229), BSD (0, 108)"
)


def network_packet(linktype: int, frame: bytes) -> tuple[int, int] | None:
    """Offset and end of the IP packet in `frame`; None where it carries none.

    `end` follows from the IP header's own length, or is the frame's end where the capture was cut
    short of it. A length of 0 in it (written before the card has cut a large packet up), and one
    that is too small, mean: to the end of the frame. A link type we do not know raises CaptureError.
    """
    if linktype == ETHERNET:
        kind, offset = frame[12:14], 14
        if kind == _IPV4:
            return _ipv4(frame, 14)
    elif linktype == LINUX_SLL:
        kind, offset = frame[14:16], 16
    elif linktype == LINUX_SLL2:
        kind, offset = frame[0:2], 20
    elif linktype in RAW_IP:
        return _ip(frame, 0)
    elif linktype in (NULL, LOOP):
        # An address family: a small number in the byte order, and with the AF_INET6 (24, 28, 30),
        # of whoever wrote the file. The IP version says the rest.
        return _ip(frame, 4) if frame[:4].count(0) == 3 else None
    else:
        raise CaptureError(f"link type {linktype} is not supported, only {_SUPPORTED}")

    while kind in _TAGS:
        kind = frame[offset + 2 : offset + 4]
        offset += 4
    if kind == _PPPOE_SESSION and frame[offset : offset + 2] == _PPPOE_START:
        size = 1 if frame[offset + 6 : offset + 7] in _PPP else 2
        kind = _PPP.get(frame[offset + 6 : offset + 6 + size], b"")
        offset += 6 + size
    if kind == _IPV4:
        return _ipv4(frame, offset)
    if kind == _IPV6:
        return _ipv6(frame, offset)
    return None


def replace(frame: bytes, offset: int, end: int, packet: bytes) -> bytes:
    """`frame` with `packet` where [offset:end] was, everything around it kept.

    The one link header that counts what follows, PPPoE's, gets its length field mended.
    """
    head = frame[:offset]
    length_at = _pppoe_length(head)
    if length_at:
        length = int.from_bytes(head[length_at : length_at + 2], "big")
        length += len(packet) - (end - offset)
        if not 0 <= length <= 0xFFFF:
            raise CaptureError(f"a packet of {len(packet)} bytes does not fit into a PPPoE frame")
        head = head[:length_at] + length.to_bytes(2, "big") + head[length_at + 2 :]
    return head + packet + frame[end:]


def path(frame: bytes, offset: int) -> bytes:
    """The link header without what differs between frames of one path: tells apart one packet
    that was captured in several places (two interfaces, before and behind a hop)."""
    head = frame[:offset]
    length_at = _pppoe_length(head)
    return head[:length_at] + head[length_at + 2 :] if length_at else head


def _pppoe_length(head: bytes) -> int:
    """Where PPPoE's length field is in a link header, 0 if the header does not end with PPPoE."""
    for size in (1, 2):
        if head[-size:] in _PPP and head[-size - 6 : -size - 4] == _PPPOE_START:
            return len(head) - size - 2
    return 0


def _ip(frame: bytes, offset: int) -> tuple[int, int] | None:
    version = frame[offset] >> 4 if len(frame) > offset else 0
    if version == 4:
        return _ipv4(frame, offset)
    return _ipv6(frame, offset) if version == 6 else None


def _ipv4(frame: bytes, offset: int) -> tuple[int, int] | None:
    size = len(frame)
    if size < offset + 20 or frame[offset] >> 4 != 4:
        return None
    total = frame[offset + 2] << 8 | frame[offset + 3]
    return offset, min(offset + total, size) if total >= 20 else size


def _ipv6(frame: bytes, offset: int) -> tuple[int, int] | None:
    size = len(frame)
    if size < offset + 40 or frame[offset] >> 4 != 6:
        return None
    payload = frame[offset + 4] << 8 | frame[offset + 5]
    return offset, min(offset + 40 + payload, size) if payload else size
