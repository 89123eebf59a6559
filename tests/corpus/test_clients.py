"""Real clients under profile strict with `audit = "enforce"`: what leaves names nothing of the inside, in
any spelling, and no more is refused than by version 0.1.0.

What is refused says where media goes, and a replay has no media relay.
"""

from collections import Counter
from pathlib import Path

import pytest

from inline_topo.audit.findings import LEAK
from inline_topo.config import load
from tests.conftest import SHARED
from tests.corpus.passed import hidden_lines, names_packed, passed, secrets

INSIDE = ["192.168.10.0/24", "198.51.100.10"]
OWN = ["198.51.100.10", "voip.example"]
INSIDE_IPV6, OWN_IPV6 = ["2001:db8:1::/64", "2001:db8:5::10"], ["2001:db8:5::10"]

# Capture -> messages that leave, that are refused for SDP; both as 0.1.0 did (e370ea3).
EXPECTED = {
    "baresip-linphone-default": (89, 28),
    "edge-path-flowtoken-default": (109, 46),
    "edge-path-flowtoken-strict": (50, 30),
    "ipv6-default": (37, 39),
    "outbound-gruu-default": (52, 30),
    "pjsua-baresip-topos": (72, 26),
    "pjsua-big-fragments-default": (16, 15),
    "pjsua-special-default": (103, 22),
    "pjsua-switches-to-tcp-default": (9, 5),
}


@pytest.fixture(scope="module")
def clients() -> Path:
    folder = SHARED / "clients"
    if not folder.is_dir():
        pytest.skip("../shared is not beside this clone")
    return folder


def test_all_captures_of_clients_are_read(clients: Path) -> None:
    assert {path.name.removesuffix("-inside.pcap") for path in clients.glob("*-inside.pcap")} == {
        *EXPECTED
    }


@pytest.mark.parametrize("mode", ["topoh", "topos"])
@pytest.mark.parametrize("name", EXPECTED)
def test_what_leaves_names_nothing_of_the_inside(clients: Path, name: str, mode: str) -> None:
    is_ipv6 = name.startswith("ipv6")
    settings: dict[str, object] = {
        "profile": "strict",
        "audit": "enforce",
        "mode": mode,
        "mtu": 65535,
    }
    settings |= (
        {"inside": INSIDE_IPV6, "own": OWN_IPV6} if is_ipv6 else {"inside": INSIDE, "own": OWN}
    )
    if mode == "topos":
        settings["topos.store"] = "memory:"
    config = load(None, env={}, overrides=settings, key_ring_given=True)
    messages = list(passed(clients / f"{name}-inside.pcap", config))
    names = secrets(config, messages)
    assert names.names
    refused = Counter(
        tuple(sorted({leak.family for leak in one.verdict.shown or () if leak.cause == LEAK}))
        for one in messages
        if one.is_refused
    )
    left = [one for one in messages if one.leaves]
    assert (len(left), refused.pop(("SDP",), 0)) == EXPECTED[name]
    assert not refused
    for one in left:
        payload = one.verdict.packet[48 if is_ipv6 else 28 :]
        for field, text in hidden_lines(payload):
            assert not names.shown(text), (one.seen.number, field, text)
            assert not names_packed(text, names), (one.seen.number, field, text)
