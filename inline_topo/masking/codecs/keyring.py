"""The key ring of the codec aes-siv: keys by id, an active and a stable one among them.

A token names its key by an id of one byte, and any key of the ring opens. New tokens are sealed
under the *active* key, which rotates; Call-IDs, `via1` tokens and REGISTER Contacts under the
*stable* one, because they must stay the same within a dialog or a registration.
"""

import os
import re
import secrets
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from inline_topo.errors import KeyRingError

KEY_BYTES: Final = (
    64  # AES-256 twice, once for the MAC and once for the counter mode (RFC 5297, 2.2)
)
KEY_IDS: Final = range(1, 256)

_HEADER: Final = """\
# Key ring of inline-topo. Keep it secret: whoever reads it can open every token, and make tokens.
# Every node needs the same ring. `active` seals, every key opens; `stable` seals what must not
# change within a dialog or a registration. To rotate on several nodes: `keygen --rotate` one copy,
# bring it to every node with the old `active` first, then with the new one. Take a key off the
# ring when no dialog that began under it is left, and never the stable one.
"""


@dataclass(frozen=True)
class KeyRing:
    """Keys of 64 bytes by id (1 to 255), and the ids of the active and of the stable one.

    KeyRingError when a key has another length, two ids share a key, an id is out of range, or
    `active` or `stable` isn't on the ring.
    """

    keys: Mapping[int, bytes] = field(repr=False)
    active: int
    stable: int

    def __post_init__(self) -> None:
        for key_id, key in self.keys.items():
            if key_id not in KEY_IDS:
                raise KeyRingError(f"key {key_id}: ids are {KEY_IDS[0]} to {KEY_IDS[-1]}")
            if len(key) != KEY_BYTES:
                raise KeyRingError(f"key {key_id}: {len(key)} bytes, not {KEY_BYTES}")
        if len(set(self.keys.values())) != len(self.keys):
            raise KeyRingError("two ids have the same key")
        for role in ("active", "stable"):
            if (key_id := getattr(self, role)) not in self.keys:
                raise KeyRingError(f"{role} = {key_id}: no such key on the ring")

    @classmethod
    def generate(cls) -> Self:
        """A ring with one fresh random key, active and stable."""
        return cls({1: secrets.token_bytes(KEY_BYTES)}, active=1, stable=1)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a ring from a file.

        KeyRingError names the file and what is wrong: missing, not a key ring, or open to others.
        The group may read it, so that a service user can use a ring that only root may change.
        """
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                data = file.read()
        except OSError as error:
            raise KeyRingError(f"{path}: {error.strerror}") from None
        if mode & 0o007:
            raise KeyRingError(f"{path}: open to other users (mode {mode:04o}); chmod 600 it")
        if mode & 0o030:
            raise KeyRingError(f"{path}: its group may change it (mode {mode:04o}); chmod 600 it")
        try:
            return cls.parse(data)
        except KeyRingError as error:
            raise KeyRingError(f"{path}: {error}") from None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The ring in `data`, as `dump` writes it; KeyRingError says what is wrong, never a key."""
        try:
            entries = tomllib.loads(data.decode())
        except UnicodeDecodeError:
            raise KeyRingError("not a key ring: not UTF-8 text") from None
        except (ValueError, RecursionError) as error:
            raise KeyRingError(f"not a key ring: {error}") from None
        for name in ("active", "stable", "keys"):
            if name not in entries:
                raise KeyRingError(f"not a key ring: {name} is missing")
        for name in ("active", "stable"):
            if type(entries[name]) is not int:
                raise KeyRingError(f"{name}: not a key id")
        if not isinstance(entries["keys"], dict):
            raise KeyRingError("keys: not a table")
        if unknown := sorted(entries.keys() - {"active", "stable", "keys"}):
            raise KeyRingError(f"unknown entry {unknown[0]!r}")
        keys = {_key_id(name): _key(name, value) for name, value in entries["keys"].items()}
        return cls(keys, entries["active"], entries["stable"])

    def rotate(self) -> "KeyRing":
        """The ring with one fresh key more, which is the active one; the stable one stays.

        The new id is one above the highest, so that a removed key's id is not soon taken by
        another; KeyRingError when all ids are taken.
        """
        free = [key_id for key_id in KEY_IDS if key_id not in self.keys]
        if not free:
            raise KeyRingError("the ring is full: take old keys off it first")
        new = next((key_id for key_id in free if key_id > max(self.keys)), free[0])
        return KeyRing({**self.keys, new: secrets.token_bytes(KEY_BYTES)}, new, self.stable)

    def dump(self) -> str:
        """The ring as TOML, keys in clear."""
        keys = "".join(f'{key_id} = "{key.hex()}"\n' for key_id, key in sorted(self.keys.items()))
        return f"{_HEADER}\nactive = {self.active}\nstable = {self.stable}\n\n[keys]\n{keys}"

    def save(self, path: Path, *, overwrite: bool = True) -> None:
        """Write the ring to a file that only its owner may read, whole or not at all.

        A file that is replaced keeps its owner, its group and the group's right to read; without
        `overwrite` an existing one is a KeyRingError, as is whatever the file system refuses.
        """
        path = Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
        try:
            fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
            try:
                with os.fdopen(fd, "w", encoding="ascii") as file:
                    file.write(self.dump())
                    file.flush()
                    if overwrite and path.exists():
                        _keep_owner(path, file.fileno())
                    os.fsync(file.fileno())
                if overwrite:
                    os.replace(name, path)
                else:
                    os.link(name, path)  # unlike rename, it fails where the name is taken
            finally:
                Path(name).unlink(missing_ok=True)
            _sync_folder(path.parent)
        except FileExistsError:
            raise KeyRingError(f"{path}: exists already, and is left as it is") from None
        except OSError as error:
            raise KeyRingError(f"{path}: {error.strerror}") from None


def _key_id(name: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,2}", name):
        raise KeyRingError(f"key {name!r}: ids are {KEY_IDS[0]} to {KEY_IDS[-1]}")
    return int(name)


def _key(name: str, value: object) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(r"([0-9a-f]{2})*", value):
        raise KeyRingError(f"key {name}: not a string of lower-case hexadecimal digits")
    return bytes.fromhex(value)


def _keep_owner(path: Path, fd: int) -> None:
    old = path.stat()
    new = os.fstat(fd)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(fd, old.st_uid, old.st_gid)
    os.fchmod(fd, stat.S_IMODE(old.st_mode) & 0o640)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
