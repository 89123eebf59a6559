"""`inline-topo` on the gateway's machine of a row, and an INVITE for it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inline_topo.rules.plan import Family
from tests.netns.topology import INSIDE, OUTSIDE, Row


def ours(net: Row, *words: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "inline_topo", *map(str, words)]
    with net.gateway.enter():
        return subprocess.run(command, capture_output=True, text=True, check=False)


def until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def running(net: Row, file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    said = file.with_suffix(".log")
    log = said.open("wb")
    with net.gateway.enter():
        program = subprocess.Popen(
            [sys.executable, "-m", "inline_topo", "run", "-c", file], stderr=log
        )
    try:
        until(lambda: program.poll() is not None or "event=ready" in said.read_text())
        assert program.poll() is None, said.read_text()
        yield program
    finally:
        program.terminate()
        program.wait(10)
        log.close()


def invite(family: Family, *, body: int = 0) -> bytes:
    inside, outside = (
        f"[{address[family]}]" if family is Family.IPV6 else address[family]
        for address in (INSIDE, OUTSIDE)
    )
    lines = [
        f"INVITE sip:bob@{outside} SIP/2.0",
        f"Via: SIP/2.0/UDP {inside}:5060;branch=z9hG4bK776asdhds",
        "Max-Forwards: 70",
        "To: <sip:bob@example.com>",
        "From: <sip:alice@example.com>;tag=1928301774",
        "Call-ID: a84b4c76e66710",
        "CSeq: 314159 INVITE",
        f"Contact: <sip:alice@{inside}:5070>",
        f"Content-Length: {body}",
    ]
    return "\r\n".join([*lines, "", "x" * body]).encode()
