"""When a store removes what has expired: never right after a clock has jumped."""

from pathlib import Path

import pytest

from inline_topo.masking.effects import Exchange, Record
from inline_topo.stores.clean import Cleaner
from inline_topo.stores.urls import open_store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [500.0]
    monkeypatch.setattr("inline_topo.stores.clean.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The wall clock, which live packets have their time of."""
    now = [1000.0]
    monkeypatch.setattr("inline_topo.stores.clean.time.time", lambda: now[0])
    return now


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    return [(one.getMessage(), vars(one)["fields"]["seconds"]) for one in caplog.records]


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


@pytest.mark.parametrize(("jump", "told"), [(86400.0, "+86400"), (-3600.0, "-3600"), (4.0, "")])
def test_a_jump_is_said_once(
    clock: list[float], wall: list[float], jump: float, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    cleaner = Cleaner(60.0)
    cleaner.is_due(1000.0)
    for step in range(1, 200):
        clock[0] += 2
        wall[0] += 2 + (jump if step == 50 else 0)
        cleaner.is_due(wall[0] - 0.25)  # it has waited a little
    events = [("the clock jumped: dialogs end by it", told)] if told else []
    assert said(caplog) == events


def test_nothing_is_said_of_a_capture(
    clock: list[float], wall: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    due = dues(clock, Cleaner(60.0), *[(50.0, 1_000_000.0 * step) for step in range(10)])
    assert not any(due)
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_stores_that_go_by_the_clock_of_packets_say_so_and_keep_what_they_have(
    kind: str,
    clock: list[float],
    wall: list[float],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Redis goes by its own (test_redis.py)."""
    store = open_store("memory:" if kind == "memory" else f"sqlite:///{tmp_path}/d.db", 10.0)

    def save(key: bytes) -> None:
        store.perform([Exchange(wall[0], save=(Record(key, b"v", 100.0),))])

    save(b"one")
    for jump in (86400.0, -86400.0):
        clock[0] += 61
        wall[0] += 61 + jump
        save(b"two")
    assert store.perform([Exchange(1000.0, load=(b"one",))]) == [{b"one": b"v"}]
    assert said(caplog) == [
        ("the clock jumped: dialogs end by it", told) for told in ("+86400", "-86400")
    ]
    store.close()
