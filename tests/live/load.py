"""Numbered INVITEs at a steady rate through the gateway, and who of them arrived."""

import socket
import threading
import time
from types import TracebackType
from typing import Self

from lab.site import Site
from tests.live.messages import HIDDEN, invite, numbered

RATE = 500  # packets a second: other tests run beside
SETTLE = 1.5  # seconds without a packet after which nothing more comes
_BUFFER = 64 << 20
_RCVBUFFORCE = 33  # socket(7); Python has no name for it


class Load:
    """Sends while its block runs; afterwards `sent` and `arrived` hold what went and what came."""

    def __init__(self, site: Site, rate: int = RATE) -> None:
        self._inside = site.udp("inside", Site.INSIDE)
        self._outside = site.udp("outside", Site.OUTSIDE)
        self._outside.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
        self._outside.settimeout(SETTLE)
        self._rate = rate
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._receive, self._send)]
        self._numbers: set[int] = set()
        self.sent = 0
        self.arrived: list[int] = []
        self.clear = 0  # arrived unmasked

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        for thread in reversed(self._threads):
            thread.join()

    def await_more(self, count: int) -> None:
        """Wait until so many more were sent."""
        wanted = self.sent + count
        while self.sent < wanted:
            time.sleep(0.01)

    @property
    def lost(self) -> int:
        return self.sent - len(self._numbers)

    def _send(self) -> None:
        begin = time.monotonic()
        while not self._is_over.is_set():
            self.sent += 1
            self._inside.sendto(invite(self.sent), (Site.OUTSIDE, 5060))
            ahead = self.sent / self._rate - (time.monotonic() - begin)
            if ahead > 0:
                time.sleep(ahead)

    def _receive(self) -> None:
        while not (self._is_over.is_set() and self.lost == 0):
            try:
                message = self._outside.recv(65535)
            except TimeoutError:
                if self._is_over.is_set():
                    return
                continue
            self.arrived.append(numbered(message))
            self._numbers.add(self.arrived[-1])
            self.clear += HIDDEN.encode() in message
