"""A tcpdump in a host of the laboratory, ended only when its file holds all that came."""

import re
import signal
import time

from lab.net import LISTENING, LabError, Net, stop

# Asked early, tcpdump answers in the middle of the line that says on what it listens.
_CAPTURED = re.compile(r"tcpdump: (\d+) packets? captured, (\d+) packets? received")


class Dump:
    """A running tcpdump; its messages go to `folder/LOG`.

    The kernel counts what came between the opening of the socket and the setting of the filter as
    received, and libpcap drops it: it is asked for once at the start, and not waited for."""

    def __init__(self, net: Net, host: str, log: str, *options: str) -> None:
        """Start a tcpdump with these options, and wait until it listens; LabError if it does not."""
        self._log = net.folder / log
        self._program = net.start(
            host, log, "tcpdump", "-Z", "root", "--immediate-mode", "-s", "0", *options
        )
        net.await_text(log, "listening on")
        captured, received = self._ask(time.monotonic() + LISTENING)
        self._before = received - captured

    def end(self, times: int = 1) -> None:
        """End it when it has written all that came up to now; LabError after `LISTENING` seconds.
        The kernel shows it each packet so many times: on `lo`, twice."""
        deadline = time.monotonic() + LISTENING
        captured, received = self._ask(deadline)
        while captured * times + self._before < received:
            if time.monotonic() > deadline:
                raise LabError(f"{self._log}: {captured} of {received} packets captured")
            time.sleep(0.01)
            captured, received = self._ask(deadline)
        stop(self._program)

    def _ask(self, deadline: float) -> tuple[int, int]:
        """The numbers of packets captured and received so far, as tcpdump tells them on SIGUSR1."""
        told = len(_CAPTURED.findall(self._log.read_text()))
        self._program.send_signal(signal.SIGUSR1)
        while len(found := _CAPTURED.findall(self._log.read_text())) == told:
            if self._program.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"{self._log}: {self._log.read_text()}")
            time.sleep(0.01)
        captured, received = found[-1]
        return int(captured), int(received)
