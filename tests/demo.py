"""Runs `scripts/demo` as a user would, in the virtual environment that the scripts share."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "scripts" / "demo"
_FILLED = ROOT / ".venv" / ".filled-dev"


def need_filled_venv() -> None:
    """Skip where the script would set up .venv anew, below the tests that may run in it."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if not _FILLED.exists() or wanted not in _FILLED.read_text():
        pytest.skip(".venv is not as scripts/test makes it")


def start_demo(
    *words: str | Path, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """The script at work; its output and errors are pipes. `environment`: what differs."""
    need_filled_venv()
    return subprocess.Popen(
        [DEMO, *words],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
