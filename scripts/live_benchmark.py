"""What hiding costs the server's machine: CPU per call of Kamailio alone, of Kamailio with topoh, and
of Kamailio with the gateway on the same host, with the same calls, in one run.

CPU is the running time of all processes in the server's network namespace, as the scheduler counts
it. Compare figures of one run with each other, not with those of another machine.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inline_topo.edges.live.port import Queue
from inline_topo.masking.codecs.keyring import KeyRing
from lab import calls
from lab.live import Lab
from lab.net import Net, run

ROOT = Path(__file__).resolve().parent.parent
OURS = ("env", f"PYTHONPATH={ROOT}", sys.executable)
PACKETS_A_CALL = 13  # INVITE, 100, 180, 200, ACK, BYE, 200: all but the 100 twice
TOOLS = ("ip", "iptables", "kamailio", "sipp")
CONFIG = f"""\
shape = "host"
inside = ["{calls.PROXY}"]
own = ["{calls.PROXY}", "server.com"]
[topoh]
mask_key_file = "mask.key"
"""


def plain(net: Net) -> None:
    """Nothing beside the proxy."""


def gateway(net: Net) -> None:
    """The gateway, in live mode."""
    folder = ("env", "-C", str(net.folder))
    (net.folder / "gw.toml").write_text(CONFIG)
    KeyRing.generate().save(net.folder / "mask.key")
    net.run("srv", *folder, *OURS, "-m", "inline_topo", "rules", "apply", "-c", "gw.toml")
    net.start("srv", "gw.log", *OURS, "-m", "inline_topo", "run", "-c", "gw.toml")
    net.await_text("gw.log", "event=ready")


def reinjecting(net: Net) -> None:
    """A process that sends each packet back as it came, payload replaced: the floor."""
    folder = ("env", "-C", str(net.folder))
    (net.folder / "gw.toml").write_text(CONFIG)
    KeyRing.generate().save(net.folder / "mask.key")
    net.run("srv", *folder, *OURS, "-m", "inline_topo", "rules", "apply", "-c", "gw.toml")
    net.start("srv", "gw.log", *OURS, str(Path(__file__)), "--reinject")
    net.await_text("gw.log", "ready")


def reinject() -> None:
    """The work of `reinjecting`, in its namespace."""
    queue = Queue(0, 4096)
    print("ready", flush=True)
    queue.serve(lambda packet: bytes(memoryview(packet)), lambda: None, 0.25)


KINDS: dict[str, tuple[bool, Callable[[Net], None]]] = {
    "plain": (False, plain),
    "topoh": (True, plain),
    "gateway": (False, gateway),
    "reinjecting": (False, reinjecting),
}


def measure(kind: str, count: int, rate: int) -> float:
    """Microseconds of CPU per call on the server's host."""
    topoh, prepare = KINDS[kind]
    with tempfile.TemporaryDirectory() as name, Net(Path(name)) as net:
        lab = Lab(net, topoh)
        for host, address in (("srv", calls.PROXY), ("alice", calls.ALICE), ("bob", calls.BOB)):
            net.host(host, address)
        lab.proxy("srv", f"{calls.PROXY}:5060", defines={"BOB": f'"sip:bob@{calls.BOB}:5060"'})
        prepare(net)
        _call(lab, rate, rate)  # caches, pools, connections
        before = _running_time(net)
        _call(lab, count, rate)
        return (_running_time(net) - before) / count / 1000


def _call(lab: Lab, count: int, rate: int) -> None:
    more = ("-m", str(count), "-l", "5000")
    lab.party("bob", calls.BOB, calls.answering_bob(), more=more)
    lab.party(
        "alice", calls.ALICE, calls.calling_alice(), via=calls.PROXY, more=(*more, "-r", str(rate))
    )
    lab.done()


def _running_time(net: Net) -> int:
    """Nanoseconds that all processes of the server's namespace have run."""
    listed = subprocess.run(
        ["ip", "netns", "pids", net.name_of("srv")], capture_output=True, text=True, check=True
    ).stdout
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in listed.split())


def compare(count: int, rate: int, runs: int) -> dict[str, Any]:
    """Medians of the runs, and what each costs beyond the plain proxy in parts of topoh."""
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    ratios: dict[str, list[float]] = {"gateway": [], "reinjecting": []}
    for number in range(runs):
        for kind, taken in costs.items():
            taken.append(measure(kind, count, rate))
            print(f"run {number + 1}: {kind} {taken[-1]:.0f} us a call", file=sys.stderr)
        for kind, parts in ratios.items():
            parts.append((costs[kind][-1] - costs["plain"][-1])
                         / (costs["topoh"][-1] - costs["plain"][-1]))  # fmt: skip
    median = {kind: statistics.median(taken) for kind, taken in costs.items()}
    return {
        "calls": count, "rate": rate, "runs": runs,
        "us_per_call": {kind: round(value) for kind, value in median.items()},
        "us_per_packet_of_the_gateway": round(
            (median["gateway"] - median["plain"]) / PACKETS_A_CALL, 1),
        "of_topohs_cost": {kind: round(statistics.median(p), 2) for kind, p in ratios.items()},
        "of_topohs_cost_runs": {kind: [round(r, 2) for r in p] for kind, p in ratios.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench --live", description=__doc__)
    parser.add_argument("--live", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--reinject", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--calls", type=int, default=2000, help="calls of one measurement")
    parser.add_argument("--rate", type=int, default=200, help="calls a second")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each kind")
    given = parser.parse_args()
    if given.reinject:
        return reinject()
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        sys.exit(f"bench --live: not installed: {', '.join(missing)}")
    run("ip", "netns", "list")
    report = compare(given.calls, given.rate, given.runs)
    if given.json:
        print(json.dumps(report, indent=2))
        return None
    for kind, value in report["us_per_call"].items():
        print(f"{kind:<12} {value:>6} us of CPU a call")
    for kind, part in report["of_topohs_cost"].items():
        runs = report["of_topohs_cost_runs"][kind]
        print(f"{kind:<12} {part:>6} of what topoh costs (runs: {runs})")
    print(f"{'gateway':<12} {report['us_per_packet_of_the_gateway']:>6} us of CPU a packet")
    return None


if __name__ == "__main__":
    main()
