"""`inline-topo run` in a host of its own."""

import os
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from inline_topo.cli import cli
from inline_topo.edges.live.ask import ask
from inline_topo.edges.live.worker import TICK
from inline_topo.errors import InlineTopoError
from inline_topo.masking.codecs.keyring import KeyRing
from lab.net import Net, Program
from lab.ours import INLINE_TOPO
from lab.site import Site
from tests.live.starter import Starter

CONFIG = f"""\
inside = ["{Site.INSIDE}", "{Site.INSIDE6}"]
[topoh]
mask_key_file = "mask.key"
"""
PATIENCE = 10.0  # seconds
_ROUNDED = 0.001  # seconds
GROWN = 1.2
"""Seconds after which a worker that dies is not taken for a victim of its packet: the supervisor's one,
and some."""


@cache
def _starter() -> Starter:
    return Starter()


class Running:
    """`inline-topo run` in a host, with the rules that send it packets."""

    program: tuple[str, ...] = INLINE_TOPO
    port = 9469
    """Where it answers, by default."""

    def __init__(
        self,
        net: Net,
        config: str,
        *options: str,
        before: tuple[str, ...] = (),
        host: str = "gw",
        name: str = "gateway",
    ) -> None:
        """`name`: of its log, where there are two."""
        self.net = net
        self._log = f"{name}.log"
        self.host = host
        self.config = net.folder / "gw.toml"
        self.config.write_text(config)
        if not (net.folder / "mask.key").exists():
            KeyRing.generate().save(net.folder / "mask.key")
        self.rules("apply")
        self.start(*options, before=before)

    def start(self, *options: str, before: tuple[str, ...] = ()) -> None:
        """Start it, and wait until it is ready; `before`: words of a command that runs it."""
        words = ("run", "-c", "gw.toml", *options)
        self.process = self._start(words, before)
        deadline = time.monotonic() + PATIENCE
        while "event=ready" not in self.log():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def _start(self, words: tuple[str, ...], before: tuple[str, ...]) -> Program:
        if before or self.program is not INLINE_TOPO:
            return self.net.start(self.host, self._log, *before, *self.program, *words)
        log = self.net.folder / self._log
        program = _starter().start(self.net.name_of(self.host), log, *words)
        self.net.adopt(program)
        return program

    def rules(self, word: str) -> None:
        """`inline-topo rules apply` or `remove`, in the gateway's host."""
        words = ["rules", word, *(["-c", str(self.config)] if word == "apply" else [])]
        self.net.within(self.host, lambda: cli.main(words, standalone_mode=False))

    @property
    def site(self) -> Site:
        """The network, where it has an inside and an outside."""
        assert isinstance(self.net, Site)
        return self.net

    def log(self) -> str:
        return (self.net.folder / self._log).read_text()

    def status(self) -> dict[str, Any]:
        """What `inline-topo status --json` says, once it has all that was counted up to now: when every
        worker has looked up since, or hangs."""
        asked = time.monotonic()
        while True:
            since = time.monotonic() - asked
            state = self.snapshot()
            turned = [queue["seconds_since_turn"] + _ROUNDED for queue in state["queues"]]
            if since > 2 * TICK or max(turned) < since:
                return state
            time.sleep(0.02)

    def snapshot(self) -> dict[str, Any]:
        """What the gateway says at once; it may not have counted all."""
        state: dict[str, Any] = self.net.within(self.host, lambda: ask(self.port))
        return state

    def outcomes(self) -> dict[str, int]:
        """How often each outcome came, in all directions."""
        counts: dict[str, int] = {}
        for outcomes in self.status()["outcomes"].values():
            for name, count in outcomes.items():
                counts[name] = counts.get(name, 0) + count
        return counts

    def await_status(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The state once it is as wanted, with all that was counted up to then; AssertionError after
        PATIENCE seconds."""
        deadline = time.monotonic() + PATIENCE
        while not is_so(state := self.snapshot()):
            assert time.monotonic() < deadline, state
            time.sleep(0.02)
        return self.status()

    def worker(self, queue: int = 0) -> int:
        """The process that serves the first queue, or this one."""
        pid = self.snapshot()["queues"][queue]["pid"]
        assert isinstance(pid, int)
        return pid

    def grown_worker(self, queue: int = 0) -> int:
        """The same when it is so old that its death is not laid to the packet in its hand."""
        pid = self.worker(queue)
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        born = ticks / os.sysconf("SC_CLK_TCK")
        time.sleep(max(0.0, born + GROWN - time.clock_gettime(time.CLOCK_BOOTTIME)))
        return pid

    def kill(self) -> None:
        """kill -9 of the supervisor; returns when its other processes have noticed, and its log is empty."""
        left = [queue["pid"] for queue in self.snapshot()["queues"]]
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + PATIENCE
        while any(Path(f"/proc/{pid}").exists() for pid in left) or self._is_asked():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)
        (self.net.folder / self._log).write_text("")

    def _is_asked(self) -> bool:
        """Whether somebody answers on its port."""
        try:
            self.snapshot()
        except InlineTopoError:
            return False
        return True

    def end(self) -> int:
        """SIGTERM; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)
