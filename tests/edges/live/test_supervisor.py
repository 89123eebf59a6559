"""A reload that goes wrong in a way that nobody foresaw leaves everything as it is."""

import logging
from types import SimpleNamespace
from typing import cast

import pytest

from inline_topo.edges.live import tally
from inline_topo.edges.live.port import Queue
from inline_topo.edges.live.supervisor import Supervisor
from inline_topo.edges.live.worker import Job, Mode
from tests.masking.network import gateway


def test_a_reload_that_fails_unforeseen(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> Job:
        raise RuntimeError("unforeseen")

    queues = [cast(Queue, SimpleNamespace(number=0))]  # bound to nothing
    supervisor = Supervisor(Job(gateway(), Mode.LIVE, 1500), load, queues, tally.board(1))
    with caplog.at_level(logging.ERROR):
        supervisor._reload()
    assert "reload refused, the old configuration stays" in caplog.text
