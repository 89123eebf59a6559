"""The records in the SQLite store's file: one connection, and what is done over it."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress

from inline_topo.masking.effects import Exchange
from inline_topo.stores import sqlite_file

_AT_ONCE = 500  # expired records removed in one transaction, so that no batch waits long

_MOST_IN_ONE = 8  # records that one statement saves; what is asked together seldom has more


def _saving(count: int) -> str:
    return f"""
INSERT INTO record (key, value, born, expires) VALUES {", ".join(["(?, ?, ?, ?)"] * count)}
ON CONFLICT (key) DO UPDATE SET
    value = excluded.value,
    born = iif(expires <= excluded.born, excluded.born, born),
    expires = max(expires, excluded.expires)
"""


_COLUMNS = 4
_SAVE = [_saving(count) for count in range(1, _MOST_IN_ONE + 1)]
_LOAD = "SELECT value FROM record WHERE key = ? AND expires > ?"
CLEAN = f"""
DELETE FROM record WHERE rowid IN (SELECT rowid FROM record WHERE expires <= ? LIMIT {_AT_ONCE})
"""
"""Removes some of what has expired at the time of its parameter."""

Found = dict[bytes, bytes]


class Records:
    """Opened when it is first used, and anew where the file was removed or replaced. Another process
    that writes is waited for, `timeout` seconds at most. `checkpoints`: a long log is brought into
    the database, which waits for the disk.

    Everything may raise sqlite3.Error, OSError or ConfigError; `close` it then.
    """

    def __init__(self, options: sqlite_file.Options, timeout: float, *, checkpoints: bool) -> None:
        self._options = options
        self._path = str(options.path)  # asked for at each exchange
        self._timeout = timeout
        self._checkpoints = checkpoints
        self._connection: sqlite3.Connection | None = None
        self._owner: tuple[int, int, int] | None = None  # process, and the file's device and inode

    def exchange(self, effects: Sequence[Exchange], *, clean: bool = False) -> list[Found]:
        """All of a batch, in one transaction if anything is saved. `clean`: some of what has expired
        goes with it."""
        connection = self._open()
        saving = loading = 0
        for effect in effects:
            saving += len(effect.save)
            loading += len(effect.load)
        if not saving:
            return [_load(connection, effect) for effect in effects]
        is_plain = len(effects) == 1 or not loading  # what is loaded is what was saved before
        if is_plain and saving <= _MOST_IN_ONE and not clean:
            _save(connection, effects)  # a transaction of its own, at two thirds of the cost
            return [_load(connection, effect) for effect in effects]
        run = connection.execute
        run("BEGIN IMMEDIATE")
        if clean:  # first: it may be the only way to find room in a store that is full
            run(CLEAN, (effects[0].now,))
        found: list[Found] = []
        for effect in effects:
            _save(connection, [effect])
            found.append(_load(connection, effect))
        run("COMMIT")
        return found

    def checkpoint(self) -> None:
        """Bring the log into the database, as far as nobody reads it; the next one who writes begins
        it anew. What fails is done the next time."""
        with suppress(sqlite3.Error):
            self._open().execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._owner is None or self._owner[0] == os.getpid():
            with suppress(sqlite3.Error):
                connection.close()
        else:
            _inherited.append(connection)

    def _open(self) -> sqlite3.Connection:
        """The connection of this process to the file that has the name now."""
        if self._connection is not None:
            if self._owner == self._identity():
                return self._connection
            self.close()
        self._connection = sqlite_file.open_file(self._options, self._timeout)
        if not self._checkpoints:
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._owner = self._identity()
        return self._connection

    def _identity(self) -> tuple[int, int, int] | None:
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            return None
        return os.getpid(), stat.st_dev, stat.st_ino


def load_alone(options: sqlite_file.Options, effect: Exchange) -> Found:
    """The values of an exchange that saves nothing, where the file may not be written."""
    with closing(sqlite_file.open_file(options, 0, make=False)) as connection:
        return _load(connection, effect)


_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process: to close one here could take the log from under that process."""


def _save(connection: sqlite3.Connection, effects: Sequence[Exchange]) -> None:
    values: list[bytes | float] = []
    for effect in effects:
        now = effect.now
        for key, value, lifetime in effect.save:
            values += key, value, now, now + lifetime
    most = _MOST_IN_ONE * _COLUMNS
    for start in range(0, len(values), most):
        some = values[start : start + most]
        connection.execute(_SAVE[len(some) // _COLUMNS - 1], some)


def _load(connection: sqlite3.Connection, effect: Exchange) -> Found:
    found = {}
    for key in effect.load:
        if (row := connection.execute(_LOAD, (key, effect.now)).fetchone()) is not None:
            found[key] = row[0]
    return found
