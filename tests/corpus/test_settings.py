"""Every clear capture of captures/, there and back under other settings than its own: policy rules,
masked Call-IDs, more to protect, a wider inside, other mask addresses."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import Config, load
from inline_topo.edges.capture import create_capture, open_capture
from inline_topo.edges.replay import replay
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.report import audit
from inline_topo.report.messages import Tally, read

CAPTURES = Path(__file__).parents[2] / "captures"
INDEX = tomllib.loads((CAPTURES / "INDEX.toml").read_text())
CLEAR = [name for name, entry in INDEX.items() if entry["view"] == "clear"]
ITS_OWN = ("inside", "own", "shape", "public")

# These leave something clear, so the audit has its own opinion of the outside.
POLICIES: dict[str, dict[str, Any]] = {
    "invites-clear": {"rule": [{"method": ["INVITE"], "action": "skip"}]},
    "endings-clear": {"rule": [{"method": ["ACK", "BYE"], "action": "skip"}]},
    "registers-clear": {"rule": [{"method": ["REGISTER"], "action": "skip"}]},
    "requests-clear": {"rule": [{"message": "request", "action": "skip"}]},
    "responses-clear": {"rule": [{"message": "response", "action": "skip"}]},
    "to-bob-clear": {"rule": [{"to_user": ["bob"], "action": "skip"}]},
    "only-from-alice": {
        "rule": [{"from_user": ["alice"], "action": "mask"}, {"action": "skip"}],
    },
    "bobs-host-clear": {
        "rule": [{"destination": ["192.168.178.22"], "action": "skip"}],
        "topoh.mask_callid": True,
    },
    "redirections-clear": {"topoh.mask_mode": 1},
}
MASKS_ALL: dict[str, dict[str, Any]] = {
    "call-ids": {"topoh.mask_callid": True},
    "protected": {"protected": ["server.com", "carrier.example"]},
    "mask-address": {"topoh.mask_ip": "203.0.113.77"},
}
WIDER: dict[str, dict[str, Any]] = {
    "nothing-own": {"own": [], "topoh.mask_ip": "203.0.113.77"},  # or nothing is masked with
    "wider-inside": {"inside": ["192.168.0.0/16", "198.51.100.0/24", "2001:db8::/32"]},
}

RING = KeyRing.generate()


def config_of(name: str, codec: str, settings: dict[str, Any]) -> Config:
    own = {key: INDEX[name][key] for key in ITS_OWN if key in INDEX[name]}
    sets = {**own, **settings, "topoh.codec": codec}
    if codec == "kamailio":
        sets["topoh.mask_key"] = "my secret here"
    words = [f"{key}={toml(value)}" for key, value in sets.items()]
    return load(None, env={}, sets=words, overrides={}, key_ring_given=True)


def toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {toml(item)}' for key, item in value.items())}}}"
    return json.dumps(value)


def through(source: Path, target: Path, config: Config, leg: Leg) -> Path:
    gateway = assemble.gateway(config, leg, ring=RING)
    with open_capture(str(source)) as capture, create_capture(str(target), capture) as writer:
        replay(capture, writer, gateway)
    return target


def leaks(capture: Path, config: Config) -> list[Any]:
    codec, tally = assemble.codec(config, RING), Tally()
    flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))
    with open_capture(str(capture)) as opened:
        return list(audit.audit(read(opened, tally), tally, config, flows, codec).leaks)


CASES = [
    # by default each case with one codec
    pytest.param(case, codec, marks=[pytest.mark.full] if (number + other) % 2 else [])
    for number, case in enumerate([*POLICIES, *MASKS_ALL, *WIDER])
    for other, codec in enumerate(["aes-siv", "kamailio"])
]


@pytest.mark.parametrize(("case", "codec"), CASES)
def test_the_legs_undo_each_other(
    case: str, codec: str, tmp_path: Path, frames: Callable[[Path], list[Any]]
) -> None:
    settings = {**POLICIES, **MASKS_ALL, **WIDER}[case]
    for name in CLEAR:
        if case in WIDER and INDEX[name].get("shape") == "nat":
            continue  # where what is own and inside is the router's
        config = config_of(name, codec, settings)
        source = CAPTURES / name
        outside = through(source, tmp_path / f"outside-{name}", config, Leg.OUTSIDE)
        inside = through(outside, tmp_path / f"inside-{name}", config, Leg.INSIDE)
        assert frames(inside) == frames(source), name
        if case not in POLICIES:
            assert leaks(outside, config) == [], name


@pytest.mark.parametrize("case", POLICIES)
def test_a_policy_leaves_something_clear(
    case: str, tmp_path: Path, frames: Callable[[Path], list[Any]]
) -> None:
    """Or the round trips above would prove nothing about policies."""

    def differs(name: str) -> bool:
        clear, masked = (
            frames(through(CAPTURES / name, tmp_path / name, config, Leg.OUTSIDE))
            for config in (
                config_of(name, "aes-siv", {}),
                config_of(name, "aes-siv", POLICIES[case]),
            )
        )
        return clear != masked

    assert any(map(differs, CLEAR))
