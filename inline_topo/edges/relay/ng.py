"""rtpengine's ng protocol: a cookie and a dictionary in one datagram, and its answer in another.

The dictionary is JSON, which rtpengine reads as well as bencode: a library for that which takes
dictionaries in rtpengine's order is not to be had. Bytes go as the characters of the same numbers
(Latin-1), so that any come back as they were. A command that is sent again with its cookie is not
done again.
"""

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

Command = Mapping[str, Any]
"""Keys as rtpengine has them; values are texts, numbers, lists of texts, or bytes."""

_TRIES = 4  # in the time that there is
_LARGEST = 65535


class NgError(Exception):
    """No answer, or none that can be read. The text says which."""


class Client:
    """Talks to `address` (IP address and port) over one socket, opened when it is first used."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._cookie = b""
        self._count = 0

    def ask(self, commands: Sequence[Command], timeout: float) -> list[dict[str, Any] | NgError]:
        """The answers in order, or what went wrong. Blocks for `timeout` seconds at most."""
        replies: dict[bytes, dict[str, Any] | NgError] = {}
        cookies: list[bytes] = []
        try:
            waiting = {self._next_cookie(): _encode(command) for command in commands}
            cookies += waiting
            self._await(waiting, replies, timeout)
        except OSError as error:
            self.close()
            reason = NgError(_reason(error))
            return [replies.get(cookie, reason) for cookie in cookies] or [reason] * len(commands)
        silent = NgError("no answer in time")
        return [replies.get(cookie, silent) for cookie in cookies]

    def tell(self, commands: Sequence[Command]) -> None:
        """Send, and wait for nothing. OSError where that cannot be done."""
        try:
            for command in commands:
                self._send(self._next_cookie(), _encode(command))
            while True:  # what came for earlier ones
                self._open().recv(_LARGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _await(
        self,
        waiting: dict[bytes, bytes],
        replies: dict[bytes, dict[str, Any] | NgError],
        timeout: float,
    ) -> None:
        end = time.monotonic() + timeout
        send_at = 0.0
        while waiting and (now := time.monotonic()) < end:
            if now >= send_at:
                for cookie, text in waiting.items():
                    self._send(cookie, text)
                send_at = now + timeout / _TRIES
            sock = self._open()
            sock.settimeout(max(min(send_at, end) - now, 0.001))
            try:
                datagram = sock.recv(_LARGEST)
            except TimeoutError:
                continue
            cookie, _, text = datagram.partition(b" ")
            if waiting.pop(cookie, None) is not None:
                replies[cookie] = _decode(text)

    def _send(self, cookie: bytes, text: bytes) -> None:
        self._open().send(cookie + b" " + text)

    def _open(self) -> socket.socket:
        if self._socket is None:
            host, port = self._address
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.connect((host, port))
            self._cookie = os.urandom(6).hex().encode()
        return self._socket

    def _next_cookie(self) -> bytes:
        self._open()
        self._count += 1
        return self._cookie + b"_%d" % self._count


def _encode(command: Command) -> bytes:
    plain = {
        key: value.decode("latin-1") if isinstance(value, bytes) else value
        for key, value in command.items()
    }
    return json.dumps(plain, separators=(",", ":")).encode()


def _decode(text: bytes) -> dict[str, Any] | NgError:
    try:
        reply = json.loads(text)
    except ValueError:
        reply = None
    return reply if isinstance(reply, dict) else NgError("an answer that is no dictionary")


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return error.strerror or type(error).__name__
