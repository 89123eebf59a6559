"""A user like that of the service: its two capabilities, and what the unit's root does for it beforehand."""

import shlex
import sys
from pathlib import Path

from lab.site import Site

NOBODY = 65534
_UNIT = Path(__file__).parents[2] / "scripts/inline-topo.service"


def as_nobody(spare: Path) -> tuple[str, ...]:
    """The first words of a command that such a user runs; `spare`: a folder to make, if need be."""
    return (
        *_reachable(Path(sys.executable).resolve(), spare),
        *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *("--inh-caps=-all,+net_admin,+net_raw", "--ambient-caps=-all,+net_admin,+net_raw"),
        *("--bounding-set=-all,+net_admin,+net_raw", "--no-new-privs"),
    )


def prepare(site: Site, host: str = "gw") -> None:
    """Do in a host what the unit does as root before each start."""
    lines = _UNIT.read_text().splitlines()
    [words] = [line.partition("=")[2] for line in lines if line.startswith("ExecStartPre=")]
    assert words.startswith("-+")
    site.run(host, *shlex.split(words[2:].replace(" inline-topo ", f" {NOBODY} ")))


def _reachable(program: Path, spare: Path) -> list[str]:
    """A command's first words, with which an ordinary user reaches a program whose folder is
    closed to others (a Python under /root): seen through a mount of its own."""
    closed = [folder for folder in program.parents if not folder.stat().st_mode & 0o001]
    if not closed:
        return []
    [folder] = closed
    entry = folder / program.relative_to(folder).parts[0]
    spare.mkdir(exist_ok=True)
    mounts = (
        f"mount --bind {entry} {spare} && mount -t tmpfs -o mode=755 tmpfs {folder} && "
        f"mkdir {entry} && mount --bind {spare} {entry}"
    )
    return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
