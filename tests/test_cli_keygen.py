"""`inline-topo keygen`: a ring on standard output, in a new file, or rotated in place."""

from collections.abc import Callable
from pathlib import Path

from inline_topo.masking.codecs.keyring import KeyRing

Command = Callable[..., tuple[int, str, str]]


def test_prints_a_ring(command: Command) -> None:
    status, out, err = command("keygen")
    assert (status, err) == (0, "")
    assert list(KeyRing.parse(out.encode()).keys) == [1]


def test_writes_a_private_file_and_never_over_another(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "mask.key"
    status, out, err = command("keygen", "-o", path)
    assert (status, out) == (0, "")
    assert str(path) in err
    assert path.stat().st_mode & 0o777 == 0o600
    ring = KeyRing.load(path)
    status, out, err = command("keygen", "-o", path)
    assert (status, out) == (78, "")
    assert err == f"inline-topo: {path}: exists already, and is left as it is\n"
    assert KeyRing.load(path) == ring


def test_rotates_in_place(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "mask.key"
    command("keygen", "-o", path)
    before = KeyRing.load(path)
    status, out, err = command("keygen", "--rotate", path)
    assert (status, out) == (0, "")
    assert err == f"inline-topo: {path}: key 2 is active now, key 1 stays stable\n"
    after = KeyRing.load(path)
    assert (after.active, after.stable, after.keys[1]) == (2, 1, before.keys[1])


def test_does_not_rotate_what_is_no_ring(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "mask.key"
    path.touch(0o600)
    status, out, err = command("keygen", "--rotate", path)
    assert (status, out) == (78, "")
    assert err == f"inline-topo: {path}: not a key ring: active is missing\n"
    assert path.read_bytes() == b""


def test_makes_or_rotates_but_not_both(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "mask.key"
    status, _, err = command("keygen", "-o", path, "--rotate", path)
    assert status == 2
    assert "-o and --rotate do not go together" in err
    assert not path.exists()
