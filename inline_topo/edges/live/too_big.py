"""ICMPv6 Packet Too Big (RFC 4443 section 3.2) to senders of IPv6 messages that outgrow the MTU: no router
cuts them, so their next ones have to come in fragments, which the gateway puts together and the kernel
cuts again.

The answer is the gateway's own, as the kernel's tells an MTU that the sender's packet has kept.
"""

import logging
import socket
import struct
import time
from collections import OrderedDict
from typing import Final

LEAST_MTU: Final = 1280
"""What every link of IPv6 carries (RFC 8200 section 5): below it no sender cuts."""

AGAIN: Final = 1.0
"""Seconds between two answers to one sender about one receiver."""

A_SECOND: Final = 50
"""Answers to all of them (RFC 4443 section 2.4 f)."""

_MOST_SENDERS: Final = 1024
_TYPE: Final = 2
_HEADER: Final = struct.Struct("!BBHI")  # type, code, checksum (the kernel's work), MTU
_QUOTED: Final = LEAST_MTU - 40 - _HEADER.size
_ICMP6_FILTER: Final = 1  # linux/icmpv6.h: a set bit keeps a type away
_UNSPECIFIED: Final = bytes(16)

log = logging.getLogger(__name__)


def open_socket() -> socket.socket | None:
    """A socket that sends ICMPv6 and receives nothing, which takes CAP_NET_RAW; None where it is not to be
    had, which is said unless there is no IPv6."""
    try:
        made = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    except PermissionError:
        log.warning(
            "no CAP_NET_RAW: senders of IPv6 messages that outgrow the MTU are not told, and these are lost"
        )
        return None
    except OSError:
        return None
    made.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, b"\xff" * 32)
    made.setblocking(False)
    return made


class TooBig:
    """Tells senders; `mtu` is that of the link behind the gateway."""

    def __init__(self, sender: socket.socket, mtu: int) -> None:
        self._sender = sender
        self._mtu = mtu
        self._told: OrderedDict[bytes, float] = OrderedDict()  # by both addresses: when
        self._second = 0
        self._in_second = 0

    def tell(self, packet: bytes, grown_to: int) -> int:
        """Answer the sender of an IPv6 packet that grew to so many bytes: the MTU that it is told, so that
        what it sends next still fits when it has grown as much; 0 where it is not told (just told already,
        too many are, or no fragments would help)."""
        mtu = max(LEAST_MTU, self._mtu - (grown_to - len(packet)))
        if len(packet) <= mtu or not _is_host(packet[8:24]) or not _is_host(packet[24:40]):
            return 0
        if not self._may_tell(packet[8:40]):
            return 0
        try:
            sent = _HEADER.pack(_TYPE, 0, 0, mtu) + packet[:_QUOTED]
            self._sender.sendto(sent, (socket.inet_ntop(socket.AF_INET6, packet[8:24]), 0))
        except OSError:  # no way there, no address of one's own, or the socket's buffer is full
            return 0
        return mtu

    def _may_tell(self, ends: bytes) -> bool:
        now = time.monotonic()
        if now - self._told.get(ends, -AGAIN) < AGAIN:
            return False
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        if self._in_second >= A_SECOND:
            return False
        self._in_second += 1
        self._told[ends] = now
        self._told.move_to_end(ends)
        if len(self._told) > _MOST_SENDERS:
            self._told.popitem(last=False)
        return True


def _is_host(address: bytes) -> bool:
    """Whether an address is one that an error may be about: neither unspecified, nor multicast, nor of
    a link (RFC 4443 section 2.4 e)."""
    return address != _UNSPECIFIED and address[0] != 0xFF and address[:2] != b"\xfe\x80"
