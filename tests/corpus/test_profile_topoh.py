"""Profile topoh on the captures of a real Kamailio with topoh: its own bytes come back, those of REGISTER
and Refer-To with them, which topoh leaves alone."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CAPTURES = Path(__file__).parents[2] / "captures"
INDEX = tomllib.loads((CAPTURES / "INDEX.toml").read_text())
NESTED = "spiral-topoh.pcap"  # its messages pass topoh twice
TOPOH = sorted(name for name in INDEX if "-topoh." in name and name != NESTED)
# topoh masks the first Contact of a redirection, whosever it is, and no other
DIFFERS = {"redirect-topoh.pcap": 2}

pytestmark = pytest.mark.needs("tshark")


def test_kamailios_bytes_come_back(
    tmp_path: Path, replay: Callable[..., dict[str, Any]], judged: Callable[..., list[Any]],
    write_config: Callable[[Path, dict[str, Any]], Path],
) -> None:  # fmt: skip
    """All captures in one test, so that tshark starts once."""
    pairs = []
    for name in TOPOH:
        settings = {key: INDEX[name][key] for key in ("inside", "own", "topoh")}
        config = write_config(tmp_path, settings | {"profile": "topoh"})
        inside, outside = (tmp_path / f"{leg}-{name}" for leg in ("inside", "outside"))
        opened = replay(CAPTURES / name, inside, config, "inside")
        replay(inside, outside, config, "outside")
        assert opened["edits"].keys() == {"opened"}, name
        pairs += [CAPTURES / name, outside]
    payloads = ([judge.payload for judge in one if judge.sip] for one in judged(*pairs))
    differs = {}
    for name in TOPOH:
        theirs, ours = next(payloads), next(payloads)
        if number := sum(x != y for x, y in zip(theirs, ours, strict=True)):
            differs[name] = number
    assert differs == DIFFERS
