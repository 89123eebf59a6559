"""Profile strict on every capture of the corpus and all of captures/, in both modes: what leaves shows
nothing, what is refused is counted and explained, and the rest comes back."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import Config, load
from inline_topo.edits import splice
from inline_topo.gateway import Ask, Gateway, Verdict
from inline_topo.masking import effects
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.flow import Direction
from inline_topo.masking.leaks.scan import LEAK, LEFT_OPEN, Finding
from inline_topo.masking.uris import IRREVERSIBLE
from inline_topo.report.messages import Seen, Tally
from inline_topo.report.messages import load as load_messages
from tests.corpus.rows import CAPTURES, EXPECTED, INDEX, param
from tests.gathered import gathered
from tests.masking.network import datagram, payload_of

SETTINGS = ("shape", "public", "inside", "own")
RING = KeyRing.generate()

Row = tuple[str, dict[str, Any], dict[str, int]]
ROWS: list[Row] = [(row["file"], row, row.get("strict", {})) for row in EXPECTED["corpus"]]
ROWS += [(name, INDEX[name], EXPECTED["strict"].get(name, {})) for name in INDEX]

# What has no remedy, by the field where the audit finds it.
REASONS = {"SDP": "media", "Authorization": "digest", "Proxy-Authorization": "digest", "Via": "via"}
ADDRESS = re.compile(rb"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f]+")
VIAS = re.compile(rb"(?mi)^(?:Via|v)[ \t]*:.*")


class Passed(NamedTuple):
    """A message, the verdict of the outside leg, and what the inside leg made of what left."""

    seen: Seen
    verdict: Verdict
    back: bytes

    @property
    def is_refused(self) -> bool:
        return self.verdict.outcome.startswith("refused_")

    @property
    def leaves(self) -> bool:
        return self.verdict.direction is Direction.EGRESS and not self.is_refused


@pytest.fixture
def config(row: Row, mode: str) -> Config:
    settings = {key: row[1][key] for key in SETTINGS if key in row[1]}
    settings |= {"profile": "strict", "mode": mode, "mtu": 65535}
    mask_ip = row[1].get("topoh", {}).get("mask_ip")
    if mask_ip and row[0] not in INDEX:
        settings["topoh.mask_ip"] = mask_ip
    if mode == "topos":
        settings["topos.store"] = "memory:"
    return load(None, env={}, overrides=settings, key_ring_given=True)


@pytest.fixture
def passed(row: Row, config: Config, request: pytest.FixtureRequest) -> list[Passed]:
    folder = CAPTURES if row[0] in INDEX else request.getfixturevalue("corpus")
    return list(_passed(folder / row[0], config))


def _passed(source: Path, config: Config) -> Iterator[Passed]:
    """Each message through both legs, in a packet of its own."""
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


@pytest.mark.parametrize("mode", ["topoh", "topos"])
@pytest.mark.parametrize("row", [param(row, *row[:2]) for row in ROWS])
def test_what_leaves_shows_nothing_and_the_rest_comes_back(
    row: Row, mode: str, config: Config, passed: list[Passed]
) -> None:
    gathered(
        lambda: what_is_refused_is_counted_and_explained(row, passed),
        lambda: an_audit_of_the_outside_finds_nothing(config, passed),
        lambda: no_address_inside_is_among_the_bytes_that_leave(config, passed),
        lambda: what_is_reversible_comes_back(mode, passed),
    )


def what_is_refused_is_counted_and_explained(row: Row, passed: list[Passed]) -> None:
    refused: Counter[str] = Counter()
    for one in passed:
        if one.verdict.outcome == "refused_leak":
            leaks = [finding for finding in one.verdict.shown or () if finding.cause == LEAK]
            refused.update({REASONS[leak.family] for leak in leaks})
        elif one.is_refused:
            refused[one.verdict.outcome.removeprefix("refused_")] += 1
        refused["messages"] += one.is_refused
    assert +refused == row[2]


def an_audit_of_the_outside_finds_nothing(config: Config, passed: list[Passed]) -> None:
    """But third parties' addresses where nothing is hidden but the inside: in From and To of a
    REGISTER, in a topmost Via."""
    scanner = assemble.scanner(config, assemble.codec(config, RING))
    flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))
    found: list[Finding] = []
    for one in passed:
        if one.leaves:
            left = payload_of(one.verdict.packet)
            found += scanner.scan(left, flows.find(one.seen.endpoints))
    assert {finding.cause for finding in found} <= {LEFT_OPEN}
    inside = [ip_network(net) for net in config.inside]
    for finding in found:
        assert not any(ip_address(finding.shown.decode()) in net for net in inside)


def no_address_inside_is_among_the_bytes_that_leave(config: Config, passed: list[Passed]) -> None:
    """Without any knowledge of masking: those that the messages named before, but for what the receiver
    says itself: where it is asked for, and the Vias of its own request."""
    own = {str(host) for host in config.own}
    inside = [ip_network(net) for net in config.inside]
    for one in passed:
        if one.leaves:
            clear, left = one.seen.data, payload_of(one.verdict.packet)
            ends = {str(ip_address(one.seen.source)), str(ip_address(one.seen.destination))}
            start = clear.lstrip().partition(b"\n")[0]
            said = named(
                b"\n".join(VIAS.findall(clear) if start.startswith(b"SIP/2.0") else [start])
            )
            for text in named(clear) - own - ends - said:
                if any(ip_address(text) in net for net in inside):
                    assert text.encode() not in left, one.seen.number


def named(text: bytes) -> set[str]:
    """The addresses in a text, as they are spelled."""
    found = set()
    for match in ADDRESS.findall(text):
        with contextlib.suppress(ValueError):
            ip_address(match.decode())
            found.add(match.decode())
    return found


def what_is_reversible_comes_back(mode: str, passed: list[Passed]) -> None:
    """In mode topos all of it: the legs keep the way back in the store."""
    for one in passed:
        if not one.is_refused:
            lost = [edit for edit in one.verdict.edits if edit.action in IRREVERSIBLE]
            wanted = splice(one.seen.data, lost) if mode == "topoh" else one.seen.data
            assert one.back == wanted, one.seen.number
