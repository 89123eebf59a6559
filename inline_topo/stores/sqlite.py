"""The embedded store: one SQLite file, for all queues of one gateway.

What was answered without a failure is in the file's write-ahead log. That survives the death of
every process (kill -9). What a power loss leaves depends on `synchronous`:

- `normal` (default): the log is brought to the disk by checkpoints, every clean_interval of traffic
  or 4 MiB of log. A power loss takes what was written since the last one, never half a record.
- `full`: the log is on the disk before the answer. A power loss takes nothing, if the disk does as
  it says; each batch waits for the disk.

Records end by the time of packets, and that is kept in absolute seconds. A clock that jumps
forward hides what has less life left than the jump, until it is set right or the dialog's traffic
refreshes it; nothing is removed in the interval after a jump (`clean.Cleaner`). A clock that jumps
back lets records live longer, by the jump.

The file must be on a local disk: write-ahead logs need shared memory.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

from inline_topo.errors import ConfigError
from inline_topo.masking.effects import Exchange
from inline_topo.stores import sqlite_file
from inline_topo.stores.base import Answer, Stored, StoreError, failed
from inline_topo.stores.clean import Cleaner
from inline_topo.stores.health import Health

_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL)  # errors that may be gone the next time
_AT_ONCE = 500  # expired records removed in one transaction, so that no batch waits long

_SAVE = """
INSERT INTO record (key, value, born, expires) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    value = excluded.value,
    born = iif(expires <= excluded.born, excluded.born, born),
    expires = max(expires, excluded.expires)
"""
_LOAD = "SELECT value FROM record WHERE key = ? AND expires > ?"
_CLEAN = f"""
DELETE FROM record WHERE rowid IN (SELECT rowid FROM record WHERE expires <= ? LIMIT {_AT_ONCE})
"""


class SqliteStore:
    """Exchanges of a batch that save are one transaction; a batch that only reads waits for nobody.

    Another process that writes is waited for, `timeout` seconds at most. Several processes may use
    the file. A file that was removed or replaced is opened anew.
    """

    outcome = "store"
    is_immediate = False  # a disk may hang, and another process may write

    def __init__(self, url: str, timeout: float, clean_interval: float = 60.0) -> None:
        """`sqlite:////FILE[?synchronous=full][&max_mib=N]`; ConfigError where it is not that."""
        self._options = sqlite_file.options(url)
        self._path = self._options.path
        self.patience = self._timeout = timeout
        self._cleaner = Cleaner(clean_interval)
        self._health = Health(f"sqlite:///{self._path}")
        self._connection: sqlite3.Connection | None = None
        self._owner: tuple[int, int, int] | None = None  # process, and the file's device and inode

    def perform(self, effects: Sequence[Exchange]) -> list[Answer]:
        """See `base.Store`."""
        if not effects:
            return []
        saving = any(effect.save for effect in effects)
        try:
            answers = self._save(effects) if saving else self._only_load(effects)
        except (sqlite3.Error, OSError, ConfigError) as error:
            reason = _reason(error)
            self.close()
            answers = failed(reason, effects)
            if saving:
                self._load_what_still_goes(effects, answers)
            number = sum(not isinstance(answer, dict) for answer in answers)
            self._health.failed(reason, number, saving=saving)
            return answers
        self._health.worked(saving=saving)
        if self._health.is_failing:
            self.close()  # it may have been opened where only reading was allowed
        return answers

    def _save(self, effects: Sequence[Exchange]) -> list[Answer]:
        """All of a batch in one transaction."""
        connection = self._open()
        run = connection.execute
        run("BEGIN IMMEDIATE")
        answers: list[Answer] = []
        for effect in effects:
            now = effect.now
            for key, value, lifetime in effect.save:
                run(_SAVE, (key, value, now, now + lifetime))
            answers.append(_load(connection, effect))
        is_due = self._cleaner.is_due(effects[-1].now)
        if is_due:
            run(_CLEAN, (effects[-1].now,))
        run("COMMIT")
        if is_due:
            with suppress(sqlite3.Error):  # what is due stays due; the answer stands
                run("PRAGMA wal_checkpoint(PASSIVE)")
        return answers

    def _only_load(self, effects: Sequence[Exchange]) -> list[Answer]:
        connection = self._open()
        return [_load(connection, effect) for effect in effects]

    def _load_what_still_goes(self, effects: Sequence[Exchange], answers: list[Answer]) -> None:
        """Where writing fails (a full disk, a lock), dialogs that are known go on."""
        with (
            suppress(sqlite3.Error, OSError, ConfigError),
            closing(sqlite_file.open_file(self._options, 0, make=False)) as connection,
        ):
            for number, effect in enumerate(effects):
                if not effect.save:
                    answers[number] = _load(connection, effect)

    def _open(self) -> sqlite3.Connection:
        """The connection of this process to the file that has the name now."""
        if self._connection is not None:
            if self._owner == self._identity():
                return self._connection
            self.close()
        self._connection = sqlite_file.open_file(self._options, self._timeout)
        self._owner = self._identity()
        return self._connection

    def _identity(self) -> tuple[int, int, int] | None:
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            return None
        return os.getpid(), stat.st_dev, stat.st_ino

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

    def check(self) -> list[str]:
        """See `base.Store`."""
        try:
            with closing(sqlite_file.open_file(self._options, self._timeout)) as connection:
                sqlite_file.check_writable(connection)
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                return [f"store {self._path}: {_reason(error)}"]
            raise ConfigError(f"store {self._path}: {_reason(error)}") from None
        return []

    def records(self, now: float) -> Iterator[Stored]:
        """See `base.Store`."""
        try:
            with closing(sqlite_file.open_file(self._options, self._timeout, make=False)) as file:
                query = "SELECT key, value, born, expires FROM record WHERE expires > ?"
                for key, value, born, expires in file.execute(query, (now,)):
                    yield Stored(key, value, now - born, expires - now)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"store {self._path}: {_reason(error)}") from None

    def prune(self, now: float) -> int:
        """See `base.Store`."""
        try:
            with closing(sqlite_file.open_file(self._options, self._timeout, make=False)) as file:
                removed = 0
                while count := file.execute(_CLEAN, (now,)).rowcount:
                    removed += count
                return removed
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"store {self._path}: {_reason(error)}") from None


_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process: to close one here could take the log from under that process."""


def _load(connection: sqlite3.Connection, effect: Exchange) -> dict[bytes, bytes]:
    found = {}
    for key in effect.load:
        if (row := connection.execute(_LOAD, (key, effect.now)).fetchone()) is not None:
            found[key] = row[0]
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
