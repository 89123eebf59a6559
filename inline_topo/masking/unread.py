"""What enters and cannot be read: whether it names the inside, by a search over its bytes.

A proxy may read what we do not: Kamailio looks at the header fields that it needs alone, so behind the
Vias of a response any line may stand (tried with 5.6.3: it forwards such a response to the second Via).
As we have sealed what honest answers bring back, nobody honest names the inside in clear but in what we
leave: From, To and Call-ID.
"""

import re
from typing import Final

from inline_topo.bounds import MOST_UNREAD
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_named
from inline_topo.masking.hosts import Hosts

_STATUS: Final = re.compile(rb"[^!-~]*(?:SIP|HTTP)/", re.IGNORECASE)
_LEFT: Final = re.compile(  # a line with a control byte in it may be two for somebody
    rb"^(?:From|f|To|t|Call-ID|i|CSeq)[ \t]*:[^\x00-\x08\x0a-\x1f\x7f]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)
_END_OF_HEADERS: Final = b"\r\n\r\n"


def may_be_response(data: bytes) -> bool:
    """Whether bytes that do not parse begin as a response does, behind blanks and controls."""
    return _STATUS.match(data) is not None


class Unread:
    """Looks for the hosts of `hosts`."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def names_inside(self, data: bytes, flow: Flow) -> bool:
        """Whether the bytes before a body name the inside, other than the packet's own destination. Of
        more than MOST_UNREAD bytes that is taken for granted."""
        end = data.find(_END_OF_HEADERS, len(data) - len(data.lstrip()))
        head = data if end < 0 else data[:end]
        if len(head) > MOST_UNREAD:
            return True
        hosts = self._hosts.named_to_proxies(_LEFT.sub(b"", head))
        return any(is_named(host, flow) and host.address != flow.inside for host in hosts)
