"""A SIP message with pseudonyms: what says how the call went stays, who called whom does not."""

import re
from collections import Counter
from dataclasses import dataclass, field

from inline_topo.anonymise.markup import Documents
from inline_topo.anonymise.pseudonyms import Pseudonyms
from inline_topo.anonymise.session import Descriptions
from inline_topo.anonymise.vocabulary import HEADERS
from inline_topo.anonymise.words import Words
from inline_topo.edits import Edit, splice
from inline_topo.masking.bodies import fragment, markup
from inline_topo.masking.carriers import PRODUCTS
from inline_topo.sip import message as sip
from inline_topo.sip import names, sdp, values
from inline_topo.sip.message import Malformed, Message, Span
from inline_topo.sip.names import FieldNames, field_name

DEEPEST = 4
"""Bodies within bodies that are looked into."""

_NONE = FieldNames(())
_OF_BODY = FieldNames(names.OF_BODY)
_CODINGS = (names.CONTENT_ENCODING, names.CONTENT_TRANSFER_ENCODING)
_CLEAR = frozenset((b"", b"identity", b"7bit", b"8bit", b"binary"))
_EMPTY_LINE = re.compile(rb"(?<=\n)\r?\n")
_DIGITS = re.compile(rb"[0-9]{1,9}")
_STATUS = re.compile(rb"(SIP\s*/[^\s]*[ \t]+)([0-9]{3})(?=\s|\Z)(.*)", re.IGNORECASE | re.DOTALL)
# Fields of words that are known, and numbers.
_PLAIN = frozenset(
    """Accept Accept-Encoding Accept-Language Allow Allow-Events Answer-Mode CSeq Content-Disposition
    Content-Encoding Content-Language Content-Transfer-Encoding Content-Type Date Event Expires
    Flow-Timer Info-Package MIME-Version Max-Breadth Max-Forwards Min-Expires Min-SE P-Early-Media
    Priority Privacy Proxy-Require RAck RSeq Reason Recv-Info Refer-Sub Request-Disposition Require
    Retry-After Session-Expires Subscription-State Supported Timestamp Unsupported Warning
    """.lower().split()
)
_SCHEMED = frozenset(
    """Authorization Proxy-Authorization WWW-Authenticate Proxy-Authenticate
    Authentication-Info""".lower().split()
)
_REMOVED = frozenset(
    """Server User-Agent Organization Identity Identity-Info P-Charging-Vector
    P-Charging-Function-Addresses Geolocation""".lower().split()
)
_SUMMARY = b"application/simple-message-summary"
_XML_TYPES = frozenset((b"application/xml", b"text/xml"))
_FRAGMENTS = frozenset((b"message/sip", b"message/sipfrag"))


@dataclass
class Counts:
    """What was done to messages. `bodies`: those dropped or zeroed, by what they are; `media`:
    descriptions whose addresses of media are replaced."""

    messages: int = 0
    removed: Counter[str] = field(default_factory=Counter)  # header fields
    bodies: Counter[str] = field(default_factory=Counter)
    media: int = 0


class Messages:
    """Rewrites messages. `products`: User-Agent and Server stay, less what may be a name in them.
    `zero`: a body that is dropped leaves zeros. `times`: Date and such stay."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        *,
        products: bool = False,
        zero: bool = False,
        times: bool = True,
    ) -> None:
        self.counts = Counts()
        self._words = Words(pseudonyms)
        self._descriptions = Descriptions(pseudonyms, self._words, times=times)
        self._documents = Documents(self._words)
        self._zero = zero
        removed = _REMOVED - {name.lower() for name in PRODUCTS} if products else _REMOVED
        self._removed = removed if times else removed | {"date", "timestamp"}

    def rewrite(self, data: bytes) -> bytes | None:
        """The message in `data`; None where it is none, or does not parse."""
        try:
            message = sip.parse(data, _NONE, _NONE)
        except Malformed:
            return None
        if message is None:
            return None
        self.counts.messages += 1
        return self._start_line(message) + self._rest(message, 0)

    # --- header -------------------------------------------------------------------------------

    def _start_line(self, message: Message) -> bytes:
        """Nothing of what stands before the start line stays."""
        data, (first, last), end = message.data, message.request_uri, message.headers[0]
        if message.is_request:
            method = self._words.rewrite(message.method, known=True)
            uri = self._words.rewrite(data[first:last])
            return b"%b %b%b" % (method, uri, self._words.rewrite(data[last:end]))
        start = data.rfind(b"\n", 0, max(end - 1, 0)) + 1
        status = _STATUS.match(data[start:end])
        if not status:
            return self._words.names(data[start:end])
        version, code, phrase = status.groups()
        return self._words.rewrite(version) + code + self._words.rewrite(phrase, known=True)

    def _rest(self, message: Message, depth: int) -> bytes:
        """Header fields and body. Raises Malformed."""
        data = message.data
        if data[message.headers[0] : message.headers[0] + 1] in (b" ", b"\t"):
            raise Malformed("the first line is folded")
        new_body = self._body(message, depth) if message.body < len(data) else b""
        edits = []
        for spelled, span in sip.header_fields(message):
            edits += self._field(message, spelled, span, len(new_body))
        start = message.headers[0]
        moved = [edit._replace(start=edit.start - start, end=edit.end - start) for edit in edits]
        return splice(data[start : message.body], moved) + new_body

    def _field(self, message: Message, spelled: bytes, span: Span, length: int) -> list[Edit]:
        data, name = message.data, field_name(spelled)
        start, end = sip.line_of(message, span)
        if name.lower() in self._removed:
            self.counts.removed[name] += 1
            return [Edit(start, end, b"", name, "removed")]
        edits = []
        if spelled.lower() not in HEADERS:
            new = b"X-" + self._words.names(spelled)
            edits.append(Edit(start, start + len(spelled), new, name, "replaced"))
        value = data[span[0] : span[1]]
        is_length = name == names.CONTENT_LENGTH
        new = b"%d" % length if is_length else self._value(name, value)
        return [*edits, Edit(*span, new, name, "replaced")]

    def _value(self, name: str, value: bytes) -> bytes:
        lower = name.lower()
        if lower in _PLAIN:
            return self._words.rewrite(value, known=True, numbers=True)
        if name in PRODUCTS:
            return self._words.product(value)
        return self._words.rewrite(value, known=lower in _SCHEMED)

    # --- body ---------------------------------------------------------------------------------

    def _body(self, message: Message, depth: int) -> bytes:
        fields = sip.find_fields(message, _OF_BODY)

        def first(name: str) -> bytes:
            spans = fields.get(name)
            return message.data[spans[0][0] : spans[0][1]] if spans else b""

        body, length = message.data[message.body :], first(names.CONTENT_LENGTH)
        if _DIGITS.fullmatch(length):
            body = body[: int(length)]
        if not body:
            return b""
        content_type = first(names.CONTENT_TYPE)
        kind = b"".join(content_type.partition(b";")[0].lower().split())
        is_clear = all(first(name).lower() in _CLEAR for name in _CODINGS)
        new = self._known_body(kind, body, content_type, depth) if is_clear else None
        if new is not None:
            return new
        shown = self._words.rewrite(kind or b"-", known=True).decode("ascii", "replace")
        self.counts.bodies[shown] += 1
        return bytes(len(body)) if self._zero else b""

    def _known_body(
        self, kind: bytes, body: bytes, content_type: bytes, depth: int
    ) -> bytes | None:
        if kind == sdp.MEDIA_TYPE or (not kind and body.startswith(b"v=0")):
            self.counts.media += 1
            return self._descriptions.rewrite(body)
        if kind.endswith(b"+xml") or kind in _XML_TYPES:
            return self._documents.rewrite(body) if markup.is_readable(body, 0, len(body)) else None
        if kind == _SUMMARY:
            return self._words.rewrite(body, known=True, numbers=True)
        if depth >= DEEPEST:
            return None
        if kind.startswith(b"multipart/"):
            return self._parts(body, content_type, depth)
        return self._fragment(body, depth) if kind in _FRAGMENTS else None

    def _parts(self, body: bytes, content_type: bytes, depth: int) -> bytes | None:
        """Nothing stays but the parts: no preamble, no epilogue."""
        old = _boundary(content_type)
        new = _boundary(self._value(names.CONTENT_TYPE, content_type))
        if not old or not new:
            return None
        pieces = re.split(rb"(?:\A|\r?\n)--%b[ \t]*(?=\r?\n|--)" % re.escape(old), body)
        parts = []
        for piece in pieces[1:]:
            if piece.startswith(b"--"):
                break
            part = self._part(piece.partition(b"\n")[2], depth)
            if part is None:
                return None
            parts.append(b"--%b\r\n%b\r\n" % (new, part))
        return b"%b--%b--\r\n" % (b"".join(parts), new)

    def _part(self, text: bytes, depth: int) -> bytes | None:
        """A part: header fields, which may be none, an empty line, a body."""
        text = b"\n" + text
        empty = _EMPTY_LINE.search(text)
        part = Message(text, b"", 0, (0, 0))
        part.headers = (1, empty.start() if empty else 1)
        part.body = empty.end() if empty else 1
        try:
            return self._rest(part, depth + 1)
        except Malformed:
            return None

    def _fragment(self, body: bytes, depth: int) -> bytes | None:
        try:
            inner = fragment.parse(b"\n" + body)
            line = self._start_line(inner) if inner.headers[0] > 1 else b""
            return line + self._rest(inner, depth + 1)
        except Malformed:
            return None


def _boundary(content_type: bytes) -> bytes:
    span = values.parameter(content_type, 0, len(content_type), b"boundary")
    return content_type[span[0] : span[1]].strip(b'" \t\r') if span else b""
