"""scripts/attack: runs the checks, prints a table, exits with 1 where something opens."""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from attacks import holes, suite
from attacks.matrix import Depth


def main() -> int:
    arguments = _parser().parse_args()
    where = suite.settings() if arguments.full else suite.few()
    if arguments.setting:
        where = [one for one in suite.settings() if arguments.setting in one.name]
    depth = Depth.THOROUGH if arguments.thorough else Depth.USUAL if arguments.full else Depth.QUICK
    names = arguments.checks or list(suite.CHECKS)
    with tempfile.TemporaryDirectory() as folder:
        report = suite.run(names, where, Path(folder), depth)
    console = Console()
    console.print(_table(report))
    for hole, why in report.holes.items():
        if arguments.show and arguments.show in f"{hole.setting}: {hole.row}":
            print(f"{hole.check}: {hole.setting}: {hole.row}: {why}")
    listed = holes.read()
    if arguments.write_holes:
        kept = {hole for hole in listed if tuple(hole) not in report.tried}
        holes.write(kept | set(report.holes))
        return 0
    problems = list(holes.compare(set(report.holes), report.tried, listed))
    for problem in problems if arguments.list else []:
        print(problem)
    unlisted = len(set(report.holes) - listed)
    console.print(f"{len(report.holes)} open, {unlisted} of them not listed")
    return 1 if [hole for hole in report.holes if not hole.is_documented] or problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/attack", description=__doc__)
    parser.add_argument("checks", nargs="*", choices=[*suite.CHECKS, []], help="which; all of them")
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
