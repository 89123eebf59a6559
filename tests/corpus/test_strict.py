"""Profile strict on every capture of the corpus and all of captures/, in both modes: what leaves shows
nothing, what is refused is counted and explained, and the rest comes back."""

import re
from collections import Counter
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from inline_topo import assemble
from inline_topo.audit.findings import ECHOED, IN_VIAS, LEAK, LEFT_OPEN, Finding
from inline_topo.config import Config, load
from inline_topo.edits import splice
from inline_topo.masking.uris import IRREVERSIBLE
from tests.corpus.passed import RING, Passed, named, secrets
from tests.corpus.passed import passed as through_both
from tests.corpus.rows import CAPTURES, EXPECTED, INDEX, param
from tests.gathered import gathered
from tests.masking.network import payload_of

SETTINGS = ("shape", "public", "inside", "own")

Row = tuple[str, dict[str, Any], dict[str, int]]
ROWS: list[Row] = [(row["file"], row, row.get("strict", {})) for row in EXPECTED["corpus"]]
ROWS += [(name, INDEX[name], EXPECTED["strict"].get(name, {})) for name in INDEX]

# What has no remedy, by the field where the audit finds it.
REASONS = {
    "SDP": "media",
    "Authorization": "digest",
    "Proxy-Authorization": "digest",
    "Via": "via",
    "Contact": "said",
    "Request-URI": "said",
}
VIAS = re.compile(rb"(?mi)^(?:Via|v)[ \t]*:.*")


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
    return list(through_both(folder / row[0], config))


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
    REGISTER, in a topmost Via; and what the receiver said first."""
    scanner = assemble.scanner(config, assemble.codec(config, RING))
    flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))
    found: list[Finding] = []
    for one in passed:
        if one.leaves:
            left = payload_of(one.verdict.packet)
            findings = scanner.scan(left, flows.find(one.seen.endpoints))
            found += [one for one in findings if one.cause not in (ECHOED, IN_VIAS)]
    assert {finding.cause for finding in found} <= {LEFT_OPEN}
    inside = [ip_network(net) for net in config.inside]
    for finding in found:
        assert not any(ip_address(finding.shown.decode()) in net for net in inside)


def no_address_inside_is_among_the_bytes_that_leave(config: Config, passed: list[Passed]) -> None:
    """Without any knowledge of masking, in every spelling: those that the messages name, but for both
    ends and, in a response, the Vias of the receiver's own request."""
    names = secrets(config, passed)
    for one in passed:
        if one.leaves:
            clear, left = one.seen.data, payload_of(one.verdict.packet)
            ends = {str(ip_address(one.seen.source)), str(ip_address(one.seen.destination))}
            is_response = clear.lstrip().startswith(b"SIP/2.0")
            said = named(b"\n".join(VIAS.findall(clear))) if is_response else set()
            hidden = names.without(ends | said)
            assert not hidden.shown(left), one.seen.number


def what_is_reversible_comes_back(mode: str, passed: list[Passed]) -> None:
    """In mode topos all of it: the legs keep the way back in the store."""
    for one in passed:
        if not one.is_refused:
            lost = [edit for edit in one.verdict.edits if edit.action in IRREVERSIBLE]
            wanted = splice(one.seen.data, lost) if mode == "topoh" else one.seen.data
            assert one.back == wanted, one.seen.number
