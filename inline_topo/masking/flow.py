"""What all packets between two endpoints share: direction, mask address, rules that can match."""

from enum import StrEnum
from typing import Final, NamedTuple

from inline_topo.masking.cache import Cache
from inline_topo.masking.hosts import Hosts, address_text
from inline_topo.masking.policy import Policy, Rule, decides_identifiers

_REMEMBERED: Final = 1 << 14
_LONGEST: Final = 36  # bytes: the endpoints of IPv6
_DEFAULT_PORT: Final = 5060


class Direction(StrEnum):
    """Where a packet goes, by its addresses alone (a str, whose hash costs nothing in the packet path)."""

    EGRESS = "egress"
    INGRESS = "ingress"
    INSIDE = "inside"
    TRANSIT = "transit"
    NONE = "none"  # no UDP datagram, so not asked


class Flow(NamedTuple):
    """What is known of a packet from its endpoints.

    `mask` is the mask address as it stands in a message, `mask_address` its bytes; `inside` and
    `outside` are the packed addresses of the two ends. `rules` are those of the policy that its
    messages can meet, `masks_identifiers` what they say about Call-ID and topmost Via. `place` is the
    outside end with its port, as it may stand in a URI. `is_inner`: the mask address is inside and nobody
    outside is meant to see it, so nothing is masked with it.
    """

    direction: Direction
    mask: bytes
    mask_address: bytes
    inside: bytes
    outside: bytes
    port: int
    rules: tuple[Rule, ...]
    masks_identifiers: bool
    place: bytes = b""
    is_inner: bool = False


class Flows:
    """Finds the flow of a datagram's endpoints, and remembers it.

    `mask_ip` is a packed address, or empty for "auto"; `public` the packed public addresses of
    shape nat (one a family). `is_veiled`: addresses get pseudonyms behind the masking, so an inner one may
    stand for a mask.
    """

    def __init__(
        self,
        hosts: Hosts,
        policy: Policy,
        mask_ip: bytes = b"",
        public: tuple[bytes, ...] = (),
        *,
        is_veiled: bool = False,
    ) -> None:
        self._is_veiled = is_veiled
        self._hosts = hosts
        self._policy = policy
        self._mask_ip = mask_ip
        self._public = public
        self._known: Cache[bytes, Flow] = Cache(_REMEMBERED, _LONGEST)

    def find(self, endpoints: bytes) -> Flow:
        """The flow of `endpoints` (source, destination, source port, destination port)."""
        flow = self._known.get(endpoints)
        if flow is None:
            flow = self._make(endpoints)
            self._known.remember(endpoints, flow, len(endpoints))
        return flow

    def _make(self, endpoints: bytes) -> Flow:
        size = (len(endpoints) - 4) // 2
        source, destination = endpoints[:size], endpoints[size : 2 * size]
        leaves, enters = self._hosts.is_inside(source), self._hosts.is_inside(destination)
        if leaves == enters:
            direction = Direction.INSIDE if leaves else Direction.TRANSIT
            return Flow(direction, b"", b"", source, destination, 0, (), True)
        if leaves:
            direction, inside, outside = Direction.EGRESS, source, destination
        else:
            direction, inside, outside = Direction.INGRESS, destination, source
        ports = int.from_bytes(endpoints[-4:-2], "big"), int.from_bytes(endpoints[-2:], "big")
        number, outer = ports if leaves else ports[::-1]
        # Rules speak of packets that leave; what a peer echoes follows the same rules.
        rules = self._policy.between(inside, outside)
        mask_address, with_port = self._mask_address(inside)
        mask = address_text(mask_address)
        if with_port and number != _DEFAULT_PORT:
            mask += b":%d" % number
        identifiers = decides_identifiers(rules)
        place = b"%b:%d" % (address_text(outside), outer)
        host = self._hosts.literal(mask_address)
        chosen = self._is_veiled or bool(self._mask_ip) or mask_address in self._public
        is_inner = host.named and not host.own and not chosen
        return Flow(
            direction,
            mask,
            mask_address,
            inside,
            outside,
            number,
            rules,
            identifiers,
            place,
            is_inner,
        )

    def _mask_address(self, inside: bytes) -> tuple[bytes, bool]:
        """The mask address for a packet of this inside address, and whether its port goes along. Without
        an own one of its family it is that address, which the packet shows anyway; but see `is_inner`."""
        if self._mask_ip:
            return self._mask_ip, False
        family = [public for public in self._public if len(public) == len(inside)]
        if family:
            return family[0], True
        own = [address for address in self._hosts.own_addresses if len(address) == len(inside)]
        if own and inside not in own:
            return own[0], False
        return inside, True
