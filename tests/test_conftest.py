"""The rules of the test runs themselves: what a skip means, and what is missing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = """
import pytest

def test_passes():
    pass

@pytest.mark.needs("no-such-program")
def test_needs_a_program():
    pass

@pytest.mark.full
def test_long():
    pass

@pytest.mark.nightly
def test_longer():
    pass

@pytest.mark.xfail(reason="known")
def test_known():
    assert False

def test_captures(corpus):
    pass

def test_measures(record_property):
    record_property("measured", "1 of 2 lost")
"""
MISSING = "Debian package missing: no-such-program, for 1 test"


def run(project: Path, *options: str) -> tuple[int, str]:
    """Exit status and output of these tests under the project's rules, with no ../shared."""
    (project / "tests").mkdir(parents=True, exist_ok=True)
    (project / "tests" / "test_it.py").write_text(TESTS)
    for name in ("conftest.py", "scheduling.py", "budgets.py", "budgets.toml"):
        shutil.copy(HERE / name, project / "tests")
    shutil.copy(HERE.parent / "pyproject.toml", project)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    env = os.environ | {"PYTHONPATH": str(HERE.parent)}
    ran = subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, check=False)
    # What is left out is counted where there are no workers alone.
    return ran.returncode, re.sub(r" \d deselected,", "", ran.stdout)


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_what_is_left_out_is_missing_or_was_measured_is_shown(tmp_path: Path, workers: str) -> None:
    status, out = run(tmp_path / "project", workers)
    assert status == 0
    assert "2 passed, 2 skipped, 1 xfailed" in out
    for reason in ("without --full", "without --nightly", "../shared is not beside", MISSING):
        assert reason in out
    _, summary = out.split("= measured =", 1)
    assert summary.count("1 of 2 lost\n") == 1


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_no_skip_is_left_but_for_the_absent_captures(tmp_path: Path, workers: str) -> None:
    status, out = run(tmp_path / "project", workers, "--full", "--no-skips")
    assert status == 1
    assert "3 passed, 1 skipped, 1 xfailed, 1 error" in out
    assert "skipped, and --no-skips is on: no-such-program is not installed" in out
    assert MISSING in out


def test_captures_that_are_there_may_not_be_skipped(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    status, out = run(tmp_path / "project", "-n0", "--no-skips")
    assert status == 1
    assert "2 passed, 1 xfailed, 2 errors" in out


@pytest.mark.parametrize(("options", "passed"), [(("--full",), 3), (("--full", "--nightly"), 4)])
def test_long_tests_run_when_asked_for(
    tmp_path: Path, options: tuple[str, ...], passed: int
) -> None:
    _, out = run(tmp_path / "project", "-n0", *options)
    assert f"{passed} passed" in out


ONE_AT_A_TIME = """
import os
import time

import pytest

@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("kind", [pytest.param("alone", marks=pytest.mark.alone), "beside"])
def test_is_noted(kind, number):
    begin = time.monotonic()
    time.sleep(0.1)
    with open("noted", "a") as file:
        file.write(f"{kind} {begin} {time.monotonic()}\\n")
"""


@pytest.mark.parametrize(
    "workers", ["-n3", *(pytest.param(few, marks=pytest.mark.full) for few in ("-n1", "-n2"))]
)
def test_who_is_to_be_alone_comes_last_and_one_at_a_time(tmp_path: Path, workers: str) -> None:
    (tmp_path / "project/tests").mkdir(parents=True)
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / "project/tests" / name).write_text(ONE_AT_A_TIME)
    status, out = run(tmp_path / "project", workers)
    assert status == 0, out
    noted = [line.split() for line in (tmp_path / "project/noted").read_text().splitlines()]
    assert [kind for kind, *_ in noted] == ["beside"] * 4 + ["alone"] * 4
    alone = [(float(begin), float(end)) for _, begin, end in noted[4:]]
    ends = [max(float(end) for _, _, end in noted[:4]), *(end for _, end in alone)]
    assert all(end <= begin for end, (begin, _) in zip(ends, alone, strict=False))
