"""Where the configuration hides hosts, as an audit has to know it."""

import re
from dataclasses import dataclass, field

from inline_topo.masking.carriers import IDENTITIES, PRODUCTS, TEXTS, Switches, is_listed
from inline_topo.sip import names

_SDP = frozenset(f"SDP {line}" for line in ("o=", "s=", "i=", "u=", "e=", "p=", "a=tool", "a=ssrc"))
_BODY = re.compile(
    r"body (message/(sip|sipfrag|cpim)|(application|text)/([a-z0-9.-]+\+)?xml"
    r"|application/(simple-message-summary|vq-rtcpxr))"
)


@dataclass(frozen=True)
class Scope:
    """What the configuration hides, beside what mode topoh always does. `media`: a relay takes the
    streams over. `everything`: profile strict, where nothing is left open."""

    hide: Switches = field(default_factory=Switches)
    nat: bool = False
    call_ids: bool = False
    redirections: bool = True
    sdp: bool = True
    bodies: bool = True
    media: bool = False
    everything: bool = False

    def covers(self, name: str, *, signed: bool) -> bool:
        """Whether a host is hidden in a field without a rule of its own here; `signed`: the message
        has an Identity header (RFC 8224), and who somebody is stays as it is."""
        hide = self.hide
        if self.everything:
            return True
        if name in IDENTITIES:
            return hide.identities and not signed
        if name in (names.FROM, names.TO):
            return hide.from_to and not signed
        if name in (*TEXTS, names.REASON_PHRASE):
            return hide.texts
        if name in (*PRODUCTS, names.ORGANIZATION) and hide.user_agent != "keep":
            return True
        if name in _SDP:
            return self.sdp
        if name.startswith("body "):
            return self.bodies and bool(_BODY.fullmatch(name))
        return is_listed(name, (*hide.swap, *hide.strip))
