"""One detector of leaks for the report, the live audit and enforcement."""

from collections.abc import Callable
from typing import NamedTuple

from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.flow import Flow
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.leaks import bodies
from inline_topo.masking.leaks.places import (
    CALL_ID,
    COVERED,
    ECHOED,
    MEDIA,
    OPEN,
    Place,
    Places,
)
from inline_topo.masking.leaks.scope import Scope
from inline_topo.masking.leaks.sightings import Sighting, Sightings
from inline_topo.masking.policy import Policy, decides
from inline_topo.masking.revealed import reveal
from inline_topo.sip import message as sip
from inline_topo.sip import names
from inline_topo.sip.message import Message, Span
from inline_topo.sip.names import FieldNames

CAUSES = LEAK, BY_POLICY, IN_MEDIA, LEFT_OPEN = "leak", "policy", "media", "open"

_SDP_FOLLOWS = b"\r\nContent-Type: application/sdp\r\n"
_VERSION_FOLLOWS = b"User-Agent:", b"Server:"

MOST = 256
"""Hosts in one message that are looked at; more count as a leak."""

TOO_MANY = "more hosts than are looked at"
DOES_NOT_PARSE = "message that does not parse"

# Fields that say what a program is or can: four numbers with dots are a version there, no address.
_VERSIONS = frozenset({"User-Agent", "Server", "SDP s=", "SDP a=tool", "Allow", "Supported"})


Tokens = dict[Span, list[Span]]  # that open, by the span of the place that they stand in


class Finding(NamedTuple):
    """A host that shows in a message.

    `cause`: LEAK; BY_POLICY, where a rule leaves the message clear; IN_MEDIA, where a stream goes,
    and no relay takes it over; LEFT_OPEN, where the configuration hides nothing. `kind` is ipv4, ipv6
    or name; `shown` the host as it is spelled; `text` the value that it stands in.
    """

    cause: str
    field: str
    kind: str
    shown: bytes
    text: bytes

    @property
    def family(self) -> str:
        """The header, "SDP" or "body" that the field belongs to."""
        first = self.field.split(",")[0].removesuffix(f" {names.CALL_ID}").partition(" ")[0]
        return names.CALL_ID if self.field == names.CALL_ID else first


def _none_is(call_id: bytes) -> bool:
    return False


class Scanner:
    """Reads messages that leave as a peer outside would. It shares with the masker only the parsing
    of fields and the configuration, so that it finds what the masker overlooks."""

    def __init__(self, hosts: Hosts, policy: Policy, codec: Codec, scope: Scope) -> None:
        self._hosts = hosts
        self._codec = codec
        self._scope = scope
        self._sightings = Sightings(hosts)
        self._names = FieldNames(
            {names.FROM, names.TO, names.CSEQ, names.CALL_ID, names.VIA, *policy.fields}
        )

    def scan(
        self, data: bytes, flow: Flow, is_echo: Callable[[bytes], bool] = _none_is
    ) -> list[Finding]:
        """What shows in `data`, a message of this flow as it leaves, each host once a value.

        `is_echo` says of a Call-ID that the receiver made it, so that it is his own word.
        """
        sightings = self._sightings.find(data, flow)
        if packed := bodies.unpacked(data):
            inner = self._sightings.find(packed[1], flow)
            sightings += [one._replace(start=packed[0], end=len(data)) for one in inner]
        if not sightings:
            return []
        usual = self._usual(data, sightings)
        if usual is not None:
            return usual
        try:
            message = sip.parse(data, self._names, self._names)
        except sip.Malformed:
            message = None
        if message is None:
            whole = [Finding(LEAK, DOES_NOT_PARSE, s.kind, s.shown, data) for s in sightings]
            return list(dict.fromkeys(whole))
        places = Places(message, flow, self._scope, self._hosts)
        found: dict[tuple[str, int, str, bytes], Finding] = {}
        if len(sightings) > MOST:  # each costs a look at the message: refuse rather than spend that
            data = message.data[: message.headers[0]]
            found[TOO_MANY, 0, "", b""] = Finding(LEAK, TOO_MANY, "name", b"", data)
            sightings = sightings[:MOST]
        tokens: Tokens = {}
        for sighting in sightings:
            place = places.at(sighting.start)
            cause = self._cause(message, flow, place, sighting, is_echo, tokens) if place else None
            if place and cause:
                text = data[place.start : place.end]
                finding = Finding(cause, place.field, sighting.kind, sighting.shown, text)
                key = (place.field, place.start, sighting.kind, sighting.shown)
                found.setdefault(key, finding)
        return list(found.values())

    def _usual(self, data: bytes, sightings: list[Sighting]) -> list[Finding] | None:
        """What most messages show, media and versions, without parsing them; None where there is more."""
        body = data.find(b"\r\n\r\n")
        stays = not (self._scope.media or self._scope.everything)
        has_media = stays and 0 < data.find(_SDP_FOLLOWS) < body
        found: dict[tuple[int, str, bytes], Finding] = {}
        for sighting in sightings:
            at = sighting.start
            line_start = data.rfind(b"\n", 0, at) + 1
            if at < body and not sighting.named and data.startswith(_VERSION_FOLLOWS, line_start):
                continue
            line = bodies.media_line(data, at) if has_media and at > body else None
            if line is None or sighting.part:
                return None
            field, start, end = line
            finding = Finding(IN_MEDIA, field, sighting.kind, sighting.shown, data[start:end])
            found.setdefault((start, sighting.kind, sighting.shown), finding)
        return list(found.values())

    def _cause(
        self,
        message: Message,
        flow: Flow,
        place: Place,
        sighting: Sighting,
        is_echo: Callable[[bytes], bool],
        tokens: Tokens,
    ) -> str | None:
        field, sort, start, end = place
        if sort == CALL_ID or field.endswith(names.CALL_ID):
            if not sighting.named or is_echo(message.data[start:end]):
                return None
        elif sighting.part or (not sighting.named and (sort == ECHOED or field in _VERSIONS)):
            return None
        if sort == MEDIA:
            return IN_MEDIA
        if self._is_in_token(message.data, place, sighting, tokens):
            return None
        if sort == OPEN or (sort == COVERED and not sighting.named):
            return LEFT_OPEN
        masked = flow.masks_identifiers if sort == CALL_ID else decides(flow.rules, message)
        return LEAK if masked else BY_POLICY

    def _is_in_token(self, data: bytes, place: Place, sighting: Sighting, tokens: Tokens) -> bool:
        """Digits in a token may read as an address, by chance."""
        span = place.start, place.end
        if span not in tokens:
            tokens[span] = self._tokens(data, place)
        return any(start <= sighting.start < end for start, end in tokens[span])

    def _tokens(self, data: bytes, place: Place) -> list[Span]:
        """The tokens in a place; those of Vias open with their message alone."""
        if place.field == names.VIA:
            return [(token.start, token.end) for token in reveal(data, self._codec)]
        found = self._codec.reveal(data[place.start : place.end])
        return [(place.start + token.start, place.start + token.end) for token in found]
