"""Exchanges in place, beside the thread: what is kept, and when all goes by the thread."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from inline_topo.masking.effects import Exchange, Record
from inline_topo.stores.pace import Pace
from inline_topo.stores.sqlite import SqliteStore

NOW = 1_700_000_000.0


class Clock:
    """The stores' monotonic time, which only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., SqliteStore]]:
    made = []

    def store(options: str = "", clean_interval: float = 1e9) -> SqliteStore:
        made.append(SqliteStore(f"sqlite:///{tmp_path}/dialogs.db{options}", 10.0, clean_interval))
        assert made[-1].check() == []
        assert made[-1].perform([save(b"first")]) == [{b"first": b"v" * 100}]
        return made[-1]

    yield store
    for one in made:
        one.close()


def save(key: bytes) -> Exchange:
    return Exchange(NOW, (Record(key, b"v" * 100, 3600.0),), (key,))


def load(key: bytes) -> Exchange:
    return Exchange(NOW, load=(key,))


def in_place(store: SqliteStore, most: int = 10_000) -> int:
    """How many exchanges are done until one has to be the thread's."""
    for number in range(most):
        if store.attempt([save(b"%d" % number)]) is None:
            return number
    return most


def test_both_ways_lead_to_one_file(clock: Clock, make: Callable[..., SqliteStore]) -> None:
    store = make()
    assert store.attempt([load(b"first")]) == [{b"first": b"v" * 100}]
    assert store.attempt([save(b"second")]) == [{b"second": b"v" * 100}]
    assert store.perform([load(b"second")]) == [{b"second": b"v" * 100}]


def test_after_some_the_thread_brings_the_log_to_the_disk(
    tmp_path: Path, clock: Clock, make: Callable[..., SqliteStore]
) -> None:
    store = make()
    done = in_place(store)
    assert 100 < done < 1000
    assert store.attempt([save(b"due")]) is None
    assert store.attempt([load(b"first")]) == [{b"first": b"v" * 100}]  # reads go on
    assert store.perform([save(b"due")]) == [{b"due": b"v" * 100}]
    shutil.copy(tmp_path / "dialogs.db", tmp_path / "copy.db")  # without its log
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM record").fetchone() == (done + 1,)
    assert in_place(store) == done


def test_the_log_stays_short(
    tmp_path: Path, clock: Clock, make: Callable[..., SqliteStore]
) -> None:
    store = make()
    for _ in range(12):
        in_place(store)
        store.perform([save(b"due")])
    assert (tmp_path / "dialogs.db-wal").stat().st_size < 8 << 20


def test_the_interval_of_cleaning_is_kept(clock: Clock, make: Callable[..., SqliteStore]) -> None:
    store = make(clean_interval=60.0)
    assert store.attempt([save(b"one")]) is not None
    clock.now += 61
    assert store.attempt([save(b"two")]) is None
    store.perform([save(b"two")])
    assert store.attempt([save(b"three")]) is not None


def test_a_lock_is_the_threads_to_wait_for(
    tmp_path: Path, clock: Clock, make: Callable[..., SqliteStore]
) -> None:
    store = make()
    with closing(sqlite3.connect(tmp_path / "dialogs.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.attempt([save(b"one")]) is None
        other.execute("ROLLBACK")
    assert store.attempt([save(b"one")]) is None  # a rest
    clock.now += 2
    assert store.attempt([save(b"one")]) is not None


def test_what_fails_is_the_threads_until_it_works_again(
    tmp_path: Path, clock: Clock, make: Callable[..., SqliteStore]
) -> None:
    store = make()
    store.close()
    (tmp_path / "dialogs.db").chmod(0o644)
    assert store.attempt([save(b"one")]) is None
    [answer] = store.perform([save(b"one")])
    assert "others may read" in str(answer)
    (tmp_path / "dialogs.db").chmod(0o600)
    clock.now += 2
    assert store.attempt([save(b"one")]) is None
    assert store.perform([save(b"one")]) == [{b"one": b"v" * 100}]
    assert store.attempt([save(b"two")]) is not None


def test_with_synchronous_full_every_write_waits_for_the_disk(
    clock: Clock, make: Callable[..., SqliteStore]
) -> None:
    store = make("?synchronous=full")
    assert store.attempt([save(b"one")]) is None
    assert store.attempt([load(b"first")]) == [{b"first": b"v" * 100}]


def test_a_store_that_is_slow_as_a_rule_rests_and_is_tried_again(clock: Clock) -> None:
    pace = Pace()
    pace.took(0.004)  # one alone
    assert pace.is_quick()
    while pace.is_quick():
        pace.took(0.004)
    clock.now += 2
    assert pace.is_quick()
    pace.took(0.004)
    assert not pace.is_quick()
    while not pace.is_quick():
        clock.now += 2
        pace.took(0.0001)
    for _ in range(100):
        pace.took(0.0001)
    assert pace.is_quick()
