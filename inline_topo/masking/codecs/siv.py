"""AES-SIV (RFC 5297) with one string of associated data: deterministic authenticated encryption.

`cryptography` does it in one call into C where it is installed (the extra `fast`). Without it, S2V
and CTR are put together here from pycryptodome's AES: its own MODE_SIV builds a dozen objects at
each call and takes ten times as long. The bytes are the same (tests/masking/codecs/test_siv.py).
"""

from collections.abc import Callable
from hmac import compare_digest
from typing import Final, Protocol

from Crypto.Cipher import AES

from inline_topo.masking.cache import Cache

TAG_SIZE: Final = 16
_ZERO: Final = bytes(16)
_COUNTER_MASK: Final = ~((1 << 63) | (1 << 31))  # RFC 5297 section 2.5


# What is used of the two packages: the compiler sees neither (pyproject.toml, `--no-site-packages`).


class _Aead(Protocol):
    """Does what `cryptography`'s AESSIV does."""

    def encrypt(self, data: bytes, associated_data: list[bytes], /) -> bytes: ...

    def decrypt(self, data: bytes, associated_data: list[bytes], /) -> bytes: ...


class _Cipher(Protocol):
    """Does what pycryptodome's AES does in one of its modes."""

    def encrypt(self, plaintext: bytes, /) -> bytes: ...


aead: Callable[[bytes], _Aead] | None
try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    aead = AESSIV
except ImportError:  # pragma: no cover - the extra `fast` is not installed
    aead = None


class Siv(Protocol):
    """Seals and opens under one key of 32, 48 or 64 bytes."""

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        """The synthetic IV (16 bytes) and the ciphertext (as long as `plaintext`)."""

    def open(self, associated: bytes, sealed: bytes) -> bytes | None:
        """The plaintext, or None where `sealed` was not made with this key and `associated`."""


class FastSiv:
    """AES-SIV by `cryptography`."""

    def __init__(self, key: bytes) -> None:
        if aead is None:
            raise ImportError("the package cryptography is not installed (extra `fast`)")
        self._aes = aead(key)

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        return self._aes.encrypt(plaintext, [associated])

    def open(self, associated: bytes, sealed: bytes) -> bytes | None:
        try:
            return self._aes.decrypt(sealed, [associated])
        except InvalidTag:
            return None


class PlainSiv:
    """AES-SIV on pycryptodome's AES."""

    def __init__(self, key: bytes) -> None:
        half = len(key) // 2
        self._mac_key = key[:half]
        cipher: _Cipher = AES.new(key[half:], AES.MODE_ECB)
        mac_cipher: _Cipher = AES.new(self._mac_key, AES.MODE_ECB)
        self._encrypt = cipher.encrypt
        subkey = _double(int.from_bytes(mac_cipher.encrypt(_ZERO), "big"))
        self._subkeys = subkey, _double(subkey)
        # The kinds of token, and what a Via and the answers to its request are bound to.
        self._associated: Cache[bytes, int] = Cache(1 << 10, 256)

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        tag = self._s2v(associated, plaintext)
        return tag + self._counter_mode(tag, plaintext)

    def open(self, associated: bytes, sealed: bytes) -> bytes | None:
        tag = sealed[:TAG_SIZE]
        plaintext = self._counter_mode(tag, sealed[TAG_SIZE:])
        return plaintext if compare_digest(self._s2v(associated, plaintext), tag) else None

    def _counter_mode(self, tag: bytes, text: bytes) -> bytes:
        length = len(text)
        if not length:
            return b""
        counter = int.from_bytes(tag, "big") & _COUNTER_MASK
        blocks = b"".join(
            [
                ((counter + i) & ((1 << 128) - 1)).to_bytes(16, "big")
                for i in range((length + 15) // 16)
            ]
        )
        stream = int.from_bytes(self._encrypt(blocks)[:length], "big")
        return (int.from_bytes(text, "big") ^ stream).to_bytes(length, "big")

    def _s2v(self, associated: bytes, plaintext: bytes) -> bytes:
        """RFC 5297 section 2.4, for one string of associated data."""
        start = self._associated.get(associated)
        if start is None:
            zero = int.from_bytes(self._cmac(_ZERO), "big")
            start = _double(zero) ^ int.from_bytes(self._cmac(associated), "big")
            self._associated.remember(associated, start, len(associated))
        if len(plaintext) >= 16:
            end = (int.from_bytes(plaintext[-16:], "big") ^ start).to_bytes(16, "big")
            return self._cmac(plaintext[:-16] + end)
        padded = int.from_bytes((plaintext + b"\x80").ljust(16, b"\0"), "big")
        return self._cmac((_double(start) ^ padded).to_bytes(16, "big"))

    def _cmac(self, message: bytes) -> bytes:
        """RFC 4493: CBC whose last block is masked with a subkey."""
        whole = len(message) % 16 == 0 and message
        last = (len(message) - 1) // 16 * 16 if message else 0
        block = message[last:] if whole else (message[last:] + b"\x80").ljust(16, b"\0")
        masked = int.from_bytes(block, "big") ^ self._subkeys[0 if whole else 1]
        cipher: _Cipher = AES.new(self._mac_key, AES.MODE_CBC, iv=_ZERO)
        return cipher.encrypt(message[:last] + masked.to_bytes(16, "big"))[-16:]


def _double(value: int) -> int:
    """Multiplication by x in GF(2^128) (RFC 5297 section 2.3)."""
    value <<= 1
    return value ^ (1 << 128 | 0x87) if value >> 128 else value


def make(key: bytes, *, fast: bool = True) -> Siv:
    """The quickest implementation that is installed; with fast=False always pycryptodome's."""
    return FastSiv(key) if fast and aead is not None else PlainSiv(key)


def library() -> str:
    """The name of the package whose AES `make` uses here: cryptography or pycryptodome."""
    return "pycryptodome" if aead is None else "cryptography"
