"""Captures written by scapy from text, for reports to read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

MakeCapture = Callable[..., Path]
Frame = Callable[..., Any]


@pytest.fixture
def frame() -> Frame:
    """An Ethernet frame with a SIP message: source and destination are `address` or `address:port`,
    a text has its line ends made CRLF."""

    def make(source: str, destination: str, text: str | bytes, time: float = 0.0) -> Any:
        (src, _, sport), (dst, _, dport) = source.partition(":"), destination.partition(":")
        payload = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode()
        ends = IP(src=src, dst=dst) / UDP(sport=int(sport or 5060), dport=int(dport or 5060))
        made = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ends / payload
        made.time = 1700000000 + time
        return made

    return make


@pytest.fixture
def make_capture(tmp_path: Path, frame: Frame) -> MakeCapture:
    """Write packets to a file: tuples for `frame`, a tenth of a second apart, or frames."""

    def make(name: str, *packets: Any) -> Path:
        frames = [
            frame(*item, time=0.1 * index) if isinstance(item, tuple) else item
            for index, item in enumerate(packets)
        ]
        wrpcap(str(tmp_path / name), frames)
        return tmp_path / name

    return make
