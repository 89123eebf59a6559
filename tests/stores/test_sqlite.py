"""The SQLite store's file: who may have it, what it survives, and what happens in trouble."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inline_topo.errors import ConfigError
from inline_topo.masking.effects import EffectFailed, Exchange, Record
from inline_topo.stores.base import Answer, StoreError
from inline_topo.stores.sqlite import SqliteStore

WRITER = Path(__file__).with_name("writer.py")
NOW = 1_700_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dialogs.db"


@pytest.fixture
def make(path: Path) -> Iterator[Callable[..., SqliteStore]]:
    """Stores of this file; the words are options of the URL."""
    made = []

    def store(*options: str, timeout: float = 10.0) -> SqliteStore:
        made.append(SqliteStore(f"sqlite:///{path}?{'&'.join(options)}", timeout))
        return made[-1]

    yield store
    for one in made:
        one.close()


@pytest.fixture
def folder_of_anybody() -> Iterator[Path]:
    """A folder that is ours, or of the user `nobody` where we are root."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            os.chown(name, 65534, 65534)
        yield Path(name)


def save(store: SqliteStore, key: bytes, size: int = 10) -> Answer:
    [answer] = store.perform([Exchange(NOW, (Record(key, b"v" * size, 3600.0),))])
    return answer


def load(store: SqliteStore, key: bytes) -> Answer:
    [answer] = store.perform([Exchange(NOW, load=(key,))])
    return answer


def reason(answer: Answer) -> str:
    assert isinstance(answer, EffectFailed)
    assert answer.outcome == "store"
    return str(answer)


def file_of_another_program(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    path.chmod(0o600)


def test_the_file_is_its_owners_alone(path: Path, make: Callable[..., SqliteStore]) -> None:
    before = os.umask(0)
    try:
        save(make(), b"key")
        modes = {name.name: name.stat().st_mode & 0o777 for name in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"dialogs.db": 0o600, "dialogs.db-wal": 0o600, "dialogs.db-shm": 0o600}


def test_a_file_that_others_may_read_is_refused(
    path: Path, make: Callable[..., SqliteStore]
) -> None:
    make().check()
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"dialogs\.db: others may read or write it"):
        make().check()
    assert "others may read" in reason(save(make(), b"key"))


def test_a_folder_that_everybody_may_write_to_is_refused(
    path: Path, make: Callable[..., SqliteStore]
) -> None:
    path.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write"):
        make().check()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    store = SqliteStore(f"sqlite:///{tmp_path}/no/dialogs.db", 1.0)
    with pytest.raises(ConfigError, match=r"no/dialogs\.db: No such file"):
        store.check()
    assert reason(save(store, b"key")) == "No such file or directory"
    (tmp_path / "no").mkdir()
    assert save(store, b"key") == {}
    store.close()


def test_a_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a file"):
        SqliteStore("sqlite:////dev/null", 1.0).check()


def test_something_else_is_refused(path: Path, make: Callable[..., SqliteStore]) -> None:
    path.write_bytes(b"no database at all, but long enough to look at" * 50)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="file is not a database"):
        make().check()
    assert "not a database" in reason(save(make(), b"key"))


def test_a_database_of_another_program_is_refused(
    path: Path, make: Callable[..., SqliteStore]
) -> None:
    file_of_another_program(path, "CREATE TABLE record (key)")
    with pytest.raises(ConfigError, match="database of another program"):
        make().check()
    assert "another program" in reason(save(make(), b"key"))


def test_a_schema_of_another_version_is_refused(
    path: Path, make: Callable[..., SqliteStore]
) -> None:
    make().check()
    file_of_another_program(path, "PRAGMA user_version = 7")
    with pytest.raises(ConfigError, match="schema is version 7, this program's is 2"):
        make().check()
    assert "version 7" in reason(save(make(), b"key"))
    assert "version 7" in reason(load(make(), b"key"))
    with pytest.raises(ConfigError, match="version 7"):
        list(make().records(NOW))


def test_check_writes_nothing_and_says_nothing(
    path: Path, make: Callable[..., SqliteStore]
) -> None:
    assert make().check() == []
    assert list(make().records(NOW)) == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA application_id").fetchone() == (0x49544F50,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_inspecting_makes_no_file(path: Path, make: Callable[..., SqliteStore]) -> None:
    with pytest.raises(StoreError, match=r"dialogs\.db: No such file"):
        list(make().records(NOW))
    with pytest.raises(StoreError, match="No such file"):
        make().prune(NOW)
    assert not path.exists()


@pytest.mark.parametrize("batch", [1, 16])
def test_what_was_acknowledged_survives_kill_9(
    path: Path, make: Callable[..., SqliteStore], batch: int
) -> None:
    for _ in range(3):
        url = f"sqlite:///{path}"
        with subprocess.Popen(
            [sys.executable, str(WRITER), url, str(batch)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            acknowledged = [next(writer.stdout) for _ in range(300)]
            writer.send_signal(signal.SIGKILL)
            acknowledged += writer.stdout.readlines()
        keys = tuple(line.strip() for line in acknowledged if line.endswith(b"\n"))
        [found] = make().perform([Exchange(time.time(), load=keys)])
        assert found == {key: key * 50 for key in keys}


def test_full_waits_for_the_disk(path: Path, make: Callable[..., SqliteStore]) -> None:
    """The number that SQLite documents for FULL is 2, for NORMAL 1."""
    from inline_topo.stores import sqlite_file

    for word, number in (("synchronous=full", 2), ("synchronous=normal", 1)):
        options = sqlite_file.options(f"sqlite:///{path}?{word}")
        with closing(sqlite_file.open_file(options, 1.0)) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (number,)


def test_a_full_store_fails_and_still_reads(make: Callable[..., SqliteStore]) -> None:
    store = make("max_mib=1")
    answers = [save(store, b"%d" % number, 10_000) for number in range(200)]
    assert answers[0] == {}
    assert reason(answers[-1]) == "database or disk is full"
    batch = store.perform(
        [
            Exchange(NOW, load=(b"0",)),
            Exchange(NOW, (Record(b"new", b"v" * 10_000, 60.0),), (b"0",)),
        ]
    )
    assert batch[0] == {b"0": b"v" * 10_000}
    assert reason(batch[1]) == "database or disk is full"
    assert load(store, b"new") == {}


def test_a_full_store_recovers_when_records_end(make: Callable[..., SqliteStore]) -> None:
    store = make("max_mib=1")
    number = 0
    while isinstance(save(store, b"%d" % number, 10_000), dict):
        number += 1
    assert make().prune(NOW + 3600) == number
    assert save(store, b"new", 10_000) == {}


def test_a_full_store_rids_itself_of_what_has_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody need prune it: what has ended makes room for what is to be kept."""
    clock = [100.0]
    monkeypatch.setattr("inline_topo.stores.clean.time.monotonic", lambda: clock[0])
    store = SqliteStore(f"sqlite:///{path}?max_mib=1", 1.0, clean_interval=60.0)
    number = 0
    while isinstance(save(store, b"%d" % number, 10_000), dict):
        number += 1
    for minute in (60, 61):  # the first one seems to be a jump of the clock
        clock[0] += 60
        later = NOW + 60 * minute
        [answer] = store.perform([Exchange(later, (Record(b"new", bytes(10_000), 60.0),))])
    assert answer == {}
    assert [record.key for record in store.records(later)] == [b"new"]
    store.close()


def test_a_file_that_may_not_grow(path: Path) -> None:
    """The kernel's own refusal, as a full disk or a quota gives it."""
    program = (
        "import resource, signal, sys\n"
        "from inline_topo.masking.effects import Exchange, Record\n"
        "from inline_topo.stores.sqlite import SqliteStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = SqliteStore(sys.argv[1], 1.0)\n"
        "def save(key):\n"
        "    return store.perform([Exchange(1.0, (Record(key, bytes(9000), 60.0),))])[0]\n"
        "assert save(b'first') == {}\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))\n"
        "answers = [save(b'%d' % number) for number in range(20)]\n"
        "print(repr(answers[-1]))\n"
        "print(store.perform([Exchange(1.0, load=(b'first',))])[0] == {b'first': bytes(9000)})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "print(save(b'last'))\n"
        "store.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{path}"],
        check=True, text=True, capture_output=True,
    )  # fmt: skip
    failure, *rest = done.stdout.splitlines()
    assert failure.startswith("EffectFailed(")
    assert rest == ["True", "{}"]
    assert done.stderr.count("store failed") == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_store_that_another_process_locked(path: Path, make: Callable[..., SqliteStore]) -> None:
    store = make(timeout=0.05)
    save(store, b"known")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert reason(save(store, b"new")) == "database is locked"
        assert load(store, b"known") == {b"known": b"v" * 10}
        [first, second] = store.perform(
            [Exchange(NOW, load=(b"known",)), Exchange(NOW, (Record(b"new", b"", 60.0),))]
        )
        assert first == {b"known": b"v" * 10}
        assert reason(second) == "database is locked"
        assert store.check() == [f"store {path}: database is locked"]
        other.execute("ROLLBACK")
    assert save(store, b"new") == {}


def test_a_store_that_is_read_only(folder_of_anybody: Path) -> None:
    """Asked of an ordinary user, whom a mode stops; root is not stopped by any."""
    path = folder_of_anybody / "dialogs.db"
    program = (
        "import os, sys\n"
        "from inline_topo.errors import ConfigError\n"
        "from inline_topo.masking.effects import Exchange, Record\n"
        "from inline_topo.stores.sqlite import SqliteStore\n"
        "if os.geteuid() == 0:\n"
        "    os.setgid(65534); os.setuid(65534)\n"
        "store = SqliteStore('sqlite:///' + sys.argv[1], 1.0)\n"
        "def save(key):\n"
        "    return store.perform([Exchange(1.0, (Record(key, b'value', 60.0),))])[0]\n"
        "assert save(b'first') == {}\n"
        "store.close()\n"
        "os.chmod(sys.argv[1], 0o400)\n"
        "print(repr(save(b'second')))\n"
        "print(store.perform([Exchange(1.0, load=(b'first',))])[0])\n"
        "try:\n"
        "    store.check()\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
        "for suffix in ('', '-wal', '-shm'):\n"
        "    os.chmod(sys.argv[1] + suffix, 0o600)\n"
        "print(save(b'second'))\n"
        "store.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], check=True, text=True, stdout=subprocess.PIPE
    )
    assert done.stdout.splitlines() == [
        "EffectFailed('attempt to write a readonly database')",
        "{b'first': b'value'}",
        f"store {path}: attempt to write a readonly database",
        "{}",
    ]


def test_a_store_that_was_first_looked_into_while_it_was_read_only(folder_of_anybody: Path) -> None:
    """In place, by a process that came after one that was killed: it must not stay read-only."""
    path = folder_of_anybody / "dialogs.db"
    program = (
        "import os, sys\n"
        "from inline_topo.masking.effects import Exchange, Record\n"
        "from inline_topo.stores.sqlite import SqliteStore\n"
        "if os.geteuid() == 0:\n"
        "    os.setgid(65534); os.setuid(65534)\n"
        "store = SqliteStore('sqlite:///' + sys.argv[1], 1.0)\n"
        "look = Exchange(1.0, load=(b'first',))\n"
        "def save(key):\n"
        "    return store.perform([Exchange(1.0, (Record(key, b'value', 60.0),))])[0]\n"
        "if not os.fork():\n"
        "    save(b'first')\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "files = [sys.argv[1] + suffix for suffix in ('', '-wal', '-shm')]\n"
        "for file in files:\n"
        "    os.chmod(file, 0o400)\n"
        "print(store.attempt([look]))\n"
        "print(repr(save(b'second')))\n"
        "for file in files:\n"
        "    os.chmod(file, 0o600)\n"
        "print(store.attempt([look]))\n"
        "print(save(b'second'))\n"
        "store.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], check=True, text=True, stdout=subprocess.PIPE
    )
    assert done.stdout.splitlines() == [
        "[{b'first': b'value'}]",
        "EffectFailed('attempt to write a readonly database')",
        "None",  # the thread's, until it works again
        "{}",
    ]


def test_a_corrupt_file(path: Path, make: Callable[..., SqliteStore]) -> None:
    store = make()
    for number in range(200):
        save(store, b"%d" % number, 1000)
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)  # all but the first page
    path.write_bytes(data)
    assert "malformed" in reason(load(store, b"7"))
    assert "malformed" in reason(save(store, b"7"))
    with pytest.raises(StoreError, match="malformed"):
        list(make().records(NOW))
    path.unlink()
    assert save(store, b"7") == {}
    assert load(store, b"7") == {b"7": b"v" * 10}


def test_a_file_that_was_removed_is_made_anew(path: Path, make: Callable[..., SqliteStore]) -> None:
    store = make()
    save(store, b"old")
    for name in list(path.parent.iterdir()):
        name.unlink()
    assert load(store, b"old") == {}
    assert save(store, b"new") == {}
    assert load(make(), b"new") == {b"new": b"v" * 10}


def test_a_store_made_before_a_fork_is_used_after_it(
    path: Path, make: Callable[..., SqliteStore]
) -> None:
    store = make()
    save(store, b"before")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            save(store, b"child")
            status = 0 if load(store, b"before") == {b"before": b"v" * 10} else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    save(store, b"after")
    assert load(make(), b"child") == load(store, b"child") == {b"child": b"v" * 10}
    assert load(make(), b"after") == {b"after": b"v" * 10}


def test_what_expired_is_removed_as_time_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("inline_topo.stores.clean.time.monotonic", lambda: clock[0])
    store = SqliteStore(f"sqlite:///{path}", 1.0, clean_interval=60.0)
    for step in range(10):
        clock[0] += 30
        record = Record(b"%d" % step, b"", 60.0)
        store.perform([Exchange(NOW + 30 * step, (record,))])
    assert {record.key for record in store.records(NOW - 1000)} == {b"7", b"8", b"9"}
    store.close()


def test_one_line_in_the_log_for_one_trouble(
    path: Path, make: Callable[..., SqliteStore], caplog: pytest.LogCaptureFixture
) -> None:
    store = make(timeout=0.0)
    caplog.set_level("INFO", "inline_topo.stores")
    store.check()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(50):
            save(store, b"key")
            load(store, b"key")
        other.execute("ROLLBACK")
    save(store, b"key")
    save(store, b"key")
    assert [record.getMessage() for record in caplog.records] == [
        "store failed",
        "store works again",
    ]
    fields = vars(caplog.records[0])["fields"]
    assert fields["store"] == f"sqlite:///{path}"
    assert fields["reason"] == "database is locked"
    assert vars(caplog.records[1])["fields"]["exchanges_failed"] == 50


class Lost(NamedTuple):
    """The files of a store whose power went: `sizes` are those of its log after each record from
    number `first` on. The records before that are in the database itself."""

    database: bytes
    log: bytes
    first: int
    sizes: list[int]

    def __repr__(self) -> str:
        """Say no bytes: hypothesis refuses to show a failure that would be that long."""
        return f"Lost(from record {self.first} on)"


LOST = 40


def content(number: int) -> bytes:
    """What record `number` keeps: some fit into a page with others, some need several pages."""
    return b"%d " % number * (1 + 977 * number % 3001)


def lose(path: Path, checkpoint_at: int) -> Lost:
    """Keep LOST records, one after the other, with a checkpoint when there are so many."""
    store = SqliteStore(f"sqlite:///{path}", 10.0)
    sizes: list[int] = []
    log = path.with_name(f"{path.name}-wal")
    before = b""
    for number in range(LOST):
        if number and number == checkpoint_at:
            with closing(sqlite3.connect(path)) as other:
                done = other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            assert done[0] == 0
            assert done[1] == done[2] > 0
            sizes, before = [], log.read_bytes()
        [answer] = store.perform(
            [Exchange(NOW, (Record(b"%d" % number, content(number), 3600.0),))]
        )
        assert answer == {}
        written = log.read_bytes()
        # The log begins anew after a checkpoint; what it held before stays behind its end.
        end = max((i for i in range(0, len(written), 8) if written[i : i + 8] != before[i : i + 8]),
                  default=0) + 8 if before else len(written)  # fmt: skip
        sizes.append(end)
    lost = Lost(path.read_bytes(), log.read_bytes(), checkpoint_at, sizes)
    store.close()
    return lost


@pytest.fixture(scope="module", params=[0, LOST // 2], ids=["all in the log", "checkpoint"])
def lost(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    return lose(tmp_path_factory.mktemp("lost") / "dialogs.db", request.param)


def left_of(lost: Lost, log: bytes) -> int:
    """How many records a store finds that begins with these files: the first ones, and each whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dialogs.db"
        path.write_bytes(lost.database)
        path.with_name("dialogs.db-wal").write_bytes(log)
        path.chmod(0o600)
        store = SqliteStore(f"sqlite:///{path}", 10.0)
        assert store.check() == []
        numbers = range(LOST)
        [found] = store.perform([Exchange(NOW, load=tuple(b"%d" % number for number in numbers))])
        assert isinstance(found, dict)
        assert found == {b"%d" % number: content(number) for number in range(len(found))}
        assert save(store, b"new") == {}  # and it goes on
        store.close()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("SELECT count(*) FROM record").fetchone() == (len(found) + 1,)
    return len(found)


@given(share=st.floats(0, 1), tail=st.sampled_from(["none", "zeros", "noise"]), seed=st.binary())
@example(share=0.0, tail="none", seed=b"")
@example(share=1.0, tail="none", seed=b"")
@example(share=0.2077412927620404, tail="zeros", seed=b"")
def test_a_power_loss_takes_the_last_records_and_half_of_none(
    lost: Lost, share: float, tail: str, seed: bytes
) -> None:
    """The log ends anywhere, or something else stands where its end had not reached the disk."""
    end = round(share * len(lost.log))
    rest = len(lost.log) - end
    noise = b"" if tail == "none" else bytes(rest) if tail == "zeros" else (seed or b"x") * rest
    left = lost.log[:end] + noise[:rest]
    # What stands there may be what was lost: a page ends in zeros.
    whole = sum(left[:size] == lost.log[:size] for size in lost.sizes if size <= len(left))
    assert left_of(lost, left) == lost.first + whole
