"""Masking and opening the URI in one field value, `?headers` left outside the token."""

import re
from collections.abc import Callable
from typing import NamedTuple

from inline_topo.edits import Edit
from inline_topo.masking.codecs.base import Codec, SealError
from inline_topo.masking.flow import Flow
from inline_topo.masking.hosts import NO_HOST, Host, Hosts
from inline_topo.sip import address
from inline_topo.sip import uri as uris
from inline_topo.sip.message import Span

MASKED = "masked"
OPENED = "opened"
_SIMPLE_ROUTE = re.compile(
    rb"<sips?:(?:[A-Za-z0-9._~-]+@)?([A-Za-z0-9.-]+)(?:[:;][A-Za-z0-9.:;=_~-]*)?>"
)
_REMEMBERED = 1 << 14
_LONGEST_REMEMBERED = 512


class KnownUri(NamedTuple):
    """The host of a URI, and its length without the headers part."""

    host: Host
    length: int


Decision = Callable[[Host, Flow], bool]


class Uris:
    """Edits on single URIs. `Decision` says from a host and a flow whether a URI is masked."""

    def __init__(self, codec: Codec, hosts: Hosts) -> None:
        self._codec = codec
        self._hosts = hosts
        self._known: dict[bytes, KnownUri | None] = {}

    def find(self, uri: bytes) -> KnownUri | None:
        """What is known of a URI; None where it does not parse."""
        try:
            return self._known[uri]
        except KeyError:
            known = self._parse(uri)
            if len(uri) <= _LONGEST_REMEMBERED:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[uri] = known
            return known

    def _parse(self, uri: bytes) -> KnownUri | None:
        parts = uris.parse(uri)
        if parts:
            return KnownUri(self._hosts.find(parts.host), len(uri) - len(parts.headers))
        host = uris.host(uri)
        if host is None:
            return None
        return KnownUri(self._hosts.find(host) if host else NO_HOST, len(uri))

    def host_of(self, data: bytes, span: Span) -> Host:
        """The host of the URI in a field value; NO_HOST where it has none (tel:).

        Raises SealError where it does not parse.
        """
        start, end = span
        simple = _SIMPLE_ROUTE.fullmatch(data, start, end)
        if simple:  # routes differ in each dialog (;ftag=), their hosts do not
            return self._hosts.find(simple[1])
        where = address.locate(data, start, end)
        if not where:
            raise SealError("no URI")
        known = self.find(data[where.start : where.end])
        if not known:
            raise SealError("URI does not parse")
        return known.host

    def mask(
        self,
        data: bytes,
        span: Span,
        flow: Flow,
        field: str,
        decide: Decision,
        *,
        stable: bool = False,
        route: bool = False,
    ) -> Edit | None:
        """The edit that masks the URI of a field value, if `decide` wants it. Raises SealError."""
        where = address.locate(data, *span)
        if not where:
            if data[slice(*span)] == b"*":
                return None
            raise SealError(f"{field}: no URI")
        start, end, bare = where
        uri = data[start:end]
        known = self.find(uri)
        if not known:
            raise SealError(f"{field}: URI does not parse")
        if not decide(known.host, flow):
            return None
        clear = uri[: known.length]
        sealed = self._codec.seal_uri(clear, flow.mask, stable=stable, bare=bare, route=route)
        if bare:
            return Edit(start, end, b"<" + sealed + uri[known.length :] + b">", field, MASKED)
        return Edit(start, start + known.length, sealed, field, MASKED)

    def mask_request_uri(
        self,
        data: bytes,
        span: Span,
        flow: Flow,
        decide: Decision,
        field: str,
        *,
        stable: bool = False,
        bare: bool = False,
    ) -> Edit | None:
        """The same for a Request-URI, which stands without brackets; what is no URI is left."""
        uri = data[slice(*span)]
        known = self.find(uri)
        if not known or not decide(known.host, flow):
            return None
        sealed = self._codec.seal_uri(
            uri[: known.length], flow.mask, stable=stable, bare=bare, route=False
        )
        return Edit(span[0], span[0] + known.length, sealed, field, MASKED)

    def open(self, data: bytes, span: Span, field: str, *, unbracket: bool = True) -> Edit | None:
        """The edit that puts back what the URI of a field value stands for, if it is a token.

        `unbracket`: brackets that masking added go again, where the field does not need them.
        """
        where = address.locate(data, *span)
        if not where:
            return None
        start, end, bare = where
        uri = data[start:end]
        length = self._length(uri)
        opened = self._codec.open_uri(uri[:length])
        if not opened:
            return None
        if opened.bare and unbracket and not bare and start == span[0] + 1 and length == len(uri):
            return Edit(start - 1, end + 1, opened.uri, field, OPENED)
        return Edit(start, start + length, opened.uri, field, OPENED)

    def open_request_uri(self, data: bytes, span: Span, field: str) -> Edit | None:
        """The same for a Request-URI."""
        uri = data[slice(*span)]
        length = self._length(uri)
        opened = self._codec.open_uri(uri[:length])
        return Edit(span[0], span[0] + length, opened.uri, field, OPENED) if opened else None

    def _length(self, uri: bytes) -> int:
        known = self.find(uri)
        return known.length if known else len(uri)
