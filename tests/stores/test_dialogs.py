"""`inline-topo dialogs`: what the store keeps, opened for an operator."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.codecs.records import Seal, pack
from inline_topo.masking.effects import Exchange, Record
from inline_topo.report.dialogs import duration
from inline_topo.stores.urls import open_store
from tests.conftest import Ran
from tests.stores.servers import Server

Command = Callable[..., Ran]

URI = b"sip:alice@10.9.1.2:5062;transport=udp"
ROUTES = (b"<sip:10.9.1.7;lr>", b"<sip:10.9.1.8;lr>")


class Kept:
    """A store with one contact, one dialog and one transaction of ours, and how to ask for it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        ring = KeyRing.generate()
        ring.save(folder / "mask.key")
        self.seal = Seal.of_ring(ring)
        self.words = (
            *("--inside", "10.9.1.0/24", "--set", f"topos.store={url}"),
            *("--set", f"topoh.mask_key_file={folder / 'mask.key'}"),
        )
        self.contact = self.seal.key(b"c", b"call", b"tag", URI)
        self.save(self.contact, pack((URI, *ROUTES)), 10800.0)
        self.save(self.seal.key(b"d", b"call", b"tag"), pack(ROUTES), 10800.0)
        self.save(self.seal.key(b"b", b"call", b"1 INVITE"), pack((b"Via: x",)), 180.0)

    def save(
        self, key: bytes, content: bytes, life: float, *, age: float = 60.0, sealed: bool = True
    ) -> None:
        value = self.seal.seal(key, content) if sealed else content
        store = open_store(self.url, 10.0)
        now = time.time() - age
        assert store.perform([Exchange(now, (Record(key, value, life),))]) == [{}]
        store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dialogs.db"


@pytest.fixture
def kept(path: Path, tmp_path: Path) -> Kept:
    return Kept(f"sqlite:///{path}", tmp_path)


def test_what_is_kept(command: Command, kept: Kept) -> None:
    status, out, _ = command("dialogs", *kept.words)
    assert status == 0
    lines = out.splitlines()
    [contact] = [line for line in lines if line.startswith("tpsh-")]
    assert contact.startswith(f"tpsh-{kept.contact[1:].hex()}  {URI.decode()}  (1 min")
    assert lines.count("    Route: <sip:10.9.1.7;lr>") == 2
    assert f"{kept.url}: 3 records" in lines
    assert [line.split(",")[0].strip() for line in lines[-3:]] == [
        "1 dialog", "1 contact", "1 transaction",
    ]  # fmt: skip
    assert "2 h 5" in out


def test_what_is_kept_for_programs(command: Command, kept: Kept, path: Path) -> None:
    status, out, _ = command("dialogs", "--json", *kept.words)
    found = json.loads(out)
    assert status == 0
    assert found["store"] == kept.url
    assert found["removed"] is None
    counts = {kind: share["records"] for kind, share in found["records"].items()}
    assert counts == {"dialog": 1, "contact": 1, "transaction": 1, "replayed": 0, "unreadable": 0}
    with closing(sqlite3.connect(path)) as file:
        sizes = "SELECT sum(length(key) + length(value)) FROM record"
        size = file.execute(sizes).fetchone()[0]
    assert sum(share["bytes"] for share in found["records"].values()) == size
    [contact] = found["contacts"]
    assert contact["uri"] == URI.decode()
    assert contact["routes"] == [route.decode() for route in ROUTES]
    assert contact["age"] + contact["left"] == pytest.approx(10800)
    assert found["dialogs"][0]["routes"] == contact["routes"]


def test_what_expired_is_removed_when_asked(command: Command, kept: Kept, path: Path) -> None:
    kept.save(kept.seal.key(b"b", b"old"), b"", 180.0, age=1000.0)
    for words, removed, left in (((), None, 4), (("--prune",), 1, 3), (("--prune",), 0, 3)):
        status, out, _ = command("dialogs", "--json", *words, *kept.words)
        assert (status, json.loads(out)["removed"]) == (0, removed)
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("SELECT count(*) FROM record").fetchone() == (left,)
    assert "removed 0 expired records" in command("dialogs", "--prune", *kept.words)[1]


def test_records_of_another_key_or_that_were_changed(
    command: Command, kept: Kept, path: Path
) -> None:
    kept.save(
        b"c" + bytes(12), Seal(bytes(64)).seal(b"c" + bytes(12), b""), 60.0, age=0, sealed=False
    )
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE record SET value = zeroblob(length(value)) WHERE key = ?",
                     (kept.contact,))  # fmt: skip
        file.commit()
    status, out, _ = command("dialogs", *kept.words)
    assert status == 1
    assert "2 unreadable" in out
    assert "another key" in out
    assert URI.decode() not in out


def test_what_a_replay_leaves_is_no_stranger(
    command: Command, path: Path, tmp_path: Path, captures: Path
) -> None:
    command("keygen", "-o", tmp_path / "mask.key")
    words = (
        *("--inside", "192.168.178.10", "--set", f"topos.store=sqlite:///{path}"),
        *("--set", f"topoh.mask_key_file={tmp_path / 'mask.key'}"),
    )
    replayed = ("replay", "-r", captures / "basic.pcap", "-w", tmp_path / "outside.pcap")
    assert command(*replayed, *words, "--set", "mode=topos", "--leg", "outside").status == 0
    status, out, _ = command("dialogs", *words)
    assert (status, "unreadable" in out) == (0, False)
    assert "  13 replayed messages, " in out  # every message of the capture


def test_a_contact_cannot_break_the_line(command: Command, kept: Kept) -> None:
    kept.save(kept.seal.key(b"c", b"evil"), pack((b"sip:a\x1b[31m\r\nb",)), 60.0, age=0.0)
    out = command("dialogs", *kept.words)[1]
    assert "\x1b" not in out
    assert "sip:a\\x1b[31m\\r\\nb" in out


@pytest.mark.needs("redis-server")
def test_a_redis(command: Command, redis_of_its_own: Server, tmp_path: Path) -> None:
    kept = Kept(redis_of_its_own.url, tmp_path)
    status, out, _ = command("dialogs", "--json", "--prune", *kept.words)
    found = json.loads(out)
    assert (status, found["removed"]) == (0, 0)
    assert [contact["age"] for contact in found["contacts"]] == [None]
    assert command("dialogs", *kept.words)[0] == 0
    redis_of_its_own.kill()
    status, out, err = command("dialogs", *kept.words)
    assert (status, out) == (2, "")
    assert err.startswith(f"inline-topo: store {redis_of_its_own.url}: ")


def test_no_store(command: Command, kept: Kept, path: Path) -> None:
    path.unlink()
    status, _, err = command("dialogs", *kept.words)
    assert (status, err) == (2, f"inline-topo: store {path}: No such file or directory\n")
    words = [word for word in kept.words if not word.startswith("topos.store")]
    words.remove("--set")
    status, _, err = command("dialogs", *words)
    assert (status, err) == (78, "inline-topo: topos.store: needed: where the dialogs are kept\n")


def test_memory_cannot_be_looked_into(command: Command, kept: Kept) -> None:
    status, out, err = command("dialogs", *kept.words, "--set", "topos.store=memory:")
    assert (status, out) == (2, "")
    assert "nobody but its gateway" in err


@pytest.mark.parametrize("words", [("dialogs",), ("check",)])
def test_a_bad_url(command: Command, kept: Kept, words: tuple[str, ...]) -> None:
    status, _, err = command(*words, *kept.words, "--set", "topos.store=sqlite:///relative.db")
    assert status == 78
    assert err.startswith("inline-topo: topos.store: store sqlite:///relative.db: sqlite wants")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (10740, "2 h 59 min"),
        (3600, "1 h"),
        (3601, "1 h"),
        (90061, "1 d 1 h"),
        (1e9, "31 y 259 d"),
    ],
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
