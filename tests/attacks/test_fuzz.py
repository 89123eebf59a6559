"""What holds for every message, with random ones: scripts/fuzz looks for more, led by coverage."""

import random
from pathlib import Path

import pytest

from attacks.fuzz import Fuzzer
from attacks.made import Bytes, message

INPUTS = 2_000  # of a full run


@pytest.mark.parametrize("inputs", [INPUTS // 5, pytest.param(INPUTS, marks=pytest.mark.full)])
def test_random_messages_break_nothing(inputs: int, tmp_path: Path) -> None:
    fuzzer = Fuzzer(tmp_path)
    source = random.Random(7)
    for _ in range(inputs):
        fuzzer.try_one(source.randbytes(source.randrange(8, 300)))
    assert fuzzer.tried == inputs
    assert dict(fuzzer.found) == {}


def test_most_messages_have_a_start_line_and_an_end() -> None:
    source = random.Random(1)
    made = [message(Bytes(source.randbytes(200)), ["sip:a@10.0.37.201"]) for _ in range(200)]
    sip = [one for one in made if b"SIP/2.0" in one.split(b"\n", 1)[0].upper()]
    assert len(sip) > 150
    assert all(b"\n\r\n" in one or b"\n\n" in one for one in made)
    assert any(b"10.0.37.201" in one for one in made)


@pytest.mark.nightly
def test_many_random_messages_break_nothing(tmp_path: Path) -> None:
    fuzzer = Fuzzer(tmp_path)
    source = random.Random()
    for _ in range(50 * INPUTS):
        fuzzer.try_one(source.randbytes(source.randrange(8, 300)))
    assert dict(fuzzer.found) == {}
