"""When a store removes what has expired: never right after a clock has jumped."""

import pytest

from inline_topo.stores.clean import Cleaner


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [500.0]
    monkeypatch.setattr("inline_topo.stores.clean.time.monotonic", lambda: now[0])
    return now


def dues(clock: list[float], cleaner: Cleaner, *steps: tuple[float, float]) -> list[bool]:
    """Whether it is due after each step: seconds of the monotonic clock, and the packets' time."""
    due = []
    for seconds, now in steps:
        clock[0] += seconds
        due.append(cleaner.is_due(now))
    return due


def test_once_an_interval(clock: list[float]) -> None:
    steps = [(20.0, 1000.0 + 20 * number) for number in range(8)]
    due = dues(clock, Cleaner(60.0), *steps)
    assert due == [False, False, False, True, False, False, True, False]


@pytest.mark.parametrize("jump", [86400.0, -86400.0, 6.0])
def test_not_in_the_interval_of_a_jump(clock: list[float], jump: float) -> None:
    after = 1060 + jump
    due = dues(clock, Cleaner(60.0), (0, 1000), (60, after), (60, after + 60), (60, after + 120))
    assert due == [False, False, True, True]


def test_a_jump_that_is_set_right_in_time_removes_nothing(clock: list[float]) -> None:
    due = dues(clock, Cleaner(60.0), (0, 1000), (30, 90_000), (40, 91_000), (60, 1130))
    assert due == [False, False, False, False]


def test_a_clock_that_is_slewed_is_none_that_jumps(clock: list[float]) -> None:
    assert dues(clock, Cleaner(60.0), (0, 1000), (60, 1061), (60, 1119.5)) == [False, True, True]
