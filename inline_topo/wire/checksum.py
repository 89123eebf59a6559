"""The Internet checksum (RFC 1071) as arithmetic modulo 65535.

A right checksum makes the sum of everything it covers 0.
"""

from typing import Final

from inline_topo.compiling import i64

PROTOCOL_UDP: Final = 17

_COMPILED: Final = not __file__.endswith(".py")


def ones_sum(data: bytes) -> int:
    """The one's complement sum of `data` in [0, 65534]; an odd last byte counts as a high byte."""
    return sum_of_words(data) if _COMPILED else sum_of_number(data)


def sum_of_number(data: bytes) -> int:
    """`ones_sum` as Python does it fast, with two calls in C: it is the number that the bytes spell,
    modulo 65535."""
    total = int.from_bytes(data, "big")
    return (total << 8 if len(data) & 1 else total) % 0xFFFF


def sum_of_words(data: bytes) -> int:
    """`ones_sum` as a machine does it fast, of up to 2^48 bytes."""
    total: i64 = 0
    position: i64 = 0
    end: i64 = len(data)
    even: i64 = end & -2
    while position < even:
        total += (data[position] << 8) + data[position + 1]
        position += 2
    if position < end:
        total += data[position] << 8
    return total % 0xFFFF


def as_field(value: int) -> int:
    """A checksum field whose one's complement value is `value`; never 0, which means "none" in UDP.

    RFC 768 and RFC 8200 section 8.1: a computed 0 is sent as 0xFFFF, which is the same number.
    """
    return value % 0xFFFF or 0xFFFF


def mend_ipv4_header(checksum: int, old_length: int, new_length: int) -> int:
    """The header checksum after a change of the total length (RFC 1624), in [0, 65535].

    Only the difference goes in, so a header that was corrupt stays corrupt by the same amount.
    """
    if old_length == new_length:
        return checksum
    return (checksum + old_length - new_length) % 0xFFFF
