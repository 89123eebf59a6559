"""A reader of a kernel's queue over plain netlink, independent of the gateway's own binding."""

import select
import socket
import struct
from types import TracebackType
from typing import NamedTuple, Self

from tests.netns.topology import Namespace

_NETFILTER = 12  # NETLINK_NETFILTER
_QUEUE = 3 << 8  # NFNL_SUBSYS_QUEUE
_PACKET, _VERDICT, _CONFIG = 0, 1, 2  # nfnetlink_queue.h
_REQUEST, _ACK = 1, 4
ACCEPT = 1

FORWARD, INPUT, OUTPUT = 2, 1, 3  # netfilter.h


class Queued(NamedTuple):
    """A packet in the queue: the kernel's number, the hook it waits at, and its bytes from the IP
    header on."""

    number: int
    hook: int
    packet: bytes


class Listener:
    """Who listens to one queue of a host, for as long as the block lasts."""

    def __init__(self, host: Namespace, queue: int = 0) -> None:
        self._queue = queue
        with host.enter():
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)

    def __enter__(self) -> Self:
        self._socket.settimeout(2)
        self._socket.bind((0, 0))
        bind = struct.pack(">BBH", 1, 0, 0)
        whole = struct.pack(">IB", 0xFFFF, 2)  # NFQNL_COPY_PACKET
        for attribute in (_attribute(1, bind), _attribute(2, whole)):
            self._send(_CONFIG, attribute, _REQUEST | _ACK)
            error = struct.unpack_from("=i", self._socket.recv(4096), 16)[0]
            if error:
                raise OSError(-error, "queue refused")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def accept(self) -> Queued:
        """The next packet, sent on as it is. TimeoutError if none comes within two seconds."""
        queued = _parse(self._socket.recv(1 << 17))
        self._send(_VERDICT, _attribute(2, struct.pack(">II", ACCEPT, queued.number)), _REQUEST)
        return queued

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def has_more(self, seconds: float = 0.3) -> bool:
        """Whether a packet waits, or comes within this time."""
        return bool(select.select([self], [], [], seconds)[0])

    def _send(self, kind: int, attribute: bytes, flags: int) -> None:
        body = struct.pack("=BBH", 0, 0, socket.htons(self._queue)) + attribute
        self._socket.send(struct.pack("=IHHII", 16 + len(body), _QUEUE | kind, flags, 1, 0) + body)


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _parse(message: bytes) -> Queued:
    length = struct.unpack_from("=I", message)[0]
    number, hook, packet = -1, -1, b""
    at = 20
    while at < length:
        size, kind = struct.unpack_from("=HH", message, at)
        data = message[at + 4 : at + size]
        if kind & 0x7FFF == 1:
            number, hook = struct.unpack_from(">I", data)[0], data[6]
        elif kind & 0x7FFF == 10:
            packet = data
        at += size + (-size % 4)
    return Queued(number, hook, packet)
