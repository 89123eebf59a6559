"""A conversation with a Redis in the packet path's own midst: over a connection that redis-py has made
(it logs in, selects, asks Sentinels), without what its client does for each command.
"""

import socket
from collections.abc import Sequence
from typing import Any, Final

import hiredis

from inline_topo.patience import set_patience

_READ: Final = 1 << 14  # bytes at a time


class Conversation:
    """Commands and replies over `connection`'s socket, each reply within `patience` seconds.

    `client` is whose connection it is: `close` ends both. OSError or HiredisError where Redis is gone,
    slow, or says what is no reply; the conversation must be closed then, as a late reply would be
    taken for that to the next command.
    """

    def __init__(self, client: Any, connection: Any, patience: float) -> None:
        self._client = client
        self._connection = connection  # which would close its socket if it were gone
        self._socket: socket.socket = connection._sock  # no public name
        set_patience(self._socket, patience, socket.SO_RCVTIMEO, socket.SO_SNDTIMEO)
        self._reader = hiredis.Reader()

    def ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The replies to the commands, in order; a refusal is a hiredis.ReplyError among them."""
        pack = hiredis.pack_command
        self._socket.sendall(b"".join([pack(command) for command in commands]))
        replies: list[Any] = []
        while len(replies) < len(commands):
            reply = self._reader.gets()
            if reply is False:  # there is none yet; no reply of RESP 2 is False
                self._read()
            else:
                replies.append(reply)
        return replies

    def _read(self) -> None:
        data = self._socket.recv(_READ)
        if not data:
            raise ConnectionResetError("Redis closed the connection")
        self._reader.feed(data)

    def close(self) -> None:
        """Close the connection."""
        close_client(self._client)


def close_client(client: Any) -> None:
    """Let go of a client's connections, and of those to the Sentinels that it asked."""
    client.close()
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for sentinel in manager.sentinels if manager else ():
        sentinel.close()
