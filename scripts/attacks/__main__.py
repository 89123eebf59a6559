"""scripts/attack: runs the checks, prints a table, exits with 1 where something opens, or costs too
much."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from attacks import cost, holes, suite
from attacks.matrix import Depth
from inline_topo import gateway

ROOT = Path(__file__).parents[2]
BOUNDS = ("tests/attacks/test_memory.py", "tests/attacks/test_store_growth.py")
"""The tests of memory and of the store's growth, which run as they are."""
COST, GROWTH = "cost", "growth"
_SHARE = 300
"""Of so many patterns of the grid of costs one is tried, without --full."""


def main() -> int:
    arguments = _parser().parse_args()
    chosen = arguments.checks or [*suite.CHECKS, COST, GROWTH]
    console = Console()
    failed = False
    names = [name for name in chosen if name in suite.CHECKS]
    if names:
        failed |= _attack(console, arguments, names)
    if COST in chosen and not arguments.write_holes:
        failed |= _cost(console, full=arguments.full)
    if GROWTH in chosen and not arguments.write_holes:
        command = [sys.executable, "-m", "pytest", "-q", *BOUNDS]
        if is_compiled():
            command += ["--compiled", "-o", "pythonpath=.compiled . scripts"]
        console.print(f"memory and store growth: {' '.join(BOUNDS)}")
        failed |= subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    return 1 if failed else 0


def _attack(console: Console, arguments: argparse.Namespace, names: list[str]) -> bool:
    """Run the checks that open or reach something; whether one did."""
    where = suite.settings() if arguments.full else suite.few()
    if arguments.setting:
        where = [one for one in suite.settings() if arguments.setting in one.name]
    depth = Depth.THOROUGH if arguments.thorough else Depth.USUAL if arguments.full else Depth.QUICK
    with tempfile.TemporaryDirectory() as folder:
        report = suite.run(names, where, Path(folder), depth)
    console.print(_table(report))
    for hole, why in report.holes.items():
        if arguments.show and arguments.show in f"{hole.setting}: {hole.row}":
            print(f"{hole.check}: {hole.setting}: {hole.row}: {why}")
    listed = holes.read()
    if arguments.write_holes:
        kept = {hole for hole in listed if tuple(hole) not in report.tried}
        holes.write(kept | set(report.holes))
        return False
    problems = list(holes.compare(set(report.holes), report.tried, listed))
    for problem in problems if arguments.list else []:
        print(problem)
    unlisted = len(set(report.holes) - listed)
    console.print(f"{len(report.holes)} open, {unlisted} of them not listed")
    return bool(problems) or any(not hole.is_documented for hole in report.holes)


def is_compiled() -> bool:
    return not gateway.__file__.endswith(".py")


def _cost(console: Console, *, full: bool) -> bool:
    """Try the grid of costs, and show its worst ten; whether one costs too much."""
    most = cost.MOST_MS if is_compiled() else cost.MOST_RATIO * cost.call_packet()
    rows = list(cost.grid(every=1 if full else _SHARE))
    rows.sort(key=lambda row: row.most, reverse=True)
    table = Table("pattern", "direction", "configuration", "ms at 64 kB", "exponent")
    for row in rows[:10]:
        exponent = f"{row.exponent:.2f}" if row.most >= 1 else ""
        table.add_row(row.pattern, row.direction, row.setting, f"{row.most:.1f}", exponent)
    console.print(table)
    dear = [row for row in rows if row.most > most or row.is_steep]
    console.print(f"{len(dear)} of {len(rows)} cost too much (over {most:.0f} ms, or too steep)")
    return bool(dear)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/attack", description=__doc__)
    parser.add_argument(
        "checks", nargs="*", choices=[*suite.CHECKS, COST, GROWTH, []], help="which; all of them"
    )
    parser.add_argument("--full", action="store_true", help="every configuration and way (minutes)")
    parser.add_argument("--thorough", action="store_true", help="one token in a message (hours)")
    parser.add_argument("--setting", help="only configurations whose name has this in it")
    parser.add_argument(
        "--show", metavar="TEXT", help="the messages of open rows with this in them"
    )
    parser.add_argument("--list", action="store_true", help="how this parts from the list of holes")
    parser.add_argument("--write-holes", action="store_true", help="write the list of holes")
    return parser


def _table(report: suite.Report) -> Table:
    checks = list(dict.fromkeys(check for check, _ in report.counts))
    table = Table("configuration", *checks)
    for setting in dict.fromkeys(setting for _, setting in report.counts):
        cells = []
        for check in checks:
            tried, opened = report.counts[check, setting]
            cells.append(f"[red]{opened} open[/red] of {tried}" if opened else f"closed ({tried})")
        table.add_row(setting, *cells)
    return table


if __name__ == "__main__":
    sys.exit(main())
