"""Any run of exchanges, pauses and reopenings, beside a plain dict."""

from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inline_topo.masking.effects import Exchange
from inline_topo.stores.redis import RedisStore
from inline_topo.stores.sqlite import SqliteStore
from tests.stores.conftest import Bench

KEYS = st.sampled_from([b"", b"a", b"b", b"c\0"])
LIVES = st.sampled_from([30.0, 60.0, 90.0])
SAVES = st.lists(st.tuples(KEYS, st.binary(max_size=3), LIVES), max_size=3)
LOADS = st.lists(KEYS, max_size=3, unique=True)
Batch = list[tuple[list[tuple[bytes, bytes, float]], list[bytes]]]
BATCHES = st.lists(st.tuples(SAVES, LOADS), min_size=1, max_size=4)


class _Machine(RuleBasedStateMachine):
    """Time passes in steps that are never the end of a life, so that no clock need be exact."""

    bench: ClassVar[Bench]

    def __init__(self) -> None:
        super().__init__()
        self.bench.store.check()
        self.bench.wait(1000)
        self.kept: dict[bytes, tuple[bytes, float]] = {}

    @rule(batch=BATCHES)
    def exchange(self, batch: Batch) -> None:
        assert self.bench.store.perform(self.effects(batch)) == self.expected(batch)

    @precondition(lambda self: isinstance(self.bench.store, SqliteStore | RedisStore))
    @rule(batch=BATCHES)
    def exchange_in_place(self, batch: Batch) -> None:
        """Where it is not to be had at once, nothing is done."""
        store = self.bench.store
        assert isinstance(store, SqliteStore | RedisStore)
        answers = store.attempt(self.effects(batch))
        if answers is not None:
            assert answers == self.expected(batch)

    def effects(self, batch: Batch) -> list[Exchange]:
        return [self.bench.exchange(*saves, load=tuple(loads)) for saves, loads in batch]

    def expected(self, batch: Batch) -> list[dict[bytes, bytes]]:
        """The answers, with what is saved taken note of."""
        now = self.bench.now
        expected = []
        for saves, loads in batch:
            for key, value, life in saves:
                end = max(self.alive().get(key, (b"", now))[1], now + life)
                self.kept[key] = value, end
            expected.append({key: self.alive()[key][0] for key in loads if key in self.alive()})
        return expected

    @rule(seconds=st.sampled_from([20.0, 40.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.bench.wait(seconds + 5)

    @rule()
    def prune(self) -> None:
        self.bench.store.prune(self.bench.now)

    @precondition(lambda self: not self.bench.store.is_immediate)
    @rule()
    def reopen(self) -> None:
        self.bench.store.close()

    @invariant()
    def shows_what_is_alive(self) -> None:
        found = {record.key: record.value for record in self.bench.store.records(self.bench.now)}
        assert found == {key: value for key, (value, _) in self.alive().items()}

    def alive(self) -> dict[bytes, tuple[bytes, float]]:
        return {key: kept for key, kept in self.kept.items() if kept[1] > self.bench.now}


_PROGRAMS = pytest.mark.needs("redis-server", "redis-sentinel")


@pytest.mark.parametrize(
    "bench",
    [
        "memory",
        "sqlite",
        pytest.param("redis", marks=_PROGRAMS),
        *(pytest.param(k, marks=[_PROGRAMS, pytest.mark.full]) for k in ("sentinel", "cluster")),
    ],
    indirect=True,
)
def test_a_store_is_a_dict_with_ends(bench: Bench) -> None:
    class Machine(_Machine):
        pass

    Machine.bench = bench
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=12, stateful_step_count=15, deadline=None)
    )
