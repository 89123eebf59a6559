"""What the live benchmarks share: their options, the programs they need, and kinds of server measured
by turns, with medians of what each costs above the plain one."""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from inline_topo.edges.live.port import Queue
from lab.awake import awake
from lab.costs import ROOT, Cost, Kind, Load, measure
from lab.net import run

PLAIN = "plain"
# Most of what Kamailio's hiding modules cost goes into its default allocator's search for free memory;
# it brings others, which its users may choose.
OTHER_ALLOCATOR = "fm"
PLAIN_OTHER = f"{PLAIN}, -x {OTHER_ALLOCATOR}"


def options(name: str, about: str | None, *hidden: str) -> argparse.ArgumentParser:
    """A parser with what all have; `hidden` are switches that scripts/bench or they themselves set."""
    parser = argparse.ArgumentParser(prog=name, description=about)
    for switch in hidden:
        parser.add_argument(switch, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def call_options(parser: argparse.ArgumentParser, calls: int, rate: int, runs: int) -> None:
    """Add the options of benchmarks that make calls, with their defaults."""
    parser.add_argument(
        "--calls", type=int, default=calls, help=f"calls of one measurement (default {calls})"
    )
    parser.add_argument("--rate", type=int, default=rate, help=f"calls a second (default {rate})")
    parser.add_argument(
        "--runs", type=int, default=runs, help=f"measurements of each kind (default {runs})"
    )
    parser.add_argument(
        "--at-once", type=int, default=0, metavar="N",
        help="calls at a time, at most (default 0: as many as come)",
    )  # fmt: skip
    compiled_options(parser)
    parser.add_argument(
        "--let-idle", action="store_true",
        help="let processors halt while nothing runs; without this each is kept busy, outside the "
        "server's namespace and at no cost in the figures, as caches gone cold make them swing",
    )  # fmt: skip


def compiled_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `compiled` goes by."""
    parser.add_argument("--pure", action="store_true", help="leave out the compiled packet path")
    parser.add_argument(
        "--compiled", type=Path, default=ROOT / ".compiled", metavar="DIR",
        help="what scripts/compile makes, or has made (default .compiled)",
    )  # fmt: skip


def with_other_allocator(name: str, kind: Kind) -> dict[str, Kind]:
    """A kind of Kamailio, and it and the plain one with the other allocator."""
    return {
        name: kind,
        PLAIN_OTHER: Kind({}, allocator=OTHER_ALLOCATOR),
        f"{name}, -x {OTHER_ALLOCATOR}": kind._replace(
            allocator=OTHER_ALLOCATOR, above=PLAIN_OTHER
        ),
    }


def need(name: str, *tools: str) -> None:
    """End with a line if a program is missing; LabError if namespaces cannot be listed."""
    if missing := [tool for tool in tools if not shutil.which(tool)]:
        sys.exit(f"{name}: not installed: {', '.join(missing)}")
    run("ip", "netns", "list")


def compiled(given: argparse.Namespace) -> Path | None:
    """The folder of the compiled package, made if it is old; None, with a line, if it cannot be."""
    if given.pure:
        return None
    done = subprocess.run(
        [str(ROOT / "scripts/compile"), str(given.compiled)], stdout=sys.stderr, check=False
    )
    if done.returncode:
        print("the compiled packet path is left out: it cannot be made", file=sys.stderr)
        return None
    return Path(given.compiled).resolve()


def serve(judge: Callable[[bytes], bytes]) -> None:
    """Judge the packets of queue 0 as a worker reads them, until ended."""
    queue = Queue(0, 4096)
    print("ready", flush=True)
    queue.serve(judge, lambda: None, 0.25)


def compare(
    kinds: Mapping[str, Kind], reference: str, given: argparse.Namespace, load: Load
) -> dict[str, Any]:
    """Medians of the runs: what a call costs, what of it above the plain proxy of the same allocator,
    that in parts of what `reference` costs above it in the same run; how many calls failed; and how
    long messages take through the server's host, median and 99th percentile, and what is added to plain's."""
    costs: dict[str, list[Cost]] = {name: [] for name in kinds}
    with nullcontext() if given.let_idle else awake():
        for number in range(given.runs):
            for name, taken in costs.items():
                taken.append(measure(kinds[name], load))
                us_per_call, failed, _ = taken[-1]
                said = f"{us_per_call:.0f} us a call, {failed} failed"
                print(f"run {number + 1}: {name} {said}", file=sys.stderr)
    above = {
        name: [
            cost.us_per_call - alone.us_per_call
            for cost, alone in zip(taken, costs[kinds[name].above], strict=True)
        ]
        for name, taken in costs.items()
        if name not in (PLAIN, PLAIN_OTHER)
    }
    parts = {
        name: [ours / theirs for ours, theirs in zip(taken, above[reference], strict=True)]
        for name, taken in above.items()
    }
    transits = {name: _percentiles(taken) for name, taken in costs.items()}
    return {
        "calls": load.calls, "rate": load.rate, "at_once": load.at_once, "runs": given.runs,
        "processors_kept_busy": not given.let_idle,
        "us_per_call": {
            name: round(statistics.median(cost.us_per_call for cost in taken))
            for name, taken in costs.items()
        },
        "us_per_call_above_plain": {
            name: round(statistics.median(taken)) for name, taken in above.items()
        },
        "of_cost": {name: round(statistics.median(taken), 2) for name, taken in parts.items()},
        "of_cost_runs": {
            name: [round(part, 2) for part in taken] for name, taken in parts.items()
        },
        "calls_failed": {name: sum(cost.failed for cost in taken) for name, taken in costs.items()},
        "transit_ms": transits,
        "transit_ms_added": {
            name: {key: round(transit[key] - transits[kinds[name].above][key], 3) for key in transit}
            for name, transit in transits.items()
            if name in above
        },
    }  # fmt: skip


def _percentiles(taken: list[Cost]) -> dict[str, float]:
    """Of all messages of the runs, in milliseconds."""
    transits = sorted(transit for cost in taken for transit in cost.transits)
    return {
        "median": round(statistics.median(transits), 3),
        "p99": round(transits[int(len(transits) * 0.99)], 3),
    }


def renamed(report: dict[str, Any], name: str) -> dict[str, Any]:
    """A report whose `of_cost` is called after the reference."""
    return {key.replace("of_cost", f"of_{name}_cost"): value for key, value in report.items()}


def table(report: dict[str, Any], reference: str) -> None:
    """Print a report of `compare`."""
    busy = "kept busy" if report["processors_kept_busy"] else "left to idle"
    print(f"{report['calls']} calls at {report['rate']} a second, processors {busy} in between")
    for name, value in report["us_per_call"].items():
        failed = report["calls_failed"][name]
        line = f"{name:<22}{value:>6} us a call {failed:>5} failed"
        if name in report["us_per_call_above_plain"]:
            line += f" {report['us_per_call_above_plain'][name]:>6} above plain"
            line += (
                f" {report['of_cost'][name]:>6.2f} of {reference}'s {report['of_cost_runs'][name]}"
            )
        print(line)
    print("a message through the server's host, in and out: milliseconds, and above plain")
    for name, transit in report["transit_ms"].items():
        line = f"{name:<22}{transit['median']:>8.2f} median {transit['p99']:>8.2f} p99"
        if added := report["transit_ms_added"].get(name):
            line += f" {added['median']:>8.2f} median {added['p99']:>8.2f} p99 added"
        print(line)


def said(report: Any) -> None:
    """Print JSON."""
    print(json.dumps(report, indent=2))
