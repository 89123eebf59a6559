"""In which form the program runs, by the files on disk: the judge of what it says about itself."""

from pathlib import Path

import inline_topo

PACKAGE = Path(inline_topo.__file__).parent


def modules_on_disk(package: Path = PACKAGE) -> int:
    """How many modules of a package have machine code beside their source."""
    return sum(
        path.with_name(path.name.split(".")[0] + ".py").exists() for path in package.rglob("*.so")
    )


def form_on_disk(package: Path = PACKAGE) -> str:
    """`compiled: N modules`, or `interpreted`; of a package without a file too few."""
    count = modules_on_disk(package)
    return f"compiled: {count} modules" if count else "interpreted"
