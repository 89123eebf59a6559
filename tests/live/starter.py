"""Starts `inline-topo` in a namespace by a fork of a process that has it imported: a start takes half a
second of a processor otherwise, and the live tests start hundreds.

Run as a program it reads one JSON object a line, and answers with one: `{"namespace", "folder", "log",
"words"}` with the pid, `{"ended": pid}` with the exit status, None while it runs.
"""

import atexit
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.net import NAMESPACES, NETWORK_NAMESPACE
from lab.ours import PYTHON

_THIS = Path(__file__)


class Forked:
    """A program that was forked: what is asked of a `subprocess.Popen`."""

    def __init__(self, starter: "Starter", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._starter = starter

    def poll(self) -> int | None:
        """Its exit status, as `Popen` says it; None while it runs."""
        if self.returncode is None:
            self.returncode = self._starter.ask(ended=self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; TimeoutExpired after so many seconds."""
        deadline = time.monotonic() + (timeout or 60.0)
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("inline-topo", timeout or 60.0)
            time.sleep(0.005)
        return status

    def send_signal(self, sig: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class Starter:
    """The process that is forked; it ends with this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [*PYTHON, "-u", str(_THIS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONSAFEPATH": "1"},
        )  # fmt: skip
        atexit.register(self._end)

    def ask(self, **question: Any) -> Any:
        """Its answer to a question."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, namespace: str, log: Path, *words: str) -> Forked:
        """Start `inline-topo` with these words, in the folder of its log."""
        folder = str(log.parent)
        pid = self.ask(namespace=namespace, folder=folder, log=str(log), words=words)
        return Forked(self, pid)

    def _end(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def _fork(namespace: str, folder: str, log: str, words: list[str]) -> int:
    """Start the program; returns when it leads a session of its own, and has a log."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid:
        os.close(tell)
        os.read(ready, 1)
        os.close(ready)
        return pid
    os.setsid()
    status = 1
    try:
        with open(NAMESPACES + namespace, "rb") as within:
            if ctypes.CDLL(None, use_errno=True).setns(within.fileno(), NETWORK_NAMESPACE):
                raise OSError(ctypes.get_errno(), "setns")
        os.chdir(folder)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, said), (2, said)):
            os.dup2(file, number)
        os.closerange(3, 256)  # `tell` among them
        sys.argv = ["inline-topo", *words]
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _serve() -> None:
    for line in sys.stdin:
        question = json.loads(line)
        answer = _ended(question["ended"]) if "ended" in question else _fork(**question)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    from inline_topo.cli import main

    for module in ("edges.live.service", "edges.live.monitor", "rules.preflight"):
        import_module(f"inline_topo.{module}")  # which `run` imports when it is called
    _serve()
