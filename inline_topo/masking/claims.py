"""What a message that enters says of the inside in clear, where proxies route by it: it does not enter."""

from collections.abc import Sequence
from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking.cache import Cache
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_named
from inline_topo.masking.hosts import Host, Hosts
from inline_topo.masking.mentions import Mentions
from inline_topo.masking.out import IN_URI, Outs
from inline_topo.sip import names, values
from inline_topo.sip import uri as uris
from inline_topo.sip.message import Message, Span, find_fields
from inline_topo.sip.names import FieldNames

_VIA_ONLY: Final = FieldNames([names.VIA])
_ODD: Final = (names.CONTACT, names.RECORD_ROUTE, names.PATH)
FIELDS: Final = (names.ROUTE, names.REFER_TO, names.CONTACT, names.RECORD_ROUTE, names.PATH)
"""The header fields that a message must be parsed for."""

_IN_REQUESTS: Final = (names.ROUTE, names.REFER_TO)
_REDIRECTION: Final = range(300, 400)
_REMEMBERED: Final = 1 << 12
_LONGEST_REMEMBERED: Final = 256


class ClaimError(Exception):
    """A message that enters names a host inside that nobody outside can have been told."""


class Claims:
    """Looks at what proxies route by: Request-URI, Route, Refer-To, the Contacts of a redirection, and
    `maddr` in the topmost Via of a request (RFC 3261 section 18.2.2)."""

    def __init__(self, hosts: Hosts, outs: Outs) -> None:
        self._hosts = hosts
        self._outs = outs
        self._named: Cache[bytes, tuple[Host, ...]] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)
        self._mentions = Mentions(hosts)

    def check(self, message: Message, flow: Flow, opened: Sequence[Edit]) -> None:
        """Raise ClaimError where the message names the inside in clear; what was `opened` is no claim,
        nor is the packet's own destination."""
        data = message.data
        if message.is_request:
            self._check(data, message.request_uri, flow, names.REQUEST_URI, opened)
            for name in _IN_REQUESTS:
                for entry in values.split(data, message.fields.get(name, [])):
                    self._check(data, entry, flow, name, opened)
            if b"maddr" in data.lower():
                vias = values.split(data, find_fields(message, _VIA_ONLY).get(names.VIA, []))
                for start, end in vias[:1]:
                    maddr = values.parameter(data, start, end, b"maddr")
                    if maddr:
                        self._check(data, maddr, flow, names.VIA, opened)
        for name in _ODD:
            for entry in values.split(data, message.fields.get(name, [])):
                self._check_odd(data[entry[0] : entry[1]], flow, name)
        if message.status in _REDIRECTION:
            for entry in values.split(data, message.fields.get(names.CONTACT, [])):
                self._check(data, entry, flow, names.CONTACT, opened)

    def _check(
        self, data: bytes, span: Span, flow: Flow, name: str, opened: Sequence[Edit]
    ) -> None:
        text = data[span[0] : span[1]]
        hosts = self._hosts_of(text)
        is_marked = IN_URI in text and self._has_mark(text)
        if not hosts and not is_marked:
            return
        for edit in opened:
            if span[0] <= edit.start and edit.end <= span[1]:
                return
        claimed = any(is_named(host, flow) and host.address != flow.inside for host in hosts)
        if claimed or is_marked:
            raise ClaimError(name)

    def _check_odd(self, text: bytes, flow: Flow, name: str) -> None:
        """Where strangers are marked: in a spelling that no mark is set for (0xa000005) nobody honest writes
        an address."""
        hosts = self._hosts_of(text)
        if any(is_named(host, flow) for host in hosts) and not self._mentions.found(text, flow):
            raise ClaimError(name)

    def _hosts_of(self, text: bytes) -> tuple[Host, ...]:
        hosts = self._named.get(text)
        if hosts is None:
            hosts = tuple(self._find(text))
            self._named.remember(text, hosts, len(text))
        return hosts

    def _has_mark(self, text: bytes) -> bool:
        uri = text[text.find(b"<") + 1 :].partition(b">")[0].partition(b"?")[0]
        return self._outs.find(uri) is not None

    def _find(self, text: bytes) -> list[Host]:
        """The hosts that a value names, in any spelling."""
        named = self._hosts.named_in_uri(text)
        host = uris.host(text[text.find(b"<") + 1 :].partition(b">")[0])
        named.append(self._hosts.find(host or text))  # sub.corp.example, or a maddr
        return [one for one in named if one.named and not one.own]
