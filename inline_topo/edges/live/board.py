"""Counters in memory that processes share: one row each, one writer a counter, no locks."""

import mmap
from collections.abc import Sequence
from itertools import pairwise
from typing import Generic, TypeVar

Name = TypeVar("Name")


class Row(Generic[Name]):
    """The counters of one process, by name; unsigned 64-bit numbers."""

    def __init__(self, values: "memoryview[int]", places: dict[Name, int]) -> None:
        self._values = values
        self._places = places

    def add(self, name: Name, amount: int = 1) -> None:
        """Count; a name that the board does not know is a KeyError."""
        self._values[self._places[name]] += amount

    def set(self, name: Name, value: int) -> None:
        """Put a value in place of the one before."""
        self._values[self._places[name]] = value

    def __getitem__(self, name: Name) -> int:
        return self._values[self._places[name]]


class Board(Generic[Name]):
    """Rows of counters, all zero, which this process shares with those that it forks."""

    def __init__(self, names: Sequence[Name], rows: int) -> None:
        places = {name: place for place, name in enumerate(names)}
        values = memoryview(mmap.mmap(-1, rows * len(names) * 8)).cast("Q")
        ends = range(0, (rows + 1) * len(names), len(names))
        self.rows = [Row(values[start:end], places) for start, end in pairwise(ends)]
        self.names = tuple(places)

    def total(self, name: Name) -> int:
        """The sum over all rows."""
        return sum(row[name] for row in self.rows)
