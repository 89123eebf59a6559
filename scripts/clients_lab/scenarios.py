"""The scenarios, in the order in which they run, and in which configurations they mean something."""

from collections.abc import Callable
from dataclasses import dataclass

from clients_lab import calls
from clients_lab.cast import Cast
from clients_lab.settings import EDGE, NAT


@dataclass(frozen=True)
class Scenario:
    """What is tried with the four clients. `not_in`: shapes in which it has no meaning."""

    name: str
    play: Callable[[Cast], None]
    not_in: tuple[str, ...] = ()


SCENARIOS = (
    Scenario("call, hold", calls.call_hold),
    Scenario("CANCEL", calls.cancel),
    Scenario("busy", calls.busy),
    Scenario("MESSAGE", calls.message),
    Scenario("blind transfer", calls.blind),
    Scenario("302 by the proxy", calls.moved, (NAT, EDGE)),
    Scenario("fork", calls.fork),
)
REGISTRATION, END, SHOWN = "registration", "unregistration", "nothing shows"
"""What is judged before and after these."""
NAMES = (REGISTRATION, *(one.name for one in SCENARIOS), END, SHOWN)
