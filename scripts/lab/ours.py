"""How the laboratory starts our program: with the package that runs here, compiled or not."""

import os
import sys
from pathlib import Path

import inline_topo

_FOLDERS = (Path(inline_topo.__file__).parents[1], Path(__file__).parents[1])
PYTHON = ("env", f"PYTHONPATH={os.pathsep.join(map(str, _FOLDERS))}", sys.executable)
INLINE_TOPO = (*PYTHON, "-m", "inline_topo")
