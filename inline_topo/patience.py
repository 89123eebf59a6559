"""How long a socket's calls may block, by the kernel: with Python's own timeout each call is preceded by
one of poll."""

import socket
import struct
from typing import Final

_TIMEVAL: Final = struct.Struct("@ll")


def set_patience(source: socket.socket, seconds: float, *options: int) -> None:
    """Have calls end after `seconds`, with BlockingIOError: those that receive, or those that `options`
    name (SO_RCVTIMEO, SO_SNDTIMEO)."""
    whole = int(seconds)
    timeval = _TIMEVAL.pack(whole, int((seconds - whole) * 1_000_000))
    source.setblocking(True)
    for option in options or (socket.SO_RCVTIMEO,):
        source.setsockopt(socket.SOL_SOCKET, option, timeval)
