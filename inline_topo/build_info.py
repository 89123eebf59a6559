"""Tells in which form the program runs here: as machine code, as it is written, or a mixture.

The form is what import takes, module by module, not what somebody wanted: machine code for another
version of Python lies beside its source and is passed over, and a file that got lost is not there.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePath
from typing import Final

from inline_topo import __version__

PACKAGE: Final = "inline_topo"
DISTRIBUTION: Final = "inline-topo"
_FOLDER: Final = Path(__file__).parent
_MACHINE_CODE: Final = {".so", ".pyd"}


@dataclass(frozen=True)
class BuildInfo:
    """The version and form of the program, and the package that does its AES-SIV."""

    version: str
    compiled: tuple[str, ...]
    """Modules that run as machine code."""
    passed_over: tuple[str, ...]
    """Modules that were installed as machine code, and do not run as such."""
    aes_siv: str

    @property
    def form(self) -> str:
        """`compiled`, `interpreted`, or `mixed` where some of the compiled modules are missing."""
        if not self.compiled:
            return "interpreted"
        return "mixed" if self.passed_over else "compiled"

    def as_dict(self) -> dict[str, str | int]:
        """The same for programs, the modules as numbers."""
        return {
            "version": self.version,
            "form": self.form,
            "modules": len(self.compiled),
            "passed_over": len(self.passed_over),
            "aes_siv": self.aes_siv,
        }


def text(build: Mapping[str, str | int]) -> str:
    """Say what `as_dict` has in a few words: `0.1.0 (compiled: 80 modules; AES-SIV by cryptography)`."""
    form = str(build["form"])
    if build["modules"]:
        form += f": {build['modules']} modules"
    if build["passed_over"]:
        form += f", and {build['passed_over']} that were compiled run interpreted"
    return f"{build['version']} ({form}; AES-SIV by {build['aes_siv']})"


def find() -> BuildInfo:
    """Look at each module that has machine code on disk, or that was installed with it."""
    from inline_topo.masking.codecs import siv

    names = sorted({*_on_disk(), *_installed()})
    compiled = tuple(name for name in names if _runs_compiled(name))
    passed_over = tuple(name for name in names if name not in {*compiled})
    return BuildInfo(__version__, compiled, passed_over, siv.library())


def _on_disk() -> Iterator[str]:
    """Modules with machine code beside their source, for whichever Python."""
    for path in _FOLDER.rglob("*"):
        if path.suffix in _MACHINE_CODE:
            yield _name(path.relative_to(_FOLDER.parent))


def _installed() -> Iterator[str]:
    """Modules that the installer of this package put here as machine code."""
    try:
        found = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return
    if Path(str(found.locate_file(PACKAGE))) != _FOLDER:
        return  # it is another copy
    for path in found.files or ():
        if path.suffix in _MACHINE_CODE and path.parts[0] == PACKAGE:
            yield _name(path)


def _name(path: PurePath) -> str:
    """The module's name: of inline_topo/wire/ip.cpython-311-x86_64-linux-gnu.so, inline_topo.wire.ip."""
    stem = path.name.partition(".")[0]
    return ".".join(path.parent.parts if stem == "__init__" else (*path.parent.parts, stem))


def _runs_compiled(name: str) -> bool:
    """What was imported counts as it was, the rest as it would be."""
    module = sys.modules.get(name)
    if module is not None:
        spec = module.__spec__
    else:
        folder = _FOLDER.parent.joinpath(*name.split(".")[:-1])
        spec = PathFinder.find_spec(name, [str(folder)])
    origin = spec.origin if spec else None
    return origin is not None and origin.endswith(tuple(EXTENSION_SUFFIXES))
