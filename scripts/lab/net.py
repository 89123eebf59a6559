"""Hosts in network namespaces on one link, and the programs that run in them."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

OFFLOAD = Path(__file__).parent / "offload.py"
LISTENING = 10.0  # seconds that a program may take to open its port
NETWORK_NAMESPACE = 0x40000000  # CLONE_NEWNET
NAMESPACES = "/var/run/netns/"
_Result = TypeVar("_Result")


class LabError(Exception):
    """A command of the laboratory failed; the message says which and why."""


class Program(Protocol):
    """A process at work, as `subprocess.Popen` is one. Its children are in its group."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...
    def terminate(self) -> None: ...


class Net:
    """Namespaces on one bridge; every address is on the link. All is gone when the block ends."""

    def __init__(self, folder: Path, *, offload: bool = False) -> None:
        """`offload`: leave checksums to the links, as network cards do; captures show them unfinished."""
        self.folder = folder
        self._offload = offload
        self._prefix = f"lab{os.getpid()}-"
        self._namespaces: list[str] = []
        self._running: list[Program] = []

    def __enter__(self) -> Self:
        try:
            self._namespace("link")
            self._ip("link", "link", "add", "br0", "type", "bridge")
            self._ip("link", "link", "set", "br0", "up")
        except LabError:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the programs and remove the namespaces."""
        for program in self._running:
            _interrupt(program)
        for program in self._running:
            _await_end(program)
        for name in self._namespaces:
            subprocess.run(["ip", "netns", "del", name], check=False)

    def host(self, name: str, *addresses: str) -> None:
        """A host on the bridge. A packet to 192.168.0.0/16 leaves from its first address that
        is in there, any other packet from its first address that is not, if it has both."""
        self._namespace(name)
        self._ip("link", "link", "add", "eth0", "netns", self._prefix + name,
                 "type", "veth", "peer", "name", f"to-{name}")  # fmt: skip
        self._ip("link", "link", "set", f"to-{name}", "master", "br0", "up")
        for address in addresses:
            self._address(name, "eth0", address)
        self._up(name, "eth0")
        private = [a for a in addresses if a.startswith("192.168.")]
        public = [a for a in addresses if "." in a and a not in private]
        if any(":" in a for a in addresses):
            self._ip(name, "-6", "route", "add", "default", "dev", "eth0")
        if public or private:
            source = (public or private)[0]
            self._ip(name, "route", "add", "default", "dev", "eth0", "src", source)
        if public and private:
            self._ip(name, "route", "add", "192.168.0.0/16", "dev", "eth0", "src", private[0])

    def home(self, name: str, address: str, router: str, public: str) -> None:
        """A host behind a router that translates: its packets come from `public`."""
        self.host(f"{name}-nat", public)
        self._namespace(name)
        self._ip(f"{name}-nat", "link", "add", "home", "type", "veth",
                 "peer", "name", "eth0", "netns", self._prefix + name)  # fmt: skip
        self._address(f"{name}-nat", "home", router)
        self._address(name, "eth0", address)
        self._up(f"{name}-nat", "home")
        self._up(name, "eth0")
        self._ip(f"{name}-nat", "route", "add", address, "dev", "home")
        self._ip(name, "route", "add", "default", "dev", "eth0")
        masquerade = [
            "iptables",
            "-t",
            "nat",
            "-A",
            "POSTROUTING",
            "-o",
            "eth0",
            "-j",
            "MASQUERADE",
        ]
        self.run(f"{name}-nat", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.run(f"{name}-nat", "sysctl", "-qw", "net.ipv4.conf.home.proxy_arp=1")
        self.run(f"{name}-nat", *masquerade)

    def name_of(self, host: str) -> str:
        """The name of a host's namespace."""
        return self._prefix + host

    def run(self, host: str, *command: str) -> None:
        """Run a command in a host to its end; LabError if it fails."""
        run("ip", "netns", "exec", self._prefix + host, *command)

    def start(self, host: str, log: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a program in a host; what it says goes to `folder/log`."""
        inside = ["ip", "netns", "exec", self._prefix + host, *command]
        with (self.folder / log).open("wb") as said:
            program = subprocess.Popen(
                inside, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._running.append(program)
        return program

    def adopt(self, program: Program) -> None:
        """End a program that somebody else started in a host, too."""
        self._running.append(program)

    def within(self, host: str, work: Callable[[], _Result]) -> _Result:
        """Do something in a host: sockets that it makes and programs that it starts belong there."""

        def enter() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            with open(NAMESPACES + self._prefix + host, "rb") as namespace:
                if libc.setns(namespace.fileno(), NETWORK_NAMESPACE):
                    raise OSError(ctypes.get_errno(), "setns")

        with ThreadPoolExecutor(1, initializer=enter) as thread:  # it alone changes its namespace
            return thread.submit(work).result()

    def await_port(self, host: str, port: int) -> None:
        """Wait until a UDP port is open in a host; LabError after `LISTENING` seconds."""
        is_open = re.compile(rf"^ *\d+: [0-9A-F]+:{port:04X} ", re.MULTILINE)

        def wait() -> bool:
            deadline = time.monotonic() + LISTENING
            while time.monotonic() < deadline:
                for table in ("udp", "udp6"):
                    if is_open.search(Path(f"/proc/thread-self/net/{table}").read_text()):
                        return True
                time.sleep(0.01)
            return False

        if not self.within(host, wait):
            raise LabError(f"{host}: nothing listens on port {port} ({self.folder})")

    def await_text(self, log: str, text: str) -> str:
        """Wait until `folder/log` holds `text`; all of it. LabError after `LISTENING` seconds."""
        deadline = time.monotonic() + LISTENING
        path = self.folder / log
        while text not in (said := path.read_text(errors="replace") if path.exists() else ""):
            if time.monotonic() > deadline:
                raise LabError(f"{path}: no {text!r}")
            time.sleep(0.01)
        return said

    def _namespace(self, name: str) -> None:
        run("ip", "netns", "add", self._prefix + name)
        self._namespaces.append(self._prefix + name)
        self._ip(name, "link", "set", "lo", "up")

    def _address(self, name: str, interface: str, address: str) -> None:
        if ":" in address:
            self._ip(name, "addr", "add", f"{address}/128", "dev", interface, "nodad")
        else:
            self._ip(name, "addr", "add", f"{address}/32", "dev", interface)

    def _up(self, name: str, interface: str) -> None:
        self._ip(name, "link", "set", interface, "up")
        if not self._offload:
            self.run(name, sys.executable, str(OFFLOAD), interface)

    def _ip(self, name: str, *arguments: str) -> None:
        run("ip", "-n", self._prefix + name, *arguments)


def stop(program: Program) -> None:
    """End a program that `Net.start` started, and its children."""
    _interrupt(program)
    _await_end(program)


def _interrupt(program: Program) -> None:
    if program.poll() is None:
        os.killpg(program.pid, signal.SIGINT)


def _await_end(program: Program) -> None:
    """Wait for a program that was interrupted; one that does not end is killed."""
    try:
        program.wait(3)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def run(*command: str) -> None:
    """Run a command to its end; LabError with what it said if it fails."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise LabError(f"{' '.join(command)}: {said}")
