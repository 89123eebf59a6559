"""Which modules run as machine code: those that pyproject.toml names with --compiled, else none."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from inline_topo import __version__
from tests.conftest import ROOT
from tests.form import form_on_disk

HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
    "wheel"
]["hooks"]["mypyc"]


def named(key: str) -> set[Path]:
    """The files of the hook's patterns; AssertionError for one that names nothing."""
    found: set[Path] = set()
    for pattern in HOOK[key]:
        path = ROOT / pattern[1:]
        assert path.exists(), pattern
        found |= {path} if path.is_file() else {*path.rglob("*.py")}
    return found


def test_the_packet_path_and_nothing_else_is_compiled(pytestconfig: pytest.Config) -> None:
    wanted = named("include") - named("exclude")
    assert wanted
    for file in named("include"):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        runs = importlib.import_module(name).__file__
        assert runs
        compiled = pytestconfig.getoption("--compiled") and file in wanted
        assert runs.endswith(".so") == compiled, name


def test_what_the_tests_start_is_what_they_import(pytestconfig: pytest.Config) -> None:
    words = [sys.executable, "-m", "inline_topo", "--version"]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    compiled = len(named("include") - named("exclude"))
    form = (
        f"compiled: {compiled} modules" if pytestconfig.getoption("--compiled") else "interpreted"
    )
    assert ran.stdout == f"inline-topo {__version__} ({form}; AES-SIV by cryptography)\n"
    assert form == form_on_disk()
