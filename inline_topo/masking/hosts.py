"""Which hosts are inside, own, protected; and which of them a packet must not show."""

import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from inline_topo.bounds import LONGEST_HOST
from inline_topo.masking.cache import Cache

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_REMEMBERED: Final = 1 << 14
_LONGEST_REMEMBERED: Final = 256
_IPV4_TEXT: Final = re.compile(
    rb"(?<![0-9])(?=((?:0[0-9]{1,3}|[0-9]{1,3})(?:\.(?:0[0-9]{1,3}|[0-9]{0,3})){3})(?![0-9]))"
)
_MAY_BE_OCTAL: Final = re.compile(rb"(?<![0-9])0[0-9]{1,3}\.|\.0[0-9]{1,3}(?![0-9])")
_PADDED: Final = re.compile(rb"([0-9]{1,3})\.([0-9]{0,3})\.([0-9]{0,3})\.([0-9]{0,3})")
_DASHED: Final = re.compile(
    rb"(?<![0-9])([0-9]{1,3}([-_])[0-9]{1,3}\2[0-9]{1,3}\2[0-9]{1,3})(?![0-9_-])"
)
TO_DOTS: Final = bytes.maketrans(b"-_", b"..")
"""How names with dashes or underscores (`dashed`) become addresses."""

_REVERSED: Final = re.compile(  # RFC 1035 section 3.5
    rb"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.in-addr\.arpa", re.IGNORECASE
)
_IPV6_TEXT: Final = re.compile(rb"[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f.:]*[0-9A-Fa-f:]|::")


class Host(NamedTuple):
    """A host as the rules see it.

    `address` is the packed IP literal, empty for a name. `own`: outsiders are meant to see it.
    `named`: it lies in `inside` or `protected`. Where own and named, own wins. `name` tells named
    hosts apart that are no literals.
    """

    address: bytes
    own: bool
    named: bool
    name: bytes = b""


_NUMBER: Final = rb"(?:0[xX][0-9A-Fa-f]+|[0-9]+)(?:\.(?:0[xX][0-9A-Fa-f]+|[0-9]+)){0,3}"
_NUMBERS: Final = re.compile(_NUMBER)
_NUMBER_AS_HOST: Final = re.compile(
    rb"(?:@|//|sips?:|/[A-Za-z-]{2,8}[ \t]+|[;?&](?:maddr|received|alias|host)=)("
    + _NUMBER
    + rb")(?![\w.@-])",
    re.IGNORECASE,
)
PLAIN_QUAD: Final = re.compile(rb"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_MAY_WRAP: Final = re.compile(
    rb"\.(?=\.|25[6-9]|2[6-9][0-9]|[3-9][0-9][0-9]|[0-9]{4})"
    rb"|(?:25[6-9]|2[6-9][0-9]|[3-9][0-9][0-9]|[0-9]{4})\.|(?<![\w.-])\.[0-9]"
)
_REFERENCE: Final = re.compile(rb"&#(?:0{0,4}([0-9]{1,3})|[xX]0{0,4}([0-9A-Fa-f]{1,2}));?")
_ZEROS: Final = re.compile(rb"(?<![0-9A-Fa-f])0+(?=[0-9])")
_MOST_READINGS: Final = 3
_MOST_READINGS_OF_NONE: Final = 16  # networks, for an address that lacks a number
_WRAPPING: Final = re.compile(
    rb"(?<![0-9])(?=([0-9]+(?:\.[0-9]*){3})(?![0-9]))|(?<![\w.-])(?=(\.[0-9]*\.[0-9]*\.[0-9]+))"
)

_MAPPED: Final = bytes(10) + b"\xff\xff"  # ::ffff:10.0.0.5 (RFC 4291 section 2.5.5.2)
_TRANSLATED: Final = bytes.fromhex("0064ff9b") + bytes(8)  # RFC 6052 section 2.1

NO_HOST: Final = Host(b"", True, False)
"""What a URI without a host (tel:, urn:) counts as: there is nothing to hide."""

UNKNOWN: Final = Host(b"", False, False)
"""What stands where no URI can be read: somebody's, and not ours."""


def pack_address(host: bytes) -> bytes:
    """The 4 or 16 bytes of an IP literal (an IPv6 one with or without brackets), b"" for a name."""
    try:
        if b":" in host:
            return socket.inet_pton(socket.AF_INET6, host.strip(b"[]").decode())
        return socket.inet_pton(socket.AF_INET, host.decode())
    except (OSError, ValueError):
        padded = _PADDED.fullmatch(host)  # 010.0..5, which Kamailio reads as 10.0.0.5
        numbers = [int(number or b"0") for number in padded.groups()] if padded else [256]
        return bytes(numbers) if max(numbers) < 256 else b""


def _without_zone(host: bytes) -> bytes:
    """An IPv6 literal without the zone behind its `%` (RFC 4007 section 11); empty for anything else."""
    literal = host[: host.find(b"%")]
    return literal if b":" in literal and pack_address(literal) else b""


def may_be_odd(text: bytes) -> bool:
    """Whether `Hosts.named_in_uri` may find more in a text than `named_in`: a quick look."""
    if len(text.translate(None, b"&\\%")) < len(text):
        return True
    if _MAY_WRAP.search(text) or _MAY_BE_OCTAL.search(text) or _REVERSED.search(text):
        return True
    return any(not PLAIN_QUAD.fullmatch(number) for number in _NUMBER_AS_HOST.findall(text))


def _referenced(match: re.Match[bytes]) -> bytes:
    """The byte that a numeric character reference stands for."""
    number = int(match[1]) if match[1] else int(match[2], 16)
    return bytes((number,)) if number < 256 else match[0]


def readings(text: bytes) -> list[bytes]:
    """A text, and what it is without `%` twice, character references and backslashes."""
    found = [text]
    while len(found) < _MOST_READINGS and len(found[-1].translate(None, b"&\\%")) < len(found[-1]):
        last = found[-1]
        read = unquote_to_bytes(last.replace(b"\\", b""))
        if b"&#" in read:
            read = _REFERENCE.sub(_referenced, read)
        if read == last:
            break
        found.append(read)
    return found


def _wrapped(text: bytes, first: bytes) -> bytes:
    """Four numbers with dots, each without all but its last 8 bits (of which the last 8 digits know); where
    one is missing, that of `first`."""
    pairs = zip(text.split(b"."), first, strict=True)
    return bytes([int(number[-8:]) & 0xFF if number else other for number, other in pairs])


def address_text(address: bytes) -> bytes:
    """An address of 4 or 16 bytes as a SIP host: dotted, or in brackets."""
    if len(address) == 4:
        return socket.inet_ntoa(address).encode()
    return b"[" + socket.inet_ntop(socket.AF_INET6, address).encode() + b"]"


def dashed(text: bytes) -> list[tuple[int, int]]:
    """Where names spell an address with dashes or underscores: behind `ip` and one more character, or as the
    end of a label (ip-10-0-0-5, 10_0_0_5.region.example). Clouds make such names of addresses."""
    if text.find(b"-") < 0 and text.find(b"_") < 0:
        return []
    found = []
    for match in _DASHED.finditer(text):
        start, end = match.span()
        is_label = text[end : end + 1] == b"." and text[end + 1 : end + 2].isalpha()
        if is_label or text[max(start - 3, 0) : max(start - 1, 0)].lower() == b"ip":
            found.append((start, end))
    return found


def _spelled_with_dashes(text: bytes) -> list[bytes]:
    """Those, as they are spelled with dots."""
    return [text[start:end].translate(TO_DOTS) for start, end in dashed(text)]


class Networks:
    """A set of networks that packed addresses are looked up in."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._masks = [
            (n.max_prefixlen // 8, int(n.network_address), int(n.netmask)) for n in networks
        ]

    def __bool__(self) -> bool:
        return bool(self._masks)

    @property
    def ranges(self) -> list[tuple[int, int, int]]:
        """The bytes of an address (4 or 16), the first one and the last one of each network."""
        return [(size, net, net | ~mask & ((1 << 8 * size) - 1)) for size, net, mask in self._masks]

    def __contains__(self, address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        size = len(address)
        for length, net, mask in self._masks:  # noqa: SIM110 (compiled, a generator costs more)
            if size == length and number & mask == net:
                return True
        return False


class Hosts:
    """The configured sets: `inside` (networks), `own` (addresses, names), `protected` (both).

    A protected name covers its subdomains. With `own_is_inside` (shape nat) traffic from and to an
    own address counts as the inside's.
    """

    def __init__(
        self,
        inside: Iterable[Network],
        own: Iterable[Address | str],
        protected: Iterable[Network | str] = (),
        *,
        own_is_inside: bool = False,
    ) -> None:
        own, protected = tuple(own), tuple(protected)
        self.inside = Networks(inside)
        self.own_addresses = [a.packed for a in own if not isinstance(a, str)]
        self._own_names = {name.lower().encode() for name in own if isinstance(name, str)}
        self.protected = Networks(n for n in protected if not isinstance(n, str))
        ranges = (*self.inside.ranges, *self.protected.ranges)
        firsts = [first.to_bytes(4, "big") for size, first, _ in ranges if size == 4]
        self._firsts = firsts[:_MOST_READINGS_OF_NONE]
        self.protected_names = [n.lower().encode() for n in protected if isinstance(n, str)]
        self._own_is_inside = own_is_inside
        self._known: Cache[bytes, Host] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)

    def is_inside(self, address: bytes) -> bool:
        """Whether a packet from or to this packed address is the inside's."""
        return address in self.inside or (self._own_is_inside and address in self.own_addresses)

    def find(self, host: bytes) -> Host:
        """What is known of the host of a URI or Via (any case, brackets and final dot included)."""
        known = self._known.get(host)
        if known is None:
            known = self._classify(host)
            self._known.remember(host, known, len(host))
        return known

    def _classify(self, host: bytes) -> Host:
        if b"%" in host:
            host = _without_zone(host) or unquote_to_bytes(unquote_to_bytes(host))
        address = pack_address(host)
        if _NUMBERS.fullmatch(host):
            try:  # a resolver reads a name as inet_aton(3) does: 0xa000005, 10.5, 012.0.0.5
                number = self.literal(socket.inet_aton(host.decode()))
            except OSError:
                number = NO_HOST
            if number.named and number.address != address:
                return number
        if address:
            return self.literal(address)
        name = host.lower().rstrip(b".")
        named = any(name == n or name.endswith(b"." + n) for n in self.protected_names)
        if not named:  # a name may spell an address: 192.168.178.22.nip.example
            packed = filter(None, map(pack_address, set(_IPV4_TEXT.findall(name))))
            hosts = [*map(self.literal, packed), *map(self.find, _spelled_with_dashes(name))]
            hosts += self._reversed(name)
            named = any(host.named and not host.own for host in hosts)
        return Host(b"", name in self._own_names, named, name if named else b"")

    def _reversed(self, text: bytes) -> list[Host]:
        """The addresses that names for looking up names spell backwards."""
        found = []
        for quad in _REVERSED.findall(text):
            address = pack_address(b".".join(quad[::-1]))
            found += [self.literal(address)] if address else []
        return found

    def literal(self, address: bytes) -> Host:
        """What is known of a packed address."""
        if len(address) == 16 and address.startswith((_MAPPED, _TRANSLATED)):
            inner = self.literal(address[12:])
            return Host(address, inner.own, inner.named)
        named = address in self.inside or address in self.protected
        return Host(address, address in self.own_addresses, named)

    def named_in(self, text: bytes) -> list[Host]:
        """The IP literals anywhere in a text, names that spell one, and the protected names; escaped ones
        (%2E) too."""
        if b"%" in text:
            text = b"\n".join((text, unquote_to_bytes(text)))
        literals = _IPV4_TEXT.findall(text) + _spelled_with_dashes(text)
        if text.count(b":") > 1:
            for found in _IPV6_TEXT.findall(text):
                if (
                    len(found) <= LONGEST_HOST
                ):  # what stands before its first colon may be no part of it
                    literals += (found, found.partition(b":")[2])
        hosts = [host for host in map(self.find, dict.fromkeys(literals)) if host.address]
        lower = text.lower()
        return hosts + [self.find(name) for name in self.protected_names if name in lower]

    def named_in_uri(self, text: bytes) -> list[Host]:
        """The same in a URI or what stands beside it, in spellings that somebody might undo: `%` twice,
        character references, backslashes; a number for an address where a host may stand; and what
        Kamailio makes of odd ones (266.0.0.5 is 10.0.0.5, and .0.0.5 has whatever octet it had before)."""
        joined = b"\n".join(readings(text))
        hosts = self.named_in(joined) + self._reversed(joined)
        quads = _WRAPPING.findall(joined) if _MAY_WRAP.search(joined) else []
        for quad in {whole or headless for whole, headless in quads}:
            firsts = self._firsts if quad[:1] == b"." or quad.find(b"..") >= 0 else self._firsts[:1]
            hosts += [self.literal(_wrapped(quad, first)) for first in firsts]
        numbers = set(_NUMBER_AS_HOST.findall(joined))
        return hosts + [host for host in map(self.find, numbers) if host.named]

    def named_to_proxies(self, text: bytes) -> list[Host]:
        """The same, also without zeros before numbers: a proxy reads 010.0.0.5 as 10.0.0.5."""
        hosts, plain = self.named_in_uri(text), _ZEROS.sub(b"", text)
        return hosts if plain == text else hosts + self.named_in_uri(plain)

    def has_name(self, text: bytes) -> bool:
        """Whether a protected name stands in a text, anywhere."""
        if not self.protected_names:
            return False
        lower = text.lower()
        return any(name in lower for name in self.protected_names)

    def mentions(self, text: bytes) -> bool:
        """Whether the text names something inside or protected that isn't own, anywhere in it."""
        return any(host.named and not host.own for host in self.named_in(text))
