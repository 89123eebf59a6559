"""The captures of the corpus and of captures/, a configuration for each, and what is expected of it.

expected.toml says what must happen to each row. A row with `full` repeats another one's producer and
feature: tests read it only with --full.
"""

import tomllib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CAPTURES = HERE.parents[1] / "captures"
EXPECTED = tomllib.loads((HERE / "expected.toml").read_text())
INDEX = tomllib.loads((CAPTURES / "INDEX.toml").read_text())
CLEAR = {name for name, entry in INDEX.items() if entry["view"] == "clear"}
SETTINGS: tuple[str, ...] = ("shape", "public", "inside", "own", "topoh")
SHORT = {name for name, entry in EXPECTED["captures"].items() if not entry.get("full")}
SHORT |= {*EXPECTED["masked"]["short"]}
"""The captures of captures/ that are read by default."""


@dataclass(frozen=True)
class Row:
    """A capture, a configuration for it, and what is expected of it (expected.toml says what)."""

    name: str
    corpus: bool
    config: dict[str, Any]
    edits: dict[str, int]
    merged_vias: int
    nothing: str
    bare: int
    refused: dict[str, list[int]]
    shows_nothing: str
    cookies: int
    contacts: int
    spirals: int
    not_read: list[int]
    claims: list[int]
    unread: list[int]
    cut: list[int]
    full: bool

    @property
    def left_out(self) -> Set[int]:
        """The numbers of all packets that are refused."""
        return {number for numbers in self.refused.values() for number in numbers}

    @property
    def differs_by_codec(self) -> bool:
        """Whether the codecs are expected to do different things."""
        return bool(self.merged_vias or self.bare or self.cookies or self.spirals)

    def masked(self, codec: str) -> dict[str, int]:
        """How often each field is masked."""
        edits = dict(self.edits)
        if codec == "aes-siv" and self.merged_vias:
            edits["Via"] = self.merged_vias
        if codec == "aes-siv" and self.contacts:
            edits["Contact"] += self.contacts
        return edits


def _row(name: str, corpus: bool, config: dict[str, Any], expected: dict[str, Any]) -> Row:
    settings = {key: config[key] for key in SETTINGS if key in config}
    return Row(
        name,
        corpus,
        settings,
        expected.get("edits", {}),
        expected.get("merged_vias", 0),
        expected.get("nothing", ""),
        expected.get("bare", 0),
        expected.get("refused", {}),
        expected.get("shows_nothing", ""),
        expected.get("cookies", 0),
        expected.get("contacts", 0),
        expected.get("spirals", 0),
        expected.get("not_read", []),
        expected.get("claims", []),
        expected.get("unread", []),
        expected.get("cut", []),
        expected.get("full", False),
    )


ROWS = [_row(row["file"], True, row, row) for row in EXPECTED["corpus"]]
ROWS += [
    _row(name, False, INDEX[name], expected)
    for name, expected in EXPECTED["captures"].items()
    if name in INDEX
]


def param(value: object, name: str, entry: Mapping[str, Any]) -> Any:
    """A parameter of a test: a row, `name` of its capture, `entry` of it in expected.toml or the index."""
    long = entry.get("full") if name not in INDEX else name not in SHORT
    return pytest.param(value, id=name.rpartition("/")[2], marks=[pytest.mark.full] if long else [])


def is_in(address: str, networks: list[str]) -> bool:
    """Whether an address lies in one of these networks; "" (no IP) does not."""
    return any(ip_address(address) in ip_network(net) for net in networks if address)
