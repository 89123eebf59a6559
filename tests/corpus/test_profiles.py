"""Every message of the corpus and of captures/ under each profile: what is masked comes back, what does not
come back is what is documented, and nothing hidden is left that could be hidden."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.audit.findings import ECHOED, IN_VIAS, LEAK
from inline_topo.config import Config, load
from inline_topo.config.tables import NOT_FOR_PEERS
from inline_topo.edits import splice
from inline_topo.masking import carriers
from inline_topo.masking.bodies.base import BEHIND_BODY
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.flow import Direction
from inline_topo.masking.uris import IRREVERSIBLE
from inline_topo.report.messages import Seen, Tally
from inline_topo.report.messages import load as load_messages
from tests.corpus.rows import CAPTURES, EXPECTED, INDEX, param
from tests.gathered import gathered
from tests.masking.network import datagram, judge, payload_of

SETTINGS = ("shape", "public", "inside", "own")
ROWS: list[tuple[str, dict[str, Any]]] = [(row["file"], row) for row in EXPECTED["corpus"]]
ROWS += [(name, INDEX[name]) for name in EXPECTED["captures"]]
RING = KeyRing.generate()


class Passed(NamedTuple):
    """A message before and after the outside leg, and after the inside leg; `lost`: before, with the
    edits that nothing undoes, made in `fields`."""

    seen: Seen
    outcome: str
    after: bytes
    lost: bytes
    fields: set[str]
    back: bytes


@pytest.fixture(params=[param(row, *row) for row in ROWS])
def row(request: pytest.FixtureRequest) -> tuple[Path, dict[str, Any]]:
    name, entry = request.param
    folder = CAPTURES if name in INDEX else request.getfixturevalue("corpus")
    return folder / name, entry


def configured(entry: dict[str, Any], profile: str) -> Config:
    settings = {key: entry[key] for key in SETTINGS if key in entry}
    settings |= {"profile": profile, "audit": 0, "mtu": 65535}
    return load(None, env={}, overrides=settings, key_ring_given=True)


def passed(source: Path, config: Config) -> Iterator[Passed]:
    """Each message through both legs, in a packet of its own."""
    outside, inside = (
        assemble.gateway(config, leg, ring=RING) for leg in (Leg.OUTSIDE, Leg.INSIDE)
    )
    for seen in load_messages(str(source), Tally()):
        source_ip, target_ip = (str(ip_address(a)) for a in (seen.source, seen.destination))
        packet = datagram(seen.data, source_ip, target_ip, *seen.ports)
        left = judge(outside, packet)
        after = payload_of(left.packet)
        lost = [edit for edit in left.edits if edit.action in IRREVERSIBLE]
        back = payload_of(judge(inside, left.packet).packet)
        fields = {edit.field for edit in lost}
        yield Passed(seen, left.outcome, after, splice(seen.data, lost), fields, back)


# The address of a phone in what its password's digest covers, and where its media goes; a registrar
# elsewhere by its address; an element inside that leaves by another's address.
NO_REMEDY = {*carriers.NEVER, "SDP c=", "SDP a=rtcp", "SDP a=candidate"}
LEFT = {
    "strict": {*NO_REMEDY, "From", "To", "Via, topmost"},
    "default": {*NO_REMEDY, "From", "To", "Via, topmost", "User-Agent", "Server", "Call-ID"},
}

ROUTED = ("Contact", "Request-URI", "Route")
"""Where a phone gets its own words back."""

PROFILES = (
    "default",
    "strict",
    # what is left alone comes back: what it does mask is in test_profile_topoh.py
    pytest.param("topoh", marks=pytest.mark.full),
)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_does_not_come_back_and_what_is_left_is_documented(
    row: tuple[Path, dict[str, Any]], profile: str
) -> None:
    config = configured(row[1], profile)
    messages = list(passed(row[0], config))
    left = [lambda: what_is_left(messages, config, profile)] if profile in LEFT else []
    gathered(lambda: what_does_not_come_back(messages, profile), *left)


def what_does_not_come_back(messages: list[Passed], profile: str) -> None:
    documented = {*carriers.NOT_REVERSIBLE, *carriers.BESIDE, BEHIND_BODY}
    for one in messages:
        if not one.outcome.startswith("refused"):
            assert one.back == one.lost, one.seen.number
        listed = {f for f in one.fields if carriers.is_listed(f, NOT_FOR_PEERS)}
        assert one.fields <= documented | listed
        if profile == "topoh":
            assert one.fields <= {BEHIND_BODY}


def what_is_left(messages: list[Passed], config: Config, profile: str) -> None:
    scanner = assemble.scanner(config, assemble.codec(config, RING))
    flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))
    said: dict[
        bytes, bytes
    ] = {}  # by outside address: a phone of the inside's range gets its words back
    for one in messages:
        flow = flows.find(one.seen.endpoints)
        if flow.direction is Direction.INGRESS:
            said[flow.outside] = said.get(flow.outside, b"") + one.seen.data
        if flow.direction is Direction.EGRESS and not one.outcome.startswith("refused"):
            for finding in scanner.scan(one.after, flow):
                of_peer = said.get(flow.outside, b"")
                is_said = finding.field in ROUTED and finding.shown in of_peer
                if finding.cause in (ECHOED, IN_VIAS) or is_said:
                    continue
                assert finding.field in LEFT[profile], finding
                assert finding.cause != LEAK or finding.field in NO_REMEDY, finding
