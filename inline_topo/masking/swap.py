"""Hosts in any text: the mask address in place of those that must not be seen; in what enters the
sender's own in place of those that name the inside.

What is swapped does not come back. So this is for text that no program reads back: who says it is
asserted, warned, charged.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from inline_topo.bounds import MOST_HOSTS, TooMuch
from inline_topo.edits import Edit
from inline_topo.masking.cache import Cache
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_hidden, is_named
from inline_topo.masking.hosts import (
    TO_DOTS,
    Host,
    Hosts,
    address_text,
    dashed,
    may_be_odd,
)
from inline_topo.masking.packed import Packed
from inline_topo.masking.settle import outside_of
from inline_topo.masking.uris import SWAPPED, Decision
from inline_topo.sip.message import Span

_REMEMBERED: Final = 1 << 13
_LONGEST_REMEMBERED: Final = 256
_IPV4: Final = re.compile(rb"(?<![0-9])(?=([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![0-9]))")
_IPV6: Final = re.compile(rb"(?<![0-9A-Za-z_:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_NAME: Final = rb"(?<![A-Za-z0-9_.-])(?:[A-Za-z0-9_-]+\.)*%s(?![A-Za-z0-9_-])(?!\.[A-Za-z0-9])"
_ZONE: Final = re.compile(rb"%[0-9A-Za-z._~%-]+")  # RFC 4007 section 11
_PORT: Final = re.compile(rb":[0-9]{1,5}(?![0-9A-Fa-f:.])")
_AFTER_NAME: Final = re.compile(rb"[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_OF_NAME: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_LONGEST_NAME: Final = 253
_NOBODY: Final = b"anonymous"  # RFC 3323 section 4.1.1.3
_WORD: Final = re.compile(rb"[^\s<>\",;()]+")
_PARTS: Final = re.compile(  # a user, a host; or a value
    rb"(?:[A-Za-z][A-Za-z0-9+.-]*:(?://)?)?(?:([^@]*)@)?(\[[^\]]*\]|[^@=:/?]+)(?::[0-9]+)?\Z|[^=@:]+=(.+)\Z",
    re.S,
)
_DIGIT_DOT, _DOT_DIGIT = re.compile(rb"[0-9]\."), re.compile(rb"\.[0-9]")


class _Found(NamedTuple):
    """A host in a text, with brackets and port; `is_part` of more numbers with dots."""

    start: int
    end: int
    host: Host
    is_part: bool = False


class Swap:
    """Finds hosts in texts, and remembers what it found: the same identities come again."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._packed = Packed(hosts)
        names = hosts.protected_names
        self._names = [re.compile(_NAME % re.escape(name), re.IGNORECASE) for name in names]
        self._known: Cache[bytes, tuple[_Found, ...]] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)

    def edits(
        self, data: bytes, span: Span, flow: Flow, field: str, decide: Decision = is_hidden
    ) -> list[Edit]:
        """One edit for each hidden host in data[start:end], its port included, and for each user or
        parameter of a URI that has one packed. TooMuch where it names more than MOST_HOSTS."""
        spans = self._spans(data, span, flow, decide)
        edits = [Edit(start, end, flow.mask, field, SWAPPED) for start, end in spans]
        text = data[span[0] : span[1]]
        if text.find(b"ip") >= 0 and Packed.may_be_in(text):  # of a SIP URI
            packed = [
                Edit(span[0] + one.start, span[0] + one.end, _NOBODY, field, SWAPPED)
                for one in self._packed.pieces(text)
            ]
            edits += outside_of(packed, spans)
        if may_be_odd(text):
            taken = sorted([(edit.start, edit.end) for edit in edits])
            edits += outside_of(list(self._odd(data, span, flow, field)), taken)
        return edits

    def _odd(self, data: bytes, span: Span, flow: Flow, field: str) -> Iterator[Edit]:
        """One edit for each user, host or value that names the inside in a spelling that somebody might
        undo (`10%2e0%2e0%2e5`, a number)."""
        for count, word in enumerate(_WORD.finditer(data, *span)):
            if count > MOST_HOSTS:
                raise TooMuch("words in a text")
            start, end = word.span()
            if not self._is_named(data[max(start - 1, 0) : end], flow):
                continue
            parts = _PARTS.match(data, start, end)
            found = False
            for group, before, new in (
                (1, b"", _NOBODY),
                (2, b"@", flow.mask),
                (3, b"@", flow.mask),
            ):
                part = parts[group] if parts else b""
                if parts and part and self._is_named(before + part, flow):
                    found = True
                    yield Edit(*parts.span(group), new, field, SWAPPED)
            if not found:
                yield Edit(start, end, flow.mask, field, SWAPPED)

    def _is_named(self, text: bytes, flow: Flow) -> bool:
        return any(is_named(host, flow) for host in self._hosts.named_in_uri(text))

    def strangers(self, data: bytes, span: Span, flow: Flow, field: str) -> list[Edit]:
        """One edit for each host in data[start:end] that names the inside: the outside source of the
        packet takes its place, with a port where there was one."""
        source = address_text(flow.outside)
        edits = []
        for start, end in self._spans(data, span, flow, is_named):
            host = data[start:end]
            has_port = b"]:" in host or host.count(b":") == 1
            edits.append(Edit(start, end, flow.place if has_port else source, field, SWAPPED))
        return edits

    def _spans(self, data: bytes, span: Span, flow: Flow, decide: Decision) -> list[Span]:
        """The hosts in data[start:end] that `decide` wants."""
        start, end = span
        text = data[start:end]
        found = self._known.get(text)
        if found is None:
            found = tuple(self._find(text))
            self._known.remember(text, found, len(text))
        spans: list[Span] = []
        last = 0
        for one in found:
            wanted = is_named if one.is_part else decide
            if one.start >= last and wanted(one.host, flow):
                spans.append((start + one.start, start + one.end))
                last = one.end
        return spans

    def _find(self, text: bytes) -> list[_Found]:
        found = [
            _Found(*self._with_port(text, match.span()), self._hosts.find(match[0]))
            for name in self._names
            for match in name.finditer(text)
        ]
        if text.count(b":") > 1:
            found += [one for match in _IPV6.finditer(text) if (one := self._ipv6(text, match))]
        for start, end in dashed(text):
            host = self._hosts.find(text[start:end].translate(TO_DOTS))
            if host.named:
                found.append(_Found(*self._with_port(text, _name_around(text, start, end)), host))
        for match in _IPV4.finditer(text):
            numbers = [int(number) for number in match[1].split(b".")]
            if max(numbers) < 256:
                start, end = match.span(1)
                before, after = text[max(start - 2, 0) : start], text[end : end + 2]
                is_part = _DIGIT_DOT.fullmatch(before) or _DOT_DIGIT.fullmatch(after)
                host = self._hosts.find(str(IPv4Address(bytes(numbers))).encode())
                span = (start, end) if is_part else self._with_port(text, (start, end))
                found.append(_Found(*span, host, bool(is_part)))
            if len(found) > MOST_HOSTS:
                raise TooMuch("hosts in a text")
        return sorted(found)

    def _ipv6(self, text: bytes, match: re.Match[bytes]) -> _Found | None:
        for spelled in (match[0], match[0].rstrip(b"."), match[0].rstrip(b".:")):
            host = self._hosts.find(spelled)
            if host.address and spelled.strip(b":"):
                start, end = match.start(), match.start() + len(spelled)
                zone = _ZONE.match(text, end)
                end = zone.end() if zone else end
                if text[max(start - 1, 0) : start] == b"[" and text[end : end + 1] == b"]":
                    start, end = self._with_port(text, (start - 1, end + 1))
                return _Found(start, end, host)
        return None

    @staticmethod
    def _with_port(text: bytes, span: Span) -> Span:
        port = _PORT.match(text, span[1])
        return (span[0], port.end()) if port else span


def _name_around(text: bytes, start: int, end: int) -> Span:
    """The span of the name that text[start:end] is a part of."""
    least = max(start - _LONGEST_NAME, 0)
    while start > least and text[start - 1] in _OF_NAME:
        start -= 1
    if text[start - 1 : start] == b"%" and start:  # it begins with an escaped byte
        start += 2
    behind = _AFTER_NAME.match(text, end)
    return start, behind.end() if behind else end
