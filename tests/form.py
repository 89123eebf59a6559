"""In which form the program runs, by the files on disk: the judge of what it says about itself."""

import tomllib
from pathlib import Path

import inline_topo
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HOOK = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
PACKAGE = Path(inline_topo.__file__).parent


def named(key: str) -> set[Path]:
    """The files of the hook's patterns; AssertionError for one that names nothing."""
    found: set[Path] = set()
    for pattern in HOOK[key]:
        path = ROOT / pattern[1:]
        assert path.exists(), pattern
        found |= {path} if path.is_file() else {*path.rglob("*.py")}
    return found


def modules_on_disk(package: Path = PACKAGE) -> int:
    """How many modules of a package have machine code beside their source."""
    return sum(
        path.with_name(path.name.split(".")[0] + ".py").exists() for path in package.rglob("*.so")
    )


def form_on_disk(package: Path = PACKAGE) -> str:
    """`compiled: N modules`, or `interpreted`; as for people, where no compiled module is lost."""
    count = modules_on_disk(package)
    return f"compiled: {count} modules" if count else "interpreted"
