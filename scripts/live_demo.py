"""A real call through the live gateway, in network namespaces: the work of `scripts/demo --live`.

Alice and bob, with sipp, call each other through a plain Kamailio; a router with the gateway stands
between them and it. Both of the router's links are captured. All is gone at the end but FOLDER,
which gets the captures, the configuration and the key.
"""

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab.calls import answering_bob, calling_alice
from lab.dump import Dump
from lab.live import Lab
from lab.net import LabError
from lab.site import Site

PACKAGES = {
    "ip": "iproute2",
    "iptables": "iptables",
    "kamailio": "kamailio",
    "sipp": "sip-tester",
    "tcpdump": "tcpdump",
}
BINDING = ("python3-dev", "gcc", "libc6-dev", "libnetfilter-queue-dev")
INLINE_TOPO = (sys.executable, "-m", "inline_topo")
SERVER, BOB, ALICE = Site.INSIDE, Site.OUTSIDE, "203.0.113.27"
LINKS = {"in0": "inside.pcap", "out0": "outside.pcap"}
KEPT = (*LINKS.values(), "gateway.toml", "mask.key")
CONFIG = f"""\
shape = "router"
inside = ["{SERVER}"]                 # the proxy: a plain Kamailio
own    = ["{SERVER}", "server.com"]   # what outsiders are meant to see
[topoh]
mask_key_file = "mask.key"
"""


class Demo:
    """The lab, and the commands that a user of the gateway gives on its router."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.folder

    def show(self, *words: str, status: int = 0) -> None:
        """Run `inline-topo` on the router and print what it says; LabError if it ends otherwise."""
        print(f"$ inline-topo {' '.join(words)}\n{self._said(words, status)}", flush=True)

    def show_message(self, start_line: str) -> None:
        """The part of `inline-topo diff` about one message."""
        words = ("diff", *LINKS.values())
        said = self._said(words, 1)
        [part, *_] = [part for part in said.split("\n\n") if f"\n  {start_line}" in part]
        print(f"$ inline-topo {' '.join(words)}     (one of the messages)\n{part}", flush=True)

    def _said(self, words: tuple[str, ...], status: int) -> str:
        program = self._site.start("gw", "said", *INLINE_TOPO, *words)
        ended = program.wait(30)
        said = (self._folder / "said").read_text()
        if ended != status:
            raise LabError(f"inline-topo {' '.join(words)} ended with {ended}: {said}")
        return said

    def start_gateway(self) -> "subprocess.Popen[bytes]":
        """`inline-topo run`, ready; LabError with what it said if it does not get there."""
        print("$ inline-topo run -c gateway.toml &", flush=True)
        gateway = self._site.start("gw", "run.log", *INLINE_TOPO, "run", "-c", "gateway.toml")
        try:
            self._site.await_text("run.log", "event=ready")
        except LabError:
            said = (self._folder / "run.log").read_text()
            raise LabError(f"the gateway did not start: {said}") from None
        return gateway

    def call(self) -> None:
        """INVITE, 180, 200, ACK, BYE, with both links captured; LabError if the call fails."""
        lab = Lab(self._site, topoh=False)
        self._site.run("outside", "ip", "addr", "add", f"{ALICE}/24", "dev", "eth0")
        lab.proxy("inside", f"{SERVER}:5060", defines={"BOB": f'"sip:bob@{BOB}:5060"'})
        dumps = {link: self._capture(link, file) for link, file in LINKS.items()}
        lab.party("outside", BOB, answering_bob(ring=200))
        lab.party("outside", ALICE, calling_alice(), via=SERVER)
        lab.done()
        time.sleep(0.5)  # what the gateway's counters do not show yet
        for dump in dumps.values():
            dump.end()

    def _capture(self, link: str, file: str) -> Dump:
        return Dump(self._site, "gw", f"{link}.log", "-i", link, "-w", file, "udp")


def run(folder: Path) -> None:
    """The whole demonstration in an empty folder."""
    (folder / "gateway.toml").write_text(CONFIG)
    with Site(folder) as site:
        site.build()
        demo = Demo(site)
        _say("The router: its configuration, a key, the kernel's rules. gateway.toml")
        print(CONFIG)
        demo.show("keygen", "-o", "mask.key")
        demo.show("rules", "show", "-c", "gateway.toml")
        demo.show("rules", "apply", "-c", "gateway.toml")
        gateway = demo.start_gateway()
        demo.show("rules", "status", "-c", "gateway.toml")
        _say("A call: alice, server.com, bob. sipp and Kamailio")
        demo.call()
        print("The call went through: INVITE, 180, 200, ACK, BYE, 200.")
        _say("What the gateway counted. inline-topo status")
        demo.show("status", "-c", "gateway.toml")
        _say("Before and after the gateway, as one ladder. inline-topo diff --ladder")
        demo.show("diff", "--ladder", *LINKS.values(), status=1)
        _say("What bob's phone gets of alice. inline-topo diff")
        demo.show_message(f"INVITE sip:bob@{BOB}")
        _say("In clear: what would have shown. inline-topo audit")
        demo.show("audit", "-r", LINKS["in0"], "-c", "gateway.toml", status=1)
        _say("What shows outside. inline-topo audit")
        demo.show("audit", "-r", LINKS["out0"], "-c", "gateway.toml")
        _say("And away")
        gateway.send_signal(signal.SIGTERM)
        if ended := gateway.wait(10):
            raise LabError(f"the gateway ended with {ended}")
        demo.show("rules", "remove")


def _say(text: str) -> None:
    print(f"\n== {text}\n", flush=True)


def missing_packages() -> list[str]:
    """The Debian packages without which there is nothing to show."""
    missing = [package for tool, package in PACKAGES.items() if not shutil.which(tool)]
    return missing if importlib.util.find_spec("netfilterqueue") else [*missing, *BINDING]


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo --live", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    into = parser.parse_args().folder
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # which some shells of root's lack
    if missing := missing_packages():
        print(f"demo --live: Debian packages missing: apt install {' '.join(missing)}",
              file=sys.stderr)  # fmt: skip
        sys.exit(2)
    for ending in (signal.SIGTERM, signal.SIGHUP):  # so that the namespaces go
        signal.signal(ending, lambda *_: sys.exit(1))
    print(f"alice ({ALICE}) calls bob ({BOB}) through the proxy server.com ({SERVER});\n"
          "between the phones and the proxy is a router with the gateway.")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        try:
            run(Path(name))
        except (LabError, subprocess.TimeoutExpired) as error:
            sys.exit(f"demo --live: {error}")
        except KeyboardInterrupt:
            sys.exit(130)
        into.mkdir(parents=True, exist_ok=True)
        for file in KEPT:
            shutil.copy(Path(name) / file, into / file)
    print(f"\nThe captures, the configuration and the key are in {into}.")


if __name__ == "__main__":
    main()
