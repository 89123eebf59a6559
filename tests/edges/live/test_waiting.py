"""The waiting room without a kernel: batches, failures, order, and the end."""

import queue
import select
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from inline_topo.edges.live import waiting
from inline_topo.edges.live.port import Later
from inline_topo.edges.live.waiting import WaitingRoom
from inline_topo.gateway import Action, Ask, Verdict
from inline_topo.masking.effects import EffectFailed, Performers
from inline_topo.masking.flow import Direction

PATIENCE = 10.0  # seconds for what must happen, and does at once


ROOMS: list[WaitingRoom] = []
"""Those of the test that runs."""


@dataclass(frozen=True)
class Slow:
    """An effect that takes a thread."""

    name: str


@dataclass(frozen=True)
class Quick:
    """An effect that is done in place."""

    name: str


class Store:
    """A performer that the test lets go on, batch by batch."""

    outcome = "store"

    def __init__(self, *, is_immediate: bool = False, patience: float = PATIENCE) -> None:
        self.is_immediate = is_immediate
        self.patience = patience
        self.batches: queue.Queue[list[str]] = queue.Queue()
        self.let_go: queue.Queue[Callable[[list[str]], list[Any]]] = queue.Queue()
        self.closed_by: list[threading.Thread] = []

    def perform(self, effects: Sequence[Any]) -> list[Any]:
        names = [effect.name for effect in effects]
        if self.is_immediate:
            return [name.upper() for name in names]
        self.batches.put(names)
        return self.let_go.get(timeout=PATIENCE)(names)

    def close(self) -> None:
        self.closed_by.append(threading.current_thread())

    def answer(self, give: Callable[[list[str]], list[Any]] = list) -> list[str]:
        """Wait for a batch, and let the performer give this for it."""
        names = self.batches.get(timeout=PATIENCE)
        self.let_go.put(give)
        return names


class PromptStore(Store):
    """One that does in place what is not called `later`; what is called `raise` it cannot do."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts: list[list[str]] = []

    def attempt(self, effects: Sequence[Slow]) -> list[str] | None:
        names = [effect.name for effect in effects]
        self.attempts.append(names)
        if "raise" in names:
            raise ZeroDivisionError
        return None if "later" in names else [name.upper() for name in names]


class Held:
    """A packet that the kernel holds: what became of it."""

    def __init__(self) -> None:
        self.sent: bytes | None = None
        self.fate = ""

    def give(self, data: bytes, sent: bytes | None) -> None:
        assert not self.fate
        self.fate = "drop" if sent is None else "accept"
        self.sent = None if sent is data else sent


def verdict(packet: bytes, answer: Any) -> Verdict:
    """A failure drops; else the answer stands behind the packet."""
    if isinstance(answer, EffectFailed):
        return Verdict(Action.DROP, packet, Direction.EGRESS, "refused_" + answer.outcome)
    changed = packet + str(answer).encode()
    return Verdict(Action.REPLACE, changed, Direction.EGRESS, "masked")


class Worker:
    """The host: what a packet says after its last blank line is what it asks for, effect by effect;
    the port is here too."""

    def __init__(self, store: Store, quick: Store | None = None, most: int = 100) -> None:
        self.store = store
        performers: Performers = {Slow: store, Quick: quick or Store(is_immediate=True)}
        self.room = WaitingRoom(self, performers, most)
        self.effects: list[tuple[str, str, str]] = []
        self.order: list[bytes] = []
        ROOMS.append(self.room)

    def handle(self, packet: bytes) -> Verdict | Ask:
        words = packet.rpartition(b"\n")[2].decode().split()
        return self._ask(packet, words, "")

    def _ask(self, packet: bytes, words: list[str], answer: Any) -> Verdict | Ask:
        if isinstance(answer, EffectFailed) or not words:
            return verdict(packet, answer)
        kinds = {"slow": Slow, "quick": Quick}
        kind, _, name = words[0].partition("-")
        effect = kinds.get(kind, str)(name)
        return Ask(effect, lambda next_one: self._ask(packet, words[1:], next_one))

    def conclude(self, packet: bytes, verdict: Verdict, started: int) -> bytes | None:
        self.order.append(packet)
        return None if verdict.action is Action.DROP else verdict.packet

    def note_effect(self, kind: str, ending: str, seconds: float, reason: str) -> None:
        self.effects.append((kind, ending, reason))

    def come(self, packet: bytes) -> Held:
        """A packet from the kernel."""
        [held] = self.come_together(packet)
        return held

    def come_together(self, *packets: bytes) -> list[Held]:
        """Packets that are read at once."""
        held = [self._come(packet) for packet in packets]
        self.room.settle()
        return held

    def _come(self, packet: bytes) -> Held:
        held = Held()
        call_id = self.room.call_id_in_line(packet) if self.room.count else None
        answer: Any = None
        if call_id:
            answer = self.room.line_up(packet, call_id)
        else:
            answer = self.handle(packet)
            if isinstance(answer, Ask):
                answer = self.room.ask(packet, answer, 0)
        if isinstance(answer, Later):
            answer.hold(held.give)
        else:
            later = Later(packet)
            later.hold(held.give)
            later.give(self.conclude(packet, answer, 0))
        return held

    def attend(self) -> None:
        """Wait until there is something to attend to, and do."""
        poll = select.poll()
        poll.register(self.room.fd, select.POLLIN)
        assert poll.poll(PATIENCE * 1000)
        self.room.attend()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while ROOMS:
        ROOMS.pop().close(PATIENCE)


def packet(number: int, asks: str, call: int = 0) -> bytes:
    return b"INVITE %d\r\nCall-ID: c%d\r\n\r\n%s" % (number, call or number, asks.encode())


def test_what_waits_while_a_batch_is_done_is_the_next_batch() -> None:
    worker = Worker(Store())
    first = worker.come(packet(1, "slow-a"))
    names = worker.store.batches.get(timeout=PATIENCE)
    others = [worker.come(packet(number, f"slow-{number}")) for number in range(2, 6)]
    worker.store.let_go.put(list)
    assert names == ["a"]
    assert worker.store.answer() == ["2", "3", "4", "5"]
    while worker.room.count:
        worker.attend()
    assert [held.sent for held in (first, others[3])] == [
        packet(1, "slow-a") + b"a",
        packet(5, "slow-5") + b"5",
    ]
    assert {held.fate for held in (first, *others)} == {"accept"}
    assert worker.effects == [("store", "done", "")] * 5


def test_what_is_immediate_is_done_in_place() -> None:
    worker = Worker(Store())
    held = worker.come(packet(1, "quick-a quick-b"))
    assert (held.fate, held.sent, worker.room.count) == (
        "accept",
        packet(1, "quick-a quick-b") + b"B",
        0,
    )
    assert worker.effects == [("store", "done", "")] * 2


def test_what_may_be_done_at_once_is_tried_in_place(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(PromptStore())
    held = worker.come(packet(1, "slow-a"))
    assert (held.sent, worker.room.count) == (packet(1, "slow-a") + b"A", 0)
    held = worker.come(packet(2, "slow-later"))
    behind = worker.come(packet(3, "slow-b", call=2))
    assert (held.fate, behind.fate, worker.room.count) == ("", "", 2)
    assert worker.store.answer() == ["later"]
    worker.attend()
    assert (held.sent, behind.sent) == (
        packet(2, "slow-later") + b"later",
        packet(3, "slow-b", call=2) + b"B",
    )
    assert not caplog.records
    assert worker.come(packet(4, "slow-raise")).fate == "drop"
    assert "ZeroDivisionError" in caplog.text


def test_what_is_read_together_is_done_together_and_in_its_order() -> None:
    store = PromptStore()
    worker = Worker(store)
    asks = [
        packet(1, "slow-a slow-b"), packet(2, "slow-c"), packet(3, "slow-d", call=1),
        packet(4, "", call=2), packet(5, ""),
    ]  # fmt: skip
    held = worker.come_together(*asks)
    assert store.attempts == [["a", "c"], ["b"], ["d"]]
    assert [one.sent for one in held] == [
        *(asks[0] + b"B", asks[1] + b"C", asks[2] + b"D"),
        *(None, None),  # as they came
    ]
    assert {one.fate for one in held} == {"accept"}
    # The fifth had nothing to wait for; the others of a call keep their order.
    assert [one[7:8] for one in worker.order] == [b"5", b"2", b"4", b"1", b"3"]
    assert worker.room.count == 0


def test_one_effect_after_another_keeps_the_line() -> None:
    worker = Worker(Store())
    worker.come(packet(1, "slow-a quick-b slow-c"))
    worker.come(packet(2, "", call=1))
    worker.come(packet(3, "slow-d", call=1))
    worker.come(packet(4, "quick-e", call=1))
    for name in "acd":
        assert worker.order == (
            [packet(1, "slow-a quick-b slow-c"), packet(2, "", call=1)] if name == "d" else []
        )
        assert worker.store.answer() == [name]
        worker.attend()
    assert [one[7:8] for one in worker.order] == [b"1", b"2", b"3", b"4"]
    assert worker.room.count == 0
    assert worker.room.call_id_in_line(packet(5, "", call=1)) is None


@pytest.mark.parametrize(
    "head", [b"Call-ID: c1", b"CALL-id :c1", b"i:c1", b"I\t: \t c1", b"Call-ID:\r\n c1"]
)
def test_a_call_id_is_found_however_it_is_written(head: bytes) -> None:
    worker = Worker(Store())
    worker.come(packet(1, "slow-a"))
    assert worker.room.call_id_in_line(b"BYE x\r\n%s\r\n\r\n" % head) == b"c1"
    assert worker.room.call_id_in_line(b"BYE x\r\nX-Call-ID: c1\r\n%s2\r\n" % head) is None
    worker.store.answer()
    worker.attend()


def test_a_performer_that_raises_or_gives_too_little_has_failed() -> None:
    def raises(names: list[str]) -> list[Any]:
        raise OSError("the store is gone")

    worker = Worker(Store())
    for number, give in ((1, raises), (2, lambda names: [])):
        held = worker.come(packet(number, "slow-a"))
        worker.store.answer(give)
        worker.attend()
        assert held.fate == "drop"
    assert worker.effects == [("store", "failed", "a defect of its performer")] * 2


def test_an_effect_that_nobody_performs_drops_its_packet_and_lets_the_next_in() -> None:
    worker = Worker(Store())
    first = worker.come(packet(1, "slow-a unknown"))
    second = worker.come(packet(2, "", call=1))
    worker.store.answer()
    worker.attend()
    assert (first.fate, second.fate) == ("drop", "accept")


def test_a_late_answer_changes_nothing_and_what_nobody_waits_for_is_not_begun() -> None:
    worker = Worker(Store(patience=0.01))
    first = worker.come(packet(1, "slow-a"))
    assert worker.store.batches.get(timeout=PATIENCE) == ["a"]
    second = worker.come(packet(2, "slow-b"))
    due = worker.room.attend()
    while worker.room.count:
        select.select([], [], [], due)
        due = worker.room.attend()
    assert (first.fate, second.fate) == ("drop", "drop")
    assert worker.effects == [("store", "late", "no answer in time")] * 2
    worker.store.let_go.put(list)
    worker.attend()
    worker.store.patience = PATIENCE
    third = worker.come(packet(3, "slow-c"))
    assert worker.store.answer() == ["c"]
    worker.attend()
    assert third.fate == "accept"


def test_a_full_room_fails_what_asks() -> None:
    worker = Worker(Store(), most=1)
    worker.come(packet(1, "slow-a"))
    assert worker.room.is_full()
    assert worker.come(packet(2, "slow-b")).fate == "drop"
    assert worker.effects == [("store", "crowded", "too many packets wait")]
    worker.store.answer()
    worker.attend()
    assert not worker.room.is_full()


@pytest.mark.interpreted
def test_a_room_is_full_of_few_packets_that_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_BYTES", 100)
    worker = Worker(Store())
    long = packet(1, "slow-a").replace(b"INVITE", b"INVITE" * 20)
    worker.come(long)
    assert worker.room.is_full()
    assert worker.come(packet(2, "slow-b")).fate == "drop"
    worker.store.answer()
    worker.attend()
    assert not worker.room.is_full()
    worker.come(packet(3, "slow-c"))
    worker.come(packet(4, "", call=3))  # lines up
    assert not worker.room.is_full()
    worker.store.answer()
    worker.attend()
    assert worker.room.count == 0


def test_the_end_waits_for_what_comes_and_fails_the_rest_with_all_behind_it() -> None:
    worker = Worker(Store())
    done = worker.come(packet(1, "slow-a"))
    assert worker.store.batches.get(timeout=PATIENCE) == ["a"]
    failed = worker.come(packet(2, "slow-b"))
    worker.store.let_go.put(list)
    assert worker.store.batches.get(timeout=PATIENCE) == ["b"]
    behind = [worker.come(packet(3, "slow-c", call=2)), worker.come(packet(4, "", call=2))]
    worker.room.finish(0.05)
    assert done.fate == "accept"
    assert [held.fate for held in behind] == ["drop", "accept"]
    assert worker.room.count == 0
    assert failed.fate == "drop"
    worker.store.let_go.put(list)
    worker.room.close(PATIENCE)
    [thread] = worker.store.closed_by
    assert thread is not threading.current_thread()
