"""What calls cost a server's machine, and how many of them fail: one proxy between two phones, and
whatever runs beside it in its network namespace.

The cost is the running time of all threads in that namespace, as the scheduler counts it. Compare
figures of one run with each other, not with those of another machine.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from inline_topo.masking.codecs.keyring import KeyRing
from lab import calls, phones, transits
from lab.live import CALL_TIME, Lab
from lab.net import Net, stop
from lab.ours import INLINE_TOPO, python

ROOT = Path(__file__).resolve().parents[2]
PROXY_CONFIG = Path(__file__).parent / "proxy.cfg"
RUN = ("-m", "inline_topo", "run", "-c", "gw.toml")
TOOLS = ("ip", "ss", "iptables", "kamailio", "sipp", "tcpdump")
SERVER = "srv"
CONFIG = f"""\
shape = "host"
inside = ["{calls.PROXY}"]
own = ["{calls.PROXY}", "server.com"]
"""
RING, TALK = 100, 100  # milliseconds from 180 to 200, and from ACK to BYE
SLOW = 50  # milliseconds that the messages of a call may take together
MEMORY = (
    512  # megabytes: a transaction stays for five seconds, and 500 calls a second fill 32 in three
)


class Kind(NamedTuple):
    """What is measured: the proxy's switches (see proxy.cfg), what is started before it, the
    proxy's allocator (Kamailio's option -x; none: the one that it is built to take), and the kind of
    server that it is compared with."""

    defines: Mapping[str, str]
    prepare: Callable[[Net], None] = lambda net: None
    allocator: str = ""
    above: str = "plain"


class Load(NamedTuple):
    """How many calls, how many a second, and how many there are at a time at most (0: any)."""

    calls: int
    rate: int
    at_once: int = 0


class Cost(NamedTuple):
    """Microseconds of CPU per call, how many calls failed, and the milliseconds that each message took
    through the server's host, into it and out of it."""

    us_per_call: float
    failed: int
    transits: list[float]


def start_gateway(
    net: Net, more: str = "", *, script: tuple[str, ...] = RUN, package: Path = ROOT
) -> None:
    """Start the gateway on the server's host; `more` follows the configuration's first keys.
    `script`: what is run in its place; `package`: the folder of the package that is run."""
    folder = ("env", "-C", str(net.folder))
    (net.folder / "gw.toml").write_text(f'{CONFIG}{more}\n[topoh]\nmask_key_file = "mask.key"\n')
    KeyRing.generate().save(net.folder / "mask.key")
    net.run(SERVER, *folder, *INLINE_TOPO, "rules", "apply", "-c", "gw.toml")
    net.start(SERVER, "gw.log", *python(package), *script)
    net.await_text("gw.log", "ready")


def start_redis(net: Net, port: int = 6379) -> None:
    """Start a Redis on the server's host, as Debian's, but that it never writes a snapshot."""
    net.start(
        SERVER, "redis.log", "redis-server", "--port", str(port), "--bind", "127.0.0.1",
        "--dir", str(net.folder), "--save", "",
    )  # fmt: skip
    net.await_text("redis.log", "eady to accept connections")


def measure(kind: Kind, load: Load) -> Cost:
    """The cost of calls, after a second's calls that are not counted."""
    with tempfile.TemporaryDirectory() as name, Net(Path(name), offload=True) as net:
        options = ("-m", str(MEMORY), *(("-x", kind.allocator) if kind.allocator else ()))
        lab = Lab(net, topoh=False, config=PROXY_CONFIG, options=options)
        for host, address in ((SERVER, calls.PROXY), ("alice", calls.ALICE), ("bob", calls.BOB)):
            net.host(host, address)
        kind.prepare(net)
        defines = {"BOB": f'"sip:bob@{calls.BOB}:5060"', **kind.defines}
        lab.proxy(SERVER, f"{calls.PROXY}:5060", defines=defines)
        # As many as come: those of both rounds, and those that are asked again when all is said.
        lab.party("bob", calls.BOB, phones.snom(RING), more=("-m", "1000000", "-timeout", "0"))
        _call(lab, Load(load.rate, load.rate))  # caches, pools, connections
        dump = transits.begin(net, SERVER)
        before = running_time(net, SERVER)
        failed = _call(lab, load)
        us_per_call = (running_time(net, SERVER) - before) / load.calls / 1000
        dump.end()
        return Cost(us_per_call, failed, transits.read(net.folder))


def _call(lab: Lab, load: Load) -> int:
    """Make calls; how many of them failed for the caller."""
    most = load.at_once or load.calls
    more = ("-m", str(load.calls), "-r", str(load.rate), "-l", str(most))
    caller = lab.party("alice", calls.ALICE, phones.grandstream(TALK), via=calls.PROXY, more=more)
    seconds = load.calls / load.rate
    if load.at_once:
        seconds += load.calls / load.at_once * (RING + TALK + SLOW) / 1000
    try:
        caller.program.wait(seconds + CALL_TIME)
    except subprocess.TimeoutExpired:
        stop(caller.program)
    said = (lab.net.folder / f"{caller.log}.out").read_text(errors="replace")
    succeeded = int(re.findall(r"Successful call +\| +\d+ +\| +(\d+)", said)[-1])
    return load.calls - succeeded


def running_time(net: Net, host: str) -> int:
    """Nanoseconds that all threads of a host's namespace have run."""
    listed = subprocess.run(
        ["ip", "netns", "pids", net.name_of(host)], capture_output=True, text=True, check=True
    ).stdout
    files = [
        file for pid in listed.split() for file in Path(f"/proc/{pid}/task").glob("*/schedstat")
    ]
    return sum(int(file.read_text().split()[0]) for file in files)
