"""A gateway with a proxy and phones behind it, and two attackers before it."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from attacks.gateways import PROTECTED, PROXY, Border, Refused, Setting
from attacks.message import Message
from attacks.proxy import Habits, Place, Proxy, Sent, answer_to
from attacks.spelling import SPELLINGS

A: Place = ("198.51.100.21", 5060)
B: Place = ("198.51.100.22", 5070)
"""The attackers."""
ALICE: Place = ("10.0.37.201", 5062)
INNER: Place = ("10.0.41.17", 5060)
"""The proxy between alice's phone and the edge proxy."""
CAROL: Place = ("10.0.37.230", 5064)
ALICE_URI = "sip:kx7secret@10.0.37.201:5062"
CAROL_URI = f"sip:kx8carol@pbx3.{PROTECTED}:5064"

_MOST = 40  # messages that one may set off


class Left(NamedTuple):
    """A message that left: as the proxy sent it, as it went on, and where to."""

    clear: bytes
    data: bytes
    to: Place


class Reached(NamedTuple):
    """A message that the proxy sent to a host inside."""

    message: Message
    to: Place


class Scene:
    """`left`, `reached` and `refused` are all since `forget`. With `answers` the phones answer;
    `spell` is how outsiders write."""

    def __init__(
        self,
        setting: Setting,
        folder: Path,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.setting = setting
        self.border = Border(setting, folder, more)
        self.proxy = Proxy(setting.proxy, Habits(branch=setting.branch))
        self.proxy.names = {f"pbx{n}.{PROTECTED}": f"10.0.38.{n}" for n in range(10)}
        self.proxy.names[f"pbx3.{PROTECTED}"] = CAROL[0]
        self.proxy.users = {
            "alice": (ALICE_URI, [f"<sip:{INNER[0]};lr>"]),
            "carol": (CAROL_URI, []),
            "bob": (f"sip:bob@{B[0]}:{B[1]}", []),
        }
        self.answers = False
        self.spell = SPELLINGS["plain"]
        self.forget()

    def close(self) -> None:
        self.border.close()

    def forget(self) -> None:
        self.left: list[Left] = []
        self.reached: list[Reached] = []
        self.refused: list[str] = []

    def outside(self, message: Message, source: Place) -> list[Left]:
        """An outsider sends; what leaves because of it, in order."""
        before = len(self.left)
        self.border.now += 0.05
        entered = self.border.enter(self.spell(message.wire()), source)
        if isinstance(entered, Refused):
            self.refused.append(entered.outcome)
            return []
        with suppress(ValueError):  # a host that the proxy cannot read
            self._deliver(self.proxy.receive(entered, source))
        return self.left[before:]

    def raw(self, data: bytes, source: Place) -> None:
        """An outsider sends any bytes; a message that the proxy cannot read goes no further."""
        self.border.now += 0.05
        entered = self.border.enter(data, source)
        if isinstance(entered, Refused):
            return
        with suppress(ValueError, LookupError, AssertionError):
            self._deliver(self.proxy.receive(entered, source))

    def inside(self, message: Message, source: Place) -> list[Left]:
        """A host inside sends to the proxy; what leaves because of it."""
        before = len(self.left)
        self.border.now += 0.05
        self._deliver(self.proxy.receive(message.wire(), source))
        return self.left[before:]

    def send(self, message: Message, to: Place) -> Message:
        """The proxy sends this message as it is; what leaves. LookupError where it is refused."""
        before = len(self.left)
        self._deliver([Sent(message, to)])
        return Message.parse(self.left[before:][0].data)

    def _deliver(self, waiting: list[Sent]) -> None:
        for _ in range(_MOST):
            if not waiting:
                return
            sent, to = waiting.pop(0)
            if self.proxy.is_own(to[0]):  # it goes round in the proxy, and not out
                waiting += self.proxy.receive(sent.wire(), to)
                continue
            if is_inside(to[0]):
                self.reached.append(Reached(sent, to))
                if self.answers and sent.is_request and sent.method != "ACK":
                    answer = answer_to(sent, "200 OK", "alicetag")
                    answer.put("Contact", f"<{ALICE_URI}>")
                    waiting += self.proxy.receive(answer.wire(), to)
                continue
            clear = sent.wire()
            went = self.border.leave(clear, to)
            if isinstance(went, Refused):
                self.refused.append(went.outcome)
            else:
                self.left.append(Left(clear, went, to))


def is_inside(host: str) -> bool:
    """Whether an address lies inside and is not what outsiders are meant to see."""
    return host != PROXY and host.startswith("10.")
