"""The scenarios, in the order in which they run, and where they mean something."""

from collections.abc import Callable
from dataclasses import dataclass

from clients_lab import calls, faults, specials
from clients_lab.cast import Cast, Pair
from clients_lab.settings import EDGE, NAT, STRICT, Setting

BOTH, INSIDE, EITHER = "both", "inside", "either"


@dataclass(frozen=True)
class Scenario:
    """What is tried with the four clients. `not_in`: shapes in which it has no meaning. `only`: the clients
    that can play it; `by` says which of a pair must be one."""

    name: str
    play: Callable[[Cast], None]
    not_in: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    by: str = BOTH
    only_under: tuple[str, ...] = ()
    """Treatments."""

    def reason(self, setting: Setting, pair: Pair) -> str:
        """Why it is not tried there; empty if it is."""
        if setting.shape in self.not_in:
            return f"has no meaning in shape {setting.shape}"
        if self.only_under and setting.treatment not in self.only_under:
            return f"breaks but under {', '.join(self.only_under)}, as README says"
        played_by = {
            BOTH: {pair.inside.kind, pair.outside.kind} <= set(self.only),
            INSIDE: pair.inside.kind in self.only,
            EITHER: {pair.inside.kind, pair.outside.kind} & set(self.only),
        }
        if self.only and not played_by[self.by]:
            return f"only {', '.join(self.only)} can do it"
        return ""


SCENARIOS = (
    Scenario("call, hold", calls.call_hold),
    Scenario("CANCEL", calls.cancel),
    Scenario("busy", calls.busy),
    Scenario("MESSAGE", calls.message),
    Scenario("blind transfer", calls.blind),
    Scenario("attended transfer", specials.attended, only=("pjsua2",)),
    Scenario("302 by the proxy", calls.moved, not_in=(NAT, EDGE)),
    Scenario("302 by a phone", specials.forwarded, only=("pjsua2",)),
    Scenario("183, PRACK, UPDATE, INFO", specials.prack, only=("pjsua2",)),
    Scenario("large, TCP", specials.large, only=("pjsua2",), only_under=(STRICT,)),
    Scenario("fork", calls.fork),
    Scenario("presence, MWI", specials.presence, only=("pjsua2",)),
    Scenario("GRUU", specials.gruu, not_in=(NAT, EDGE), only=("linphone",), by=EITHER),
    Scenario("outbound", specials.outbound, not_in=(NAT,), only=("baresip",), by=INSIDE),
    Scenario("OPTIONS by sipsak", specials.options),
    Scenario("call to sipp", specials.sipp_answers),
    Scenario("refresh", specials.refresh),
    Scenario("restart", faults.restart),
    Scenario("key rotation", faults.rotation),
    Scenario("kill -9", faults.killed),
)
REGISTRATION, END, SHOWN = "registration", "unregistration", "nothing shows"
"""What is judged before and after these."""
NAMES = (REGISTRATION, *(one.name for one in SCENARIOS), END, SHOWN)
