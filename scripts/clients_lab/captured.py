"""A byte search over what an outsider received, that shares nothing with the package."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from scapy.utils import RawPcapReader

from attacks.search import Secrets
from clients_lab.settings import STRICT, Setting

_RUN = re.compile(rb"[A-Za-z0-9+/_-]{12,}={0,2}")
_MEDIA = (b"c=", b"m=", b"a=candidate", b"a=rtcp")
_CLEAR_HEADERS = (
    b"call-id",
    b"i",
    b"from",
    b"f",
    b"to",
    b"t",
    b"authorization",
    b"proxy-authorization",
)
"""What README's table leaves clear in profile default, and what a digest covers."""
_REPLACES = re.compile(rb"(?i)[?&;]Replaces=[^&>;]*")
_ETHERNET, _UDP = 14, 8  # octets of headers
_FRAGMENT = 44  # the IPv6 extension header


def shown(capture: Path, setting: Setting) -> list[str]:
    """What names the inside in what left for the outside, but for what the profile leaves clear: one
    line for each place, with the header field."""
    search = _Search(setting.hidden())
    found: dict[str, int] = {}
    for payload in left(capture, setting):
        start = payload.split(b" ", 1)[0]
        for line in _judged(payload, is_strict=setting.treatment == STRICT):
            for name in search.in_line(line):
                place = f"{start.decode(errors='replace')}: {name} in {line[:120].decode(errors='replace')}"
                found[place] = found.get(place, 0) + 1
    return [f"{place} ({count} times)" for place, count in found.items()]


def left(capture: Path, setting: Setting) -> Iterator[bytes]:
    """The payloads of the UDP datagrams that somebody outside received from the router."""
    at = setting.at
    outside = {ipaddress.ip_address(one).packed for one in (at.bob, at.carol, at.carrier)}
    parts: dict[tuple[bytes, bytes, int], list[_Piece]] = {}
    with RawPcapReader(str(capture)) as reader:
        for frame, _ in reader:
            piece = _piece(bytes(frame)[_ETHERNET:])
            if piece.target not in outside or piece.source in outside:
                continue
            key = piece.source, piece.target, piece.number
            pieces = parts.setdefault(key, [])
            pieces.append(piece)
            if not piece.is_followed:
                yield _whole(parts.pop(key))
    yield from map(_whole, parts.values())


class _Piece(NamedTuple):
    """A datagram, or a fragment of one; `number` tells whose."""

    source: bytes
    target: bytes
    number: int
    offset: int
    is_followed: bool
    data: bytes


def _whole(pieces: list[_Piece]) -> bytes:
    """The payload of a datagram, behind its UDP header; what is missing is left out."""
    ordered = sorted(pieces, key=lambda piece: piece.offset)
    return b"".join(piece.data for piece in ordered)[_UDP:]


def _piece(packet: bytes) -> _Piece:
    if packet[0] >> 4 == 4:
        start, end = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
        flags = int.from_bytes(packet[6:8], "big")
        offset, is_followed = (flags & 0x1FFF) * 8, bool(flags & 0x2000)
        number = int.from_bytes(packet[4:6], "big")
        return _Piece(packet[12:16], packet[16:20], number, offset, is_followed, packet[start:end])
    start, number, flags = 40, 0, 0
    if packet[6] == _FRAGMENT:
        flags, number = int.from_bytes(packet[42:44], "big"), int.from_bytes(packet[44:48], "big")
        start = 48
    return _Piece(
        packet[8:24], packet[24:40], number, flags & 0xFFF8, bool(flags & 1), packet[start:]
    )


def _judged(payload: bytes, *, is_strict: bool) -> Iterator[bytes]:
    """The lines in which nothing of the inside may show."""
    for line in payload.split(b"\r\n"):
        if not is_strict:
            name = line.partition(b":")[0].strip().lower()
            if name in _CLEAR_HEADERS or line.startswith(_MEDIA):
                continue
            line = _REPLACES.sub(b"", line)
        yield line


class _Search:
    """Looks for addresses as text in every spelling, and packed in base64 or hexadecimal."""

    def __init__(self, names: Iterable[str]) -> None:
        self._secrets = Secrets(names)
        self._packed = {ipaddress.ip_address(name).packed: name for name in self._secrets.names}

    def in_line(self, line: bytes) -> set[str]:
        found = set(self._secrets.shown(line))
        for run in _RUN.findall(line):
            for held in _held(run):
                found |= {
                    f"{name} (packed)" for packed, name in self._packed.items() if packed in held
                }
        return found


def _held(run: bytes) -> Iterator[bytes]:
    """What base64 and hexadecimal make of a run of characters."""
    text = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    for start in range(4):
        part = text[start:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        try:
            yield base64.b64decode(part + b"=" * (-len(part) % 4))
        except binascii.Error:
            continue
    if re.fullmatch(rb"[0-9A-Fa-f]+", run):
        yield bytes.fromhex(run[: len(run) // 2 * 2].decode())
