"""Where the media of a call goes: the addresses that SDP names (RFC 4566, 3605, 8839)."""

import re
from collections import Counter
from collections.abc import Iterable

from inline_topo.report.messages import Seen
from inline_topo.report.texts import printable

_ADDRESS = re.compile(
    rb"^(?:c=IN IP[46] (?P<connection>[^\s/]+)"
    rb"|a=rtcp:\d+ IN IP[46] (?P<rtcp>\S+)"
    rb"|a=candidate:(?:\S+ ){4}(?P<candidate>\S+)(?:.*? raddr (?P<related>\S+))?)",
    re.MULTILINE,
)
_NOWHERE = frozenset({b"0.0.0.0", b"::"})  # a call on hold


def media_addresses(messages: Iterable[Seen]) -> Counter[str]:
    """In how many messages each address for media stands."""
    found: Counter[str] = Counter()
    for seen in messages:
        body = seen.data[seen.message.body :] if seen.message else b""
        hosts = {
            host for match in _ADDRESS.finditer(body) for host in match.groups() if host is not None
        }
        found.update(printable(host) for host in hosts - _NOWHERE)
    return found
