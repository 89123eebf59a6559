"""tshark as the judge of captures."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Fields = Callable[..., list[list[str]]]


@pytest.fixture
def fields() -> Fields:
    """The values of these fields, one list a packet."""

    def run(file: Path, *names: str, preferences: tuple[str, ...] = ()) -> list[list[str]]:
        command = ["tshark", "-r", str(file), "-T", "fields"]
        for preference in preferences:
            command += ["-o", preference]
        for name in names:
            command += ["-e", name]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [line.split("\t") for line in out.splitlines()]

    return run
