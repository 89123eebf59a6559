"""Counters that processes share, and what is counted in them."""

import os

import pytest

from inline_topo.edges.live import snapshot, tally
from inline_topo.edges.live.board import Board
from inline_topo.edges.live.snapshot import Source
from inline_topo.edges.live.tally import Tally
from inline_topo.edges.live.worker import Mode
from inline_topo.edits import Edit
from inline_topo.gateway import Action, Verdict
from inline_topo.masking.flow import Direction

LONG = bytes([0x45]) + bytes(1499)
LONG6 = bytes([0x60]) + bytes(1499)


def test_a_forked_process_counts_for_its_parent() -> None:
    board: Board[str] = Board(["a", "b"], 2)
    pid = os.fork()
    if not pid:
        board.rows[1].add("b", 3)
        os._exit(0)
    os.waitpid(pid, 0)
    board.rows[0].set("b", 4)
    assert (board.total("a"), board.total("b"), board.rows[1]["b"]) == (0, 7, 3)


def masked(packet: bytes, grown: int) -> Verdict:
    edits = (
        Edit(0, 1, b"x", "Via", "masked"),
        Edit(2, 3, b"y", "Contact", "masked"),
        Edit(4, 5, b"z", "Route", "opened"),
    )
    sent = packet + bytes(grown)
    return Verdict(Action.REPLACE, sent, Direction.EGRESS, "masked", edits)


def test_a_packet_is_counted_once_everywhere() -> None:
    board = tally.board(2)
    first, second = (Tally(row, 1500) for row in board.rows)
    assert not first.note(LONG, masked(LONG, 77), 25_000)
    assert second.note(LONG6, masked(LONG6, 1), 60_000_000)
    dropped = Verdict(Action.DROP, LONG, Direction.EGRESS, "refused_cut")
    second.note(LONG, dropped, 1_000)
    for one in (first, second, second):
        one.flush()
    state = snapshot.take(Source(board, (4, 5), Mode.LIVE))
    assert state["packets"] == 3
    assert [queue["queue"] for queue in state["queues"]] == [4, 5]
    assert [queue["packets"] for queue in state["queues"]] == [1, 2]
    assert state["outcomes"] == {"egress": {"masked": 2, "refused_cut": 1}}
    assert state["edits"] == {"masked": {"Via": 2, "Contact": 2}, "opened": {"Route": 2}}
    assert state["bytes_added"] == 78
    assert state["over_mtu"] == {"ipv4": 1, "ipv6": 1}
    assert board.total(("bucket", "30000")) == 1
    assert board.total(("bucket", "inf")) == 1


@pytest.mark.parametrize(("packet", "headers"), [(LONG[:1], 28), (LONG6[:1], 48)])
def test_messages_that_grow_past_1300_bytes_are_counted(packet: bytes, headers: int) -> None:
    board = tally.board(1)
    count = Tally(board.rows[0], 1500)
    for size, grown in ((1250, 50), (1250, 51), (1300, 1), (1301, 1)):
        long = packet.ljust(size + headers, b"x")
        count.note(long, masked(long, grown), 1_000)
    assert snapshot.take(Source(board, (0,), Mode.LIVE))["over_1300"] == 2


def test_what_comes_back_is_opened_by_a_token_or_out_of_the_store() -> None:
    """Who drains waits for the last of either."""
    for action, is_opened in (("opened", True), ("restored", True), ("masked", False)):
        board = tally.board(1)
        count = Tally(board.rows[0], 1500)
        verdict = Verdict(
            Action.REPLACE, LONG, Direction.INGRESS, "unmasked", (Edit(0, 1, b"x", "Via", action),)
        )
        count.note(LONG, verdict, 25_000)
        count.flush()
        state = snapshot.take(Source(board, (0,), Mode.DRAIN))
        assert (state["seconds_since_opened"] is not None) is is_opened


def test_fields_without_a_counter_are_counted_together() -> None:
    board = tally.board(1)
    counting = Tally(board.rows[0], 1500)
    edits = (
        Edit(0, 1, b"", "X-One", "stripped"),
        Edit(2, 3, b"", "X-Two", "stripped"),
        Edit(4, 5, b"", "Subject", "swapped"),
    )
    counting.note(LONG, Verdict(Action.REPLACE, LONG, Direction.EGRESS, "masked", edits), 1)
    counting.flush()
    state = snapshot.take(Source(board, (4,), Mode.LIVE))
    assert state["edits"] == {"stripped": {"other": 2}, "swapped": {"Subject": 1}}


def test_tokens_that_do_not_open_are_counted_by_field() -> None:
    board = tally.board(2)
    for row, fields in zip(board.rows, [("Via", "Via", "Request-URI"), ("Via",)], strict=True):
        Tally(row, 1500).note_unopened(fields)
    state = snapshot.take(Source(board, (4, 5), Mode.LIVE))
    assert state["opens_refused"] == {"Request-URI": 1, "Via": 3}


def test_who_has_not_turned_is_not_alive() -> None:
    board = tally.board(1)
    assert snapshot.take(Source(board, (0,), Mode.LIVE))["state"] == "degraded"
