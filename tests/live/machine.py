"""A copy of this machine that can be installed on: what is written there, is there alone."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

FOLDERS = ("/etc", "/opt", "/usr/local", "/usr/lib/systemd", "/var")

_SETUP = """\
set -eu
upper=$1 && shift
mount -t tmpfs tmpfs "$upper"
# Of a container, these are mounts of their own, or links into /run.
for name in resolv.conf hosts; do cat /etc/$name >"$upper/$name" || true; done
for folder in "$@"; do
    mkdir -p "$upper$folder/upper" "$upper$folder/work"
    mount -t overlay overlay \\
        -o "lowerdir=$folder,upperdir=$upper$folder/upper,workdir=$upper$folder/work" "$folder"
done
mount -t tmpfs tmpfs /run
for name in resolv.conf hosts; do rm -f /etc/$name && cp "$upper/$name" /etc/$name; done
ip link set lo up
echo ready
exec sleep infinity
"""


class Machine:
    """Mounts and a network of its own: FOLDERS begin as they are here, /run without a file (so no
    systemd is found there, and none is asked for anything), the firewall without a rule. What needs a
    folder for a while has /run."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """`folder`: an empty one, for what is written. `environment`: of all that runs there, beside
        PATH."""
        self._upper = folder
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self._environment = {"PATH": path, "HOME": "/run", "TMPDIR": "/run", **environment}

    def __enter__(self) -> Self:
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--propagation", "private",
             "sh", "-c", _SETUP, "sh", str(self._upper), *FOLDERS],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._holder.stdout
        assert self._holder.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._holder.kill()
        self._holder.communicate()

    def words(self, *command: str | Path, online: bool = False) -> list[str]:
        """The words of a command that runs there; `online`: with this machine's network, not its own."""
        spaces = ["--mount"] if online else ["--mount", "--net"]
        return ["nsenter", "--target", str(self._holder.pid), *spaces, "--", *map(str, command)]

    def start(self, log: Path, *command: str | Path) -> "subprocess.Popen[bytes]":
        """Start a command there; what it says goes to `log`."""
        with log.open("wb") as said:
            return subprocess.Popen(
                self.words(*command), env=self._environment, cwd="/",
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def ran(
        self,
        *command: str | Path,
        given: str = "",
        online: bool = False,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> "subprocess.CompletedProcess[str]":
        """A command that has run there, with this input and variables beside those of all."""
        return subprocess.run(
            self.words(*command, online=online), env={**self._environment, **environment}, text=True,
            cwd="/", input=given, capture_output=True, check=False,
        )  # fmt: skip

    def said(self, *command: str | Path, given: str = "") -> str:
        """What a command says there that gets this input; AssertionError where it fails."""
        done = self.ran(*command, given=given)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self) -> dict[str, str]:
        """Every file in FOLDERS there, with its mode, owner, size and target."""
        listed = self.said(
            "find", *FOLDERS, "-not", "-type", "d", "-printf", "%p\t%M %u %g %s %l\n"
        )
        return dict(line.split("\t", 1) for line in listed.splitlines())

    def rules(self) -> list[str]:
        """The firewall's rules and chains of somebody's own."""
        saved = self.said("iptables-save") + self.said("ip6tables-save")
        return [line for line in saved.splitlines() if line[0] == "-" or " - [" in line]


def files_here() -> dict[str, tuple[int, int, int]]:
    """The files in FOLDERS of this machine, with mode, size and time; but for /var, which others use."""
    found = {}
    for top in set(FOLDERS) - {"/var"}:
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                seen = os.lstat(path)
                found[path] = seen.st_mode, seen.st_size, seen.st_mtime_ns
    return found


def rules_here() -> list[str]:
    """This machine's firewall."""
    saved = [
        subprocess.run([program], capture_output=True, text=True, check=True).stdout
        for program in ("iptables-save", "ip6tables-save")
    ]
    return [line for text in saved for line in text.splitlines() if line[0] == "-"]
