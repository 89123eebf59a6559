"""The addresses that a spelling may stand for, packed."""

import socket
from typing import Final

_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2
_TRANSLATED: Final = bytes.fromhex("0064ff9b") + bytes(8)  # RFC 6052 section 2.1
_COMPATIBLE: Final = bytes(12)  # RFC 4291 section 2.5.5.1
_FIRST_OF_IPV4: Final = 1 << 24  # below it stand :: and ::1, and addresses that nobody has


def dotted(text: bytes) -> list[bytes]:
    """Four numbers with dots: as decimal, and as inet_aton(3) reads a leading zero, as octal."""
    parts = text.split(b".")
    numbers = [int(part) for part in parts]
    found = [bytes(numbers)] if max(numbers) < 256 else []
    may_be_octal = text[0] == 48 or text.find(b".0") >= 0
    if may_be_octal and any(len(part) > 1 and part[0] == 48 for part in parts):
        try:
            octal = [int(part, 8) if part[0] == 48 else int(part) for part in parts]
        except ValueError:
            return found
        if max(octal) < 256 and octal != numbers:
            found.append(bytes(octal))
    return found


def number(text: bytes) -> bytes:
    """One to four numbers as inet_aton(3) takes them; empty where it does not."""
    try:
        return socket.inet_aton(text.decode("ascii"))
    except (OSError, ValueError):
        return b""


def colons(text: bytes) -> bytes:
    """An IPv6 address; of one that holds an IPv4 address, that one; empty where it is none."""
    try:
        address = socket.inet_pton(socket.AF_INET6, text.decode("ascii"))
    except (OSError, ValueError):
        return b""
    if address.startswith((_MAPPED, _TRANSLATED)):
        return address[12:]
    if address.startswith(_COMPATIBLE) and int.from_bytes(address[12:], "big") >= _FIRST_OF_IPV4:
        return address[12:]
    return address


def run(text: bytes) -> list[bytes]:
    """What a run of hex digits, colons and dots may stand for: the whole, what is left without final
    colons and dots, and without a port."""
    bare = text if text.endswith(b"::") else text.rstrip(b".:")
    candidates = {text: None, bare: None}
    host, _, port = bare.rpartition(b":")
    if port.isdigit() and host.count(b":") > 1:
        candidates[host] = None
    return [address for address in map(colons, candidates) if address]
