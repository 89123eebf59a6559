"""Any run of exchanges, pauses and reopenings, beside a plain dict."""

from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inline_topo.stores.redis import RedisStore
from inline_topo.stores.sqlite import SqliteStore
from tests.stores.conftest import Bench

KEYS = st.sampled_from([b"", b"a", b"b", b"c\0"])
LIVES = st.sampled_from([30.0, 60.0, 90.0])
SAVES = st.lists(st.tuples(KEYS, st.binary(max_size=3), LIVES), max_size=3)
LOADS = st.lists(KEYS, max_size=3, unique=True)


class _Machine(RuleBasedStateMachine):
    """Time passes in steps that are never the end of a life, so that no clock need be exact."""

    bench: ClassVar[Bench]

    def __init__(self) -> None:
        super().__init__()
        self.bench.store.check()
        self.bench.wait(1000)
        self.kept: dict[bytes, tuple[bytes, float]] = {}

    @rule(batch=st.lists(st.tuples(SAVES, LOADS), min_size=1, max_size=4))
    def exchange(self, batch: list[tuple[list[tuple[bytes, bytes, float]], list[bytes]]]) -> None:
        now = self.bench.now
        expected = []
        for saves, loads in batch:
            for key, value, life in saves:
                end = max(self.alive().get(key, (b"", now))[1], now + life)
                self.kept[key] = value, end
            expected.append({key: self.alive()[key][0] for key in loads if key in self.alive()})
        effects = [self.bench.exchange(*saves, load=tuple(loads)) for saves, loads in batch]
        assert self.bench.store.perform(effects) == expected

    @precondition(lambda self: isinstance(self.bench.store, SqliteStore | RedisStore))
    @rule(save=SAVES, keys=LOADS)
    def exchange_in_place(self, save: list[tuple[bytes, bytes, float]], keys: list[bytes]) -> None:
        """Where it is not to be had at once, nothing is done."""
        store, now = self.bench.store, self.bench.now
        assert isinstance(store, SqliteStore | RedisStore)
        answer = store.attempt(self.bench.exchange(*save, load=tuple(keys)))
        if answer is not None:
            for key, value, life in save:
                end = max(self.alive().get(key, (b"", now))[1], now + life)
                self.kept[key] = value, end
            alive = self.alive()
            assert answer == {key: alive[key][0] for key in keys if key in alive}

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


def test_a_store_is_a_dict_with_ends(bench: Bench) -> None:
    class Machine(_Machine):
        pass

    Machine.bench = bench
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=12, stateful_step_count=15, deadline=None)
    )
