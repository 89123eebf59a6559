"""A byte search over what an outsider received, that shares nothing with the package."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

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
_ETHERNET = 14


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
    """The payloads of UDP, and of fragments, that somebody outside received from the router."""
    at = setting.at
    outside = {ipaddress.ip_address(one).packed for one in (at.bob, at.carol, at.carrier)}
    with RawPcapReader(str(capture)) as reader:
        for frame, _ in reader:
            source, target, payload = _datagram(bytes(frame)[_ETHERNET:])
            if target in outside and source not in outside:
                yield payload


def _datagram(packet: bytes) -> tuple[bytes, bytes, bytes]:
    """Source, target and payload of an IP packet; a later fragment's payload is all of it."""
    if packet[0] >> 4 == 4:
        length = (packet[0] & 15) * 4
        is_later = int.from_bytes(packet[6:8], "big") & 0x1FFF
        total = int.from_bytes(packet[2:4], "big")
        return packet[12:16], packet[16:20], packet[length + (0 if is_later else 8) : total]
    start = 40
    is_later = 0
    if packet[6] == 44:
        is_later = int.from_bytes(packet[42:44], "big") & 0xFFF8
        start += 8
    return packet[8:24], packet[24:40], packet[start + (0 if is_later else 8) :]


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
