"""How the laboratory starts our program: with the package that runs here, compiled or not, or another."""

import os
import sys
from pathlib import Path

import inline_topo

_SCRIPTS = Path(__file__).parents[1]


def python(package: Path) -> tuple[str, ...]:
    """How to start Python with the package that lies in a folder."""
    return ("env", f"PYTHONPATH={package}{os.pathsep}{_SCRIPTS}", sys.executable)


PYTHON = python(Path(inline_topo.__file__).parents[1])
INLINE_TOPO = (*PYTHON, "-m", "inline_topo")
