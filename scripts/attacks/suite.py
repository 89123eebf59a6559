"""The checks as one: what each tries in each configuration, and what it finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from attacks import claims, flows, guesses, matrix
from attacks.gateways import Setting
from attacks.holes import Hole
from attacks.matrix import Depth
from attacks.spelling import SPELLINGS

PROFILES = ("default", "strict", "topoh")


def settings() -> list[Setting]:
    """Every configuration of the whole suite."""
    every = [
        Setting(profile, codec, mode, shape)
        for profile in PROFILES
        for codec in ("aes-siv", "kamailio")
        for mode in ("topoh", "topos")
        for shape in ("router", "host", "nat")
    ]
    every += [Setting("strict", mode=mode, audit="0") for mode in ("topoh", "topos")]
    every += [Setting("default", mode=mode, branch=branch)
              for mode in ("topoh", "topos") for branch in ("constant", "short")]  # fmt: skip
    every += [Setting("strict", mode=mode, shape="nat", audit="0") for mode in ("topoh", "topos")]
    every += [
        Setting(profile, mode=mode, audit="0", spelling=spelling)
        for profile, mode in (("strict", "topoh"), ("default", "topos"))
        for spelling in SPELLINGS
        if spelling != "plain"
    ]
    stores = [
        Setting("default", codec, "topos", store="sqlite") for codec in ("aes-siv", "kamailio")
    ]
    return [*every, *stores]


def few() -> list[Setting]:
    """Some in which each profile, codec, mode and shape occurs, most of them in pairs."""
    return [
        Setting("default"),
        Setting("strict", shape="nat", audit="0"),
        Setting("topoh"),
        Setting("strict", mode="topos", shape="host"),
        Setting("default", "kamailio", mode="topos", store="sqlite"),
    ]


class Found(NamedTuple):
    """Something that opened: in which row, and what shows it."""

    row: str
    why: str


@dataclass
class Report:
    """What the checks of a run tried and found."""

    tried: set[tuple[str, str, str]] = field(default_factory=set)
    holes: dict[Hole, str] = field(default_factory=dict)
    counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Rows tried and open, by check and configuration."""

    def add(self, check: str, setting: Setting, rows: Iterable[str], found: list[Found]) -> None:
        names = list(rows)
        self.tried |= {(check, setting.name, row) for row in names}
        self.holes |= {Hole(check, setting.name, one.row): one.why for one in found}
        self.counts[check, setting.name] = len(names), len(found)


Check = Callable[[Setting, Path, Depth], tuple[list[str], list[Found]]]
"""Tries its rows in one configuration: all of their names, and what is open."""


def check_matrix(setting: Setting, folder: Path, depth: Depth) -> tuple[list[str], list[Found]]:
    """What attackers have seen, in every place of what they send."""
    result = matrix.run(setting, folder, depth)
    rows = [cell.name for cell in result.cells]
    found = [
        Found(cell.name, f"{sorted(opened.names)} of {opened.sent!r} in {opened.message!r}")
        for cell, opened in result.open.items()
    ]
    rows.append("alice's own traffic")
    if result.wrongly_clear:
        found.append(Found(rows[-1], f"clear: {sorted(result.wrongly_clear)}"))
    return rows, found


def check_guesses(setting: Setting, folder: Path, depth: Depth) -> tuple[list[str], list[Found]]:
    """What outsiders guess of the inside, compared with alice's tokens."""
    rows, found = guesses.run(setting, folder, depth)
    return rows, [Found(*pair) for pair in found.items()]


def check_claims(setting: Setting, folder: Path, depth: Depth) -> tuple[list[str], list[Found]]:
    """Hosts inside that outsiders name and were given no token for."""
    rows, found = claims.run(setting, folder)
    return rows, [Found(*pair) for pair in found.items()]


def check_flows(setting: Setting, folder: Path, depth: Depth) -> tuple[list[str], list[Found]]:
    """Honest calls, which must still come through."""
    rows, found = flows.run(setting, folder)
    return rows, [Found(*pair) for pair in found.items()]


CHECKS: dict[str, Check] = {
    "matrix": check_matrix,
    "guesses": check_guesses,
    "claims": check_claims,
    "flows": check_flows,
}


def run(checks: Iterable[str], where: Iterable[Setting], folder: Path, depth: Depth) -> Report:
    """Run checks in configurations; `folder` is for keys and stores."""
    report = Report()
    for setting in where:
        for name in checks:
            own = folder / setting.name.replace("/", "-")
            own.mkdir(parents=True, exist_ok=True)
            rows, found = CHECKS[name](setting, own, depth)
            report.add(name, setting, rows, found)
    return report
