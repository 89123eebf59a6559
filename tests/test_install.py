"""scripts/install, under a folder of its own: this machine stays as it is."""

import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inline_topo.config import load
from inline_topo.masking.codecs.keyring import KeyRing

SCRIPTS = Path(__file__).parents[1] / "scripts"
Install = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "inline-topo"
    source = SCRIPTS.parent
    path.write_text(f'#!/bin/sh\nPYTHONPATH={source} exec {sys.executable} -m inline_topo "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def install(program: Path, root: Path) -> Install:
    def run(*options: str | Path) -> "subprocess.CompletedProcess[str]":
        command = [SCRIPTS / "install", "--root", root, "--program", program, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_installs_a_configuration_that_works_with_a_fresh_key(install: Install, root: Path) -> None:
    done = install()
    assert done.returncode == 0, done.stderr
    assert set(files(root)) == {
        "etc/inline-topo/gateway.toml",
        "etc/inline-topo/mask.key",
        "etc/systemd/system/inline-topo.service",
        "etc/systemd/system/inline-topo-rules.service",
    }
    config = load(root / "etc/inline-topo/gateway.toml", env={})
    assert config.topoh.mask_key_file == root / "etc/inline-topo/mask.key"
    assert len(KeyRing.load(config.topoh.mask_key_file).keys) == 1
    for name in ("gateway.toml", "mask.key"):
        assert stat.S_IMODE((root / "etc/inline-topo" / name).stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "etc/inline-topo").stat().st_mode) == 0o750


def test_again_it_keeps_configuration_and_key(install: Install, root: Path) -> None:
    install()
    config = root / "etc/inline-topo/gateway.toml"
    config.write_text(config.read_text() + "# mine\n")
    before = files(root)
    (root / "etc/systemd/system/inline-topo.service").write_text("old\n")
    assert install().returncode == 0
    assert files(root) == before


def test_a_configuration_is_checked_before_it_takes_the_place(
    install: Install, root: Path, tmp_path: Path
) -> None:
    install()
    before = files(root)
    mine = tmp_path / "mine.toml"
    mine.write_text('inside = ["10.1.1.10"]\nshape = "host"\n[topoh]\nmask_key_file = "mask.key"\n')
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(mine.read_text().replace("host", "hose"))
    done = install("--config", wrong)
    assert done.returncode == 2
    assert 'shape: "hose" is not one of router, host, nat' in done.stderr
    assert "nothing was changed" in done.stderr
    assert files(root) == before
    assert install("--config", mine).returncode == 0
    assert load(root / "etc/inline-topo/gateway.toml", env={}).shape == "host"
    assert files(root)["etc/inline-topo/mask.key"] == before["etc/inline-topo/mask.key"]


def test_removal_keeps_the_key_unless_told(install: Install, root: Path) -> None:
    install()
    done = install("--remove")
    assert done.returncode == 0, done.stderr
    assert set(files(root)) == {"etc/inline-topo/gateway.toml", "etc/inline-topo/mask.key"}
    assert install("--remove").returncode == 0
    assert install("--remove", "--purge").returncode == 0
    assert files(root) == {}


def test_a_dry_run_changes_nothing(install: Install, root: Path) -> None:
    done = install("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "would write: " in done.stdout
    assert not root.exists()
    install()
    before = files(root)
    assert "would run: rm " in install("--dry-run", "--remove", "--purge").stdout
    assert files(root) == before


@pytest.mark.parametrize(("options", "compiled"), [((), True), (("--pure",), False)])
def test_the_packet_path_is_compiled_unless_told(options: tuple[str, ...], compiled: bool) -> None:
    command = [str(SCRIPTS / "install"), "--dry-run", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("[live,fast,redis]") == 1
    assert ("HATCH_BUILD_HOOK_ENABLE_MYPYC=1" in done.stdout) == compiled


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--purge"], "--purge goes with --remove"),
        (["--config", "/nowhere.toml"], "/nowhere.toml cannot be read"),
        (["--config"], "--config needs a value"),
        (["--frobnicate"], "scripts/install --remove [--purge]"),
    ],
)
def test_wrong_options_are_refused(
    install: Install, root: Path, options: list[str], says: str
) -> None:
    done = install(*options)
    assert done.returncode == 2
    assert says in done.stderr
    assert not root.exists()


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_the_units_and_finds_them_tight(
    install: Install, root: Path, program: Path
) -> None:
    install()
    units = sorted((root / "etc/systemd/system").iterdir())
    for unit in units:
        assert f"ExecStart={program} r" in unit.read_text()
    verify = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verify.returncode, verify.stdout) == (0, "")
    assert "inline-topo" not in verify.stderr
    gateway = next(unit for unit in units if unit.name == "inline-topo.service")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", gateway],
        capture_output=True,
        text=True,
        check=False,
    )
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)
    assert exposure, judged.stderr
    assert float(exposure[1]) <= 2.0
