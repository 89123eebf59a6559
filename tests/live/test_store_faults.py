"""Mode topos on the proxy's own host, and something happens to its store while calls go on: what needs
the store is refused, nothing leaves in clear, and all goes on by itself when the fault is over."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from inline_topo.gateway import OUTCOMES
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.effects import Exchange, Record
from inline_topo.stores.sqlite import SqliteStore
from lab import calls
from lab.net import Net
from lab.ours import INLINE_TOPO
from lab.site import Site
from tests.live import ordinary
from tests.live.messages import HIDDEN, invite
from tests.live.own_host import OwnHost, hides
from tests.live.running import CONFIG, PATIENCE, Running
from tests.live.stores import PORT, in_topos
from tests.live.traffic import dump

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

COUNT, RATE = 30, 10
LONG = 4000
"""A call's milliseconds: those of the first half are there before the trouble and end after it."""

Fault = Callable[["Bench"], AbstractContextManager[None]]


class Bench(OwnHost):
    """A gateway with a store, and half of its calls begun when the trouble begins."""

    def __init__(self, net: Net, kind: str, *, as_nobody: bool = False) -> None:
        """`kind`: of the store, for SQLite with its options."""
        self.path = net.folder / "store" / "dialogs.db"
        self.path.parent.mkdir()
        before: tuple[str, ...] = ()
        KeyRing.generate().save(net.folder / "mask.key")
        if as_nobody:
            before = ordinary.as_nobody(net.folder / "spare")
            for name in (net.folder / "mask.key", self.path.parent):
                os.chown(name, ordinary.NOBODY, ordinary.NOBODY)
        url = f"sqlite:///{self.path}{kind.removeprefix('sqlite')}" if kind != "redis" else ""
        super().__init__(net, url, "clean_interval = 1", before=before)

    def start(self) -> None:
        """COUNT calls begin; returns when half of them have."""
        self.call(LONG, COUNT, RATE)
        time.sleep(COUNT / 2 / RATE)

    def await_refusals(self) -> None:
        """Wait until messages were refused, and more are all the time."""
        for _ in range(2):
            before, deadline = self.refused(), time.monotonic() + PATIENCE
            while self.refused() == before:
                assert time.monotonic() < deadline, self.gateway.log()
                time.sleep(0.1)

    def database(self) -> sqlite3.Connection:
        """The store's file, as another program has it."""
        return sqlite3.connect(self.path, isolation_level=None, timeout=10)

    def redis_cli(self, *words: str) -> None:
        self.net.run("srv", "redis-cli", "-e", "-p", str(PORT), *words)


@pytest.fixture
def net() -> Iterator[Net]:
    """A network whose folder every user may enter."""
    with tempfile.TemporaryDirectory() as name, Net(Path(name)) as net:
        net.folder.chmod(0o755)
        yield net


def failures(log: str) -> list[str]:
    """The reasons that the log gives for a store that fails."""
    return re.findall(r'event="store failed" .*?reason="([^"]*)"', log)


@contextmanager
def locked(bench: Bench) -> Iterator[None]:
    """Another process begins to write, and does not end."""
    with closing(bench.database()) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def full(bench: Bench) -> Iterator[None]:
    """Records of others leave no room, until they expire."""
    filler = SqliteStore(f"sqlite:///{bench.path}?max_mib=1", PATIENCE)
    now, number = time.time(), 0
    for size in (10_000, 1_000, 100, 10):
        failed = 0
        while failed < 20:
            number += 1
            record = Record(b"filler %d" % number, bytes(size), 4.0)
            failed += not isinstance(filler.perform([Exchange(now, (record,))])[0], dict)
    filler.close()
    yield
    time.sleep(max(0.0, now + 4.0 - time.time()))


@contextmanager
def read_only(bench: Bench) -> Iterator[None]:
    """A worker begins when the files may be read alone; it was another that had opened them before."""
    files = [bench.path, *bench.path.parent.glob("dialogs.db-*")]
    for file in files:
        file.chmod(0o400)
    bench.new_worker()
    yield
    for file in files:
        file.chmod(0o600)


@contextmanager
def corrupt(bench: Bench) -> Iterator[None]:
    """All but the first page is overwritten, until somebody takes the file away."""
    with closing(bench.database()) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with bench.path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    yield
    for name in ("dialogs.db", "dialogs.db-wal", "dialogs.db-shm"):
        (bench.path.parent / name).unlink(missing_ok=True)


@contextmanager
def out_of_memory(bench: Bench) -> Iterator[None]:
    bench.redis_cli("CONFIG", "SET", "maxmemory", "1")
    yield
    bench.redis_cli("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def replica(bench: Bench) -> Iterator[None]:
    """The Redis is made a replica, of one that is away."""
    bench.redis_cli("REPLICAOF", "127.0.0.1", "1")
    yield
    bench.redis_cli("REPLICAOF", "NO", "ONE")


REDIS = (pytest.mark.full, pytest.mark.needs("redis-server", "redis-cli"))


@pytest.mark.parametrize(
    ("kind", "fault", "reason"),
    [
        pytest.param(
            "sqlite", locked, "database is locked", marks=pytest.mark.full, id="locked"
        ),
        pytest.param(
            "sqlite?max_mib=1", full, "database or disk is full", marks=pytest.mark.full, id="full"
        ),
        pytest.param(
            "sqlite", read_only, "attempt to write a readonly database",
            marks=(pytest.mark.full, pytest.mark.needs("setpriv")), id="read_only",
        ),
        pytest.param(
            "sqlite", corrupt, "database disk image is malformed", marks=pytest.mark.full,
            id="corrupt",
        ),
        pytest.param("redis", out_of_memory, "used memory > 'maxmemory'", marks=REDIS, id="oom"),
        pytest.param("redis", replica, "read only replica", marks=REDIS, id="replica"),
    ],
)  # fmt: skip
def test_a_fault_of_the_store_and_its_end(net: Net, kind: str, fault: Fault, reason: str) -> None:
    """Every call succeeds: those before the fault end after it, those during it are set up then."""
    bench = Bench(net, kind, as_nobody=fault is read_only)
    with dump(net, "srv", "eth0"):
        bench.start()
        assert bench.refused() == 0
        with fault(bench):
            bench.await_refusals()
        bench.lab.done()
    log = net.await_text("gateway.log", 'event="store works again"')
    hides(net.folder, COUNT)
    told = failures(log)
    assert any(reason in one for one in told)
    assert len(told) < 10  # no line a packet
    assert "event=refused_store" in log
    for address in (calls.ALICE, calls.BOB):
        assert address not in log


def unreadable(net: Net) -> int:
    """Records that do not open with the key, as `dialogs` says with its exit status 1."""
    command = ("ip", "netns", "exec", net.name_of("srv"), "env", "-C", str(net.folder))
    done = subprocess.run(
        [*command, *INLINE_TOPO, "dialogs", "--json", "-c", "gw.toml"],
        check=False, capture_output=True,
    )  # fmt: skip
    count = json.loads(done.stdout)["records"]["unreadable"]["records"]
    assert done.returncode == (1 if count else 0)
    assert isinstance(count, int)
    return count


@pytest.mark.full
def test_the_key_of_another_gateway(net: Net) -> None:
    """What names a record of the other is refused, and said so. New calls go on, and the old ones when
    their key is back."""
    bench = Bench(net, "sqlite")
    lab, ring = bench.lab, net.folder / "mask.key"
    ours, stranger = KeyRing.load(ring), KeyRing.generate()

    def change(key: KeyRing) -> None:
        before = bench.gateway.worker()
        key.save(ring)
        bench.gateway.process.send_signal(signal.SIGHUP)
        bench.gateway.await_status(lambda state: state["queues"][0]["pid"] not in (0, before))

    with dump(net, "srv", "eth0"):
        lab.party("bob", calls.BOB, calls.answering_bob(), more=("-m", "40", "-l", "40"))
        lab.party("alice", calls.ALICE, calls.calling_alice(talk=2 * LONG), via=calls.PROXY,
                  port=5062, more=("-m", "30", "-l", "30", "-r", "20"))  # fmt: skip
        time.sleep(3)
        assert unreadable(net) == 0
        change(stranger)
        assert (old := unreadable(net)) > 30
        short = lab.party("alice", calls.ALICE, calls.calling_alice(), via=calls.PROXY,
                          port=5064, more=("-m", "10", "-l", "10", "-r", "20"))  # fmt: skip
        assert short.program.wait(PATIENCE) == 0
        net.await_text("gateway.log", "was changed, or made with another key")  # alice hangs up
        change(ours)
        assert 10 < unreadable(net) < old
        lab.done()
    outcomes = bench.gateway.status()["outcomes"]
    assert "refused_store" not in outcomes["egress"]
    assert outcomes["ingress"]["refused_store"] > 0
    hides(net.folder, 40)


@pytest.mark.full
def test_corrupt_rows(net: Net) -> None:
    """What is not sealed by us is refused and said so; the calls go on when the rows are mended."""
    bench = Bench(net, "sqlite")
    with dump(net, "srv", "eth0"):
        bench.start()
        with closing(bench.database()) as other:
            other.execute("CREATE TABLE kept AS SELECT key, value FROM record")
            other.execute("UPDATE record SET value = randomblob(length(value))")
            bench.new_worker()
            net.await_text("gateway.log", "was changed, or made with another key")
            other.execute(
                "UPDATE record SET value = kept.value FROM kept WHERE kept.key = record.key"
            )
            other.execute("DROP TABLE kept")
        bench.lab.done()
    log = bench.gateway.log()
    assert "event=refused_store" in log
    assert "Traceback" not in log
    hides(net.folder, COUNT)


def test_what_has_ended_is_removed_as_configured(site: Site) -> None:
    """`clean_interval` and `branch_expire` reach the gateway that runs."""
    path = site.folder / "dialogs.db"
    config = in_topos(CONFIG, f"sqlite:///{path}") + "clean_interval = 1\nbranch_expire = 1\n"
    Running(site, config)
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    deadline = time.monotonic() + PATIENCE
    sent, count = 0, 0
    with closing(sqlite3.connect(path)) as file:
        while count == 2 * sent:  # two records an INVITE
            assert time.monotonic() < deadline
            inside.sendto(invite(sent), (Site.OUTSIDE, 5060))
            assert HIDDEN.encode() not in outside.recv(65535)
            sent += 1
            time.sleep(0.2)
            [count] = file.execute("SELECT count(*) FROM record").fetchone()
    assert count >= 2


def test_who_was_refused_for_the_store_is_traced(site: Site) -> None:
    """With the packet that was kept, the reason, and the line of the log that names the call."""
    config = in_topos(CONFIG, "redis://127.0.0.1:1") + '[queue]\nrefused_folder = "."\n'
    running = Running(site, config)
    inside = site.udp("inside", Site.INSIDE)
    inside.sendto(invite(1), (Site.OUTSIDE, 5060))
    running.await_status(lambda state: state["outcomes"].get("egress") == {"refused_store": 1})
    assert running.end() == 0
    command = ("ip", "netns", "exec", site.name_of("gw"), "env", "-C", str(site.folder))
    words = ("trace", "call-1", "-c", "gw.toml", "--log", "gateway.log")
    done = subprocess.run(
        [*command, *INLINE_TOPO, *words], check=True, capture_output=True, text=True
    )
    assert "not let out: egress: refused_store" in done.stdout
    assert "event=refused_store" in done.stdout
    assert f"1 message refused: {OUTCOMES['refused_store']}" in done.stdout
