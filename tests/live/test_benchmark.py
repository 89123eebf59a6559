"""The benchmark of the live gateway runs, and measures what it says."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.live.running import INLINE_TOPO

pytestmark = [
    pytest.mark.root,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp"),
]

SCRIPT = Path(__file__).parents[2] / "scripts/live_benchmark.py"


def test_every_kind_is_measured_and_hiding_costs_something() -> None:
    command = [*INLINE_TOPO[:3], str(SCRIPT), "--json", "--runs", "1", "--calls", "400"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    costs = report["us_per_call"]
    assert list(costs) == ["plain", "topoh", "gateway", "reinjecting"]
    assert 0 < costs["plain"] < costs["reinjecting"] < costs["gateway"]
