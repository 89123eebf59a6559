"""Hosts in any text, and whether they are hidden: the audit's own search, not the masker's.

It knows no fields and no grammar: whatever reads as an address or as a protected name counts, in any
spelling (leading zeros, IPv6 in long form or mapped, capitals, percent-encoded).
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from inline_topo.config import Config

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_IPV4 = re.compile(rb"(?<![0-9])(?=([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![0-9]))")
_IPV6 = re.compile(rb"(?<![0-9A-Za-z_:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_DIGIT_DOT, _DOT_DIGIT = re.compile(rb"[0-9]\."), re.compile(rb"\.[0-9]")


class Sighting(NamedTuple):
    """A host that stands in a text: `kind` is ipv4, ipv6 or name, `shown` how it is spelled.

    `is_whole` where nothing says that it is part of something else, as in 1.2.3.4.5.
    """

    kind: str
    shown: bytes
    host: Address | str
    is_whole: bool = True


class Judge:
    """Says which hosts must not be seen, by the definitions of own, inside and protected."""

    def __init__(self, config: Config) -> None:
        self._own = {_plain(host) for host in config.own}
        protected = [place for place in config.protected if not isinstance(place, str)]
        self._networks: list[Network] = [*config.inside, *protected]
        names = [place.encode() for place in config.protected if isinstance(place, str)]
        self._names = [re.compile(_NAME % re.escape(name), re.IGNORECASE) for name in names]
        self._parts = [re.compile(re.escape(name), re.IGNORECASE) for name in names]

    def hidden(self, text: bytes, visible: Iterable[Address]) -> list[Sighting]:
        """The hosts in `text` that must not be seen: IP literals that are neither own nor among
        `visible` (the mask address, the packet's outside end), and protected names. Five numbers
        with dots are no address, but they count if a part of them lies in `inside`."""
        seen = {_plain(address) for address in visible} | self._own
        return [
            sighting
            for sighting in self._find(text)
            if _plain(sighting.host) not in seen
            and (sighting.is_whole or self._is_named(sighting.host))
        ]

    def named(self, text: bytes, visible: Iterable[Address]) -> list[Sighting]:
        """Those alone that lie in `inside` or `protected`."""
        return [s for s in self.hidden(text, visible) if self._is_named(s.host)]

    def mentioned(self, text: bytes, visible: Iterable[Address]) -> list[Sighting]:
        """As `named`, for a Call-ID, where a protected name may be part of a longer word."""
        found = self.named(text, visible)
        if not any(sighting.kind == "name" for sighting in found):
            for part in self._parts:
                found += [
                    Sighting("name", m[0], m[0].decode().lower()) for m in part.finditer(text)
                ]
        return [sighting for sighting in found if _plain(sighting.host) not in self._own]

    def _is_named(self, host: Address | str) -> bool:
        if isinstance(host, str):
            return True
        plain = _plain(host)
        return any(address in network for network in self._networks for address in {host, plain})

    def _find(self, text: bytes) -> Iterator[Sighting]:
        found: dict[tuple[str, bytes], Sighting] = {}
        for spelling in (text, unquote_to_bytes(text)) if b"%" in text else (text,):
            for sighting in self._read(spelling):
                found.setdefault((sighting.kind, sighting.shown), sighting)
        return iter(found.values())

    def _read(self, text: bytes) -> Iterator[Sighting]:
        mapped = set()
        for match in _IPV6.finditer(text) if text.count(b":") > 1 else ():
            address6 = _ipv6(match[0])
            if address6:
                mapped.add(match.end())
                yield Sighting("ipv6", match[0].rstrip(b".:") or match[0], address6)
        for match in _IPV4.finditer(text):
            numbers = [int(number) for number in match[1].split(b".")]
            if max(numbers) < 256 and match.end(1) not in mapped:
                start, end = match.span(1)
                before, after = text[max(start - 2, 0) : start], text[end : end + 2]
                is_whole = not (_DIGIT_DOT.fullmatch(before) or _DOT_DIGIT.fullmatch(after))
                yield Sighting("ipv4", match[1], IPv4Address(bytes(numbers)), is_whole)
        for name in self._names:
            for match in name.finditer(text):
                yield Sighting("name", match[0], match[0].decode().lower().rstrip("."))


_NAME = rb"(?<![A-Za-z0-9_.-])(?:[A-Za-z0-9_-]+\.)*%s(?![A-Za-z0-9_-])(?!\.[A-Za-z0-9])"


def _plain(host: Address | str) -> Address | str:
    """A host for comparison: an IPv4 address that was mapped into IPv6 is that address."""
    if isinstance(host, IPv6Address) and host.ipv4_mapped:
        return host.ipv4_mapped
    return host


def _ipv6(text: bytes) -> IPv6Address | None:
    """The address that a run of hex digits and colons begins with; a port or a dot may follow."""
    if not re.search(rb"[0-9A-Fa-f]", text):
        return None
    for candidate in (text, text.rstrip(b"."), text.rstrip(b".:")):
        try:
            address = ip_address(candidate.decode())
        except ValueError:
            continue
        return address if isinstance(address, IPv6Address) else None
    return None
