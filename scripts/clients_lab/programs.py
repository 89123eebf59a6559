"""What must be installed, and which version of it is."""

import re
import shutil
import subprocess
from collections.abc import Iterator

from clients_lab.cast import KINDS
from clients_lab.phone import Skipped

_NEEDED = {
    "ip": "iproute2",
    "iptables": "iptables",
    "kamailio": "kamailio",
    "kamcmd": "kamailio",
    "tcpdump": "tcpdump",
}
_TOLD = {
    "kamailio": ("-v", r"version: kamailio (\S+)"),
    "rtpengine": ("--version", r"Version: (\S+)"),
    "sipp": ("-v", r"SIPp v([\d.]+)"),
    "sipsak": ("--version", r"sipsak (\S+)"),
}


def missing() -> list[str]:
    """The Debian packages without which nothing is tried."""
    return sorted({package for tool, package in _NEEDED.items() if not shutil.which(tool)})


def versions() -> Iterator[tuple[str, str]]:
    """Each client and server with its version, or with why it is left out."""
    for name, kind in KINDS.items():
        try:
            yield name, kind.version()
        except Skipped as reason:
            yield name, str(reason)
    for name, (option, pattern) in _TOLD.items():
        yield name, version(name, option, pattern)


def version(program: str, option: str, pattern: str) -> str:
    """What a program says of itself."""
    try:
        told = subprocess.run([program, option], capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    found = re.search(pattern, told.stdout + told.stderr)
    return found[1] if found else "?"
