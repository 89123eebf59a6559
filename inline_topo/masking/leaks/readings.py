"""What addresses the spelling of one may stand for, packed."""

import socket

_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2
_TRANSLATED = bytes.fromhex("0064ff9b") + bytes(8)  # RFC 6052 section 2.1


def quads(text: bytes) -> list[bytes]:
    """Four numbers with dots: decimal, and with a leading zero octal too, as inet_aton has it."""
    parts = text.split(b".")
    readings = [[int(part) for part in parts]]
    if any(part[:1] == b"0" and len(part) > 1 for part in parts):
        try:
            octal = [int(part, 8) if part[:1] == b"0" else int(part) for part in parts]
        except ValueError:
            octal = []
        readings += [octal] if octal else []
    return [bytes(numbers) for numbers in readings if max(numbers) < 256]


def aton(text: bytes) -> list[bytes]:
    """One to four numbers as inet_aton(3) takes them."""
    try:
        return [socket.inet_aton(text.decode())]
    except OSError:
        return []


def ipv6(text: bytes) -> list[bytes]:
    """What a run of hex digits, colons and dots may stand for: the whole, or an address before a
    port or a full stop; of one that holds an IPv4 address, that one."""
    bare = text.rstrip(b".:") if not text.endswith(b"::") else text
    candidates = [text, bare]
    host, _, port = bare.rpartition(b":")
    if port.isdigit() and host.count(b":") > 1 and b"." not in port:
        candidates.append(host)
    packed = []
    for candidate in candidates:
        try:
            address = socket.inet_pton(socket.AF_INET6, candidate.decode())
        except (OSError, ValueError):
            continue
        is_ipv4 = address.startswith((_MAPPED, _TRANSLATED))
        packed.append(address[12:] if is_ipv4 else address)
    return packed
