"""Hosts in network namespaces on one link, and the programs that run in them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

OFFLOAD = Path(__file__).parent / "offload.py"
LISTENING = 10.0  # seconds that a program may take to open its port


class LabError(Exception):
    """A command of the laboratory failed; the message says which and why."""


class Net:
    """Namespaces on one bridge; every address is on the link. All is gone when the block ends."""

    def __init__(self, folder: Path, *, offload: bool = False) -> None:
        """`offload`: leave checksums to the links, as network cards do; captures show them unfinished."""
        self.folder = folder
        self._offload = offload
        self._prefix = f"lab{os.getpid()}-"
        self._namespaces: list[str] = []
        self._running: list[subprocess.Popen[bytes]] = []

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
            stop(program)
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

    def await_port(self, host: str, port: int) -> None:
        """Wait until a UDP port is open in a host; LabError after `LISTENING` seconds."""
        deadline = time.monotonic() + LISTENING
        command = ["ip", "netns", "exec", self._prefix + host, "ss", "-Hlun", f"sport = :{port}"]
        while not subprocess.run(command, capture_output=True, check=True).stdout:
            if time.monotonic() > deadline:
                raise LabError(f"{host}: nothing listens on port {port} ({self.folder})")
            time.sleep(0.05)

    def await_text(self, log: str, text: str) -> str:
        """Wait until `folder/log` holds `text`; all of it. LabError after `LISTENING` seconds."""
        deadline = time.monotonic() + LISTENING
        path = self.folder / log
        while text not in (said := path.read_text(errors="replace") if path.exists() else ""):
            if time.monotonic() > deadline:
                raise LabError(f"{path}: no {text!r}")
            time.sleep(0.05)
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


def stop(program: subprocess.Popen[bytes]) -> None:
    """End a program that `Net.start` started, and its children."""
    if program.poll() is None:
        os.killpg(program.pid, signal.SIGINT)
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
