"""The network of a configuration, its registrar, and its gateway."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from clients_lab.phone import Skipped, bracketed
from clients_lab.settings import EDGE, HOST, NAT, STRICT, Setting
from lab.dump import Dump
from lab.net import LISTENING, LabError, Net, Program, run
from lab.ours import INLINE_TOPO

_REGISTRAR = Path(__file__).parent / "registrar.cfg"
_TABLES = Path("/usr/share/kamailio/dbtext/kamailio")
_MODULES = tuple(Path("/usr").glob("lib*/**/kamailio/modules/tm.so"))
_NG_PORT = 2223
_FRAGMENTS = "(ip[6:2] & 0x1fff != 0) or (ip6[6:1] = 44)"
_FORWARDED = ("-A", "FORWARD", "-p", "udp")
_PORTS = "udp portrange 5060-5066"
INSIDE_HOSTS, OUTSIDE_HOSTS = ("alice", "dave"), ("bob", "carol", "carrier")


def has_module(name: str) -> bool:
    """Whether Kamailio has a module."""
    return any((found.parent / f"{name}.so").exists() for found in _MODULES)


class Ground(Net):
    """Two links with a router between them: proxy, alice and dave inside; bob, carol and a carrier
    outside."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        super().__init__(folder)
        self.setting = setting
        self._at = setting.at
        self._dumps: list[Dump] = []
        self._gateway: Program | None = None
        self._starts = 0

    def build(self) -> None:
        """Make hosts, links and routes."""
        at = self._at
        for link in ("lan", "wan"):
            self._ip("link", "link", "add", link, "type", "bridge")
            self._ip("link", "link", "set", link, "up")
        self._namespace("gw")
        self._plug("gw", "lan", "in0", at.router_inside)
        self._plug("gw", "wan", "out0", at.router_outside)
        self.run("gw", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for name in ("proxy", *INSIDE_HOSTS):
            self._host(name, "lan", getattr(at, name), at.router_inside)
        for name in OUTSIDE_HOSTS:
            self._host(name, "wan", getattr(at, name), at.router_outside)
        self._address("proxy", "eth0", at.public)
        for name in ("gw", *INSIDE_HOSTS):
            self._route(name, at.public, at.proxy)
        away = (
            ("203.0.113.0/24", "src") if self.setting.version == 4 else ("2001:db8:2::/64", "src")
        )
        self._route("proxy", away[0], at.router_inside, "src", at.public)
        if self.setting.shape == NAT:
            self.run(
                "gw", "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "out0", "-j", "MASQUERADE"
            )
        if self.setting.treatment == STRICT:
            self._relay()

    def _host(self, name: str, link: str, address: str, router: str) -> None:
        self._namespace(name)
        self._plug(name, link, "eth0", address)
        self._route(name, "default", router)

    def _plug(self, host: str, link: str, interface: str, address: str) -> None:
        self._ip("link", "link", "add", f"{link}-{host}", "master", link, "type", "veth",
                 "peer", "name", interface, "netns", self.name_of(host))  # fmt: skip
        self._ip("link", "link", "set", f"{link}-{host}", "up")
        length, more = ("64", ("nodad",)) if ":" in address else ("24", ())
        self._ip(host, "addr", "add", f"{address}/{length}", "dev", interface, *more)
        self._up(host, interface)

    def _route(self, host: str, target: str, router: str, *more: str) -> None:
        family = ("-6",) if ":" in router else ()
        self._ip(host, *family, "route", "add", target, "via", router, *more)

    def _relay(self) -> None:
        """Start rtpengine, and let the router forward SIP alone: audio has no other way."""
        if not shutil.which("rtpengine"):
            raise Skipped("rtpengine is not installed (Debian: apt install rtpengine-daemon)")
        host = self.setting.gateway_host
        inner, outer = self.setting.relay
        self.start(
            host, "rtpengine.log", "rtpengine", "--foreground", "--log-stderr", "--table=-1",
            f"--listen-ng=127.0.0.1:{_NG_PORT}", "--port-min=30000", "--port-max=30999",
            "--num-threads=2", f"--pidfile={self.folder / 'rtpengine.pid'}",
            f"--interface=internal/{inner}", f"--interface=external/{outer}",
        )  # fmt: skip
        self.await_port(host, _NG_PORT)
        if self.setting.shape == HOST:
            return
        command = "ip6tables" if self.setting.version == 6 else "iptables"
        for end in ("--dport", "--sport"):
            self.run("gw", command, *_FORWARDED, end, "5060:5066", "-j", "ACCEPT")
        self.run("gw", command, *_FORWARDED, "-j", "DROP")

    def start_registrar(self) -> None:
        """Start the registrar, and the edge proxy where there is one."""
        at = self._at
        if not self.setting.registrar_is_outside:
            self._kamailio("proxy", at.proxy, at.public)
            return
        self._kamailio("carrier", at.carrier)
        if self.setting.shape == EDGE:
            if not has_module("outbound"):
                raise Skipped(
                    "Kamailio has no outbound (Debian: apt install kamailio-outbound-modules)"
                )
            self._kamailio("proxy", at.proxy, at.public)

    def _kamailio(self, host: str, *addresses: str) -> None:
        is_edge = self.setting.shape == EDGE and host == "proxy"
        defines = {
            "CONTROL": f'"unix:{self.folder / host}.ctl"',
            "MOVED": f'"sip:moved@{bracketed(self.setting.moved_host)}:5062"',
        }
        defines["SERVICE"] = f'"sip:service@{bracketed(self._at.carol)}:5066"'
        if has_module("outbound") and (is_edge or self.setting.shape != EDGE):
            defines["OUTBOUND"] = ""
        if self.setting.shape == NAT:
            defines["NAT"] = ""
        if is_edge:
            defines["EDGE"] = f'"{self._at.carrier}"'
        elif has_module("presence") and _TABLES.is_dir():
            tables = self.folder / f"{host}-tables"
            shutil.copytree(_TABLES, tables)
            defines["PRESENCE"] = f'"text://{tables}"'
            defines["SERVER"] = f'"sip:{bracketed(addresses[-1])}:5060"'
        names = [f"{key}={value}" if value else key for key, value in defines.items()]
        options = [part for name in names for part in ("-A", name)]
        for address in addresses:
            for transport in ("udp", "tcp"):
                options += ["-l", f"{transport}:{bracketed(address)}:5060"]
        self.start(
            host, f"{host}.log", "kamailio", "-DD", "-E", "-f", str(_REGISTRAR), "-m", "64",
            "-P", str(self.folder / f"{host}.pid"), "-Y", str(self.folder), *options,
        )  # fmt: skip
        self.await_port(host, 5060)

    def bindings(self) -> str:
        """What the registrar knows of its users, as it tells kamcmd."""
        host = "carrier" if self.setting.registrar_is_outside else "proxy"
        control = f"unix:{self.folder / host}.ctl"
        told = subprocess.run(
            ["kamcmd", "-s", control, "ul.dump"], capture_output=True, text=True, check=False
        )
        return told.stdout

    def contacts(self, user: str) -> list[str]:
        """The Contacts that the registrar has of a user."""
        _, _, of_user = self.bindings().partition(f"AoR: {user}\n")
        return sorted(re.findall(r"Address: (\S+)", of_user.partition("AoR: ")[0]))

    def configure_gateway(self) -> None:
        """Write the gateway's configuration and key, load its rules, and start it."""
        config = self.folder / "gw.toml"
        config.write_text(self.setting.config(str(self.folder)))
        config.chmod(0o600)
        run(*INLINE_TOPO, "keygen", "-o", str(self.folder / "mask.key"))
        self.run(self.setting.gateway_host, *INLINE_TOPO, "rules", "apply", "-c", str(config))
        self.start_gateway()

    def start_gateway(self) -> None:
        """Start the gateway, and wait until it is ready."""
        self._starts += 1
        log = f"gateway{self._starts}.log"
        config = str(self.folder / "gw.toml")
        self._gateway = self.start(
            self.setting.gateway_host, log, *INLINE_TOPO, "run", "-c", config
        )
        self.await_text(log, "event=ready")

    def stop_gateway(self) -> None:
        """SIGTERM, as systemd stops it; LabError where it ends with anything but 0."""
        assert self._gateway
        os.killpg(self._gateway.pid, signal.SIGTERM)
        if status := self._gateway.wait(10):
            raise LabError(f"the gateway ended with {status}")

    def rotate_key(self) -> None:
        """Put a new key before the old one, and tell the gateway."""
        assert self._gateway
        run(*INLINE_TOPO, "keygen", "--rotate", str(self.folder / "mask.key"))
        self._gateway.send_signal(signal.SIGHUP)
        self.await_text(f"gateway{self._starts}.log", "are read anew")

    def kill_worker(self) -> None:
        """kill -9 of the worker of the first queue; returns when another one serves it."""
        before = self.worker()
        os.kill(before, signal.SIGKILL)
        deadline = time.monotonic() + LISTENING
        while self.worker() in (before, 0):
            if time.monotonic() > deadline:
                raise LabError(f"{self.folder}: no new worker")
            time.sleep(0.05)

    def worker(self) -> int:
        """The process that serves the first queue, or 0."""
        queue = self.status()["queues"][0]
        return int(queue["pid"])

    def status(self) -> dict[str, Any]:
        """What `inline-topo status --json` says."""
        words = [*INLINE_TOPO, "status", "--json", "-c", str(self.folder / "gw.toml")]
        inside = ["ip", "netns", "exec", self.name_of(self.setting.gateway_host), *words]
        told = subprocess.run(inside, capture_output=True, check=False)
        status: dict[str, Any] = json.loads(told.stdout)
        return status

    def capture(self, name: str) -> None:
        """Write what passes the router's two links to `NAME-inside.pcap` and `-outside.pcap`, until
        `end_capture`."""
        for interface, side in {"in0": "inside", "out0": "outside"}.items():
            self._dumps.append(
                Dump(self, "gw", f"{name}-{side}.dump.log", "-i", interface, "-w", f"{name}-{side}.pcap",
                     f"{_PORTS} or {_FRAGMENTS}")
            )  # fmt: skip

    def end_capture(self) -> None:
        """Close the captures, with all that came up to now in them."""
        for dump in self._dumps:
            dump.end()
        self._dumps.clear()
