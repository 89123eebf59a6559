"""An ordinary RFC 3261 proxy and registrar, and the phones behind it, as the inside of a gateway.

The proxy relays requests by Route and Request-URI (section 16.4 to 16.6), responses of a transaction
that it knows to where the request came from, and others by their Vias (section 16.7, 18.2.2).
"""

import hashlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from attacks.gateways import DOMAIN, PROTECTED, PROXY
from attacks.message import Message, Uri, Via, bare, read_uri, read_via

Place = tuple[str, int]
"""An address and a port."""


class Sent(NamedTuple):
    """A message that the proxy sends, and where to."""

    message: Message
    to: Place


@dataclass
class Habits:
    """How a proxy behaves where proxies differ."""

    branch: str = "unique"
    """unique, or of a stateless proxy constant (Kamailio's) or short (a number)."""
    last_branch: bool = False
    """Of two branches in a Via it reads the last, as Kamailio does."""
    recurses: bool = False
    """It follows the Contacts of a 3xx."""
    records: bool = True
    """It stays in the route set."""
    fixes_nat: bool = False
    """It writes where a request came from into its Contact, as nathelper does."""


@dataclass
class Proxy:
    """The proxy. `users` maps a name of its domain to URI and Path; `names` host names to addresses."""

    address: str
    habits: Habits = field(default_factory=Habits)
    users: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    came_from: dict[str, Place] = field(default_factory=dict)
    """Where the REGISTER of a user came from, which is where requests go (nathelper's `received`)."""
    names: dict[str, str] = field(default_factory=dict)
    _pending: dict[str, Place] = field(default_factory=dict)
    _requests: dict[str, Message] = field(default_factory=dict)
    _count: int = 0
    last_branch: str = ""

    def receive(self, data: bytes, source: Place) -> list[Sent]:
        """What the proxy sends because of a message."""
        message = Message.parse(data)
        if message.is_request:
            return self._request(message, source)
        return self._response(message)

    def is_own(self, host: str) -> bool:
        return host.lower().rstrip(".") in (self.address, PROXY, DOMAIN)

    def forget(self) -> dict[str, Place]:
        """Forget all transactions, as when their time is over; what it knew."""
        known, self._pending = self._pending, {}
        return known

    def remember(self, known: dict[str, Place]) -> None:
        self._pending |= known

    # --- requests -----------------------------------------------------------------------------

    def _request(self, message: Message, source: Place) -> list[Sent]:
        vias = message.values("Via")
        if vias:
            vias[0] = f"{vias[0]};received={source[0]};rport={source[1]}"
            message.put("Via", *vias)
        routes = message.values("Route")
        while routes and self._is_mine(routes[0]):
            routes.pop(0)
        target = read_uri(message.target)
        if not routes and target and self.is_own(target.host):
            if message.method == "REGISTER":
                return self._register(message, source)
            named = target.user
            binding = self.users.get(named)
            if binding is None:
                return self.answer(message, "404 Not Found")
            message.retarget(binding[0])
            routes = list(binding[1])
            target = read_uri(binding[0])
            seen_at = self.came_from.get(named) if self.habits.fixes_nat else None
            if seen_at and not routes:
                target = Uri("sip", "", seen_at[0], seen_at[1], [])
        message.put("Route", *routes)
        if message.method not in ("ACK", "CANCEL", "REGISTER", "PUBLISH") and self.habits.records:
            message.push("Record-Route", f"<sip:{self.address};lr>")
        if message.method == "REGISTER":
            message.push("Path", f"<sip:{self.address};lr>")
        if self.habits.fixes_nat and message.method != "REGISTER":
            _fix_contact(message, source)
        next_hop = read_uri(bare(routes[0])) if routes else target
        return self.forward(message, source, next_hop)

    def _is_mine(self, route: str) -> bool:
        uri = read_uri(bare(route))
        return uri is not None and self.is_own(uri.host)

    def forward(self, message: Message, source: Place, next_hop: Uri | None) -> list[Sent]:
        """Send a request on, with a Via on top."""
        to = self.resolve(next_hop) if next_hop else None
        if to is None:
            return []
        branch = self._branch(message)
        message.push("Via", f"SIP/2.0/UDP {self.address};branch={branch}")
        self.last_branch = branch
        if self.habits.branch == "unique":  # else it is stateless
            self._pending[branch] = source
            self._requests[branch] = message
        return [Sent(message, to)]

    def _branch(self, message: Message) -> str:
        self._count += 1
        if self.habits.branch == "constant":
            return "z9hG4bKcydzigwkX"
        if self.habits.branch == "short":
            return "0"
        seed = f"{self._count} {message.first('Call-ID')} {message.first('CSeq')}"
        return "z9hG4bK" + hashlib.sha256(seed.encode()).hexdigest()[:26]

    def _register(self, message: Message, source: Place) -> list[Sent]:
        user = read_uri(bare(message.first("To")))
        contacts = message.values("Contact")
        paths = message.values("Path")
        if user and contacts:
            bound = bare(contacts[0])
            self.users[user.user] = (bound, paths)
            self.came_from[user.user] = source
        [answer] = self.answer(message, "200 OK")
        answer.message.put("Contact", *(f"{contact};expires=60" for contact in contacts))
        if paths:
            answer.message.put("Path", *paths)
        return [answer]

    def answer(self, message: Message, status: str) -> list[Sent]:
        """The proxy's own response: what RFC 3261 section 8.2.6.2 copies, and Record-Routes."""
        copied = answer_to(message, status, "p1")
        to = via_target(copied, self.names)
        return [Sent(copied, to)] if to else []

    # --- responses ----------------------------------------------------------------------------

    def _response(self, message: Message) -> list[Sent]:
        vias = message.values("Via")
        top = read_via(vias[0]) if vias else None
        if top is None or not self.is_own(top.host):
            return []
        message.put("Via", *vias[1:])
        branches = top.named("branch") or [""]
        branch = branches[-1 if self.habits.last_branch else 0]
        source = self._pending.get(branch)
        if source and self.habits.recurses and 300 <= message.status < 400:
            return self._recurse(message, branch, source)
        to = source or via_target(message, self.names)
        return [Sent(message, to)] if to else []

    def _recurse(self, message: Message, branch: str, source: Place) -> list[Sent]:
        sent = []
        for contact in message.values("Contact"):
            again = self._requests[branch].copy()
            again.put("Via", *again.values("Via")[1:])
            again.retarget(bare(contact))
            again.put("Route")
            sent += self.forward(again, source, read_uri(bare(contact)))
        return sent

    def resolve(self, uri: Uri) -> Place | None:
        """Where a request to a URI goes: by `alias` as Kamailio's handle_ruri_alias does, `received`,
        `maddr`, or the host."""
        alias = uri.param("alias")
        if alias and alias.count("~") == 2:
            host, port, _ = alias.split("~")
            return _place(host, port, self.names)
        for name in ("received", "maddr"):
            value = uri.param(name)
            if value:
                inner = read_uri(value.strip('"').replace("%3A", ":"))
                return self.resolve(inner) if inner else _place(value, str(uri.port), self.names)
        if self.is_own(uri.host):
            return None  # it would be sent to itself
        return _place(uri.host, str(uri.port), self.names)


def via_target(message: Message, names: dict[str, str]) -> Place | None:
    """Where a response goes by its topmost Via (RFC 3261 section 18.2.2, RFC 3581)."""
    via: Via | None = read_via(message.first("Via"))
    if via is None:
        return None
    maddr = via.named("maddr")
    if maddr and maddr[-1]:
        return _place(maddr[-1], str(via.port), names)
    received, rport = via.named("received"), via.named("rport")
    host = received[-1] if received and received[-1] else via.host
    port = rport[-1] if rport and rport[-1] else str(via.port)
    return _place(host, port, names)


def _place(host: str, port: str, names: dict[str, str]) -> Place | None:
    """An endpoint; None where the resolver knows no such host. Zeros before a number are not read as
    octal (Kamailio reads them so), and what else inet_aton takes is taken."""
    host = host.lower().rstrip(".")
    if host.endswith(PROTECTED):
        host = names.get(host, host)
    numbers = host.split(".")
    if len(numbers) == 4 and all(number.isdigit() for number in numbers):
        host = ".".join(str(int(number)) for number in numbers)
    try:
        return socket.inet_ntoa(socket.inet_aton(host)), int(port)
    except (OSError, ValueError):
        return None


def _fix_contact(message: Message, source: Place) -> None:
    fixed = []
    for value in message.values("Contact"):
        uri = read_uri(bare(value))
        fixed.append(f"<sip:{uri.user}@{source[0]}:{source[1]}>" if uri else value)
    message.put("Contact", *fixed)


def answer_to(request: Message, status: str, tag: str) -> Message:
    """A response with what a UAS copies."""
    copied = Message(f"SIP/2.0 {status}", [])
    for name in ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq"):
        values = request.values(name)
        if name == "To" and values and ";tag=" not in values[0]:
            values = [f"{values[0]};tag={tag}"]
        if values:
            copied.put(name, *values)
    return copied


Answers = Callable[[Message], list[Message]]
"""What a phone behind the proxy says to a request."""
