"""`inline-topo run` in a host of its own."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

from inline_topo.edges.live.worker import TICK
from inline_topo.masking.codecs.keyring import KeyRing
from lab.net import Net
from lab.ours import INLINE_TOPO
from lab.site import Site

CONFIG = f"""\
inside = ["{Site.INSIDE}", "{Site.INSIDE6}"]
[topoh]
mask_key_file = "mask.key"
"""
PATIENCE = 10.0  # seconds


class Running:
    """`inline-topo run` in a host, with the rules that send it packets."""

    program: tuple[str, ...] = INLINE_TOPO

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
        self.rules("apply", "-c", "gw.toml")
        self.start(*options, before=before)

    def start(self, *options: str, before: tuple[str, ...] = ()) -> None:
        """Start it, and wait until it is ready; `before`: words of a command that runs it."""
        command = (*before, *self.program, "run", "-c", "gw.toml", *options)
        self.process = self.net.start(self.host, self._log, *command)
        try:
            self.net.await_text(self._log, "event=ready")
        except Exception as error:
            raise AssertionError(self.log()) from error

    def rules(self, *words: str) -> None:
        """`inline-topo rules`, in the gateway's host and folder."""
        folder = ("env", "-C", str(self.net.folder))
        self.net.run(self.host, *folder, *INLINE_TOPO, "rules", *words)

    @property
    def site(self) -> Site:
        """The network, where it has an inside and an outside."""
        assert isinstance(self.net, Site)
        return self.net

    def log(self) -> str:
        return (self.net.folder / self._log).read_text()

    def status(self) -> dict[str, Any]:
        """What `inline-topo status --json` says, once it has all that was counted up to now."""
        time.sleep(2 * TICK)
        command = ("ip", "netns", "exec", f"lab{os.getpid()}-{self.host}", *INLINE_TOPO)
        done = subprocess.run(
            [*command, "status", "--json", "-c", str(self.config)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        state: dict[str, Any] = json.loads(done.stdout)
        return state

    def outcomes(self) -> dict[str, int]:
        """How often each outcome came, in all directions."""
        counts: dict[str, int] = {}
        for outcomes in self.status()["outcomes"].values():
            for name, count in outcomes.items():
                counts[name] = counts.get(name, 0) + count
        return counts

    def await_status(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The state once it is as wanted; AssertionError after PATIENCE seconds."""
        deadline = time.monotonic() + PATIENCE
        while not is_so(state := self.status()):
            assert time.monotonic() < deadline, state
            time.sleep(0.1)
        return state

    def worker(self) -> int:
        """The process that serves the first queue."""
        pid = self.status()["queues"][0]["pid"]
        assert isinstance(pid, int)
        return pid

    def end(self) -> int:
        """SIGTERM; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)
