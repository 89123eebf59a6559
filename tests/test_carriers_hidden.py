"""Which carriers are hidden, measured (scripts/carriers): as README.md has it, and all that are known."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from carriers_hidden import HEADINGS, THEIRS, fate, rows
from inline_topo.config.tables import NOT_FOR_PEERS
from inline_topo.masking import carriers
from inline_topo.masking.bodies import walk
from inline_topo.masking.callid import CALL_IDS
from inline_topo.sip import names, sdp
from lab.carriers import INSIDE, RECEIVED, REQUESTS, RESPONSES, addresses, groups
from lab.hiding import (
    GATEWAY,
    HIDDEN,
    MODULES,
    REFUSED,
    SHOWN,
    TOOLS,
    Seen,
    by_gateway,
    by_kamailio,
    missing,
)
from tests.conftest import ROOT
from tests.demo import need_filled_venv

EVERY = [name for named in groups().values() for name in named]
README = (ROOT / "README.md").read_text()
ours = cache(by_gateway)


def theirs(test: Callable[..., None]) -> Callable[..., None]:
    """A test that runs Kamailio with all of its modules."""
    reason = f"{MODULES} is not installed (Debian: apt install {MODULES})"
    for mark in (
        pytest.mark.root,
        pytest.mark.needs(*TOOLS),
        pytest.mark.skipif(MODULES in missing(), reason=reason),
    ):
        test = mark(test)
    return test


def documented() -> dict[str, list[str]]:
    """The columns of README's table of counts."""
    found = re.search(r"<!-- carriers -->\n(.*?)\n<!-- /carriers -->", README, re.DOTALL)
    assert found
    head, _, *lines = ([c.strip() for c in row.split("|")[1:-1]] for row in found[1].split("\n"))
    return dict(zip(head, map(list, zip(*lines, strict=True)), strict=True))


def measured(kind: str, seen: Seen) -> list[list[str]]:
    """Groups, how many there are in each, and how many are hidden."""
    return list(map(list, zip(*rows({kind: seen}), strict=True)))


@pytest.mark.parametrize("kind", GATEWAY)
def test_the_readme_tells_what_the_gateway_hides(kind: str) -> None:
    table = documented()
    assert [table["carriers"], table[""], table[HEADINGS[kind]]] == measured(kind, ours(kind))


@theirs
@pytest.mark.parametrize("kind", THEIRS)
def test_the_readme_tells_what_kamailio_hides(kind: str) -> None:
    assert documented()[HEADINGS[kind]] == measured(kind, by_kamailio(kind))[2]


@theirs
def test_all_is_shown_by_a_plain_kamailio() -> None:
    """Or nothing would be proved by an address that does not show."""
    seen = by_kamailio("plain")
    assert {name: fate(seen, name) for name in EVERY} == dict.fromkeys(EVERY, SHOWN)


@theirs
def test_profile_topoh_hides_what_topoh_hides_and_what_belongs_to_its_call_ids() -> None:
    """And where something routes, in which no profile lets anything name the inside."""
    hidden = [
        {name for name in EVERY if fate(seen, name) == HIDDEN}
        for seen in (by_kamailio("topoh"), ours("profile topoh"))
    ]
    assert hidden[0] < hidden[1]
    routed = {
        *(
            "Contact in REGISTER",
            "Contact in PUBLISH",
            "Contact, display name",
            "Contact, parameters",
        ),
        *("Path", "Service-Route", "Refer-To", "Request-URI, back to us", "Route, back to us"),
    }
    assert routed < hidden[1] - hidden[0] <= {*groups()["Call-IDs"], *routed}


def test_strict_shows_nothing_and_refuses_what_has_no_remedy() -> None:
    fates = {name: fate(ours("strict"), name) for name in EVERY}
    refused = {name for name, what in fates.items() if what == REFUSED}
    named = groups()
    assert refused == {
        *named["other headers"],
        *named["what a digest or a signature covers"],
        *named["SDP: where media goes"],
        *named["bodies that are not read"],
    }
    assert {*fates.values()} == {HIDDEN, REFUSED}


def test_mode_topos_hides_what_mode_topoh_hides() -> None:
    assert ours("mode topos") == ours("default")


def test_a_message_shows_each_of_its_carriers_before() -> None:
    filled = addresses()
    assert len({*filled.values()}) == len(EVERY)
    assert filled[RECEIVED] == INSIDE
    for probe in (*REQUESTS, *RESPONSES):
        left = probe.leaving(7, filled).decode()
        shown = set(re.findall(r"10\.77\.[0-9]+\.[0-9]+", left))
        assert shown == {filled[name] for name in probe.carriers}, probe.head


def known() -> Iterator[str]:
    """The carriers that the code has a rule for, or says that it has none for, as they are called
    here."""
    yield from (names.VIA, names.RECORD_ROUTE, names.CONTACT, names.FROM, names.TO)
    yield from (*carriers.PATHS, *carriers.REFERENCES, *carriers.IDENTITIES, *carriers.TEXTS)
    yield from (*carriers.PRODUCTS, names.ORGANIZATION, *NOT_FOR_PEERS, "reason phrase")
    yield from ("Event call-id" if name == names.EVENT else name for name in CALL_IDS)
    for name in carriers.NEVER:
        if name != "Date":  # which has no room for an address
            uri = name in ("Authorization", "Proxy-Authorization")
            yield f"{name} uri" if uri else name
    # a telephone number; what browsers of old wrote
    for line in (sdp.TEXTS | sdp.MEDIA | {sdp.ORIGIN}) - {b"p", b"alt"}:
        yield f"SDP {line.decode()}=" if len(line) == 1 else f"SDP a={line.decode()}"
    yield from (kind.decode() for kind in (*walk._FRAGMENTS, *walk._TEXTS))


def test_every_known_carrier_is_measured() -> None:
    assert {*known()} <= {*EVERY}


@pytest.mark.full
def test_the_script_counts_the_same() -> None:
    need_filled_venv()
    ran = subprocess.run(
        [ROOT / "scripts" / "carriers", "--ours"],
        capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    every = rows({kind: ours(kind) for kind in GATEWAY})
    assert [re.split(r" {2,}", line) for line in ran.stdout.splitlines()][1:] == every
