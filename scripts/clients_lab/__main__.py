"""The command line of `scripts/clients`."""

import argparse
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clients_lab import programs
from clients_lab.cast import KINDS, Pair
from clients_lab.phone import Skipped
from clients_lab.scenarios import NAMES
from clients_lab.settings import EDGE, NAT, SHAPES, TREATMENTS, Setting
from clients_lab.tour import FAILED, OK, SKIPPED, Result, Tour

_STYLES = {OK: "green", FAILED: "bold red", SKIPPED: "yellow"}


def main() -> int:
    arguments = _parser().parse_args()
    console = Console()
    if os.geteuid() != 0:
        print("scripts/clients: needs root, for network namespaces", file=sys.stderr)
        return 2
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if missing := programs.missing():
        print(f"scripts/clients: apt install {' '.join(missing)}", file=sys.stderr)
        return 2
    console.print(_versions())
    pairs = list(_pairs(arguments.clients))
    folder = Path(tempfile.mkdtemp(prefix="clients-", dir=arguments.folder)).resolve()
    folder.chmod(0o755)  # tcpdump and Kamailio write into it
    tour = Tour(folder, arguments.scenarios)
    results = []
    for setting in _settings(arguments):
        for result in tour.through(setting, pairs):
            results.append(result)
            _tell(console, result)
    console.print(_table(results))
    failed = [result for result in results if result.outcome == FAILED]
    if not results or not any(result.outcome == OK for result in results):
        console.print("nothing was tried")
        return 1
    if failed or arguments.keep:
        console.print(f"captures and logs: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/clients", description=__doc__)
    add = parser.add_argument
    add("--shape", dest="shapes", nargs="+", choices=SHAPES, default=SHAPES, help="all")
    add("--treatment", dest="treatments", nargs="+", choices=TREATMENTS, default=TREATMENTS,
        help="profile default, profile strict with rtpengine, mode topos: all")  # fmt: skip
    add("--ip", dest="versions", nargs="+", type=int, choices=(4, 6), default=(4, 6),
        help="address families: both (IPv6 in shapes router and host)")  # fmt: skip
    add("--clients", nargs="+", type=_pair, metavar="INSIDE,OUTSIDE",
        help=f"pairs of {', '.join(KINDS)}: the first one with itself, and each with the next")  # fmt: skip
    add("--scenario", dest="scenarios", nargs="+", choices=NAMES, metavar="NAME", default=(),
        help="; ".join(NAMES))  # fmt: skip
    add("--folder", type=Path, help="where captures and logs go")
    add("--keep", action="store_true", help="keep them when nothing failed, too")
    return parser


def _settings(arguments: argparse.Namespace) -> Iterable[Setting]:
    for shape, version, treatment in itertools.product(
        arguments.shapes, arguments.versions, arguments.treatments
    ):
        if version == 4 or shape not in (NAT, EDGE):
            yield Setting(shape, treatment, version)


def _pair(names: str) -> Pair:
    """A pair by its names, `INSIDE,OUTSIDE` or one for both."""
    first, _, second = names.partition(",")
    try:
        return Pair(KINDS[first], KINDS[second or first])
    except KeyError as name:
        raise argparse.ArgumentTypeError(f"no client {name}: {', '.join(KINDS)}") from None


def _pairs(wanted: list[Pair] | None) -> Iterable[Pair]:
    if wanted:
        yield from wanted
        return
    there = []
    for kind in KINDS.values():
        try:
            kind.version()
        except Skipped:
            continue
        there.append(kind)
    yield from (Pair(kind, kind) for kind in there[:1])
    if len(there) > 1:
        for inside, outside in zip(there, [*there[1:], there[0]], strict=True):
            yield Pair(inside, outside)


def _versions() -> Table:
    table = Table("program", "version")
    for name, version in programs.versions():
        table.add_row(name, version)
    return table


def _tell(console: Console, result: Result) -> None:
    style = _STYLES[result.outcome]
    where = f" ({result.folder}*)" if result.outcome == FAILED else ""
    line = f"{result.setting.name} | {result.pair.name} | {result.scenario}:"
    said = f"[{style}]{result.outcome}[/{style}] {escape(result.why + where)}"
    console.print(f"{line} {said}", highlight=False, soft_wrap=True)


def _table(results: list[Result]) -> Table:
    settings = list(dict.fromkeys(result.setting.name for result in results))
    table = Table("scenario", "inside, outside", *settings)
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for result in results:
        style = _STYLES[result.outcome]
        row = cells.setdefault((result.scenario, result.pair.name), {})
        row[result.setting.name] = f"[{style}]{result.outcome}[/{style}]"
    for name in NAMES:
        for (scenario, pair), row in cells.items():
            if scenario == name:
                table.add_row(scenario, pair, *(row.get(one, "") for one in settings))
    return table


if __name__ == "__main__":
    sys.exit(main())
