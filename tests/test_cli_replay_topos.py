"""`inline-topo replay` in mode topos: what it says of its store."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ran

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
