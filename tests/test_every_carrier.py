"""Every carrier alone: it leaks without its rule, and does not with it; README.md names them all."""

import re
from typing import Any

import pytest

from inline_topo.config.tables import NOT_FOR_PEERS
from inline_topo.masking import carriers
from inline_topo.masking.bodies import walk
from inline_topo.masking.callid import CALL_IDS
from inline_topo.sip import names, sdp
from lab.carriers import REQUESTS, RESPONSES, Probe, addresses, groups
from lab.hiding import Ours
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
ADDRESSES = addresses()
CLEAR: dict[str, Any] = {"rule": [{"action": "skip"}]}

# What leaves the carriers of a group clear, or one of them.
RULES: dict[str, dict[str, Any]] = {
    "routing": CLEAR,
    "Path": CLEAR,  # where something routes, no switch leaves the inside clear
    "Service-Route": CLEAR,
    "Refer-To": CLEAR,
    "Contact in REGISTER": CLEAR,
    "Contact in PUBLISH": CLEAR,
    "Contact in 3xx": CLEAR,
    "Contact, display name": CLEAR,  # beside what routes, neither
    "Contact, parameters": CLEAR,
    "references": {"hide.references": False},
    "Call-IDs": {"topoh.mask_callid": False},
    "who somebody is": {"hide.identities": False},
    "From": {"hide.from_to": False},
    "To": {"hide.from_to": False},
    "texts": {"hide.texts": False},
    "products": {"hide.user_agent": "keep"},
    "headers of one's own network": {"hide.strip": []},
    "SDP: all else": {"hide.sdp": False},
    "bodies": {"hide.bodies": False},
    "multipart/mixed": {"hide.bodies": False, "hide.sdp": False},
}
NO_REMEDY = {
    "other headers",
    "what a digest or a signature covers",
    "SDP: where media goes",
    "bodies that are not read",
}
EACH = [
    # by default in one message: that it is hidden in each is in test_carriers_hidden.py
    pytest.param(
        probe, name, RULES.get(name, RULES.get(group)), id=f"{name} {probe.head[:8]}",
        marks=[pytest.mark.full] if number else [],
    )
    for group, named in groups().items()
    for name in named
    for number, probe in enumerate(p for p in (*REQUESTS, *RESPONSES) if name in p.carriers)
]  # fmt: skip


def leaving(probe: Probe, carrier: str, **settings: Any) -> bytes | None:
    """What leaves with this carrier alone, under strict but for these settings; None if refused."""
    values = {"profile": "strict", "audit": 0} | settings
    return Ours(values).pass_on(probe, 1, {carrier: ADDRESSES[carrier]})


@pytest.mark.parametrize(("probe", "carrier", "off"), EACH)
def test_it_leaks_without_its_rule_and_does_not_with_it(
    probe: Probe, carrier: str, off: dict[str, Any] | None
) -> None:
    address = ADDRESSES[carrier].encode()
    assert address in (leaving(probe, carrier, **(off or {})) or b"")
    left = leaving(probe, carrier, audit="enforce")
    if off is None:
        assert left is None
    else:
        assert left is not None
        assert address not in left


def test_what_has_no_rule_has_no_remedy() -> None:
    assert {group for group in groups() if group not in RULES} == NO_REMEDY


def row(switch: str) -> str:
    """The first cell of the line for a switch, in the README's table by profile."""
    found = re.search(rf"(?m)^\| (.*?) \| [^|]*`{re.escape(switch)}`[^|]*\|", README)
    assert found
    return found[1].replace("\\*", "*")


def test_the_readme_names_the_headers_of_each_rule() -> None:
    assert row("identities").split(", ") == [*carriers.IDENTITIES]
    assert row("user_agent").split(", ") == [*carriers.PRODUCTS, names.ORGANIZATION]
    assert row("texts").partition(", the reason")[0].split(", ") == [*carriers.TEXTS]
    assert row("paths").split(", ") == [*carriers.PATHS]
    listed = row("strip").partition(": ")[2].replace(" and of vendors ", " ").split(", ")
    assert {*listed} == {*NOT_FOR_PEERS}
    assert f"\n| {', '.join(carriers.REFERENCES)} |" in README


def test_the_readme_names_the_fields_with_call_ids() -> None:
    found = re.search(r"\n\| (Call-ID; .*?) \|", README)
    assert found
    assert {*CALL_IDS} <= {*re.findall(r"[A-Z][A-Za-z-]+", found[1])}


def test_the_readme_names_the_lines_and_types_of_bodies() -> None:
    lines = {line.encode() for line in re.findall(r"`(?:a=)?([a-z]+)=?`", row("sdp"))}
    assert lines == sdp.TEXTS | {sdp.ORIGIN}
    types = {kind.encode() for kind in re.findall(r"`([a-z]+/[a-z-]+)`", row("bodies"))}
    assert types == walk._FRAGMENTS | walk._TEXTS
