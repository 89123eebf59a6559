"""A reload that goes wrong in a way that nobody foresaw leaves everything as it is."""

import logging
import time
from types import SimpleNamespace
from typing import cast

import pytest

from inline_topo.edges.live import tally
from inline_topo.edges.live.port import Queue
from inline_topo.edges.live.supervisor import Supervisor
from inline_topo.edges.live.worker import Job, Mode
from tests.masking.network import gateway


def supervisor_of_one() -> Supervisor:
    """One whose queue is bound to nothing, and that fails to reload."""

    def load() -> Job:
        raise RuntimeError("unforeseen")

    queues = [cast(Queue, SimpleNamespace(number=0))]
    return Supervisor(Job(gateway(), Mode.LIVE, 1500), load, queues, tally.board(1))


def test_a_reload_that_fails_unforeseen(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = supervisor_of_one()
    with caplog.at_level(logging.ERROR):
        supervisor._reload()
    assert "reload refused, the old configuration stays" in caplog.text


def test_the_end_waits_for_nobody_where_all_have_ended() -> None:
    supervisor = supervisor_of_one()
    began = time.monotonic()
    supervisor._end()
    assert time.monotonic() - began < 1  # and not the seconds that children have to end
