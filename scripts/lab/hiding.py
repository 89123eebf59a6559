"""Which carriers an element hides: Kamailio with topoh and with topos, and the gateway by profile."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.gateway import Ask, Verdict
from inline_topo.masking import effects
from inline_topo.masking.codecs.keyring import KeyRing
from lab.carriers import (
    INSIDE,
    NETWORK,
    OWN,
    PEER,
    PROXY,
    REQUESTS,
    RESPONSES,
    Probe,
    addresses,
)
from lab.live import Lab
from lab.net import LabError, Net

HIDDEN, SHOWN, REFUSED = "hidden", "shown", "refused"
TOOLS = ("ip", "kamailio", "redis-server", "ss")
MODULES = "kamailio-redis-modules"
"""The Debian package of what topos keeps its dialogs with."""

SCRIPTS = Path(__file__).parents[1]
_PROBING = Path(__file__).with_name("probing.py")
_ADDRESS = re.compile(rb"10\.77\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9])")

KAMAILIO: dict[str, Mapping[str, str]] = {
    "plain": {},
    "topoh": {"TOPOH": "", "CALLID": ""},
    "topos": {"TOPOS": ""},
}
"""What is switched on in the laboratory's Kamailio; plain hides nothing, so every carrier shows. What
topos 5.6 calls `mask_callid` does nothing yet."""

GATEWAY: dict[str, dict[str, Any]] = {
    "profile topoh": {"profile": "topoh", "topoh.mask_callid": True},
    "default": {"profile": "default"},
    "strict": {"profile": "strict"},
    "mode topos": {"profile": "default", "mode": "topos", "topos.store": "memory:"},
}
"""The gateway's settings; the first are topoh's."""

Seen = dict[str, dict[str, str]]
"""HIDDEN, SHOWN or REFUSED, by "requests" or "responses" and by carrier."""

_PROBES = {"requests": REQUESTS, "responses": RESPONSES}


def missing() -> list[str]:
    """The programs and packages that `by_kamailio` needs and that are not installed."""
    tools = [tool for tool in TOOLS if not shutil.which(tool)]
    module = "kamailio/modules/topos_redis.so"
    found = [*Path("/usr/lib").glob(f"*/{module}"), *Path("/usr/lib64").glob(module)]
    return tools if found else [*tools, MODULES]


def by_kamailio(kind: str) -> Seen:
    """What a real Kamailio does, in a network namespace. LabError where a message does not pass."""
    return {way: _through_kamailio(KAMAILIO[kind], way) for way in _PROBES}


def by_gateway(kind: str) -> Seen:
    """What the gateway does with what a plain proxy lets out.

    A message that it refuses shows nothing; what would have shown is counted as REFUSED, and each
    carrier is looked at alone, so that none is for another's sake.
    """
    settings = GATEWAY[kind]
    seen: Seen = {}
    for way, probes in _PROBES.items():
        gateway = Ours(settings | {"audit": 0})
        left = [gateway.pass_on(probe, n, addresses()) for n, probe in enumerate(probes, 1)]
        seen[way] = _judged(probes, [b"" if data is None else data for data in left])
        for probe in probes:
            for name in probe.carriers:
                alone = {name: addresses()[name]}
                if seen[way][name] == SHOWN and Ours(settings).pass_on(probe, 1, alone) is None:
                    seen[way][name] = REFUSED
    return seen


class Ours:
    """The gateway before the proxy."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        own = {"inside": [NETWORK, PROXY], "own": [*OWN], "mtu": 65535}
        config = load(None, env={}, overrides={**own, **settings}, key_ring_given=True)
        self._gateway = assemble.gateway(config, ring=KeyRing.generate())
        self._performers = assemble.performers(config)

    def pass_on(self, probe: Probe, number: int, filled: Mapping[str, str]) -> bytes | None:
        """What leaves of a probe; None where it is refused."""
        if probe.asked:
            self._judge(probe.question(number), PEER, PROXY)
        verdict = self._judge(probe.leaving(number, filled), PROXY, PEER)
        if verdict.outcome.startswith("refused"):
            return None
        return bytes(IP(verdict.packet)[UDP].payload)

    def _judge(self, data: bytes, source: str, target: str) -> Verdict:
        packet = bytes(IP(src=source, dst=target) / UDP(sport=5060, dport=5060) / Raw(data))
        verdict = self._gateway.handle(packet, 0.0)
        while isinstance(verdict, Ask):
            verdict = verdict.resume(effects.perform(self._performers, verdict.effect))
        return verdict


def _through_kamailio(defines: Mapping[str, str], way: str) -> dict[str, str]:
    """What of the probes shows to the peer of a Kamailio."""
    with tempfile.TemporaryDirectory() as name, Net(Path(name)) as net:
        net.host("srv", PROXY)
        net.host("ends", INSIDE, PEER)
        if "TOPOS" in defines:
            net.start("srv", "redis.log", "redis-server", "--bind", "127.0.0.1", "--save", "")
            net.await_text("redis.log", "eady to accept connections")
        users = {"ALICE": f'"sip:alice@{INSIDE}"'}
        registrar = {"NEXT": f'"sip:{PEER if way == "requests" else INSIDE}"', "PATH": ""}
        lab = Lab(net, topoh=False)
        lab.proxy("srv", f"{PROXY}:5060", defines={**users, **registrar, **defines})
        result = Path(name) / "seen.json"
        there = ("ip", "netns", "exec", net.name_of("ends"), "env", f"PYTHONPATH={SCRIPTS}")
        done = subprocess.run(
            [*there, sys.executable, str(_PROBING), way, str(result)], capture_output=True, check=False
        )  # fmt: skip
        if done.returncode:
            said = (net.folder / "srv.log").read_text(errors="replace")[-2000:]
            raise LabError(f"{way} through {[*defines]}: {done.stderr.decode().strip()}\n{said}")
        left = [bytes.fromhex(data) for data in json.loads(result.read_text())]
    return _judged(_PROBES[way], left)


def _judged(probes: Iterable[Probe], left: Iterable[bytes]) -> dict[str, str]:
    filled = addresses()
    seen: dict[str, str] = {}
    for probe, data in zip(probes, left, strict=True):
        shown = {address.decode() for address in _ADDRESS.findall(data)}
        for name in probe.carriers:
            seen[name] = SHOWN if filled[name] in shown else HIDDEN
    return seen
