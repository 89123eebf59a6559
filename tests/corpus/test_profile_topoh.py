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


@pytest.mark.parametrize("name", TOPOH)
def test_kamailios_bytes_come_back(
    name: str, tmp_path: Path, replay: Callable[..., dict[str, Any]],
    write_config: Callable[[Path, dict[str, Any]], Path], judged: Callable[[Path], list[Any]],
) -> None:  # fmt: skip
    settings = {key: INDEX[name][key] for key in ("inside", "own", "topoh")}
    config = write_config(tmp_path, settings | {"profile": "topoh"})
    source = CAPTURES / name
    inside, outside = (tmp_path / f"{leg}{source.suffix}" for leg in ("inside", "outside"))
    opened = replay(source, inside, config, "inside")
    replay(inside, outside, config, "outside")
    theirs, ours = ([j.payload for j in judged(path) if j.sip] for path in (source, outside))
    assert opened["edits"].keys() == {"opened"}
    assert sum(x != y for x, y in zip(theirs, ours, strict=True)) == DIFFERS.get(name, 0)
