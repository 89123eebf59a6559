"""Values of a message that enters that have the form of a token of ours, and that do not open.

A token of another key or of one that has left the ring, a forged, changed or cut one. Its form: what
the configured codec writes, in a place where tokens are opened, at a host that is ours: own, inside,
protected, or the mask address. A long user part of a server's own URI has the same form.
"""

from typing import Final

from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.flow import Flow
from inline_topo.masking.hosts import Host, Hosts
from inline_topo.sip import uri as uris
from inline_topo.sip import via as vias

_OURS: Final = Host(b"", True, False)  # what stands at no host: a Call-ID


class Unopened:
    """What the rules for one message meet, from `forget` to `fields`; a value is told to it only
    where opening it was tried and failed."""

    def __init__(self, codec: Codec, hosts: Hosts) -> None:
        self._codec = codec
        self._hosts = hosts
        self.seen: list[tuple[str, Host]] = []

    def uri(self, uri: bytes, field: str) -> None:
        """A URI, without its headers part."""
        if self._codec.is_uri_token(uri):
            parts = uris.parse(uri)
            if parts:
                self.seen.append((field, self._hosts.find(parts.host)))

    def host(self, token: bytes, uri: bytes, field: str) -> None:
        """What stands for the host of `uri`, in a parameter of it."""
        if self._codec.is_host_token(token):
            host = uris.host(uri)
            if host:
                self.seen.append((field, self._hosts.find(host)))

    def via(self, value: bytes, field: str) -> None:
        """A via-parm."""
        if self._codec.is_via_token(value):
            parts = vias.parse(value, 0, len(value))
            if parts:
                self.seen.append((field, self._hosts.find(value[parts.host[0] : parts.host[1]])))

    def call_id(self, call_id: bytes, field: str) -> None:
        """A Call-ID."""
        if self._codec.is_callid_token(call_id):
            self.seen.append((field, _OURS))

    def fields(self, flow: Flow) -> tuple[str, ...]:
        """The field of each one that stands at a host of ours."""
        return tuple([field for field, host in self.seen if _is_ours(host, flow)])

    def forget(self) -> None:
        """Another message begins."""
        self.seen.clear()


def _is_ours(host: Host, flow: Flow) -> bool:
    return host.own or host.named or bool(host.address and host.address == flow.mask_address)
