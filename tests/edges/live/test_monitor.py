"""The port for metrics: every question has a deadline in all, and none waits for another."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

pytest.importorskip("prometheus_client")

from inline_topo.edges.live.monitor import LOOPBACK, MOST_CONNECTIONS

PATIENCE = 1.0
ANSWERS = """
import os, sys
from inline_topo.edges.live import tally
from inline_topo.edges.live.monitor import monitor
from inline_topo.edges.live.snapshot import Source
from inline_topo.edges.live.worker import Mode

serve = monitor(Source(tally.board(1), (0,), Mode.LIVE), int(sys.argv[1]), float(sys.argv[2]))
pid = os.fork()
if not pid:
    serve()
print("ready", flush=True)
os.waitpid(pid, 0)
"""
QUESTION = b"GET /status HTTP/1.0\r\n\r\n"


@pytest.fixture
def port() -> Iterator[int]:
    """Of a process that answers."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        number: int = free.getsockname()[1]
    command = [sys.executable, "-c", ANSWERS, str(number), str(PATIENCE)]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}
    ) as gateway:
        assert gateway.stdout
        gateway.stdout.readline()
        yield number
        gateway.kill()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection((LOOPBACK, port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(port: int) -> tuple[dict[str, object], float]:
    """The status, and how long it took."""
    started = time.monotonic()
    with connect(port) as connection:
        connection.sendall(QUESTION)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return json.loads(answer.partition(b"\r\n\r\n")[2]), time.monotonic() - started


def drip(connection: socket.socket, seconds: float) -> float:
    """Ask a byte at a time; the seconds after which the other side had ended it."""
    started = time.monotonic()
    connection.settimeout(0.3)
    for byte in b"GET /status HTTP/1.0\r\n" + b"X: y\r\n" * 100:
        try:
            connection.sendall(bytes((byte,)))
            if not connection.recv(1):
                break
        except TimeoutError:
            if time.monotonic() - started > seconds:
                raise
        except OSError:
            break
    return time.monotonic() - started


def test_a_slow_question_ends_and_holds_up_nobody(port: int) -> None:
    ask(port)
    with connect(port) as slow:
        slow.sendall(b"G")
        status, seconds = ask(port)
        assert "queues" in status
        assert seconds < PATIENCE / 2
        assert PATIENCE / 2 < drip(slow, 5 * PATIENCE) < 4 * PATIENCE


def test_an_answer_that_nobody_reads_ends(port: int) -> None:
    with connect(port) as deaf:
        deaf.sendall(QUESTION)
        time.sleep(2 * PATIENCE)
        deaf.settimeout(5)
        while deaf.recv(65536):
            pass  # what was sent in time, and then the end


def test_many_that_say_nothing_do_not_keep_out_who_asks(port: int) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(port)) for _ in range(2 * MOST_CONNECTIONS)]
        _, seconds = ask(port)
        assert seconds < PATIENCE
        silent[0].settimeout(PATIENCE)
        assert silent[0].recv(1) == b""  # the oldest had to go
