"""The list of what is known to be open: data alone, which shrinks as the gateway is mended.

A row is a configuration and a finding of one of the checks (matrix, guesses, claims, flows). What is
found and not listed is new; what is listed, tried and not found is stale. Both are failures.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parents[2] / "tests/attacks/open_holes.toml"
_HEAD = """\
# What attackers can still do, found by scripts/attack: `scripts/attack --full --write-holes` writes it.
# `documented`: what README says of the codec kamailio. All else waits to be mended.
"""


class Hole(NamedTuple):
    """A finding of a check, in one configuration."""

    check: str
    setting: str
    row: str

    @property
    def is_documented(self) -> bool:
        """Whether it is the codec's: obfuscation can neither be bound nor keep a guess unconfirmed."""
        return "/kamailio/" in self.setting


def read(path: Path = FILE) -> set[Hole]:
    """All that is listed; nothing where there is no file."""
    if not path.exists():
        return set()
    listed = tomllib.loads(path.read_text())
    return {
        Hole(group["check"], setting, row)
        for kind in ("open", "documented")
        for group in listed.get(kind, [])
        for setting in group["settings"]
        for row in group["rows"]
    }


def write(holes: Iterable[Hole], path: Path = FILE) -> None:
    """Write the list, rows that share their configurations in one group."""
    settings: dict[tuple[bool, str, str], set[str]] = defaultdict(set)
    for hole in holes:
        settings[hole.is_documented, hole.check, hole.row].add(hole.setting)
    groups: dict[tuple[bool, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (documented, check, row), names in settings.items():
        groups[documented, check, tuple(sorted(names))].append(row)
    lines = [_HEAD]
    for (documented, check, where), rows in sorted(groups.items()):
        lines.append(f"[[{'documented' if documented else 'open'}]]\ncheck = {_quoted(check)}")
        lines += [*_array("settings", where), *_array("rows", sorted(rows)), ""]
    path.write_text("\n".join(lines))


def compare(found: set[Hole], tried: set[tuple[str, str, str]], listed: set[Hole]) -> Iterator[str]:
    """What is wrong with the list, a line each. `tried`: check, setting and row of all that was tried;
    rows that were not are not judged."""
    for hole in sorted(found - listed):
        yield f"opens, and is not listed: {hole.check}: {hole.setting}: {hole.row}"
    for hole in sorted(listed - found):
        if tuple(hole) in tried:
            yield f"listed, and no longer opens: {hole.check}: {hole.setting}: {hole.row}"


def _array(name: str, values: Iterable[str]) -> list[str]:
    return [f"{name} = [", *(f"    {_quoted(value)}," for value in values), "]"]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
