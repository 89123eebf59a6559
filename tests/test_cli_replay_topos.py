"""`inline-topo replay` in mode topos: what it makes of its store, and what it says of it."""

import json
import re
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader

from inline_topo.masking.effects import Exchange, Record
from inline_topo.stores.urls import open_store
from tests.conftest import Ran

MADE_WITH_ANOTHER = re.compile("warning: .*was changed, or made with another key: record [0-9a-f]+")

Command = Callable[..., Ran]
Replay = Callable[..., Ran]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.pcap"


@pytest.fixture
def replay(command: Command, captures: Path, tmp_path: Path, output: Path) -> Replay:
    """Replays a call in mode topos with the store given."""
    command("keygen", "-o", tmp_path / "mask.key")

    def run(store: str, *more: object) -> Ran:
        return command(
            *("replay", "-r", captures / "basic.pcap", "-w", output, "--inside", "192.168.178.10"),
            *("--set", f"topoh.mask_key_file={tmp_path / 'mask.key'}", "--set", "mode=topos"),
            *("--set", f"topos.store={store}", *more),
        )

    return run


def test_a_store_that_cannot_be_made(replay: Replay, output: Path, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "dialogs.db"
    status, out, err = replay(f"sqlite:///{path}")
    assert (status, out) == (78, "")
    assert err == f"inline-topo: store {path}: No such file or directory\n"
    assert not output.exists()


def test_a_store_that_does_not_answer(replay: Replay) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    status, out, err = replay(f"redis://127.0.0.1:{port}/0", "--strict")
    assert status == 1
    assert "REFUSED     4: the dialog store did not answer" in out
    lines = err.splitlines()
    assert all(line.startswith("inline-topo: warning: ") for line in lines)
    assert any(f"127.0.0.1:{port}" in line and "refused" in line for line in lines)


def test_memory_has_nothing_for_the_inside_leg(replay: Replay, output: Path) -> None:
    assert replay("memory:", "--leg", "outside").err == ""
    output.unlink()
    status, out, err = replay("memory:", "--leg", "inside")
    assert (status, out) == (78, "")
    assert err == (
        "inline-topo: topos.store: memory: has forgotten: "
        "--leg inside needs the store of --leg outside\n"
    )
    assert not output.exists()


def test_a_capture_for_sharing_leaves_the_store_alone(
    replay: Replay, output: Path, tmp_path: Path
) -> None:
    path = tmp_path / "dialogs.db"
    assert replay(f"sqlite:///{path}", "--anonymise").status == 0
    assert output.exists()
    assert not path.exists()


def test_the_gateway_leg_does_the_same_each_time(
    replay: Replay, output: Path, tmp_path: Path
) -> None:
    """With an empty store of either kind, and with one that has it all already."""
    stores = ("memory:", f"sqlite:///{tmp_path}/dialogs.db", f"sqlite:///{tmp_path}/dialogs.db")
    made = []
    for store in stores:
        status, out, err = replay(store, "--leg", "gateway", "--json")
        assert (status, err) == (0, "")
        report = json.loads(out)
        assert report["refused"] == {}
        assert report["edits"]["removed"].keys() >= {"Via", "Record-Route"}
        made.append(output.read_bytes())
        output.unlink()
    assert len(set(made)) == 1


def frames(path: Path) -> list[bytes]:
    with RawPcapReader(str(path)) as reader:
        return [bytes(frame) for frame, _ in reader]


def test_the_key_of_another_opens_nothing(
    replay: Replay, command: Command, output: Path, tmp_path: Path
) -> None:
    """What names a record of the other is refused, and says so; all else stays as it is."""
    store, masked = f"sqlite:///{tmp_path}/dialogs.db", tmp_path / "masked.pcap"
    assert replay(store, "--leg", "outside").status == 0
    output.rename(masked)
    (tmp_path / "mask.key").unlink()
    command("keygen", "-o", tmp_path / "mask.key")
    status, out, err = replay(store, "--leg", "inside", "-r", masked, "--strict")
    assert status == 1
    assert "REFUSED" in out
    assert MADE_WITH_ANOTHER.search(err)
    assert 0 < len(frames(output)) < len(frames(masked))
    assert set(frames(output)) < set(frames(masked))


def test_rows_that_are_corrupt(replay: Replay, output: Path, tmp_path: Path) -> None:
    """What does not open is not taken for something else: the warning names the record."""
    path, masked = tmp_path / "dialogs.db", tmp_path / "masked.pcap"
    assert replay(f"sqlite:///{path}", "--leg", "outside").status == 0
    output.rename(masked)
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE record SET value = randomblob(length(value))")
        file.commit()
    status, out, err = replay(f"sqlite:///{path}", "--leg", "inside", "-r", masked, "--strict")
    assert status == 1
    assert "REFUSED" in out
    assert MADE_WITH_ANOTHER.search(err)


def test_the_outside_leg_does_not_mix_with_a_gateways_dialogs(
    replay: Replay, output: Path, tmp_path: Path
) -> None:
    """Its records are kept for good."""
    store = f"sqlite:///{tmp_path}/dialogs.db"
    with closing(open_store(store, 10.0)) as live:
        live.perform([Exchange(time.time(), save=(Record(b"c" + bytes(12), b"v", 3600.0),))])
    status, out, err = replay(store, "--leg", "outside")
    assert (status, out) == (78, "")
    assert err == (
        "inline-topo: topos.store: dialogs of a gateway are in it: --leg outside keeps its records for "
        "good, and needs a store of its own (--set topos.store=sqlite:////FILE)\n"
    )
    assert not output.exists()
    own = f"sqlite:///{tmp_path}/replayed.db"
    for leg in ("outside", "outside", "inside"):
        assert replay(own, "--leg", leg).status == 0
        output.unlink()
