"""scripts/install without --root or --program, on a copy of this machine, and all of it taken away."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.site import Site
from tests.conftest import ROOT
from tests.live.machine import Machine, files_here, rules_here
from tests.live.messages import HIDDEN, invite
from tests.live.running import PATIENCE

pytestmark = [
    pytest.mark.root,
    pytest.mark.full,
    pytest.mark.sources,
    pytest.mark.together,
    pytest.mark.needs("ip", "iptables"),
]

PYTHON = "/usr/bin/python3"  # what scripts/install takes
INSTALL = ROOT / "scripts/install"
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


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip installs, as the machine has no network: ours too, but that is made anew from here."""
    folder = tmp_path_factory.mktemp("wheels")
    builder = folder / "builder"
    subprocess.run([PYTHON, "-m", "venv", builder], check=True)
    subprocess.run(
        [builder / "bin/pip", "wheel", "--quiet", "--no-input", "--wheel-dir", folder,
         f"{ROOT}[live,fast,redis]", "hatchling", "pip", "setuptools", "wheel"],
        check=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def machine(tmp_path: Path, wheels: Path) -> Iterator[Machine]:
    """It has the inside's address, and a link to where the outside would be."""
    if Path("/opt/inline-topo").exists():
        pytest.skip("inline-topo is installed on this machine")
    with Machine(tmp_path, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels)) as machine:
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


def test_installed_it_masks_and_removed_it_leaves_nothing(
    machine: Machine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = files_here(), rules_here()
    before = machine.files()
    folder = tmp_path_factory.mktemp("mine")
    log, mine = folder / "gateway.log", folder / "mine.toml"
    mine.write_text(CONFIG)

    said = machine.said(INSTALL, "--pure", "--config", mine)
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

    gateway = started(machine, log)
    status = Path(f"/proc/{gateway.pid}/status").read_text()
    assert f"Uid:\t{user[2]}\t" in status
    assert "CapEff:\t0000000000001000\n" in status
    left = machine.said(PYTHON, "-c", _SENT, given=invite().decode())
    assert left.startswith(f"INVITE sip:bob@{Site.OUTSIDE} SIP/2.0")
    assert HIDDEN not in left
    assert f"@{Site.INSIDE}>" in left
    assert "queue 0     process" in machine.said(PROGRAM, "status", "-c", FILE)
    assert "unless it was drained" in machine.said(INSTALL, "--remove", "--dry-run")
    assert ended(gateway) == 0
    gateway = started(machine, log, "--drain")
    assert "drained" not in machine.said(INSTALL, "--remove", "--dry-run")
    assert ended(gateway) == 0

    machine.said(INSTALL, "--remove", "--purge")
    after = machine.files()
    assert {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)} <= BY_USERADD
    assert machine.rules() == []
    assert "inline-topo" not in machine.said("getent", "passwd")
    assert (files_here(), rules_here()) == here
