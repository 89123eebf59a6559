"""The benchmarks of the live gateway run, measure what they say, and lose nothing: few calls, whose
figures mean nothing. scripts/nightly has those."""

import json
import subprocess
from pathlib import Path

import pytest

from lab.ours import PYTHON

pytestmark = [
    pytest.mark.root,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump", "redis-server"),
]

FEW = ("--json", "--pure", "--let-idle", "--runs", "1", "--calls", "60", "--rate", "60")
SCRIPT = Path(__file__).parents[2] / "scripts/live_benchmark.py"


def test_every_kind_is_measured() -> None:
    command = [*PYTHON, str(SCRIPT), *FEW]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    costs = report["us_per_call"]
    others = ["plain, -x fm", "topoh, -x fm"]
    assert list(costs) == ["plain", "topoh", *others, "gateway", "reinjecting"]
    assert min(costs.values()) > 0
    assert report["calls_failed"] == dict.fromkeys(costs, 0)
    assert min(transit["median"] for transit in report["transit_ms"].values()) > 0
    assert set(costs) - set(report["transit_ms_added"]) == {"plain", "plain, -x fm"}


def test_mode_topos_beside_kamailios_topos_and_no_call_fails() -> None:
    script = SCRIPT.with_name("topos_benchmark.py")
    command = [*PYTHON, str(script), *FEW, "--slow-rate", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    costs = report["us_per_call"]
    others = ["plain, -x fm", "kamailio-topos, -x fm"]
    assert list(costs) == ["plain", "kamailio-topos", *others, "memory", "sqlite", "redis"]
    assert min(costs.values()) > 0
    assert [report["calls_failed"][kind] for kind in ("memory", "sqlite", "redis")] == [0, 0, 0]


@pytest.mark.alone
def test_a_flood_passes_through_one_worker_and_through_two() -> None:
    script = SCRIPT.with_name("flood_benchmark.py")
    command = [*PYTHON, str(script), "--json", "--pure", "--bursts", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report.pop("compiled") is False
    assert list(report) == ["accept", "one worker", "two workers"]
    assert [figures["lost"] for figures in report.values()] == [0, 0, 0]
    cpu = [figures["us_of_cpu_per_packet"] for figures in report.values()]
    assert min(cpu) > 0
