"""What mode topos costs the server's machine, beside Kamailio's topos: CPU per call of Kamailio alone,
of Kamailio with topos and Redis, and of Kamailio with the gateway in mode topos on the same host, by
store; the same calls in one run, and how many of them failed. Redis is in the figure.
"""

import argparse
import json
import shutil
import statistics
import sys
from functools import partial
from typing import Any

from lab.costs import TOOLS, Cost, Kind, measure, start_gateway, start_redis
from lab.net import Net, run

KAMAILIO = "kamailio-topos"
REDIS = "redis://127.0.0.1:6379"


def gateway(store: str, net: Net) -> None:
    """The gateway in mode topos; {folder} in the store's URL is that of the run."""
    if store == REDIS:
        start_redis(net)
    url = store.format(folder=net.folder)
    start_gateway(net, f'mode = "topos"\n[topos]\nstore = "{url}"')


KINDS: dict[str, Kind] = {
    "plain": Kind({}),
    KAMAILIO: Kind({"TOPOS": ""}, start_redis),
    "memory": Kind({}, partial(gateway, "memory:")),
    "sqlite": Kind({}, partial(gateway, "sqlite:///{folder}/dialogs.db")),
    "redis": Kind({}, partial(gateway, REDIS)),
}


def compare(count: int, rate: int, runs: int) -> dict[str, Any]:
    """Medians of the runs: what a call costs, what of it above the plain proxy, and that in parts of what
    Kamailio's topos costs in the same run."""
    costs: dict[str, list[Cost]] = {kind: [] for kind in KINDS}
    for number in range(runs):
        for name, taken in costs.items():
            taken.append(measure(KINDS[name], count, rate))
            us_per_call, failed = taken[-1]
            said = f"{us_per_call:.0f} us a call, {failed} failed"
            print(f"run {number + 1}: {name} {said}", file=sys.stderr)
    plain = [cost.us_per_call for cost in costs["plain"]]
    above = {
        name: [cost.us_per_call - alone for cost, alone in zip(taken, plain, strict=True)]
        for name, taken in costs.items()
        if name != "plain"
    }
    parts = {
        name: [ours / theirs for ours, theirs in zip(taken, above[KAMAILIO], strict=True)]
        for name, taken in above.items()
    }
    return {
        "calls": count, "rate": rate, "runs": runs,
        "us_per_call": {
            name: round(statistics.median(cost.us_per_call for cost in taken))
            for name, taken in costs.items()
        },
        "us_per_call_above_plain": {
            name: round(statistics.median(taken)) for name, taken in above.items()
        },
        "of_kamailios_cost": {
            name: round(statistics.median(taken), 2) for name, taken in parts.items()
        },
        "of_kamailios_cost_runs": {
            name: [round(part, 2) for part in taken] for name, taken in parts.items()
        },
        "calls_failed": {name: sum(cost.failed for cost in taken) for name, taken in costs.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench --live --topos", description=__doc__)
    parser.add_argument("--live", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--topos", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--calls", type=int, default=1000, help="calls of one measurement")
    parser.add_argument("--rate", type=int, default=200, help="calls a second")
    parser.add_argument("--runs", type=int, default=1, help="measurements of each kind")
    given = parser.parse_args()
    tools = (*TOOLS, "redis-server")
    if missing := [tool for tool in tools if not shutil.which(tool)]:
        sys.exit(f"bench --live --topos: not installed: {', '.join(missing)}")
    run("ip", "netns", "list")
    report = compare(given.calls, given.rate, given.runs)
    if given.json:
        print(json.dumps(report, indent=2))
        return
    for name, value in report["us_per_call"].items():
        above = report["us_per_call_above_plain"].get(name, 0)
        part = report["of_kamailios_cost"].get(name, 0)
        failed = report["calls_failed"][name]
        print(f"{name:<15}{value:>6} us a call {above:>6} above plain {part:>6.2f} of Kamailio's topos"
              f" {failed:>5} failed")  # fmt: skip


if __name__ == "__main__":
    main()
