"""The checks of scripts/attack, at a size that fits: what opens is what the list of holes says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attacks import holes, suite
from attacks.gateways import Setting
from attacks.matrix import Depth

LISTED = holes.read()


def judged(check: str, setting: Setting, folder: Path, depth: Depth) -> list[str]:
    """What is wrong with the list of holes, by one check in one configuration."""
    report = suite.run([check], [setting], folder, depth)
    return list(holes.compare(set(report.holes), report.tried, LISTED))


def _named(setting: Setting) -> str:
    return setting.name


def _by_default() -> Iterator[Any]:
    """The few settings, without --full the one that is to hide most."""
    for setting in suite.few():
        is_default = setting.profile == "strict" and setting.mode == "topoh"
        yield pytest.param(setting, marks=[] if is_default else pytest.mark.full)


@pytest.mark.parametrize("check", suite.CHECKS)
@pytest.mark.parametrize("setting", [*_by_default()], ids=_named)
def test_opens_no_more_and_no_less_than_is_listed(
    check: str, setting: Setting, tmp_path: Path
) -> None:
    assert not judged(check, setting, tmp_path, Depth.QUICK)


@pytest.mark.nightly
@pytest.mark.parametrize("check", suite.CHECKS)
@pytest.mark.parametrize("setting", suite.settings(), ids=_named)
def test_the_same_everywhere(check: str, setting: Setting, tmp_path: Path) -> None:
    assert not judged(check, setting, tmp_path, Depth.USUAL)
