"""What every store promises (`stores.base`), asked of each."""

import os
import threading

import pytest

from inline_topo.masking.effects import Exchange, Record
from inline_topo.stores.base import Stored
from tests.stores.conftest import Bench

DAY = 86400.0


def test_what_was_saved_is_found(bench: Bench) -> None:
    assert bench.do((b"key", b"value", 60)) == {}
    assert bench.do(load=(b"key",)) == {b"key": b"value"}


def test_what_was_never_saved_is_not(bench: Bench) -> None:
    assert bench.do(load=(b"key", b"other")) == {}


def test_nothing_is_asked_for_and_nothing_is_answered(bench: Bench) -> None:
    assert bench.store.perform([]) == []
    assert bench.do() == {}


@pytest.mark.parametrize(
    "octets",
    [b"", b"\0", b"\r\n$3\r\nfoo\r\n", b"'; DROP TABLE record", bytes(range(256)), b"*?[a]\\"],
)
def test_keys_and_values_are_any_octets(bench: Bench, octets: bytes) -> None:
    bench.do((octets, octets, 60), (octets + b"+", b"", 60))
    assert bench.do(load=(octets, octets + b"+")) == {octets: octets, octets + b"+": b""}


def test_a_value_may_be_as_long_as_a_datagram(bench: Bench) -> None:
    value = os.urandom(65507)
    bench.do((b"key", value, 60))
    assert bench.do(load=(b"key",)) == {b"key": value}


def test_an_exchange_finds_what_it_saves(bench: Bench) -> None:
    assert bench.do((b"key", b"value", 60), load=(b"key",)) == {b"key": b"value"}


def test_exchanges_of_a_batch_happen_in_order(bench: Bench) -> None:
    answers = bench.store.perform(
        [
            bench.exchange(load=(b"a",)),
            bench.exchange((b"a", b"1", 60)),
            bench.exchange(load=(b"a",)),
            bench.exchange((b"a", b"2", 60), (b"b", b"3", 60), load=(b"a", b"b", b"c")),
        ]
    )
    assert answers == [{}, {}, {b"a": b"1"}, {b"a": b"2", b"b": b"3"}]


def test_each_exchange_gets_what_it_asked_for(bench: Bench) -> None:
    numbers = range(200)
    bench.store.perform([bench.exchange((b"%d" % n, b"v%d" % n, 60)) for n in numbers])
    answers = bench.store.perform([bench.exchange(load=(b"%d" % n,)) for n in numbers])
    assert answers == [{b"%d" % n: b"v%d" % n} for n in numbers]


def test_a_life_ends(bench: Bench) -> None:
    bench.do((b"short", b"1", 60), (b"long", b"2", 3 * DAY))
    bench.wait(50)
    assert bench.do(load=(b"short", b"long")) == {b"short": b"1", b"long": b"2"}
    bench.wait(10)
    assert bench.do(load=(b"short", b"long")) == {b"long": b"2"}


def test_a_second_save_gives_the_new_value_and_the_longer_life(bench: Bench) -> None:
    bench.do((b"key", b"old", 60))
    bench.wait(30)
    bench.do((b"key", b"new", 60))
    bench.wait(50)
    assert bench.do(load=(b"key",)) == {b"key": b"new"}
    bench.wait(10)
    assert bench.do(load=(b"key",)) == {}


def test_a_second_save_never_shortens_a_life(bench: Bench) -> None:
    bench.do((b"key", b"old", DAY))
    bench.do((b"key", b"new", 60))
    bench.wait(DAY - 60)
    assert bench.do(load=(b"key",)) == {b"key": b"new"}
    bench.wait(60)
    assert bench.do(load=(b"key",)) == {}


def test_a_key_that_ended_begins_anew(bench: Bench) -> None:
    bench.do((b"key", b"old", 60))
    bench.wait(DAY)
    bench.do((b"key", b"new", 60))
    bench.wait(30)
    assert bench.do(load=(b"key",)) == {b"key": b"new"}
    [record] = bench.store.records(bench.now)
    assert record.age in (None, 30)


def test_a_clock_that_jumps_back_loses_nothing(bench: Bench) -> None:
    bench.do((b"key", b"value", 60))
    bench.now -= 30 * DAY
    assert bench.do((b"other", b"value", 60), load=(b"key",)) == {b"key": b"value"}
    bench.now += 30 * DAY
    assert bench.do(load=(b"key",)) == {b"key": b"value"}


def test_a_clock_that_jumps_forward_and_is_set_right_loses_nothing(bench: Bench) -> None:
    bench.do((b"key", b"value", 60))
    bench.now += 30 * DAY
    bench.do((b"other", b"value", 60), load=(b"key",))
    bench.now -= 30 * DAY
    assert bench.do(load=(b"key",)) == {b"key": b"value"}


def test_another_process_sees_it(shared: Bench) -> None:
    second = shared.second()
    shared.do((b"key", b"value", 60))
    assert second.perform([shared.exchange(load=(b"key",))]) == [{b"key": b"value"}]


def test_several_write_at_once(shared: Bench) -> None:
    shared.store.check()  # as at a start: before several are there
    answers = []

    def write(name: bytes) -> None:
        store = shared.second() if name != b"0" else shared.store
        for number in range(50):
            key = name + b"-%d" % number
            answers.extend(store.perform([Exchange(shared.now, (Record(key, key, 60.0),), (key,))]))

    threads = [threading.Thread(target=write, args=(b"%d" % number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [b"%d-%d" % (name, number) for name in range(4) for number in range(50)]
    assert sorted(map(repr, answers)) == sorted(repr({key: key}) for key in keys)
    assert shared.do(load=tuple(keys)) == {key: key for key in keys}


def test_a_closed_store_opens_again(shared: Bench) -> None:
    shared.do((b"key", b"value", 60))
    shared.store.close()
    shared.store.close()
    assert shared.do(load=(b"key",)) == {b"key": b"value"}


def test_records_show_what_is_alive(bench: Bench) -> None:
    bench.do((b"gone", b"0", 60), (b"short", b"1", 120), (b"long", b"22", DAY))
    bench.wait(60)
    found = {record.key: record for record in bench.store.records(bench.now)}
    assert {key: record.value for key, record in found.items()} == {b"short": b"1", b"long": b"22"}
    assert found[b"short"].left == pytest.approx(60, abs=30)  # Redis has a clock of its own
    assert found[b"long"].left == pytest.approx(DAY - 60, abs=30)
    assert {record.age for record in found.values()} in ({60}, {None})


def test_many_records_are_shown_once_each(bench: Bench) -> None:
    keys = {b"%d" % number for number in range(1234)}
    bench.store.perform([bench.exchange((key, b"", 60)) for key in keys])
    assert sorted(record.key for record in bench.store.records(bench.now)) == sorted(keys)


def test_pruning_leaves_what_is_alive(bench: Bench) -> None:
    bench.do(*((b"gone%d" % number, b"", 60) for number in range(1100)), (b"kept", b"1", DAY))
    bench.wait(60)
    assert bench.store.prune(bench.now) in (1100, 0)  # 0: Redis has done so itself
    assert bench.store.prune(bench.now) == 0
    bench.now -= 60  # they are not only hidden
    assert [record[:2] for record in bench.store.records(bench.now)] == [(b"kept", b"1")]


def test_checked_twice_and_used(bench: Bench) -> None:
    bench.store.check()
    bench.do((b"key", b"value", 60))
    bench.store.check()
    assert bench.do(load=(b"key",)) == {b"key": b"value"}
    assert [Stored(*record).key for record in bench.store.records(bench.now)] == [b"key"]


def test_it_says_how_it_is_performed(bench: Bench) -> None:
    assert bench.store.outcome == "store"
    assert bench.store.patience > 0
