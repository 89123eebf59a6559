"""What the tests of each folder take, beside what they may take: told at the end of a run.

A budget is of seconds that tests run, their fixtures included, added up: workers that run at once share
the wall's. A busy machine goes over it, so that alone fails no run but one with `--strict-budgets`.
"""

import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

_FILE = Path(__file__).with_name("budgets.toml")
_TESTS = Path(__file__).parent


class Spent(NamedTuple):
    """A folder, its tests, the seconds that they took, and those that they may (None: any)."""

    folder: str
    tests: int
    seconds: float
    budget: float | None

    @property
    def is_over(self) -> bool:
        return self.budget is not None and self.seconds > self.budget

    def __str__(self) -> str:
        allowed = "" if self.budget is None else f" of {self.budget:>5.0f}"
        over = "  OVER ITS BUDGET" if self.is_over else ""
        return f"{self.folder:<14}{self.tests:>6} tests {self.seconds:>7.1f} s{allowed}{over}"


def spent(reports: Iterable[Any], budgets: dict[str, float]) -> list[Spent]:
    """The time of each folder, by these reports of tests and their fixtures; the longest first."""
    seconds, tests = defaultdict[str, float](float), Counter[str]()
    for report in reports:
        if isinstance(report, pytest.TestReport):
            folder = _folder(report.nodeid)
            seconds[folder] += report.duration
            tests[folder] += report.when == "call"
    return [
        Spent(folder, tests[folder], took, budgets.get(folder))
        for folder, took in sorted(seconds.items(), key=lambda item: -item[1])
    ]


def of_run(config: pytest.Config) -> dict[str, float]:
    """The budgets of the longest tier that is run; none where only some tests are asked for, or the
    compiled package is tested."""
    whole = {str(_TESTS), str(_TESTS.parent), "tests", "tests/"}
    if config.getoption("keyword") or config.getoption("--compiled"):
        return {}
    if not whole.issuperset(map(str, config.args)):
        return {}
    tier = next((name for name in ("nightly", "full") if config.getoption(f"--{name}")), "default")
    budgets: dict[str, float] = tomllib.loads(_FILE.read_text())[tier]
    return budgets


def of(reporter: pytest.TerminalReporter) -> list[Spent]:
    """The time of each folder of a run."""
    reports = [report for reports in reporter.stats.values() for report in reports]
    return spent(reports, of_run(reporter.config))


def _folder(nodeid: str) -> str:
    """The folder right below tests/, or that itself."""
    parts = nodeid.partition("::")[0].split("/")
    return parts[1] if len(parts) > 2 else parts[0]
