"""scripts/install without --root or --program, on a copy of this machine, and all of it taken away.

The copy has no /opt/inline-topo, no cache of pip's and an empty home: pip fetches what it compiles with.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inline_topo import __version__
from lab.site import Site
from tests.conftest import ROOT
from tests.form import named
from tests.live.machine import Machine, files_here, rules_here
from tests.live.messages import HIDDEN, invite
from tests.live.running import PATIENCE

pytestmark = [
    pytest.mark.root,
    pytest.mark.sources,
    pytest.mark.together,
    pytest.mark.needs("ip", "iptables"),
]

PYTHON = "/usr/bin/python3"  # what scripts/install takes
PROGRAM = "/opt/inline-topo/bin/inline-topo"
FILE = "/etc/inline-topo/gateway.toml"
CONFIG = f'''shape = "host"
inside = ["{Site.INSIDE}"]
[topoh]
mask_key_file = "mask.key"
'''
AS_THE_UNIT_DOES = (
    *("setpriv", "--reuid", "inline-topo", "--regid", "inline-topo", "--init-groups"),
    *("--inh-caps", "-all,+net_admin", "--ambient-caps", "-all,+net_admin"),
    *("--bounding-set", "-all,+net_admin", "--no-new-privs"),
)
BY_USERADD = {f"/etc/{name}" for name in ("passwd-", "group-", "shadow-", "gshadow-", ".pwd.lock")}
"""Its copies of the files before."""

_SENT = f"""
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
wire.bind(("far", 0x0800))
wire.settimeout(10)
phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
phone.bind(("{Site.INSIDE}", 5060))
phone.sendto(sys.stdin.buffer.read(), ("{Site.OUTSIDE}", 5060))
sys.stdout.buffer.write(wire.recv(65535)[42:])
"""


_METRICS = """
from urllib.request import urlopen
print(urlopen("http://127.0.0.1:9469/metrics").read().decode())
"""

NETWORK = {
    name: value
    for name, value in os.environ.items()
    if re.match(r"(?i)PIP_|SSL_CERT_|REQUESTS_CA_|CURL_CA_|(https?|all|no)_proxy$", name)
}
"""What this machine's pip needs to reach its index."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files, and nothing that was made from them."""
    made = shutil.ignore_patterns(".*", "*.so", "__pycache__")
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    return Path(shutil.copytree(ROOT, folder, ignore=made))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """It has the inside's address, and a link to where the outside would be."""
    if Path("/opt/inline-topo").exists():
        pytest.skip("inline-topo is installed on this machine")
    with Machine(tmp_path, **NETWORK, PIP_NO_CACHE_DIR="1") as machine:
        for words in (
            "link add out0 type veth peer name far",
            f"addr add {Site.INSIDE}/24 dev out0",
            "link set out0 up",
            "link set far up",
            "route add default dev out0",
            f"neigh add {Site.OUTSIDE} lladdr 02:00:00:00:00:09 dev out0",
        ):
            machine.said("ip", *words.split())
        yield machine


def compiled(machine: Machine) -> int:
    """How many modules of the program there have machine code beside their source."""
    found = machine.said(
        "find", "/opt/inline-topo/lib", "-path", "*/inline_topo/*", "-name", "*.so"
    )
    return len(found.splitlines())


def started(machine: Machine, log: Path, *options: str) -> "subprocess.Popen[bytes]":
    """The gateway, as the unit starts it, once it is ready."""
    program = machine.start(log, *AS_THE_UNIT_DOES, PROGRAM, "run", "-c", FILE, *options)
    deadline = time.monotonic() + PATIENCE
    while "event=ready" not in log.read_text():
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return program


def ended(program: "subprocess.Popen[bytes]") -> int:
    program.terminate()
    return program.wait(PATIENCE)


@pytest.mark.full  # compiles
def test_from_a_fresh_clone_it_is_compiled_and_masks_and_removed_it_leaves_nothing(
    machine: Machine, clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = files_here(), rules_here()
    before = machine.files()
    folder = tmp_path_factory.mktemp("mine")
    log, mine = folder / "gateway.log", folder / "mine.toml"
    mine.write_text(CONFIG)

    install = clone / "scripts/install"
    modules = len(named("include") - named("exclude"))
    done = machine.ran(install, online=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert f"program: inline-topo {__version__} (compiled: {modules} modules; AES-" in done.stdout
    assert compiled(machine) == modules > 0
    again = ("--program", PROGRAM, "--config", mine)  # once is enough
    said = machine.said(install, *again)
    assert f"no systemd here: start {PROGRAM} run -c {FILE}" in said
    user = machine.said("getent", "passwd", "inline-topo").strip().split(":")
    assert user[5:] == ["/nonexistent", "/usr/sbin/nologin"]
    made = {path: what for path, what in machine.files().items() if path not in before}
    ours = {path: what.split()[:3] for path, what in made.items() if path.startswith("/etc/")}
    assert {path for path in ours if path not in BY_USERADD} == {
        FILE,
        "/etc/inline-topo/mask.key",
        "/etc/systemd/system/inline-topo.service",
        "/etc/systemd/system/inline-topo-rules.service",
    }
    for path in (FILE, "/etc/inline-topo/mask.key"):
        assert ours[path] == ["-rw-r-----", "root", "inline-topo"]
    assert {path.split("/")[2] for path in made if path not in ours} == {"inline-topo"}
    assert machine.rules()
    machine.said(*AS_THE_UNIT_DOES, PROGRAM, "check", "-c", FILE)
    words = ("replay", "-r", clone / "captures/basic.pcap", "-w", "/run/masked.pcap")
    assert "7 SIP messages, 6 rewritten" in machine.said(PROGRAM, *words, "-c", FILE)

    gateway = started(machine, log)
    form = (
        f"version={__version__} form=compiled modules={modules} passed_over=0 aes_siv=cryptography"
    )
    assert log.read_text().startswith(f"level=info event=start {form}\n")
    status = Path(f"/proc/{gateway.pid}/status").read_text()
    assert f"Uid:\t{user[2]}\t" in status
    assert "CapEff:\t0000000000001000\n" in status
    left = machine.said(PYTHON, "-c", _SENT, given=invite().decode())
    assert left.startswith(f"INVITE sip:bob@{Site.OUTSIDE} SIP/2.0")
    assert HIDDEN not in left
    assert f"@{Site.INSIDE}>" in left
    status = machine.said(PROGRAM, "status", "-c", FILE)
    assert "queue 0     process" in status
    assert f"program     {__version__} (compiled: {modules} modules; AES-SIV by crypt" in status
    [build] = re.findall(r"inline_topo_build_info{(.*)} 1\.0", machine.said(PYTHON, "-c", _METRICS))
    assert {'form="compiled"', f'modules="{modules}"', f'version="{__version__}"'} < {
        *build.split(",")
    }
    assert "unless it was drained" in machine.said(install, "--remove", "--dry-run")
    assert ended(gateway) == 0
    gateway = started(machine, log, "--drain")
    assert "drained" not in machine.said(install, "--remove", "--dry-run")
    assert ended(gateway) == 0

    broken = clone / "inline_topo/wire/link.py"
    line = len(broken.read_text().splitlines()) + 2
    broken.write_text(broken.read_text() + "\ndef _broken() -> bytes: return 1\n")
    done = machine.ran(install, online=True)
    assert done.returncode == 0, done.stderr
    assert f"why:     inline_topo/wire/link.py:{line}: error: Incompatible return" in done.stderr
    assert f"program: inline-topo {__version__} (interpreted; AES-SIV by crypt" in done.stdout
    assert compiled(machine) == 0

    machine.said(install, "--remove", "--purge")
    after = machine.files()
    assert {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)} <= BY_USERADD
    assert machine.rules() == []
    assert "inline-topo" not in machine.said("getent", "passwd")
    assert (files_here(), rules_here()) == here


_FAILED = """\
  error: subprocess-exited-with-error
      Exception: Error while invoking Mypyc:
      {}
      [end of output]
error: metadata-generation-failed
"""
_OF_MYPY = "inline_topo/wire/link.py:125: error: Incompatible return value type  [return-value]"
_OF_GCC = "gcc: fatal error: Killed signal terminated program cc1"
_OF_PIP = "ERROR: No matching distribution found for hatchling>=1.26"
_LOG = "/opt/inline-topo/compile.log"

_PIP = f"""\
#!/bin/sh
# Python, but for the environment and the packages, which it only says that it makes.
for last; do :; done
case "$*" in
    *"-m venv "*)
        mkdir -p "$last/bin"
        cp "$0" "$last/bin/python"
        printf '#!/bin/sh\\n' >"$last/bin/inline-topo"
        echo '[ "$1" != keygen ] || touch "$3"' >>"$last/bin/inline-topo"
        chmod +x "$last/bin/inline-topo"
        ;;
    *" wheel "*)
        echo "wheel compiled=${{HATCH_BUILD_HOOK_ENABLE_MYPYC:-0}}" >>/run/asked
        if [ -n "${{HATCH_BUILD_HOOK_ENABLE_MYPYC:-}}" ]; then
            echo "$FAILED" >&2
            exit 1
        fi
        touch "${{last%/copy}}/inline_topo-0.1.0-py3-none-any.whl"
        ;;
    *" install "*) echo "install $last" >>/run/asked ;;
    *) exec {PYTHON} "$@" ;;
esac
"""


@pytest.mark.needs("gcc")
@pytest.mark.parametrize(
    ("why", "remedy"),
    [
        ("no C compiler, or no Python.h", "apt install python3-dev gcc libc6-dev   # Debian"),
        (_OF_MYPY, f"this version has a fault: report it, with {_LOG}"),
        (_OF_GCC, "1 GB of free memory while it compiles (swap will do)"),
        (_OF_PIP, f"mend that; all that was said is in {_LOG}"),
    ],
    ids=["compiler", "mypy", "gcc", "pip"],
)
def test_what_does_not_compile_is_told_with_its_cost_and_a_remedy(
    machine: Machine, tmp_path_factory: pytest.TempPathFactory, why: str, remedy: str
) -> None:
    """Without a network: what pip would do is only noted."""
    python = tmp_path_factory.mktemp("stub") / "python"
    python.write_text(_PIP)
    python.chmod(0o755)
    install = ROOT / "scripts/install"
    no_compiler = "C compiler" in why
    way = {"CC": "false"} if no_compiler else {"FAILED": _FAILED.format(why)}
    done = machine.ran(install, environment={"PYTHON": str(python), **way})
    assert done.returncode == 0, done.stderr
    table = (ROOT / "README.md").read_text()
    dear, cheap = (
        int(re.findall(rf"^\| the gateway as .*{form}.*? \| (\d+) \|", table, re.MULTILINE)[0])
        for form in ("written", "compiled")
    )
    assert done.stderr.splitlines() == [
        f"{install}: WARNING: the packet path does not compile, and is installed interpreted",
        f"    why:     {why}",
        f'    cost:    {dear / cheap:.1f} times the CPU for a call (README, "What it costs")',
        f"    remedy:  {remedy}",
        f"    then:    {install}",
    ]
    asked = [line.split()[:2] for line in machine.said("cat", "/run/asked").splitlines()]
    tried = [] if no_compiler else [["wheel", "compiled=1"]]
    assert asked[:-2] == [*tried, ["wheel", "compiled=0"]]
    assert [words[0] for words in asked[-2:]] == ["install", "install"]
    if not no_compiler:
        assert _FAILED.format(why) in machine.said("cat", _LOG)
