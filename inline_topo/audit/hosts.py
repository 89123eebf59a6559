"""Which addresses and names are inside, protected or own, read from the configuration by the audit
itself."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_REMEMBERED: Final = 4096
_GROUP_BITS: Final = 16


class Host(NamedTuple):
    """A packed address. `own`: outsiders are meant to see it. `named`: it is not own, and lies in
    `inside` or `protected`."""

    address: bytes
    own: bool
    named: bool


class Hosts:
    """The sets `inside`, `own` and `protected`. Own wins; a protected name covers its subdomains."""

    def __init__(
        self,
        inside: Iterable[Network],
        own: Iterable[Address | str],
        protected: Iterable[Network | str] = (),
    ) -> None:
        own, protected = list(own), list(protected)
        networks = [*inside, *(one for one in protected if not isinstance(one, str))]
        self._networks = [
            (one.max_prefixlen // 8, int(one.network_address), int(one.netmask)) for one in networks
        ]
        self._own = {one.packed for one in own if not isinstance(one, str)}
        self._own_names = {_plain(one.encode()) for one in own if isinstance(one, str)}
        self.protected_names = [_plain(one.encode()) for one in protected if isinstance(one, str)]
        self.first_groups = _first_groups(networks)
        self._known: dict[bytes, Host] = {}

    def find(self, address: bytes) -> Host:
        """What a packed address is."""
        host = self._known.get(address)
        if host is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            own = address in self._own
            host = self._known[address] = Host(address, own, not own and self._lies_in(address))
        return host

    def bits(self, address: bytes) -> int:
        """The length of the longest prefix of a network that an address lies in; 0 for none."""
        number, size, longest = int.from_bytes(address, "big"), len(address), 0
        for length, net, mask in self._networks:
            if size == length and number & mask == net:
                longest = max(longest, mask.bit_count())
        return longest

    def is_own_name(self, name: bytes) -> bool:
        """Whether a name, in any case, with a final dot or none, is own."""
        return _plain(name) in self._own_names

    def _lies_in(self, address: bytes) -> bool:
        number, size = int.from_bytes(address, "big"), len(address)
        for length, net, mask in self._networks:  # noqa: SIM110 (compiled, a generator costs more)
            if size == length and number & mask == net:
                return True
        return False


def _plain(name: bytes) -> bytes:
    return name.lower().rstrip(b".")


def _first_groups(networks: Iterable[Network]) -> frozenset[int] | None:
    """The first 16 bits that addresses in the networks of IPv6 can have; None: any."""
    groups: set[int] = set()
    for network in networks:
        if network.max_prefixlen == 128:
            if network.prefixlen < _GROUP_BITS:
                return None
            groups.add(int(network.network_address) >> (128 - _GROUP_BITS))
    return frozenset(groups)
