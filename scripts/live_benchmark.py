"""What hiding costs the server's machine: CPU per call of Kamailio alone, of Kamailio with topoh, and
of Kamailio with the gateway on the same host, with the same calls, in one run; and how many of the
calls failed. What CPU is here, `lab.costs` says.
"""

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from inline_topo.config.tables import Queue as QueueTable
from inline_topo.edges.live.port import Queue
from lab.costs import TOOLS, Cost, Kind, measure, start_gateway
from lab.net import Net, run

GATHER = QueueTable.model_fields["gather_us"].default / 1e6
PACKETS_A_CALL = 13  # INVITE, 100, 180, 200, ACK, BYE, 200: all but the 100 twice


def reinjecting(net: Net) -> None:
    """A process that sends each packet back as it came, payload replaced: the floor."""
    start_gateway(net, script=(str(Path(__file__)), "--reinject"))


def reinject() -> None:
    """The work of `reinjecting`, in its namespace."""
    queue = Queue(0, 4096, GATHER)
    print("ready", flush=True)
    queue.serve(lambda packet: bytes(memoryview(packet)), lambda: None, 0.25)


KINDS: dict[str, Kind] = {
    "plain": Kind({}),
    "topoh": Kind({"TOPOH": ""}),
    "gateway": Kind({}, start_gateway),
    "reinjecting": Kind({}, reinjecting),
}


def compare(count: int, rate: int, runs: int) -> dict[str, Any]:
    """Medians of the runs, and what each costs beyond the plain proxy in parts of topoh."""
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    failed = dict.fromkeys(KINDS, 0)
    ratios: dict[str, list[float]] = {"gateway": [], "reinjecting": []}
    for number in range(runs):
        for kind, taken in costs.items():
            cost: Cost = measure(KINDS[kind], count, rate)
            taken.append(cost.us_per_call)
            failed[kind] += cost.failed
            said = f"{cost.us_per_call:.0f} us a call, {cost.failed} failed"
            print(f"run {number + 1}: {kind} {said}", file=sys.stderr)
        for kind, parts in ratios.items():
            parts.append((costs[kind][-1] - costs["plain"][-1])
                         / (costs["topoh"][-1] - costs["plain"][-1]))  # fmt: skip
    median = {kind: statistics.median(taken) for kind, taken in costs.items()}
    return {
        "calls": count, "rate": rate, "runs": runs,
        "us_per_call": {kind: round(value) for kind, value in median.items()},
        "calls_failed": failed,
        "us_per_packet_of_the_gateway": round(
            (median["gateway"] - median["plain"]) / PACKETS_A_CALL, 1),
        "of_topohs_cost": {kind: round(statistics.median(p), 2) for kind, p in ratios.items()},
        "of_topohs_cost_runs": {kind: [round(r, 2) for r in p] for kind, p in ratios.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench --live", description=__doc__)
    parser.add_argument("--live", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--reinject", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--calls", type=int, default=2000, help="calls of one measurement")
    parser.add_argument("--rate", type=int, default=200, help="calls a second")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each kind")
    given = parser.parse_args()
    if given.reinject:
        return reinject()
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        sys.exit(f"bench --live: not installed: {', '.join(missing)}")
    run("ip", "netns", "list")
    report = compare(given.calls, given.rate, given.runs)
    if given.json:
        print(json.dumps(report, indent=2))
        return None
    for kind, value in report["us_per_call"].items():
        failed = report["calls_failed"][kind]
        print(f"{kind:<12} {value:>6} us of CPU a call {failed:>6} failed")
    for kind, part in report["of_topohs_cost"].items():
        runs = report["of_topohs_cost_runs"][kind]
        print(f"{kind:<12} {part:>6} of what topoh costs (runs: {runs})")
    print(f"{'gateway':<12} {report['us_per_packet_of_the_gateway']:>6} us of CPU a packet")
    return None


if __name__ == "__main__":
    main()
