"""The body of a message, and the bodies within it: which rule is for each."""

from functools import partial
from typing import Final

from inline_topo.bounds import MOST_IN_BODY
from inline_topo.edits import Edit, splice
from inline_topo.masking import part_names
from inline_topo.masking.bodies import entity, fragment, markup
from inline_topo.masking.bodies.base import BEHIND_BODY, BODY_TEXT, MEDIA, SDP, UNSEEN, Pass, Sealer
from inline_topo.masking.bodies.entity import Entity
from inline_topo.masking.bodies.part_words import PartNames
from inline_topo.masking.bodies.session import Sessions
from inline_topo.masking.bodies.texts import Texts, touches
from inline_topo.masking.callid import CallIds
from inline_topo.masking.codecs.base import Codec, SealError
from inline_topo.masking.elements import count
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.hidden import is_hidden
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.settle import outside_of
from inline_topo.masking.swap import Swap
from inline_topo.masking.uris import MASKED, REPLACED, STRIPPED, KnownUri, Uris
from inline_topo.sip import names, sdp
from inline_topo.sip.message import Malformed, Message, Span

DEEPEST: Final = 4
"""Bodies within bodies that are looked into."""

_PADDING: Final = b" \t\r\n\0"
_SIGNED: Final = frozenset((b"multipart/signed", b"multipart/encrypted"))
_FRAGMENTS: Final = frozenset((b"message/sip", b"message/sipfrag"))
_XML: Final = frozenset((b"application/xml", b"text/xml"))
# RFC 3842, RFC 6035, RFC 3862
_TEXTS: Final = frozenset(
    (b"application/simple-message-summary", b"application/vq-rtcpxr", b"message/cpim")
)


class Bodies:
    """The rules for bodies. `descriptions`: SDP is masked; `others`: so is the rest.

    Where both are off nothing is looked at; else whatever opens is opened. `call_ids`:
    None where Call-IDs are not masked.
    """

    def __init__(
        self,
        codec: Codec,
        hosts: Hosts,
        uris: Uris,
        call_ids: CallIds | None,
        *,
        descriptions: bool = True,
        others: bool = True,
    ) -> None:
        self.call_ids = call_ids
        self._codec = codec
        self._hosts = hosts
        self._descriptions = descriptions
        self._others = others
        self._swap = Swap(hosts)
        self._sessions = Sessions(codec, hosts)
        self._fragments = fragment.Fragments(codec, hosts, uris)
        self._markup = markup.Markup(codec, hosts, uris)
        self._part_names = PartNames(Texts(codec, hosts), self._swap)

    def mask(
        self,
        message: Message,
        flow: Flow,
        *,
        fields: bool = True,
        seal: Sealer | None = None,
        session: bytes | None = None,
    ) -> list[Edit]:
        """The edits that hide what the body of `message` names. Raises SealError.

        What stands behind the body is cut off as it leaves, but for blanks and zeros. What was seen and
        left is added to the message's notes. `fields`: whether policy lets more
        than Call-IDs be masked. `seal`: which URIs, and how; by default those that are hidden. In
        what enters, descriptions stay: they are the peer's. `session` (a media relay's) takes the
        place of the first description, and is masked as that would be.
        """
        data = message.data
        if message.body >= len(data):
            return []
        leaves = fields and flow.direction is Direction.EGRESS
        if self._is_idle and session is None:
            return _cut_behind(data, entity.end_of_body(message)) if leaves else []
        descriptions = leaves and self._descriptions
        if session is None and (length := entity.length_of_sdp(message)):
            return self._sdp_alone(message, length, flow) if descriptions else []
        whole = entity.of(message)
        call_ids = self.call_ids if self._others and flow.masks_identifiers else None
        how = Pass(
            True,
            flow,
            (seal or self._hide(flow)) if fields and self._others else None,
            call_ids.mask if call_ids else None,
            descriptions,
            session,
            names_parts=fields and self._others and part_names.may_have(message),
        )
        edits = self._message(message, whole, how)
        if leaves:
            edits += _cut_behind(data, whole.end)
        if how.notes:
            message.notes = (*message.notes, *how.notes)
        return edits

    def open(
        self,
        message: Message,
        flow: Flow,
        *,
        fields: bool = True,
        session: bytes | None = None,
        strangers: bool = False,
    ) -> list[Edit]:
        """The edits that put back what the tokens in the body of `message` stand for: in what is masked
        as it leaves. `fields`: more than Call-IDs.

        `strangers`: the message names the inside; where its body does, the sender's own address takes
        the place of the host, but for where media goes.
        """
        data, body = message.data, message.body
        if body >= len(data) or (self._is_idle and session is None):
            return []
        call_ids = self.call_ids
        none_escaped = not call_ids or data.startswith(b"v=0", body)
        swaps = strangers and self._hosts.mentions(data[body:])
        opens = fields and self._others
        names_parts = opens and part_names.may_have(message)
        if (
            none_escaped
            and session is None
            and not swaps
            and not names_parts
            and not self._codec.may_open(data, body, len(data))
        ):
            return []
        unmask = partial(call_ids.unmask, escape=flow.masks_identifiers) if call_ids else None
        whole = entity.of(message)
        how = Pass(
            False,
            flow,
            None,
            unmask,
            fields and self._descriptions,
            session,
            opens=opens,
            strangers=strangers,
            names_parts=names_parts,
        )
        return self._message(message, whole, how)

    @property
    def _is_idle(self) -> bool:
        return not self._descriptions and not self._others

    def _sdp_alone(self, message: Message, length: Span, flow: Flow) -> list[Edit]:
        """The same for the body that most calls have, without what others need."""
        data, body = message.data, message.body
        edits, media, _ = self._sessions.mask(data, body, len(data), flow, MOST_IN_BODY)
        if media:
            message.notes = (MEDIA,)
        if edits:
            new = len(data) - body
            for start, end, text, _, _ in edits:
                new += len(text) - end + start
            edits.append(Edit(*length, b"%d" % new, names.CONTENT_LENGTH, MASKED))
        return edits

    def _hide(self, flow: Flow) -> Sealer:
        def seal(uri: bytes, known: KnownUri, bare: bool) -> bytes | None:
            if not known.shows(flow, is_hidden):
                return None
            # Who watches a resource knows it by its URI, across key rotation too.
            return self._codec.seal_uri(uri, flow.mask, stable=True, bare=bare)

        return seal

    def _message(self, message: Message, whole: Entity, how: Pass) -> list[Edit]:
        """The edits of a whole message, those in names of parts in its header fields first."""
        session = how.session
        named = self._names(message, how) if how.names_parts else []
        edits = named + self._entity(message.data, whole, how, 0)
        if how.names_parts and self._part_names.stay(message.data, how.unread, how.flow):
            how.names_parts, how.keeps_names = False, True
            how.session, how.left = session, MOST_IN_BODY
            edits = self._entity(message.data, whole, how, 0)
        if how.session is not None:
            raise SealError("no description in whose place that of the relay could stand")
        return edits

    def _names(self, message: Message, how: Pass) -> list[Edit]:
        """The edits in names of parts, in the header fields of a message or a part."""
        return self._in_names(message.data, part_names.in_header(message), how)

    def _in_names(self, data: bytes, spans: list[Span], how: Pass) -> list[Edit]:
        how.spend(len(spans))
        if how.masking:
            return self._part_names.mask(data, spans, how.flow)
        edits = self._part_names.open(data, spans)
        if how.strangers:
            taken = [(edit.start, edit.end) for edit in edits]
            swapped = self._part_names.strangers(data, spans, how.flow)
            edits += [one for one in swapped if not touches(taken, (one.start, one.end))]
        return edits

    @staticmethod
    def _spared(data: bytes, span: Span, how: Pass) -> list[Span]:
        """The names of parts in a text: they have edits of their own, or none."""
        if not how.names_parts and not how.keeps_names:
            return []
        return part_names.in_text(data, span)

    def _entity(self, data: bytes, whole: Entity, how: Pass, depth: int) -> list[Edit]:
        """The edits in the body of an entity, and those of its Content-Length."""
        if whole.start >= whole.end:
            return []
        edits = self._body(data, whole, how, depth)
        if edits and whole.lengths:
            edits += entity.mend_lengths(data, whole, edits, how.action)
        return edits

    def _body(self, data: bytes, whole: Entity, how: Pass, depth: int) -> list[Edit]:
        kind, start, end = whole.media_type, whole.start, whole.end
        if not whole.encoded:
            if _is_description(data, whole):
                return self._description(data, start, end, how)
            if depth < DEEPEST and kind.startswith(b"multipart/") and kind not in _SIGNED:
                return self._parts(data, whole, how, depth)
            if how.masking and not how.seal and not how.call_id:
                return []
            if depth < DEEPEST and kind in _FRAGMENTS:
                return self._fragment(data, start, end, how, depth)
            is_xml = kind.endswith(b"+xml") or kind in _XML
            if kind in _TEXTS or (is_xml and markup.is_readable(data, start, end)):
                names = self._spared(data, (start, end), how)
                named = self._in_names(data, names, how) if how.names_parts else []
                if how.masking:
                    masked = self._markup.mask(data, (start, end), how, names, entities=is_xml)
                    return masked + named
                opened = self._markup.open(data, (start, end), how, names, entities=is_xml) + named
                if not how.strangers or not self._others:
                    return opened
                spared = markup.dialog_ids(data, (start, end)) if is_xml else []
                spared = markup.apart(spared + names) if names else spared
                return opened + self._strangers(data, (start, end), how, opened, spared)
        how.note(UNSEEN)
        how.unread.append(data[start:end])
        return []

    def _description(self, data: bytes, start: int, end: int, how: Pass) -> list[Edit]:
        new = how.take_session()
        if new is not None:
            new = splice(new, self._in_description(new, 0, len(new), how))
            return [Edit(start, end, new, SDP, REPLACED)]
        edits = self._in_description(data, start, end, how)
        if how.names_parts:
            named = self._in_names(data, part_names.in_description(data, (start, end)), how)
            edits += outside_of(named, sorted([(edit.start, edit.end) for edit in edits]))
        return edits

    def _in_description(self, data: bytes, start: int, end: int, how: Pass) -> list[Edit]:
        if not how.descriptions:
            return []
        if not how.masking:
            edits = self._sessions.open(data, start, end, how)
            if how.strangers and self._descriptions:
                edits += self._sessions.swap(data, start, end, how.flow, edits)
            return edits
        edits, media, how.left = self._sessions.mask(data, start, end, how.flow, how.left)
        if media:
            how.note(MEDIA)
        return edits

    def _parts(self, data: bytes, whole: Entity, how: Pass, depth: int) -> list[Edit]:
        parts = entity.parts(data, whole)
        if not parts:
            how.note(UNSEEN)
            how.unread.append(data[whole.start : whole.end])
        edits: list[Edit] = []
        how.spend(len(parts))
        for part in parts:
            if how.names_parts:
                head = Message(data, b"", 0, (0, 0))
                head.headers = part.head
                edits += self._names(head, how)
            edits += self._entity(data, part, how, depth + 1)
        return edits

    def _fragment(self, data: bytes, start: int, end: int, how: Pass, depth: int) -> list[Edit]:
        text = b"\n" + data[start:end]  # so that each of its header fields begins a line
        try:
            inner = fragment.parse(text)
        except Malformed:
            how.note(UNSEEN)
            how.unread.append(text)
            return []
        how.spend(count(inner))
        whole = entity.read(inner, inner.fields)
        session = how.take_session()  # it is not for what is quoted
        named = part_names.in_header(inner) if how.names_parts or how.keeps_names else []
        edits = self._fragments.edits(inner, how)
        if how.names_parts:
            edits += outside_of(
                self._in_names(text, named, how), sorted([(e.start, e.end) for e in edits])
            )
        if how.strangers and self._others:
            for span in fragment.swappable(inner):
                edits += self._strangers(text, span, how, edits, named)
        edits += self._entity(text, whole, how, depth + 1)
        how.session = session
        offset = start - 1
        return [e._replace(start=e.start + offset, end=e.end + offset) for e in edits]

    def _strangers(
        self, data: bytes, span: Span, how: Pass, opened: list[Edit], spared: list[Span]
    ) -> list[Edit]:
        """The edits that swap what names the inside in data[start:end], but for what is spared and what
        was opened."""
        found = self._swap.strangers(data, span, how.flow, BODY_TEXT)
        if not found:
            return []
        taken = sorted([*spared, *[(edit.start, edit.end) for edit in opened]])
        return [edit for edit in found if not touches(taken, (edit.start, edit.end))]


def _cut_behind(data: bytes, end: int) -> list[Edit]:
    """The edit that cuts off what stands behind a body, if that is more than blanks and zeros."""
    if end == len(data) or not data[end:].strip(_PADDING):
        return []
    return [Edit(end, len(data), b"", BEHIND_BODY, STRIPPED)]


def find_session(message: Message) -> Span | None:
    """Where the first description in the body of `message` stands: what a media relay is to see."""
    data = message.data
    if message.body >= len(data):
        return None
    return _find_session(data, entity.of(message), 0)


def _find_session(data: bytes, whole: Entity, depth: int) -> Span | None:
    if whole.encoded or whole.start >= whole.end:
        return None
    if _is_description(data, whole):
        return whole.start, whole.end
    kind = whole.media_type
    if depth < DEEPEST and kind.startswith(b"multipart/") and kind not in _SIGNED:
        for part in entity.parts(data, whole):
            found = _find_session(data, part, depth + 1)
            if found:
                return found
    return None


def _is_description(data: bytes, whole: Entity) -> bool:
    kind = whole.media_type
    return kind == sdp.MEDIA_TYPE or (not kind and data.startswith(b"v=0", whole.start))
