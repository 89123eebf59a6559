"""The audit of one message that leaves."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from inline_topo.audit import left, values
from inline_topo.audit.findings import (
    BY_POLICY,
    ECHOED,
    IN_MEDIA,
    IN_VIAS,
    LEAK,
    LEFT_OPEN,
    MALFORMED,
    MALFORMED_MESSAGE,
    NOT_READ,
    UNEXPLAINED,
    Finding,
)
from inline_topo.audit.hosts import Hosts
from inline_topo.audit.judge import Judge
from inline_topo.audit.message import CALL_ID, Message, read
from inline_topo.audit.places import (
    KNOWN,
    OPEN,
    OWN_WORDS,
    STREAM,
    VIAS,
    Ends,
    Place,
    Places,
)
from inline_topo.audit.said import Said
from inline_topo.audit.search import Search, Sighting

_LONGEST_TEXT: Final = 1000
_MOST_MARKS: Final = 256
_MOST_TOKENS: Final = 32
_LONGEST_WITH_TOKENS: Final = 2000
_MARK: Final = b";out="


class Marks(Protocol):
    """What opens the marks of strangers (the codec)."""

    def open_mark(self, uri: bytes) -> bytes | None:
        """What the stranger wrote, of a URI that has a mark; None where none opens."""


class Tokens(Protocol):
    """What knows tokens (the codec): digits in one may read as an address, by chance."""

    def reveal(self, text: bytes) -> Sequence[tuple[int, int, str, int | None, bytes]]:
        """The tokens in a text: where each begins and ends, and more."""


class Context(NamedTuple):
    """What is known of a message that leaves, beside its bytes.

    `masked`: no rule leaves it in clear. `before`: as it came from inside, before it was masked; None
    where that is not known. `said`: offline, what outsiders said earlier.
    """

    masked: bool = True
    before: bytes | None = None
    said: Said | None = None


ALONE: Final = Context()
"""Nothing is known beside the message."""


class Scanner:
    """Reads messages that leave as a peer outside would. It shares nothing with the masker but the
    configuration and the codec. `escape`: what a Call-ID begins with inside that an outsider made."""

    def __init__(
        self,
        hosts: Hosts,
        judge: Judge,
        tokens: Tokens,
        marks: Marks | None = None,
        escape: bytes = b"",
    ) -> None:
        self._hosts = hosts
        self._judge = judge
        self._search = Search(hosts)
        self._tokens = tokens
        self._marks = marks
        self._escape = escape

    def scan(self, data: bytes, ends: Ends, context: Context = ALONE) -> list[Finding]:
        """What shows in `data`, a message as it leaves, each host once a value; and what of it was
        not read."""
        seen = self._search.find(data, (ends.mask_address, ends.outside))
        sightings, reasons = seen.sightings, seen.not_read
        if not sightings and not reasons:
            return [] if read(data) else [_not_read(MALFORMED)]
        message = read(data)
        if message is None:
            shown = [
                Finding(LEAK, MALFORMED_MESSAGE, one.kind, one.shown, data[:_LONGEST_TEXT])
                for one in sightings
                if not one.part
            ]
            return [*dict.fromkeys(shown), _not_read(MALFORMED)]
        one_message = _Message(self, message, ends, context)
        found: dict[tuple[str, int, str, bytes], Finding] = {}
        for sighting in sightings:
            place = one_message.places.at(sighting)
            cause = one_message.cause(place, sighting)
            if cause:
                start = -1 if place.field.startswith("body ") else place.start
                key = (place.field, start, sighting.kind, sighting.shown)
                if key not in found:
                    found[key] = Finding(
                        cause, place.field, sighting.kind, sighting.shown, _text(place, sighting)
                    )
        return [*found.values(), *map(_not_read, reasons)]

    @property
    def hosts(self) -> Hosts:
        """The definitions of own, inside and protected."""
        return self._hosts

    @property
    def judge(self) -> Judge:
        """What the table says."""
        return self._judge

    @property
    def escape(self) -> bytes:
        """What a Call-ID begins with inside that an outsider made."""
        return self._escape

    def restored(self, before: bytes) -> set[tuple[str, bytes]]:
        """What the marks in a message from inside become: the field, and what the stranger wrote."""
        found: set[tuple[str, bytes]] = set()
        if self._marks is None or _MARK not in before:
            return found
        message = read(before)
        if message is None:
            return found
        uris = [("Request-URI", before[message.uri[0] : message.uri[1]])]
        for name in left.RESTORED:
            for span in values.split(before, message.spans(name))[:_MOST_MARKS]:
                where = values.address(before, *span)
                if where:
                    uris.append((name, before[where.start : where.end]))
        for name, uri in uris[:_MOST_MARKS]:
            opened = self._marks.open_mark(uri) if _MARK in uri else None
            if opened is not None:
                found.add((name, opened))
        return found

    def tokens_in(self, text: bytes) -> list[tuple[int, int]]:
        """The spans of the tokens in a text."""
        return [(one[0], one[1]) for one in self._tokens.reveal(text)]


class _Message:
    """One message, and what was looked up for it."""

    def __init__(self, scanner: Scanner, message: Message, ends: Ends, context: Context) -> None:
        self.places = Places(message, ends, scanner.judge, scanner.hosts)
        self._scanner = scanner
        self._ends = ends
        self._context = context
        self._restored: set[tuple[str, bytes]] | None = None
        self._tokens: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def cause(self, place: Place, sighting: Sighting) -> str:
        """What a host is where it stands (findings.CAUSES); empty where it is nothing."""
        hosts, field = place.hosts, place.field
        is_call_id = field.endswith(CALL_ID)
        if not sighting.named:
            if is_call_id or hosts in (left.ECHO, OWN_WORDS, VIAS) or field in left.VERSIONS:
                return ""
        elif sighting.part and not is_call_id:
            return ""
        if hosts == KNOWN:
            return ""
        if hosts == VIAS:
            return IN_VIAS
        if hosts == STREAM:
            return IN_MEDIA
        if self._is_in_token(place, sighting):
            return ""
        if is_call_id:
            return self._call_id(place)
        if self._scanner.judge.fills and field.removesuffix(" ?headers") in left.FILLED:
            return LEFT_OPEN
        if sighting.named and self._is_restored(place, sighting):
            return ECHOED
        if sighting.packed and self.places.is_of_another(place, sighting.start):
            return ECHOED
        if hosts == OWN_WORDS:
            if left.RECEIVERS_OWN_WORDS[field] == left.SAID or not self._scanner.judge.routed:
                return ECHOED
            return self._own_words(sighting)
        if hosts == OPEN or (hosts == left.INSIDE and not sighting.named):
            return LEFT_OPEN
        return LEAK if self._context.masked else BY_POLICY

    def _call_id(self, place: Place) -> str:
        text = place.source[place.start : place.end]
        context, escape = self._context, self._scanner.escape
        if context.said is not None and context.said.has_call_id(text):
            return ECHOED
        if context.before is not None and escape and escape + text in context.before:
            return ECHOED
        if place.hosts == OPEN:
            return LEFT_OPEN
        return LEAK if self._ends.masks_identifiers else BY_POLICY

    def _own_words(self, sighting: Sighting) -> str:
        """What the receiver may have said, where nothing shows that he did."""
        said = self._context.said
        if said is None:
            return LEAK if self._context.masked else BY_POLICY
        return ECHOED if said.has_host(sighting, self._ends.outside) else UNEXPLAINED

    def _is_restored(self, place: Place, sighting: Sighting) -> bool:
        """Whether the URI that a host stands in came of a mark, in the same field."""
        if place.field not in left.RESTORED or self._context.before is None:
            return False
        restored = self._restored
        if restored is None:
            restored = self._restored = self._scanner.restored(self._context.before)
        return (
            bool(restored) and (place.field, self.places.uri_at(place, sighting.start)) in restored
        )

    def _is_in_token(self, place: Place, sighting: Sighting) -> bool:
        """Digits in a token may read as an address. In long texts, and after many, none is excused."""
        key = (place.field, place.start)
        spans = self._tokens.get(key)
        if spans is None:
            is_long = place.end - place.start > _LONGEST_WITH_TOKENS
            if is_long or len(self._tokens) >= _MOST_TOKENS or sighting.layer.is_content:
                return False
            spans = self._scanner.tokens_in(place.source[place.start : place.end])
            self._tokens[key] = spans
        at = sighting.start - place.start
        return any(start <= at < end for start, end in spans)


def _not_read(reason: str) -> Finding:
    return Finding(NOT_READ, reason, "", b"", b"")


def _text(place: Place, sighting: Sighting) -> bytes:
    """The value that a host stands in; of a long one, what is around the host."""
    start, end = place.start, place.end
    if end - start > _LONGEST_TEXT:
        at = sighting.at if place.source is sighting.layer.text else sighting.start
        start = max(start, min(at, end) - _LONGEST_TEXT // 4)
        end = min(end, start + _LONGEST_TEXT)
    return place.source[start:end]
