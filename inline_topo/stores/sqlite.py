"""The embedded store: one SQLite file, for all queues of one gateway.

What was answered without a failure is in the file's write-ahead log. That survives the death of
every process (kill -9). What a power loss leaves depends on `synchronous`:

- `normal` (default): the log is brought to the disk by checkpoints, every clean_interval of traffic
  or some 4 MiB of log. A power loss takes what was written since the last one, never half a record.
- `full`: the log is on the disk before the answer. A power loss takes nothing, if the disk does as
  it says; each batch waits for the disk.

Records end by the time of packets, and that is kept in absolute seconds. A clock that jumps
forward hides what has less life left than the jump, until it is set right or the dialog's traffic
refreshes it; nothing is removed in the interval after a jump (`clean.Cleaner`). A clock that jumps
back lets records live longer, by the jump.

The file must be on a local disk: write-ahead logs need shared memory.

With `normal`, exchanges are done in place, in the packet path's own midst, as nothing there waits for
the disk: to hand one to a thread costs several times as much. What does wait for it (checkpoints, and
the first write after one), and all in times of trouble (a lock, an error, a slow disk), is the thread's.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

from inline_topo.errors import ConfigError
from inline_topo.masking.effects import Exchange
from inline_topo.stores import sqlite_file
from inline_topo.stores.base import Answer, Stored, StoreError, failed
from inline_topo.stores.clean import Cleaner
from inline_topo.stores.health import Health
from inline_topo.stores.pace import BUSY, Pace
from inline_topo.stores.sqlite_records import CLEAN, Records, load_alone

_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL)  # errors that may be gone the next time
_IN_PLACE = 256  # exchanges that save, between two that the thread has: some 4 MiB of log
_TROUBLE = sqlite3.Error, OSError, ConfigError


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
        self._clean_interval = clean_interval
        self._cleaner = Cleaner(clean_interval)
        self._health = Health(f"sqlite:///{self._path}")
        self._records = Records(self._options, timeout, checkpoints=True)
        self._here = Records(self._options, BUSY, checkpoints=False)
        self._pace = Pace()
        self._left = _IN_PLACE
        self._due_at = 0.0

    def attempt(self, effects: Sequence[Exchange]) -> list[Answer] | None:
        """See `masking.effects.Prompt`."""
        if self._health.is_failing:
            self._here.close()  # SQLite would share what it has of a file that was read-only
            return None
        if not self._pace.is_quick():
            return None
        began = time.monotonic()
        saving = 0
        for effect in effects:
            if effect.save:
                saving += 1
        if saving:
            if self._options.synchronous == "full" or not self._left or began >= self._due_at:
                self._left = 0  # and none more until the thread has made its checkpoint
                return None
            self._left = max(self._left - saving, 0)
        try:
            found = self._here.exchange(effects)
        except _TROUBLE:
            self._here.close()
            self._pace.rest()
            return None
        self._pace.took(time.monotonic() - began)
        return [*found]

    def perform(self, effects: Sequence[Exchange]) -> list[Answer]:
        """See `base.Store`."""
        if not effects:
            return []
        saving = any(effect.save for effect in effects)
        answers: list[Answer]
        try:
            answers = self._save(effects) if saving else [*self._records.exchange(effects)]
        except _TROUBLE as error:
            reason = _reason(error)
            self._records.close()
            answers = failed(reason, effects)
            if saving:
                self._load_what_still_goes(effects, answers)
            number = sum(not isinstance(answer, dict) for answer in answers)
            self._health.failed(reason, number, saving=saving)
            return answers
        self._health.worked(saving=saving)
        if self._health.is_failing:
            self._records.close()  # it may have been opened where only reading was allowed
        return answers

    def _save(self, effects: Sequence[Exchange]) -> list[Answer]:
        is_due = self._cleaner.is_due(effects[-1].now)
        if is_due or not self._left:
            self._records.checkpoint()
        found = self._records.exchange(effects, clean=is_due)
        self._left, self._due_at = _IN_PLACE, time.monotonic() + self._clean_interval
        return [*found]

    def _load_what_still_goes(self, effects: Sequence[Exchange], answers: list[Answer]) -> None:
        """Where writing fails (a full disk, a lock), dialogs that are known go on."""
        with suppress(*_TROUBLE):
            for number, effect in enumerate(effects):
                if not effect.save:
                    answers[number] = load_alone(self._options, effect)

    def close(self) -> None:
        """Let go of the file."""
        self._records.close()
        self._here.close()

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
                while count := file.execute(CLEAN, (now,)).rowcount:
                    removed += count
                return removed
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"store {self._path}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
