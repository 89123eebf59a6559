"""Four clients at once: alice and dave inside, bob and carol outside."""

from contextlib import suppress
from typing import NamedTuple

from clients_lab.baresip import Baresip
from clients_lab.ground import Ground
from clients_lab.linphone import Linphone
from clients_lab.phone import REGISTERED, Failed, Line, Phone, bracketed
from clients_lab.pjsua import Pjsua
from clients_lab.settings import NAT

KINDS: dict[str, type[Phone]] = {one.kind: one for one in (Pjsua, Baresip, Linphone)}


class Pair(NamedTuple):
    """Which client is used inside, and which outside."""

    inside: type[Phone]
    outside: type[Phone]

    @property
    def name(self) -> str:
        return f"{self.inside.kind}, {self.outside.kind}"


class Cast:
    """The clients of a pair."""

    def __init__(self, ground: Ground, pair: Pair, name: str) -> None:
        """`name`: how their folders begin."""
        self.ground = ground
        self.pair = pair
        self._name = name
        self._phones: list[Phone] = []
        self._made = 0
        self.start()

    def start(self) -> None:
        """Start all four, and wait until each says that it is registered."""
        self.alice = self.add(self.pair.inside, "alice")
        self.dave = self.add(self.pair.inside, "dave")
        self.bob = self.add(self.pair.outside, "bob")
        self.carol = self.add(self.pair.outside, "carol")

    def add(
        self,
        kind: type[Phone],
        host: str,
        user: str = "",
        port: int = 0,
        *,
        outbound: bool = False,
        expires: int = 600,
    ) -> Phone:
        """Start one more in a host; `expires`: seconds for which it registers."""
        setting = self.ground.setting
        at = setting.at
        is_inside = host in ("alice", "dave")
        if setting.shape == NAT or (setting.registrar_is_outside and not is_inside):
            proxy = at.carrier
        else:
            proxy = at.proxy if is_inside else at.public
        # A router that translates keeps ports where two phones do not have the same one.
        usual = 5062 if setting.shape == NAT and host == "dave" else 5060
        line = Line(
            user or host, getattr(at, host), bracketed(proxy), port or usual, expires, outbound
        )
        self._made += 1
        phone = kind(self.ground, host, line, f"{self._name}-{line.user}-{self._made}")
        self._phones.append(phone)
        return phone

    def await_registered(self) -> None:
        """Wait until each client says that it is registered; Failed otherwise."""
        for phone in self._phones:
            phone.hears(REGISTERED)

    def remove(self, phone: Phone) -> None:
        self._phones.remove(phone)
        phone.close()

    @property
    def phones(self) -> tuple[Phone, ...]:
        return tuple(self._phones)

    def renew(self) -> None:
        """End all of them and start them again, as calls may be left."""
        self.close()
        self.start()
        with suppress(Failed):
            self.await_registered()

    def close(self) -> None:
        """Have all of them unregister and end."""
        for phone in self._phones:
            with suppress(Failed, OSError):
                phone.ask_to_quit()
        for phone in self._phones:
            phone.close()
        self._phones.clear()
