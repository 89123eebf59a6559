"""Messages of a capture through both legs, and a search for the inside in what leaves.

The search knows nothing of masking: `attacks.search` imports nothing of the package.
"""

import binascii
import contextlib
import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

from attacks.search import Secrets
from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import Config
from inline_topo.gateway import Ask, Gateway, Verdict
from inline_topo.masking import effects
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.flow import Direction
from inline_topo.report.messages import Seen, Tally
from inline_topo.report.messages import load as load_messages
from tests.masking.network import datagram, payload_of

RING = KeyRing.generate()
_ADDRESS = re.compile(rb"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f]+")
_DASHED = re.compile(rb"(?<=ip-)[0-9]+-[0-9]+-[0-9]+-[0-9]+")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_VIA = (b"via", b"v")
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{8,}")


class Passed(NamedTuple):
    """A message, the verdict of the outside leg, and what the inside leg made of what left."""

    seen: Seen
    verdict: Verdict
    back: bytes

    @property
    def is_refused(self) -> bool:
        return self.verdict.outcome.startswith("refused_")

    @property
    def payload(self) -> bytes:
        """The message as it left."""
        return payload_of(self.verdict.packet)

    @property
    def leaves(self) -> bool:
        return self.verdict.direction is Direction.EGRESS and not self.is_refused


def passed(source: Path, config: Config) -> Iterator[Passed]:
    """Each message of a capture through both legs, in a packet of its own."""
    outside, inside = (
        assemble.gateway(config, leg, ring=RING) for leg in (Leg.OUTSIDE, Leg.INSIDE)
    )
    performers = assemble.performers(config)

    def judge(gateway: Gateway, packet: bytes) -> Verdict:
        verdict = gateway.handle(packet, 0.0)
        while isinstance(verdict, Ask):
            verdict = verdict.resume(effects.perform(performers, verdict.effect))
        return verdict

    for seen in load_messages(str(source), Tally()):
        ends = (str(ip_address(seen.source)), str(ip_address(seen.destination)))
        left = judge(outside, datagram(seen.data, *ends, *seen.ports))
        back = judge(inside, left.packet)
        yield Passed(seen, left, payload_of(back.packet))


def named(text: bytes) -> set[str]:
    """The addresses in a text, as they are spelled."""
    found = set()
    dashed = [one.replace(b"-", b".") for one in _DASHED.findall(text)]
    for match in _ADDRESS.findall(text) + dashed:
        with contextlib.suppress(ValueError):
            ip_address(match.decode())
            found.add(match.decode())
    return found


def secrets(config: Config, messages: list[Passed]) -> Secrets:
    """All addresses of the inside that the messages of a capture name, and the protected names."""
    networks = [ip_network(net) for net in config.inside]
    names = set.union(set(), *[named(one.seen.data) for one in messages])
    inside = {name for name in names if any(ip_address(name) in net for net in networks)}
    words = {str(one) for one in config.protected if isinstance(one, str)}
    return Secrets(words | inside - {str(host) for host in config.own})


def hidden_lines(message: bytes) -> Iterator[tuple[str, bytes]]:
    """The lines of a message in which nothing of the inside may stand, each by the name of its field, and
    the body: all but the Vias that the receiver, or the sender of the packet, knows."""
    head, _, body = message.partition(b"\r\n\r\n")
    first, *lines = _FOLD.sub(b" ", head).split(b"\r\n")
    yield "first line", first
    vias = 0
    for line in lines:
        name = line.partition(b":")[0].strip().lower()
        vias += name in _VIA
        if name not in _VIA or (vias > 1 and not first.startswith(b"SIP/2.0")):
            yield name.decode("latin-1"), line
    yield "body", body


def names_packed(text: bytes, names: Secrets) -> bool:
    """Whether base64 in a text holds one of these addresses as its 4 or 16 bytes (flow tokens do)."""
    packed = [ip_address(name).packed for name in names.names]
    for run in _RUN.findall(text):
        for start in range(4):
            rest = run[start:].replace(b"-", b"+").replace(b"_", b"/")
            rest = rest[: len(rest) // 4 * 4]
            held = binascii.a2b_base64(rest)
            if any(address in held for address in packed):
                return True
    return False
