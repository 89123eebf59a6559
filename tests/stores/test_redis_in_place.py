"""Exchanges with Redis in place, beside the thread: when there are any, and that none is lost."""

import os
import signal
from collections.abc import Iterator

import pytest
import redis

from inline_topo.masking.effects import EffectFailed, Exchange, Record
from inline_topo.stores.redis import RedisStore
from tests.stores.servers import Server, until

pytestmark = pytest.mark.needs("redis-server", "redis-sentinel")


@pytest.fixture
def store(redis_of_its_own: Server) -> Iterator[RedisStore]:
    """One whose thread has connected."""
    store = RedisStore(redis_of_its_own.url, 5.0)
    assert store.attempt([save(b"first")]) is None  # only the thread connects
    assert store.perform([save(b"first")]) == [{b"first": b"value"}]
    yield store
    store.close()


def save(key: bytes) -> Exchange:
    return Exchange(1.0, (Record(key, b"value", 3600.0),), (key,))


def in_place(store: RedisStore, key: bytes) -> bool:
    """Whether an exchange is done in place; where not, the thread does it."""
    answers = store.attempt([save(key)])
    done = answers is not None
    if answers is None:
        answers = store.perform([save(key)])
    assert isinstance(answers[0], EffectFailed) or answers == [{key: b"value"}]
    return done


def test_both_ways_lead_to_one_redis(store: RedisStore) -> None:
    until(lambda: in_place(store, b"second"), "a quick answer")
    assert store.perform([Exchange(1.0, load=(b"second",))]) == [{b"second": b"value"}]


def test_a_redis_that_was_killed_or_closes_is_asked_in_place_again(
    redis_of_its_own: Server, redis_client: redis.Redis, store: RedisStore
) -> None:
    redis_client.client_kill_filter(_type="normal", skipme=True)
    assert store.attempt([save(b"one")]) is None
    until(lambda: in_place(store, b"two"), "a new connection")
    redis_of_its_own.kill()
    assert store.attempt([save(b"three")]) is None
    assert isinstance(store.perform([save(b"three")])[0], EffectFailed)
    assert store.attempt([save(b"three")]) is None
    redis_of_its_own.start()
    until(lambda: in_place(store, b"four"), "a new connection")


def test_a_script_that_was_flushed_is_the_threads_to_bring(
    redis_client: redis.Redis, store: RedisStore
) -> None:
    until(lambda: in_place(store, b"one"), "a quick answer")
    redis_client.script_flush()
    assert store.attempt([save(b"two")]) is None
    until(lambda: in_place(store, b"two"), "the script")


def test_a_hung_redis_holds_nobody_up_and_no_late_answer_is_taken(
    redis_of_its_own: Server, store: RedisStore
) -> None:
    until(lambda: in_place(store, b"one"), "a quick answer")
    redis_of_its_own.signal(signal.SIGSTOP)
    try:
        assert store.attempt([save(b"late")]) is None
        assert store.attempt([save(b"later")]) is None
    finally:
        redis_of_its_own.signal(signal.SIGCONT)
    until(lambda: in_place(store, b"two"), "a quick answer")


def test_a_child_process_has_no_connection_of_its_parents(store: RedisStore) -> None:
    until(lambda: in_place(store, b"one"), "a quick answer")
    child = os.fork()
    if not child:
        os._exit(0 if store.attempt([save(b"two")]) is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    until(lambda: in_place(store, b"three"), "a quick answer")
