"""NFQUEUE's netlink messages (linux/netfilter/nfnetlink_queue.h): packets as they come, verdicts as they go.

All that is known of their bytes is in this file.
"""

import socket
import struct
from enum import IntEnum
from typing import Final

LONGEST_READ: Final = 0xFFFF - 4
"""Bytes of a packet that the kernel hands over at most; of a longer one, the rest is cut off."""

MESSAGE_BYTES: Final = LONGEST_READ + 1024  # with the attributes beside the packet

_PACKET, _VERDICT, _CONFIG, _VERDICT_BATCH = 3 << 8, 3 << 8 | 1, 3 << 8 | 2, 3 << 8 | 3
_ERROR: Final = 2  # NLMSG_ERROR
_REQUEST: Final = 1  # NLM_F_REQUEST
_PARAMETERS, _VERDICT_HEADER, _PAYLOAD = 2, 2, 10  # NFQA_CFG_PARAMS, NFQA_VERDICT_HDR, NFQA_PAYLOAD
_COPY_PACKET: Final = 2  # NFQNL_COPY_PACKET

_HEADER: Final = struct.Struct("=IHHIIBBHHH")  # nlmsghdr, nfgenmsg, the first attribute's nlattr
_ATTRIBUTE: Final = struct.Struct("=HH")
_TWO_NUMBERS: Final = struct.Struct("!II")
_NUMBER: Final = struct.Struct("!I")
_TYPE: Final = struct.Struct("=H")
_ERRNO: Final = struct.Struct("=i")
_TYPE_AT, _ERRNO_AT, _ATTRIBUTES_AT, _NUMBER_AT = 4, 16, 20, 24
_BARE: Final = _HEADER.size + _TWO_NUMBERS.size  # a verdict without a packet


class Fate(IntEnum):
    """What the kernel does with a packet (linux/netfilter.h)."""

    DROP = 0
    ACCEPT = 1
    REPEAT = 4  # into the queue once more


class NetlinkError(Exception):
    """The kernel's answer to a message of ours that it could not follow."""


def packet(message: memoryview) -> tuple[int, bytes] | None:
    """The number and the bytes of the packet in a message; None where it has none.

    NetlinkError where the message says that an earlier one of ours failed.
    """
    (kind,) = _TYPE.unpack_from(message, _TYPE_AT)
    if kind != _PACKET:
        if kind == _ERROR and (code := -_ERRNO.unpack_from(message, _ERRNO_AT)[0]):
            raise NetlinkError(f"the kernel refuses a verdict (errno {code})")
        return None
    position, end = _ATTRIBUTES_AT, len(message)
    while position < end:
        size, kind = _ATTRIBUTE.unpack_from(message, position)
        if kind == _PAYLOAD:
            (number,) = _NUMBER.unpack_from(message, _NUMBER_AT)  # the first attribute, always
            return number, bytes(message[position + _ATTRIBUTE.size : position + size])
        position += size + 3 & -4
    return None


def verdict(queue: int, number: int, fate: Fate, replacement: bytes | None = None) -> bytes:
    """The message that judges one packet, and puts `replacement` in its place."""
    if replacement is None:
        head = _HEADER.pack(
            _BARE, _VERDICT, _REQUEST, 0, 0, 0, 0, socket.htons(queue), 12, _VERDICT_HEADER
        )
        return head + _TWO_NUMBERS.pack(fate, number)
    size = _ATTRIBUTE.size + len(replacement)
    padding = -size % 4
    head = _HEADER.pack(
        _BARE + size + padding, _VERDICT, _REQUEST, 0, 0, 0, 0, socket.htons(queue), 12,
        _VERDICT_HEADER,
    )  # fmt: skip
    return b"".join(
        (head, _TWO_NUMBERS.pack(fate, number), _ATTRIBUTE.pack(size, _PAYLOAD), replacement,
         bytes(padding))
    )  # fmt: skip


def verdict_up_to(queue: int, number: int, fate: Fate) -> bytes:
    """The message that judges all packets up to this number at once."""
    return _message(queue, _VERDICT_BATCH, _VERDICT_HEADER, _TWO_NUMBERS.pack(fate, number))


def whole_packets(queue: int) -> bytes:
    """The message that asks for as much of each packet as there can be."""
    return _message(queue, _CONFIG, _PARAMETERS, struct.pack("!IB", LONGEST_READ, _COPY_PACKET))


def _message(queue: int, kind: int, attribute: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    value += bytes(-length % 4)
    size = _HEADER.size + len(value)
    head = _HEADER.pack(size, kind, _REQUEST, 0, 0, 0, 0, socket.htons(queue), length, attribute)
    return head + value
