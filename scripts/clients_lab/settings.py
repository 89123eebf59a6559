"""The configurations in which the clients are tried: shape, treatment, address family."""

from dataclasses import dataclass
from typing import NamedTuple

ROUTER, HOST, NAT, EDGE = "router", "host", "nat", "edge"
SHAPES = (ROUTER, HOST, NAT, EDGE)
DEFAULT, STRICT, TOPOS = "default", "strict", "topos"
TREATMENTS = (DEFAULT, STRICT, TOPOS)


class Addresses(NamedTuple):
    """Who has which address; the last two are the router's."""

    proxy: str
    alice: str
    dave: str
    public: str
    """The proxy's, as outsiders know it."""
    bob: str
    carol: str
    carrier: str
    """The registrar, where it is outside."""
    router_inside: str
    router_outside: str


FOUR = Addresses(
    "192.168.10.10", "192.168.10.27", "192.168.10.28", "198.51.100.10",
    "203.0.113.22", "203.0.113.23", "203.0.113.60", "192.168.10.1", "203.0.113.1",
)  # fmt: skip
SIX = Addresses(
    "2001:db8:1::10", "2001:db8:1::27", "2001:db8:1::28", "2001:db8:5::10",
    "2001:db8:2::22", "2001:db8:2::23", "2001:db8:2::60", "2001:db8:1::1", "2001:db8:2::1",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """Where the gateway stands, how it treats messages, and over which addresses all talk.

    Shapes `router` and `host`: the registrar and proxy is inside. `nat`: phones inside, behind a router
    that translates, and a registrar outside. `edge`: shape router, where the proxy inside is an edge
    before a registrar outside (Path and flow tokens, RFC 3327 and 5626)."""

    shape: str
    treatment: str
    version: int = 4

    @property
    def name(self) -> str:
        return f"{self.shape} {self.treatment}" + (" IPv6" if self.version == 6 else "")

    @property
    def at(self) -> Addresses:
        return FOUR if self.version == 4 else SIX

    @property
    def gateway_host(self) -> str:
        return "proxy" if self.shape == HOST else "gw"

    @property
    def registrar_is_outside(self) -> bool:
        return self.shape in (NAT, EDGE)

    @property
    def relay(self) -> tuple[str, str]:
        """The media relay's addresses, on the inside and on the outside."""
        if self.shape == HOST:
            return self.at.proxy, self.at.public
        return self.at.router_inside, self.at.router_outside

    def hidden(self) -> list[str]:
        """Addresses that nobody outside may see."""
        at = self.at
        return [at.proxy, at.alice, at.dave, at.router_inside, self.moved_host]

    @property
    def moved_host(self) -> str:
        """A host inside that only a redirection names."""
        return "192.168.10.99" if self.version == 4 else "2001:db8:1::99"

    def config(self, folder: str) -> str:
        """The gateway's configuration; `folder`: where its store lies."""
        at = self.at
        network = "192.168.10.0/24" if self.version == 4 else "2001:db8:1::/64"
        inside, own = [network, at.public], [at.public, "voip.example"]
        lines = [f'shape = "{HOST if self.shape == HOST else ROUTER}"']
        if self.shape == NAT:
            inside, own = [network], []
            lines = ['shape = "nat"', f'public = "{at.router_outside}"']
        if self.treatment == STRICT and self.shape in (ROUTER, EDGE):
            own.append(at.router_outside)
        lines.append(f"inside = {_array(inside)}")
        lines += [f"own = {_array(own)}"] if own else []
        lines.append("ports = [5060, 5062, 5064, 5066]")
        lines += ['profile = "strict"'] if self.treatment == STRICT else []
        lines += ['mode = "topos"'] if self.treatment == TOPOS else []
        lines += ["[topoh]", 'mask_key_file = "mask.key"']
        if self.treatment == TOPOS:
            lines += ["[topos]", f'store = "sqlite:///{folder}/dialogs.db"']
        if self.treatment == STRICT:
            lines += ["[media]", 'relay = "rtpengine"', 'interfaces = ["internal", "external"]']
        return "\n".join([*lines, ""])


def _array(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
