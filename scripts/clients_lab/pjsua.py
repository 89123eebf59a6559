"""pjsua2, in a process of its own (`pjsua_child.py`)."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from clients_lab.phone import (
    DOMAIN,
    ENDED,
    ESTABLISHED,
    HELD,
    INCOMING,
    PASSWORD,
    PATIENCE,
    REGISTERED,
    RESUMED,
    RINGING,
    Failed,
    Phone,
    Skipped,
)

_CHILD = Path(__file__).parent / "pjsua_child.py"
_VERSION = "import pjsua2; e = pjsua2.Endpoint(); print(e.libVersion().full)"


class Pjsua(Phone):
    kind = "pjsua2"
    says: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            REGISTERED: r"EVENT registration 200 \S+ [1-9]",
            INCOMING: r"EVENT incoming",
            RINGING: r"EVENT call \d+ EARLY 180",
            ESTABLISHED: r"EVENT call \d+ CONFIRMED",
            ENDED: r"EVENT call \d+ DISCONNECTED (\d+)",
            HELD: r"EVENT media \d+ held",
            RESUMED: r"EVENT media \d+ active",
        }
    )
    families = (4,)  # the package of PyPI is built without IPv6, and ends with an assertion
    presence = False
    prack = False
    large = False

    @classmethod
    def version(cls) -> str:
        if not find_spec("pjsua2"):
            raise Skipped("pjsua2 is not installed (.venv/bin/pip install pjsua2-python)")
        told = subprocess.run(
            [sys.executable, "-c", _VERSION], capture_output=True, text=True, check=False
        )
        return told.stdout.split()[-1] if told.stdout.split() else "?"

    def configured(self, folder: Path) -> list[str]:
        line = self.line
        settings = {
            "user": line.user, "uri": line.uri, "domain": DOMAIN, "password": PASSWORD,
            "address": line.address, "port": line.port, "proxy": line.proxy,
            "expires": line.expires, "outbound": line.outbound, "rewrite": 0,
            "prack": self.prack, "large": self.large, "presence": self.presence,
            "log": str(folder / "debug.log"),
        }  # fmt: skip
        return [sys.executable, str(_CHILD), json.dumps(settings)]

    def order(self, *words: object) -> None:
        """Give it a command and what it takes."""
        self.tell(json.dumps(words))

    def call(self, target: str) -> None:
        self.order("call", target)

    def answer(self) -> None:
        self.order("answer")

    def hang_up(self) -> None:
        self.order("hang_up_all")

    def reject(self) -> None:
        self.order("hang_up", 486)

    def hold(self) -> None:
        self.order("hold")

    def resume(self) -> None:
        self.order("resume")

    def transfer(self, target: str) -> None:
        self.order("transfer", target)

    def message(self, target: str, text: str) -> None:
        self.order("message", target, text)

    def hears_audio(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.forget()
            self.order("received")
            if int(self.said(r"EVENT received (\d+)")[1]):
                return
        raise Failed(f"{self.line.user} ({self.kind}) received no audio")

    def quit(self) -> None:
        self.tell("quit")


class PresentPjsua(Pjsua):
    """It publishes its presence, and asks for waiting messages."""

    presence = True


class RelyingPjsua(Pjsua):
    """It wants provisional responses to be reliable (RFC 3262)."""

    prack = True


class LargePjsua(Pjsua):
    """It offers ICE and SRTP, which makes INVITEs of more than 1,300 bytes, and would then rather have
    TCP (RFC 3261 section 18.1.1)."""

    large = True
