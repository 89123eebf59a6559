"""The checksum against RFC 1071's own example and scapy."""
# mypy: allow-untyped-calls

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.utils import checksum as scapy_checksum

from inline_topo.wire.checksum import (
    as_field,
    mend_ipv4_header,
    ones_sum,
    sum_of_number,
    sum_of_words,
)


def test_rfc_1071_example() -> None:
    # RFC 1071 section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
    assert ones_sum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2


@given(st.binary(max_size=3000))
def test_agrees_with_scapy(data: bytes) -> None:
    # scapy gives the complement, and may say 0xffff where the number is 0.
    expected = (0xFFFF - scapy_checksum(data)) % 0xFFFF
    assert ones_sum(data) == sum_of_number(data) == sum_of_words(data) == expected


@pytest.mark.parametrize(
    ("value", "field"), [(0, 0xFFFF), (0xFFFF, 0xFFFF), (1, 1), (-1, 0xFFFE), (0x1FFFE, 0xFFFF)]
)
def test_a_field_is_never_0(value: int, field: int) -> None:
    assert as_field(value) == field


@given(
    st.integers(20, 0xFFFF), st.integers(20, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 255)
)
def test_mended_header_is_what_scapy_computes(old: int, new: int, ident: int, ttl: int) -> None:
    def header(length: int) -> bytes:
        return bytes(IP(src="192.0.2.1", dst="198.51.100.7", len=length, id=ident, ttl=ttl))[:20]

    before, after = header(old), header(new)
    (checksum,) = struct.unpack_from("!H", before, 10)
    assert mend_ipv4_header(checksum, old, new).to_bytes(2, "big") == after[10:12]


@given(st.integers(0, 0xFFFE), st.integers(20, 0xFFFF), st.integers(20, 0xFFFF))
def test_a_header_is_as_corrupt_as_before(checksum: int, old: int, new: int) -> None:
    """RFC 1624: the sum over checksum and length stays what it was, right or wrong."""
    mended = mend_ipv4_header(checksum, old, new)
    assert 0 <= mended <= 0xFFFF
    assert (mended + new - checksum - old) % 0xFFFF == 0
    assert mend_ipv4_header(mended, new, old) == checksum


def test_a_length_that_stays_touches_nothing() -> None:
    # 0xffff is the other spelling of 0; it must not be tidied up on the way.
    assert mend_ipv4_header(0xFFFF, 500, 500) == 0xFFFF
