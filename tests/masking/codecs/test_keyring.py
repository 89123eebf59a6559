"""The key ring: what it holds, how it is kept, and what it refuses."""

import os
import tomllib
from pathlib import Path

import pytest

from inline_topo.errors import KeyRingError
from inline_topo.masking.codecs.keyring import KeyRing

ONE = bytes(range(64))
TWO = bytes(range(64, 128))


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def ring_text(active: object = 1, stable: object = 1, keys: str = f'1 = "{ONE.hex()}"') -> str:
    return f"active = {active}\nstable = {stable}\n[keys]\n{keys}\n"


def test_generates_one_random_key() -> None:
    ring, other = KeyRing.generate(), KeyRing.generate()
    assert (list(ring.keys), ring.active, ring.stable) == ([1], 1, 1)
    assert len(ring.keys[1]) == 64
    assert ring.keys[1] != other.keys[1]


def test_reads_a_file_written_by_hand(tmp_path: Path) -> None:
    keys = f'1 = "{ONE.hex()}"\n7 = "{TWO.hex()}"'
    path = write(tmp_path / "mask.key", ring_text(active=7, stable=1, keys=keys))
    assert KeyRing.load(path) == KeyRing({1: ONE, 7: TWO}, active=7, stable=1)


def test_saved_ring_is_private_toml_with_a_header_and_loads_again(tmp_path: Path) -> None:
    ring = KeyRing({1: ONE, 7: TWO}, active=7, stable=1)
    path = tmp_path / "mask.key"
    ring.save(path)
    text = path.read_text()
    assert text.startswith("# ")
    keys = {"1": ONE.hex(), "7": TWO.hex()}
    assert tomllib.loads(text) == {"active": 7, "stable": 1, "keys": keys}
    assert path.stat().st_mode & 0o777 == 0o600
    assert KeyRing.load(path) == ring
    assert os.listdir(tmp_path) == ["mask.key"]


def test_rotate_adds_an_active_key_and_keeps_the_stable_one() -> None:
    ring = KeyRing({1: ONE, 3: TWO}, active=3, stable=1)
    rotated = ring.rotate()
    assert (rotated.active, rotated.stable, sorted(rotated.keys)) == (4, 1, [1, 3, 4])
    assert (rotated.keys[1], rotated.keys[3]) == (ONE, TWO)
    assert rotated.keys[4] not in (ONE, TWO)
    assert len(rotated.keys[4]) == 64
    assert ring == KeyRing({1: ONE, 3: TWO}, active=3, stable=1)


def test_ids_start_again_from_the_lowest_free_one() -> None:
    assert KeyRing({1: ONE, 255: TWO}, active=255, stable=1).rotate().active == 2


def test_a_full_ring_does_not_rotate() -> None:
    keys = {key_id: key_id.to_bytes(64, "big") for key_id in range(1, 256)}
    with pytest.raises(KeyRingError, match="full"):
        KeyRing(keys, active=255, stable=1).rotate()


def test_repr_shows_no_key() -> None:
    ring = KeyRing({1: ONE}, active=1, stable=1)
    assert ONE.hex() not in repr(ring)
    assert repr(ONE)[2:20] not in repr(ring)
    assert "active=1" in repr(ring)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("active = ", "not a key ring: "),
        ("", "not a key ring: active is missing"),
        ("active = 1\nstable = 1\n", "not a key ring: keys is missing"),
        (ring_text(active=2), "active = 2: no such key on the ring"),
        (ring_text(stable=2), "stable = 2: no such key on the ring"),
        (ring_text(active='"1"'), "active: not a key id"),
        (ring_text(stable="true"), "stable: not a key id"),
        ("other = 1\n" + ring_text(), "unknown entry 'other'"),
        ("keys = 1\nactive = 1\nstable = 1", "keys: not a table"),
        (ring_text(keys=""), "active = 1: no such key on the ring"),
        (ring_text(keys=f'1 = "{ONE.hex()[:-2]}"'), "key 1: 63 bytes, not 64"),
        (ring_text(keys=f'1 = "{ONE.hex()}00"'), "key 1: 65 bytes, not 64"),
        (ring_text(keys=f'1 = "{ONE.hex()[:-1]}"'), "key 1: not a string of lower-case hex"),
        (ring_text(keys=f'1 = "{"g" * 128}"'), "key 1: not a string of lower-case hex"),
        (ring_text(keys="1 = 5"), "key 1: not a string of lower-case hex"),
        (ring_text(keys=f'1 = "{ONE.hex()}"\n2 = "{ONE.hex()}"'), "two ids have the same key"),
        (ring_text(keys=f'1 = "{ONE.hex()}"\n1 = "{TWO.hex()}"'), "not a key ring: "),
        (ring_text(keys=f'1 = "{ONE.hex()}"\n256 = "{TWO.hex()}"'), "key 256: ids are 1 to 255"),
        (ring_text(keys=f'1 = "{ONE.hex()}"\n0 = "{TWO.hex()}"'), "key '0': ids are 1 to 255"),
        (ring_text(keys=f'1 = "{ONE.hex()}"\n01 = "{TWO.hex()}"'), "key '01': ids are 1 to 255"),
    ],
)
def test_refuses_what_is_not_a_ring(tmp_path: Path, text: str, reason: str) -> None:
    path = write(tmp_path / "mask.key", text)
    with pytest.raises(KeyRingError) as error:
        KeyRing.load(path)
    assert str(error.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(error.value)
    assert ONE.hex()[:32] not in str(error.value)
    assert error.value.exit_code == 78


def test_names_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match=r"none\.key: No such file or directory$"):
        KeyRing.load(tmp_path / "none.key")
    with pytest.raises(KeyRingError, match=r"Is a directory$"):
        KeyRing.load(tmp_path)


def test_refuses_bytes_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "mask.key"
    path.touch(0o600)
    path.write_bytes(os.urandom(8) + b"\xff\xff")
    with pytest.raises(KeyRingError, match=r"not a key ring: not UTF-8 text$"):
        KeyRing.load(path)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o601, 0o660, 0o620])
def test_refuses_a_file_open_to_others(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "mask.key", ring_text(), mode)
    with pytest.raises(KeyRingError, match=rf"mask\.key: .*\(mode {mode:04o}\); chmod 600 it$"):
        KeyRing.load(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_takes_a_file_that_owner_or_service_group_may_read(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "mask.key", ring_text(), mode)
    assert KeyRing.load(path).keys == {1: ONE}


def test_replacing_keeps_the_groups_right_and_a_link(tmp_path: Path) -> None:
    path = write(tmp_path / "mask.key", ring_text(), 0o640)
    link = tmp_path / "link.key"
    link.symlink_to(path)
    KeyRing({2: TWO}, active=2, stable=2).save(link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert KeyRing.load(path).keys == {2: TWO}


@pytest.mark.root  # only root may give a file to another user
def test_replacing_keeps_the_owner(tmp_path: Path) -> None:
    path = write(tmp_path / "mask.key", ring_text())
    os.chown(path, 65534, 65534)
    KeyRing.load(path).rotate().save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
    assert path.stat().st_mode & 0o777 == 0o600


def test_does_not_overwrite_unless_told(tmp_path: Path) -> None:
    path = write(tmp_path / "mask.key", ring_text())
    with pytest.raises(KeyRingError, match="exists already"):
        KeyRing.generate().save(path, overwrite=False)
    assert path.read_text() == ring_text()
    assert os.listdir(tmp_path) == ["mask.key"]
    KeyRing({2: TWO}, active=2, stable=2).save(tmp_path / "new.key", overwrite=False)
    assert KeyRing.load(tmp_path / "new.key").active == 2


def test_says_why_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match=r"mask\.key: No such file or directory$"):
        KeyRing.generate().save(tmp_path / "none" / "mask.key")
