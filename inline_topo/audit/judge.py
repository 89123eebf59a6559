"""What the table says (left.py), for the switches of a configuration."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from inline_topo.audit.left import (
    ALWAYS,
    ANY,
    INSIDE,
    REGISTERS,
    ROUTED,
    ROWS,
    SIGNED,
    SWITCHES,
    UNLESS_TOPOH,
    WORD,
    Row,
)

_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 64


class Judge:
    """Says which hosts may not show where. `switches`: those of left.SWITCHES that are on. `listed`:
    fields that the configuration names (`*` stands for any rest): hosts inside are hidden there."""

    def __init__(
        self, switches: Iterable[str], listed: Sequence[str] = (), rows: Sequence[Row] = ROWS
    ) -> None:
        self._on = frozenset(switches)
        unknown = self._on.difference(SWITCHES)
        if unknown:
            raise ValueError(f"no such switch: {', '.join(sorted(unknown))}")
        self.strict = "strict" in self._on
        self.registers = REGISTERS in self._on
        self.routed = "routed" in self._on
        self.nat = "nat" in self._on
        self.fills = "fills" in self._on
        self.redirections = "redirections" in self._on
        self.media = INSIDE if "relay" in self._on else ANY if self.strict else ""
        self._listed = [one.lower() for one in listed]
        self._rows = {place: row for row in rows for place in row.places if "*" not in place}
        self._patterns = [(place, row) for row in rows for place in row.places if "*" in place]
        self._known: dict[tuple[str, bool, bool], str] = {}

    def hidden(self, field: str, *, signed: bool, registers: bool) -> str:
        """Which hosts may not show in a place of this name (left.ANY, INSIDE, ECHO, WORD); empty: the
        configuration leaves all. `signed`: the message has an Identity header. `registers`: it is no
        REGISTER or PUBLISH, or they are masked too."""
        key = (field, signed, registers)
        hosts = self._known.get(key)
        if hosts is None:
            hosts = self._hidden(field, signed, registers)
            if len(field) <= _LONGEST_REMEMBERED:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = hosts
        return hosts

    def _hidden(self, field: str, signed: bool, registers: bool) -> str:
        row = self._row(field)
        if field in SIGNED and signed and not self.strict:
            return ""
        if row is not None and self._is_on(row.switch, registers):
            return row.hosts
        if row is not None and row.switch == REGISTERS and not registers and not self.routed:
            return ""
        if self.strict:
            return WORD if row is not None and row.hosts == WORD else INSIDE
        if self.routed and field in ROUTED:
            return INSIDE
        is_listed = any(fnmatchcase(field.lower(), one) for one in self._listed)
        return INSIDE if is_listed else ""

    def _is_on(self, switch: str, registers: bool) -> bool:
        if switch in (ALWAYS, REGISTERS, UNLESS_TOPOH):
            return registers or switch == ALWAYS or (switch == UNLESS_TOPOH and self.routed)
        return switch in self._on

    def _row(self, field: str) -> Row | None:
        row = self._rows.get(field)
        if row is None:
            for pattern, other in self._patterns:
                if fnmatchcase(field, pattern):
                    return other
        return row
