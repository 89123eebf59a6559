"""How long messages take through the server's host: from the capture of its link, each from where it enters
to where it leaves again. Its proxy's own time is in the figure: compare with a run of the proxy alone."""

import re
from pathlib import Path

from scapy.utils import RawPcapReader

from lab import calls
from lab.dump import Dump
from lab.net import Net

_ETHERNET, _IPV4, _UDP = 14, 20, 8
_PAYLOAD = _ETHERNET + _IPV4 + _UDP
_SOURCE = slice(_ETHERNET + 12, _ETHERNET + 16)
_SERVER = bytes(map(int, calls.PROXY.split(".")))
_FILE = "transits.pcap"
_NAME = re.compile(
    rb"(?:SIP/2\.0 (\d+)|([A-Z]+) ).*?\r\nCall-ID: (\S+)\r\nCSeq: (\d+ [A-Z]+)", re.DOTALL
)


def begin(net: Net, server: str) -> Dump:
    """Capture what passes the link of the server, beside its host: at no cost in its figures."""
    what = ("udp", "port", "5060")
    return Dump(
        net, "link", "transits.log", "-B", "65536", "-i", f"to-{server}", "-w", _FILE, *what
    )


def read(folder: Path) -> list[float]:
    """Milliseconds of each message that came to the server's host and left it, retransmissions aside."""
    entered: dict[tuple[bytes, ...], float] = {}
    left: dict[tuple[bytes, ...], float] = {}
    for frame, at in RawPcapReader(str(folder / _FILE)):
        found = _NAME.match(frame, _PAYLOAD)
        if found:
            name = tuple(part or b"" for part in found.groups())
            side = left if frame[_SOURCE] == _SERVER else entered
            side.setdefault(name, at.sec * 1e3 + at.usec / 1e3)
    return [left[name] - at for name, at in entered.items() if name in left]
