"""How many packets a second one worker of the gateway, and two, bring through, and what CPU each takes
beside one that is only accepted: INVITEs that leave through a router, sent as fast as they can be, in
bursts that the queue has room for. The packet path is compiled where it can be.
"""

import socket
import statistics
import tempfile
import time
from pathlib import Path

from benchmark import CALL, new_calls, packets
from inline_topo.masking.codecs.keyring import KeyRing
from lab import comparing
from lab.costs import ROOT, running_time
from lab.net import run
from lab.ours import python
from lab.site import Site

NAME = "bench --live --flood"
TOOLS = ("ip", "iptables")
SENDERS = [f"192.168.178.{number}" for number in range(10, 26)]  # so that each queue has some
BURST = 3000  # fewer than the queue holds
LEAVING_INVITE = 2  # the packet of the call
UDP_PAYLOAD = 28
CONFIG = """\
inside = ["192.168.178.0/24"]
own = ["192.168.178.10"]
[topoh]
mask_key_file = "mask.key"
[queue]
numbers = "%s"
"""
KINDS = {"accept": "0", "one worker": "0", "two workers": "0:1"}


def measure(kind: str, bursts: int, package: Path) -> tuple[float, float, int]:
    """Packets a second, microseconds of CPU a packet on the router, and packets lost; `package`: the
    folder of the package that is run."""
    invites = [call[LEAVING_INVITE][UDP_PAYLOAD:] for call in new_calls(packets(CALL), BURST)]
    with tempfile.TemporaryDirectory() as name, Site(Path(name)) as site:
        site.build()
        for address in SENDERS[1:]:
            run("ip", "-n", site.name_of("inside"), "addr", "add", f"{address}/24", "dev", "eth0")
        (site.folder / "gw.toml").write_text(CONFIG % KINDS[kind])
        KeyRing.generate().save(site.folder / "mask.key")
        there = ("env", "-C", str(site.folder), *python(package))
        site.run("gw", *there, "-m", "inline_topo", "rules", "apply", "-c", "gw.toml")
        script = (__file__, "--accept") if kind == "accept" else (
            "-m", "inline_topo", "run", "-c", "gw.toml")  # fmt: skip
        site.start("gw", "gw.log", *there, *script)
        site.await_text("gw.log", "ready")
        receiver = site.udp("outside", Site.OUTSIDE)
        receiver.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
        receiver.settimeout(2)
        senders = [site.udp("inside", address) for address in SENDERS]
        rates, lost = [], 0
        before = running_time(site, "gw")
        for _ in range(bursts):
            start = time.perf_counter()
            for number, invite in enumerate(invites):
                senders[number % len(senders)].sendto(invite, (Site.OUTSIDE, 5060))
            came = 0
            try:
                while came < BURST:
                    receiver.recv(2048)
                    came += 1
            except TimeoutError:
                lost += BURST - came
            else:
                rates.append(BURST / (time.perf_counter() - start))
        cpu = (running_time(site, "gw") - before) / 1000 / (bursts * BURST)
    return statistics.median(rates) if rates else 0.0, cpu, lost


def main() -> None:
    parser = comparing.options(NAME, __doc__, "--live", "--flood", "--accept")
    parser.add_argument("--bursts", type=int, default=10, help=f"of {BURST} packets each")
    comparing.compiled_options(parser)
    given = parser.parse_args()
    if given.accept:
        return comparing.serve(lambda packet: packet)
    comparing.need(NAME, *TOOLS)
    compiled = comparing.compiled(given)
    report = {}
    for kind in KINDS:
        rate, cpu, lost = measure(kind, given.bursts, compiled or ROOT)
        report[kind] = {
            "packets_per_s": round(rate), "us_of_cpu_per_packet": round(cpu, 1), "lost": lost,
        }  # fmt: skip
    if given.json:
        return comparing.said({"compiled": compiled is not None, **report})
    print(f"the gateway's packet path: {'compiled' if compiled else 'pure Python'}")
    for kind, figures in report.items():
        print(
            f"{kind:<12} {figures['packets_per_s']:>7} packets a second "
            f"{figures['us_of_cpu_per_packet']:>6} us of CPU a packet {figures['lost']:>6} lost"
        )
    return None


if __name__ == "__main__":
    main()
