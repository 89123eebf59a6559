"""AES-SIV against RFC 5297 and against two libraries that have nothing to do with each other."""

import random
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.masking.codecs import siv
from inline_topo.masking.codecs.siv import FastSiv, PlainSiv, Siv

AESSIV = pytest.importorskip("cryptography.hazmat.primitives.ciphers.aead").AESSIV

VECTORS = tomllib.loads((Path(__file__).parents[2] / "vectors/rfc5297.toml").read_text())
KEY_SIZES = [32, 48, 64]

each_class = pytest.mark.parametrize("make", [FastSiv, PlainSiv])
Make = Callable[[bytes], Siv]


def pycryptodome(key: bytes, associated: list[bytes], plaintext: bytes) -> bytes:
    cipher = AES.new(key, AES.MODE_SIV)
    for string in associated:
        cipher.update(string)
    ciphertext, tag = cipher.encrypt_and_digest(plaintext)
    return tag + ciphertext


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())
def test_the_judges_know_the_rfc(vector: dict[str, str | list[str]]) -> None:
    """What ours is compared with below gives the RFC's own output, several strings included."""
    key, plaintext, output = (
        bytes.fromhex(str(vector[name])) for name in ("key", "plaintext", "output")
    )
    associated = [bytes.fromhex(string) for string in vector["associated"]]
    assert pycryptodome(key, associated, plaintext) == output
    assert AESSIV(key).encrypt(plaintext, associated) == output


@each_class
def test_rfc_5297_a_1(make: Make) -> None:
    """The vector with one string of associated data, which is what we use."""
    vector = VECTORS["A.1 deterministic authenticated encryption"]
    cipher = make(bytes.fromhex(vector["key"]))
    associated = bytes.fromhex(vector["associated"][0])
    plaintext, output = bytes.fromhex(vector["plaintext"]), bytes.fromhex(vector["output"])
    assert cipher.seal(associated, plaintext) == output
    assert cipher.open(associated, output) == plaintext


@pytest.mark.parametrize("size", KEY_SIZES)
def test_equal_bytes_at_every_length(size: int) -> None:
    source = random.Random(size)
    for length in range(81):
        key, associated = source.randbytes(size), source.randbytes(source.choice([0, 1, 16, 19]))
        plaintext = source.randbytes(length)
        expected = pycryptodome(key, [associated], plaintext)
        for make in (FastSiv, PlainSiv):
            cipher: Siv = make(key)
            if make is PlainSiv or length:  # cryptography before 42.0.1 refuses empty plaintext
                assert cipher.seal(associated, plaintext) == expected, (make, length)
                assert cipher.open(associated, expected) == plaintext, (make, length)


@given(
    st.sampled_from(KEY_SIZES).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    st.binary(max_size=40),
    st.binary(min_size=1, max_size=400),
)
def test_equal_bytes_on_random_values(key: bytes, associated: bytes, plaintext: bytes) -> None:
    expected = pycryptodome(key, [associated], plaintext)
    assert PlainSiv(key).seal(associated, plaintext) == expected
    assert FastSiv(key).seal(associated, plaintext) == expected


def test_the_counter_is_cleared_in_two_bits() -> None:
    """RFC 5297 section 2.5: bits 31 and 63 of the IV are 0 in the counter. All four cases occur."""
    seen = set()
    source = random.Random(5297)
    for _ in range(200):
        key = source.randbytes(32)
        sealed = PlainSiv(key).seal(b"", bytes(100))
        assert sealed == pycryptodome(key, [b""], bytes(100))
        seen.add((sealed[8] >> 7, sealed[12] >> 7))
    assert seen == {(0, 0), (0, 1), (1, 0), (1, 1)}


@each_class
def test_a_changed_bit_anywhere_does_not_open(make: Make) -> None:
    cipher = make(bytes(range(64)))
    sealed = cipher.seal(b"kind", b"sip:bob@10.0.0.5")
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        assert cipher.open(b"kind", bytes(changed)) is None
    assert cipher.open(b"kind", sealed[:-1]) is None
    assert cipher.open(b"kind", sealed + b"\0") is None
    assert cipher.open(b"kinds", sealed) is None
    assert make(bytes(range(1, 65))).open(b"kind", sealed) is None


def test_the_quickest_is_chosen_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(siv.make(bytes(range(64))), FastSiv)
    assert isinstance(siv.make(bytes(range(64)), fast=False), PlainSiv)
    assert siv.library() == "cryptography"
    monkeypatch.setattr(siv, "aead", None)  # as without the extra
    assert isinstance(siv.make(bytes(range(64))), PlainSiv)
    assert siv.library() == "pycryptodome"
    with pytest.raises(ImportError, match="fast"):
        FastSiv(bytes(range(64)))
