"""The file of the SQLite store: its URL, who may read it, and its schema."""

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from inline_topo.errors import ConfigError
from inline_topo.stores.base import SCHEMA
from inline_topo.stores.urls import shown

APPLICATION_ID = 0x49544F50
"""What `file` and SQLite tell the store's files by: "ITOP"."""

_PAGE = 4096
_TABLES = """
CREATE TABLE record (
    key BLOB PRIMARY KEY,
    value BLOB NOT NULL,
    born REAL NOT NULL,
    expires REAL NOT NULL
) STRICT;
CREATE INDEX record_expires ON record (expires);
"""


# In one statement: another process may be making the schema.
_WHAT_IT_IS = """
SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)
FROM pragma_user_version, pragma_application_id
"""


class Options(NamedTuple):
    """What the URL says. `most_bytes`: of the database, 0 for as many as the disk has."""

    path: Path
    synchronous: str = "normal"
    most_bytes: int = 0


def options(url: str) -> Options:
    """`sqlite:////FILE[?synchronous=normal|full][&max_mib=N]`; ConfigError where it is not that."""
    parts = urlsplit(url)
    path = Path(unquote(parts.path)[1:])
    if parts.netloc or not path.is_absolute():
        raise ConfigError(f"store {shown(url)}: sqlite wants a whole path: sqlite:////var/lib/...")
    found = Options(path)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "synchronous" and value in ("normal", "full"):
            found = found._replace(synchronous=value)
        elif name == "max_mib" and value.isascii() and value.isdigit() and int(value):
            found = found._replace(most_bytes=int(value) << 20)
        else:
            known = "synchronous=normal|full and max_mib=N"
            raise ConfigError(f"store {shown(url)}: {name}={value}: not one of {known}")
    return found


def open_file(options: Options, timeout: float, *, make: bool = True) -> sqlite3.Connection:
    """A connection to the store's file, which is made unless told otherwise.

    ConfigError where it is not a store of this version, or others may read it; sqlite3.Error and
    OSError as they come.
    """
    path = options.path
    _check_folder(path)
    if make:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    _check_owner_alone(path)
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=16
    )
    try:
        _prepare(connection, options, make=make)
    except BaseException:
        connection.close()
        raise
    return connection


def check_writable(connection: sqlite3.Connection) -> None:
    """Write, and take it back."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO record VALUES (randomblob(16), x'', 0, 0)")
    connection.execute("ROLLBACK")


def _check_folder(path: Path) -> None:
    folder = os.stat(path.parent)
    if not stat.S_ISDIR(folder.st_mode):
        raise ConfigError(f"store {path}: {path.parent} is not a folder")
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        raise ConfigError(f"store {path}: everybody may write to {path.parent}")


def _check_owner_alone(path: Path) -> None:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"store {path}: not a file")
    if status.st_mode & 0o077:
        raise ConfigError(f"store {path}: others may read or write it (chmod 600 {path})")


def _prepare(connection: sqlite3.Connection, options: Options, *, make: bool) -> None:
    run = connection.execute
    if make and not _version(connection, options.path):
        run(f"PRAGMA page_size = {_PAGE}")
        if run("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise ConfigError(f"store {options.path}: no write-ahead log (not a local disk?)")
        _make_tables(connection, options.path)
    elif not _version(connection, options.path):
        raise ConfigError(f"store {options.path}: empty: no gateway has used it yet")
    run(f"PRAGMA synchronous = {options.synchronous}")
    if options.most_bytes:
        run(f"PRAGMA max_page_count = {options.most_bytes // _PAGE}")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version, 0 in a file that is empty; ConfigError where it is not ours."""
    version, application, tables = connection.execute(_WHAT_IT_IS).fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise ConfigError(f"store {path}: a database of another program")
    if application == APPLICATION_ID and version != SCHEMA:
        reason = f"its schema is version {version}, this program's is {SCHEMA}"
        raise ConfigError(f"store {path}: {reason} (move the file away to begin a new one)")
    return int(version)


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    """The schema, once, whoever else tries at the same time."""
    run = connection.execute
    run("BEGIN IMMEDIATE")
    try:
        if not _version(connection, path):
            for statement in filter(str.strip, _TABLES.split(";")):
                run(statement)
            run(f"PRAGMA application_id = {APPLICATION_ID}")
            run(f"PRAGMA user_version = {SCHEMA}")
        run("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            run("ROLLBACK")
        raise
