"""Where a token opens in a message that enters, and how deep its field is sealed when it leaves.

What opens in one message and leaves in clear in the next would tell whoever keeps a token what it
stands for: a proxy inside relays it to him. So a token opens where it routes, and in what the
configuration seals, nowhere else; and what opens is sealed on the way out, to the same number of
values (tests/masking/test_opening.py compares). Vias open as masking.vias has it, bodies where they
are sealed (masking.bodies), Call-IDs through a bijection. Request-URI, Route and Record-Route below the
last own one are sealed by the last look (masking.rest).

Service-Route opens, and a stranger's is marked as a Path is: a phone sends what it asks for next along
it (RFC 3608 section 5), so it routes.

A Contact comes back where a call goes out to a server and in again (a spiral): who is inside sends what
is next straight to it. Of what only has to route (in a drain, from peers that a rule leaves clear) those of
a registrar and of a redirection open alone; in mode topos they do at any time, as ids know more, and with
codec kamailio, as the far end may be a topoh with the same key. Whose a Contact is its host tells.
"""

from typing import Final, NamedTuple

from inline_topo.bounds import MOST_VALUES
from inline_topo.sip import names

ROUTES: Final = ""
"""The switch of what opens always: requests go where it leads."""


class Opening(NamedTuple):
    """Tokens in one field. `switch`: the key of [hide] that seals the field, beside which nothing opens
    in it; ROUTES where it opens always. `opened`, `sealed`: up to how many values."""

    switch: str
    requests: bool
    responses: bool
    opened: int
    sealed: int


_LIST: Final = MOST_VALUES, MOST_VALUES

OPENINGS: Final = {
    names.REQUEST_URI: Opening(ROUTES, True, False, 1, 1),
    names.ROUTE: Opening(ROUTES, True, False, *_LIST),
    names.RECORD_ROUTE: Opening(ROUTES, False, True, *_LIST),  # below the last own one
    names.CONTACT: Opening(ROUTES, True, True, *_LIST),
    names.REFER_TO: Opening(ROUTES, True, True, *_LIST),
    names.PATH: Opening(ROUTES, True, True, *_LIST),
    names.SERVICE_ROUTE: Opening(ROUTES, True, True, *_LIST),
    names.REFERRED_BY: Opening("references", True, True, *_LIST),
    names.REPLY_TO: Opening("references", True, True, *_LIST),
    names.ALERT_INFO: Opening("references", True, True, *_LIST),
    names.CALL_INFO: Opening("references", True, True, *_LIST),
    names.ERROR_INFO: Opening("references", True, True, *_LIST),
    names.HISTORY_INFO: Opening("references", True, True, *_LIST),
    names.DIVERSION: Opening("references", True, True, *_LIST),
    names.REFER_EVENTS_AT: Opening("references", True, True, *_LIST),
    names.POLICY_CONTACT: Opening("references", True, True, *_LIST),
    names.FROM: Opening("from_to", True, True, 1, 1),
    names.TO: Opening("from_to", True, True, 1, 1),
}


def routes(name: str) -> bool:
    """Whether tokens in a field open always."""
    opening = OPENINGS.get(name)
    return opening is not None and opening.switch == ROUTES
