"""The frame that all commands share: streams, exit statuses, no traceback for a user's error."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inline_topo import __version__
from tests.conftest import HEEDS_SIGINT
from tests.form import form_on_disk

PROGRAM = [sys.executable, "-m", "inline_topo"]


def test_help_and_version(command: Callable[..., tuple[int, str, str]]) -> None:
    version = f"{__version__} ({form_on_disk()}; AES-SIV by cryptography)"
    ran = subprocess.run([*PROGRAM, "-h"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("Usage: inline-topo ")
    assert ran.stderr == ""
    assert command("--help") == (0, ran.stdout, "")
    assert command("--version") == (0, f"inline-topo {version}\n", "")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, inline_topo.cli as c; c.cli.main(['--help'], standalone_mode=False);"
        "print(sorted({'pydantic', 'scapy', 'rich', 'Crypto', 'cryptography'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "Usage: inline-topo"),
        (("chek",), "No such command 'chek'"),
        (("check", "--pcab"), "No such option"),
        (("keygen", "-o"), "requires an argument"),
    ],
)
def test_wrong_usage_exits_2(
    command: Callable[..., tuple[int, str, str]], words: tuple[str, ...], reason: str
) -> None:
    status, out, err = command(*words)
    assert (status, out) == (2, "")
    assert reason in err


def test_a_broken_pipe_is_quiet(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run([*PROGRAM, "keygen"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run([*PROGRAM, "keygen"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 2
    assert re.fullmatch(rb"inline-topo: .*No space left on device\n", ran.stderr)


def test_a_closed_standard_output_is_no_traceback() -> None:
    words = ["sh", "-c", '"$@" >&-', "sh", *PROGRAM, "keygen"]
    ran = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in ran.stderr


def test_interrupted_exits_130(tmp_path: Path) -> None:
    fifo = tmp_path / "gw.toml"
    os.mkfifo(fifo)
    with (
        subprocess.Popen(
            [*HEEDS_SIGINT, *PROGRAM, "check", "-c", str(fifo)], stderr=subprocess.PIPE, text=True
        ) as process,
        fifo.open("w"),
    ):  # opens when the command does, which then waits for text
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
