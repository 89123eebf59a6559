"""Which modules run as machine code: those that pyproject.toml names with --compiled, else none."""

import importlib
import subprocess
import sys

import pytest

from inline_topo import __version__
from tests.conftest import ROOT
from tests.form import HOOK, PROJECT, form_on_disk, named


def test_users_compile_with_the_mypy_that_checks_here() -> None:
    [mypy] = [words for words in HOOK["dependencies"] if words.startswith("mypy")]
    assert mypy in PROJECT["dependency-groups"]["dev"]


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
