"""What all SIP clients have in common: commands they are given, and what they say."""

import os
import pty
import re
import subprocess
import termios
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lab.net import Net, stop

DOMAIN = "voip.example"
PASSWORD = "secret"
PATIENCE = 8.0  # seconds in which a client has to say what is waited for
_POLL = 0.02

REGISTERED, INCOMING, RINGING = "registered", "incoming", "ringing"
ESTABLISHED, ENDED, MEDIA = "established", "ended", "media"
HELD, RESUMED = "held", "resumed"


class Failed(Exception):
    """A scenario failed; the message says what was not seen."""


class Skipped(Exception):
    """A scenario cannot run here; the message says why."""


@dataclass(frozen=True)
class Line:
    """What a client is told: who it is, and where its requests go."""

    user: str
    address: str
    proxy: str
    port: int = 5060
    expires: int = 600
    outbound: bool = False
    """Register with RFC 5626: reg-id, +sip.instance."""

    @property
    def uri(self) -> str:
        return uri(self.user)


def uri(user: str) -> str:
    """The address of record of a user."""
    return f"sip:{user}@{DOMAIN}"


def bracketed(address: str) -> str:
    """An address as it stands in a URI."""
    return f"[{address}]" if ":" in address else address


class Phone(ABC):
    """A client at work in a host of the laboratory. It says what happens in its log."""

    kind: ClassVar[str]
    says: ClassVar[Mapping[str, str]]
    """Regular expressions for what it says when something happened. What is not in it, it does not say."""
    families: ClassVar[tuple[int, ...]] = (4, 6)
    """The versions of IP that it speaks."""
    hears_in: ClassVar[str] = "said.log"
    """The file in its folder that tells what happens."""

    def __init__(self, net: Net, host: str, line: Line, name: str) -> None:
        """`name`: of its log and of its folder."""
        self.line = line
        self._folder = net.folder / name
        self._folder.mkdir(exist_ok=True)
        self.log = self._folder / self.hears_in
        self._terminal = -1
        self._read_to = 0
        self._is_leaving = False
        command = self.configured(self._folder)
        self._program = self._start(["ip", "netns", "exec", net.name_of(host), *command])
        net.adopt(self._program)

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The version that is installed; Skipped where it is not."""

    @abstractmethod
    def configured(self, folder: Path) -> list[str]:
        """Write its configuration into a folder; the command that starts it."""

    @abstractmethod
    def call(self, target: str) -> None:
        """Call a URI."""

    @abstractmethod
    def answer(self) -> None:
        """Take the call that rings."""

    @abstractmethod
    def hang_up(self) -> None:
        """End its call, whatever state it is in."""

    @abstractmethod
    def hold(self) -> None:
        """Put its call on hold."""

    @abstractmethod
    def resume(self) -> None:
        """Go on with the call that it holds."""

    @abstractmethod
    def transfer(self, target: str) -> None:
        """Send the other party of its call to a URI."""

    @abstractmethod
    def message(self, target: str, text: str) -> None:
        """Send a MESSAGE."""

    def reject(self) -> None:
        """Say that it is busy."""
        self.hang_up()

    @abstractmethod
    def quit(self) -> None:
        """Tell it to unregister and end."""

    def close(self) -> None:
        """End it, at once if it does not itself within PATIENCE."""
        if self._program.poll() is None:
            self.ask_to_quit()
            try:
                self._program.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                stop(self._program)
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def ask_to_quit(self) -> None:
        """Tell it to end, once."""
        if not self._is_leaving:
            self._is_leaving = True
            self.quit()

    def tell(self, command: str) -> None:
        """Give it a line."""
        if self._program.poll() is not None:
            raise Failed(f"{self.line.user} ({self.kind}) is gone: {self.log}")
        os.write(self._terminal, command.encode() + b"\n")

    def forget(self) -> None:
        """What it said up to now does not count any more."""
        self._read_to = len(self._text())

    def hears(self, event: str, within: float = PATIENCE) -> re.Match[str]:
        """Wait until it says so; Failed otherwise."""
        if event not in self.says:
            raise LookupError(event)
        return self.said(self.says[event], event, within)

    def said(self, pattern: str, what: str = "", within: float = PATIENCE) -> re.Match[str]:
        """Wait for what it says since `forget`; Failed with `what`, or the pattern."""
        deadline = time.monotonic() + within
        while not (found := re.search(pattern, self._text()[self._read_to :])):
            if time.monotonic() > deadline:
                raise Failed(f"{self.line.user} ({self.kind}) never said: {what or pattern}")
            time.sleep(_POLL)
        return found

    def hears_audio(self) -> None:
        """Wait for audio of the call, where it tells of any; Failed otherwise."""
        if MEDIA in self.says:
            self.hears(MEDIA)

    def ever_said(self, pattern: str, what: str) -> None:
        """Failed where it has not said this since it was started."""
        if not re.search(pattern, self._text()):
            raise Failed(f"{self.line.user} ({self.kind}) never said: {what}")

    def has_said(self, event: str) -> int:
        """How often it said this since it was started."""
        return len(re.findall(self.says[event], self._text()))

    def _text(self) -> str:
        return self.log.read_bytes().decode(errors="replace") if self.log.exists() else ""

    def _start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Start it with a terminal of its own to read from, as some read from nothing else."""
        self._terminal, its_own = pty.openpty()
        settings = termios.tcgetattr(its_own)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(its_own, termios.TCSANOW, settings)
        try:
            with (self._folder / "said.log").open("wb") as said:
                home = {
                    name: str(self._folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
                }
                return subprocess.Popen(
                    command, cwd=self._folder, stdin=its_own, stdout=said, stderr=said,
                    start_new_session=True, env={**os.environ, **home},
                )  # fmt: skip
        finally:
            os.close(its_own)
