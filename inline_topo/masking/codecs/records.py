"""Records that a store keeps for us: keys that tell nothing, values that nobody reads or changes.

A key is one byte of kind and a MAC over what the record is about, so the same content has the same key
on every gateway with this key ring. A value is sealed by AES-SIV together with its key: one that was
changed, moved to another key or made by another key ring does not open.
"""

from collections.abc import Iterable
from hashlib import blake2b, sha512
from typing import Final

from inline_topo.masking.codecs import siv
from inline_topo.masking.codecs.keyring import KeyRing

KIND_RECORD: Final = b"inline-topo record 1"
MAC_SIZE: Final = 12  # bytes: nobody guesses one in 2^96

_SIZE: Final = 4  # bytes before each part
_LENGTHS: Final = [length.to_bytes(_SIZE, "big") for length in range(1024)]


class Seal:
    """Makes keys, seals and opens values. `secret` has 64 bytes."""

    def __init__(self, secret: bytes, *, fast: bool = True) -> None:
        mac_key = blake2b(b"inline-topo record keys 1", key=secret).digest()
        self._mac = blake2b(key=mac_key, digest_size=MAC_SIZE)
        self._siv = siv.make(secret, fast=fast)

    @classmethod
    def of_ring(cls, ring: KeyRing, *, fast: bool = True) -> "Seal":
        """By the stable key: a dialog outlives a rotation."""
        return cls(ring.keys[ring.stable], fast=fast)

    @classmethod
    def of_word(cls, word: bytes, *, fast: bool = True) -> "Seal":
        """By Kamailio's `mask_key`."""
        return cls(sha512(b"inline-topo records 1" + word).digest(), fast=fast)

    def key(self, kind: bytes, *parts: bytes) -> bytes:
        """The key of the record of this kind (one byte) about `parts`."""
        mac = self._mac.copy()
        mac.update(kind + pack(parts))
        return kind + mac.digest()

    def seal(self, key: bytes, content: bytes) -> bytes:
        """The value to keep under `key`."""
        return self._siv.seal(KIND_RECORD, key + content)

    def open(self, key: bytes, value: bytes) -> bytes | None:
        """What was sealed for `key`; None for anything else."""
        if len(value) < siv.TAG_SIZE:
            return None
        content = self._siv.open(KIND_RECORD, value)
        return content[len(key) :] if content is not None and content.startswith(key) else None


def pack(parts: Iterable[bytes]) -> bytes:
    """The parts one after the other, each with its length."""
    packed: list[bytes] = []
    for part in parts:
        length = len(part)
        packed.append(_LENGTHS[length] if length < len(_LENGTHS) else length.to_bytes(_SIZE, "big"))
        packed.append(part)
    return b"".join(packed)


def unpack(packed: bytes) -> list[bytes]:
    """The parts that were packed."""
    parts, position = [], 0
    while position < len(packed):
        start = position + _SIZE
        position = start + int.from_bytes(packed[start - _SIZE : start], "big")
        parts.append(packed[start:position])
    return parts
