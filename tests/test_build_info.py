"""What the program says of its form, in packages whose files are put and taken by hand."""

import logging
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from inline_topo import __version__, build_info
from inline_topo.build_info import BuildInfo
from inline_topo.edges.live import service
from tests.conftest import ROOT

OURS = sysconfig.get_config_var("EXT_SUFFIX")
ANOTHERS = ".cpython-34m-x86_64-linux-gnu.so"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as it is written."""
    folder = tmp_path_factory.mktemp("sources")
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "inline_topo", folder / "inline_topo", ignore=ignored)
    return folder


def version(folder: Path) -> str:
    words = [sys.executable, "-P", "-c", "from inline_topo.cli import main; main()", "--version"]
    environment = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("there", "installed", "says"),
    [
        ([], [], "interpreted"),
        (["wire/ip" + OURS, "sip/__init__" + OURS], [], "compiled: 2 modules"),
        (["wire/ip" + OURS], ["wire/ip" + OURS], "compiled: 1 modules"),
        # Python was changed for another version.
        (["wire/ip" + ANOTHERS], [], "interpreted, and 1 that were compiled run interpreted"),
        # Files got lost, or a source was put in their place.
        (
            ["wire/ip" + OURS],
            [name + OURS for name in ("wire/ip", "wire/link", "gateway")],
            "mixed: 1 modules, and 2 that were compiled run interpreted",
        ),
        ([], ["gateway" + OURS], "interpreted, and 1 that were compiled run interpreted"),
    ],
)
def test_the_form_is_what_import_would_take(
    sources: Path, tmp_path: Path, there: list[str], installed: list[str], says: str
) -> None:
    folder = tmp_path / "lib"
    shutil.copytree(sources, folder)
    for name in there:
        (folder / "inline_topo" / name).touch()  # that it would not load, nobody is to find out
    if installed:
        record = folder / "inline_topo-0.1.0.dist-info/RECORD"
        record.parent.mkdir()
        record.with_name("METADATA").write_text("Name: inline-topo\nVersion: 0.1.0\n")
        record.write_text("".join(f"inline_topo/{name},,\n" for name in installed))
    assert version(folder).startswith(f"inline-topo {__version__} ({says}; AES-SIV by ")


def test_another_installation_beside_is_not_ours(sources: Path, tmp_path: Path) -> None:
    """Sources that are tried on a machine with a compiled installation."""
    other = tmp_path / "other/inline_topo-0.1.0.dist-info/RECORD"
    other.parent.mkdir(parents=True)
    other.with_name("METADATA").write_text("Name: inline-topo\nVersion: 0.1.0\n")
    other.write_text(f"inline_topo/gateway{OURS},,\n")
    words = [sys.executable, "-P", "-m", "inline_topo", "--version"]
    environment = {"PYTHONPATH": f"{sources}:{tmp_path / 'other'}"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"inline-topo {__version__} (interpreted; ")


def test_the_package_that_does_aes_siv_is_told(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "cryptography.py").write_text("raise ImportError\n")
    assert version(sources).endswith("; AES-SIV by cryptography)\n")
    words = [sys.executable, "-P", "-m", "inline_topo", "--version"]
    environment = {"PYTHONPATH": f"{tmp_path}:{sources}"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("; AES-SIV by pycryptodome)\n")


def test_the_log_names_the_modules_that_are_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mixed = BuildInfo("1.2", ("a", "b"), ("inline_topo.gateway", "inline_topo.wire.ip"), "hand")
    monkeypatch.setattr(build_info, "find", lambda: mixed)
    caplog.set_level(logging.INFO)
    service.tell_start()
    start, warning = caplog.records
    assert (start.levelname, start.getMessage()) == ("INFO", "start")
    told = {"version": "1.2", "form": "mixed", "modules": 2, "passed_over": 2, "aes_siv": "hand"}
    assert start.__dict__["fields"] == told
    assert (warning.levelname, warning.getMessage()) == (
        "WARNING",
        "compiled modules run interpreted: inline_topo.gateway inline_topo.wire.ip",
    )
