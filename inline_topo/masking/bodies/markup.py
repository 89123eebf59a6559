"""XML, and plain text that holds URIs: changed by spans, never written anew.

URIs (sip:, sips:, pres:, im:) become tokens where they name something hidden, Call-IDs go through the
bijection (RFC 4235 `call-id`, RFC 3680 `callid`, RFC 4575 `<call-id>`), and other words that name the
inside become tokens too. All by single scans in linear time. A reference such as `&amp;` comes back
in its usual spelling.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking import callid
from inline_topo.masking.bodies.base import BODY_CALL_ID, BODY_TEXT, BODY_URI, Pass
from inline_topo.masking.bodies.texts import Texts, touches
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.hidden import is_named
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.uris import MASKED, OPENED, Uris
from inline_topo.sip.message import Span

_SCHEME: Final = rb"(?<![A-Za-z0-9+.%%_:\[\]-])(?:sips?|pres|im):%s"  # where no word ends
_IN_TEXT: Final = re.compile(_SCHEME % rb"[^\s\"<>]+", re.IGNORECASE)
_IN_XML: Final = re.compile(_SCHEME % rb"(?:[^\s\"<>&]|&(?!(?:lt|gt|quot);))+", re.IGNORECASE)
_CALL_ID: Final = re.compile(
    rb"\scall-?id\s{0,9}=\s{0,9}(?:\"([^\"<]*)\"|'([^'<]*)')|<(?:[A-Za-z0-9_-]+:)?call-id>([^<]*)</"
)
_REFERENCE: Final = re.compile(rb"&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6}));")
_NAMED: Final = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}
_ENCODING: Final = re.compile(
    rb"<\?xml[^>]{1,80}?encoding\s{0,9}=\s{0,9}[\"']([A-Za-z0-9._-]{1,40})"
)
_READABLE: Final = re.compile(rb"utf-?8|us-ascii|iso-8859-[0-9]+|windows-125[0-9]", re.IGNORECASE)

_TAG: Final = re.compile(
    rb"\s(?:local|remote)-tag\s{0,9}=\s{0,9}(?:\"([^\"<]*)\"|'([^'<]*)')"
    rb"|<(?:[A-Za-z0-9_-]+:)?(?:from|to)-tag>([^<]*)</"
)

Escape = Callable[[bytes], bytes]
Offsets = Sequence[int] | None


class Markup:
    """Edits on one document; `entities`: it is XML."""

    def __init__(self, codec: Codec, hosts: Hosts, uris: Uris) -> None:
        self._codec = codec
        self._uris = uris
        self._texts = Texts(codec, hosts)

    def mask(
        self, data: bytes, span: Span, how: Pass, names: list[Span], *, entities: bool
    ) -> list[Edit]:
        """The edits that hide what data[start:end] names, but for the `names` of parts."""
        call_ids = list(_call_ids(data, span)) if entities else []
        spared = [where for where, _ in call_ids]
        if names:
            spared = apart(spared + names)
        edits: list[Edit] = []
        left: list[Span] = []
        for where, clear, offsets, escape in _uris(data, span, spared, entities=entities):
            how.spend()
            known = self._uris.find(clear)
            if not known:
                continue
            left.append(where)
            sealed = how.seal(clear[: known.length], known, False) if how.seal else None
            if sealed:
                stop = where[0] + _offset(offsets, known.length)
                new = escape(_with_scheme_of(clear, sealed))
                edits.append(Edit(where[0], stop, new, BODY_URI, MASKED))
            if how.call_id:
                edits += _map_in_headers(clear, where[0], offsets, escape, how)
        if how.call_id:
            edits += _map_call_ids(data, call_ids, how)
        if how.seal:
            spared = apart(spared + left) if names else sorted(spared + left)
            words = self._texts.mask(data, span, how.flow, BODY_TEXT, is_named, spared)
            how.spend(len(words))
            edits += words
        return edits

    def open(
        self, data: bytes, span: Span, how: Pass, names: list[Span], *, entities: bool
    ) -> list[Edit]:
        """The edits that put back what the tokens in data[start:end] stand for, but for the `names` of
        parts."""
        call_ids = list(_call_ids(data, span)) if entities else []
        spared = [where for where, _ in call_ids]
        if names:
            spared = apart(spared + names)
        edits: list[Edit] = []
        for where, clear, offsets, escape in _uris(data, span, spared, entities=entities):
            how.spend()
            known = self._uris.find(clear)
            length = known.length if known else len(clear)
            opened = self._codec.open_uri(clear[:length]) if how.opens else None
            if opened:
                stop = where[0] + _offset(offsets, length)
                edits.append(Edit(where[0], stop, escape(opened.uri), BODY_URI, OPENED))
            elif how.opens:
                self._uris.unopened.uri(clear[:length], BODY_URI)
            if how.call_id:
                edits += _map_in_headers(clear, where[0], offsets, escape, how)
        spared = apart(spared + [(edit.start, edit.end) for edit in edits])
        if how.call_id:
            edits += _map_call_ids(data, call_ids, how)
        return edits + (self._texts.open(data, span, BODY_TEXT, spared) if how.opens else [])


def apart(spans: list[Span]) -> list[Span]:
    """Spans in order, those that overlap as one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            start, end = found[-1][0], max(end, found.pop()[1])
        found.append((start, end))
    return found


def dialog_ids(data: bytes, span: Span) -> list[Span]:
    """Where the Call-IDs and tags stand that a document names."""
    found = [where for where, _ in _call_ids(data, span)]
    return found + [match.span(match.lastindex or 0) for match in _TAG.finditer(data, *span)]


def is_readable(data: bytes, start: int, end: int) -> bool:
    """Whether an XML document is in UTF-8, or in another encoding that keeps ASCII as it is."""
    if b"\0" in data[start : min(end, start + 4)] or data[start : start + 2] in (
        b"\xff\xfe",
        b"\xfe\xff",
    ):
        return False
    declared = _ENCODING.search(data, start, min(end, start + 200))
    return not declared or bool(_READABLE.fullmatch(declared[1]))


def _uris(
    data: bytes, span: Span, spared: Sequence[Span], *, entities: bool
) -> Iterator[tuple[Span, bytes, Offsets, Escape]]:
    """What may be a URI, outside of what is spared: its span, the text without references, where its
    bytes stand in the span, and how to write another in its place."""
    for match in (_IN_XML if entities else _IN_TEXT).finditer(data, *span):
        first, raw = match.start(), match[0]
        if touches(spared, match.span()):
            continue
        if not entities:
            yield match.span(), raw, None, bytes
            continue
        apostrophe = data[max(first - 1, 0) : first] == b"'"
        if apostrophe:
            raw = raw.partition(b"'")[0]
        clear, offsets = _unescape(raw)
        escape = partial(_escape, b"'" if apostrophe else b'"')
        yield (first, first + len(raw)), clear, offsets, escape


def _call_ids(data: bytes, span: Span) -> Iterator[tuple[Span, Escape]]:
    """Where a Call-ID stands, and how to write another in its place."""
    for match in _CALL_ID.finditer(data, *span):
        quote = b"'" if match[2] is not None else b'"'
        yield match.span(match.lastindex or 0), partial(_escape, quote)


def _map_call_ids(data: bytes, call_ids: list[tuple[Span, Escape]], how: Pass) -> list[Edit]:
    edits = []
    how.spend(len(call_ids))
    for span, escape in call_ids:
        clear, _ = _unescape(data[span[0] : span[1]])
        mapped = how.map(clear)
        if mapped != clear:
            edits.append(Edit(*span, escape(mapped), BODY_CALL_ID, how.action))
    return edits


def _map_in_headers(
    clear: bytes, first: int, offsets: Offsets, escape: Escape, how: Pass
) -> list[Edit]:
    """The Call-IDs in the headers part of a URI that stands at `first`."""
    edits = []
    for start, end in callid.locate_in_uris(clear, [(0, len(clear))]):
        escaped = clear[start:end]
        call_id = callid.unescape(escaped)
        mapped = how.map(call_id)
        if mapped != call_id:
            where = first + _offset(offsets, start), first + _offset(offsets, end)
            new = escape(callid.escape_like(mapped, escaped))
            edits.append(Edit(*where, new, BODY_CALL_ID, how.action))
    return edits


def _with_scheme_of(clear: bytes, sealed: bytes) -> bytes:
    """A token with the scheme pres: or im: of what it stands for; it opens whatever its scheme."""
    scheme, _, _ = clear.partition(b":")
    if scheme.lower() in (b"pres", b"im"):
        return scheme + sealed[sealed.index(b":") :]
    return sealed


def _offset(offsets: Offsets, position: int) -> int:
    return offsets[position] if offsets else position


def _escape(quote: bytes, text: bytes) -> bytes:
    text = text.replace(b"&", b"&amp;").replace(b"<", b"&lt;")
    return text.replace(quote, b"&quot;" if quote == b'"' else b"&apos;")


def _unescape(raw: bytes) -> tuple[bytes, Offsets]:
    """`raw` with the characters that its references stand for, and where each byte (and the end) of
    that stands in `raw`; None for one to one."""
    if b"&" not in raw:
        return raw, None
    clear, position = bytearray(), 0
    offsets: list[int] = []
    for match in _REFERENCE.finditer(raw):
        character = _character(match)
        if character:
            clear += raw[position : match.start()]
            offsets += range(position, match.start())
            clear += character
            offsets += [match.start()] * len(character)
            position = match.end()
    clear += raw[position:]
    return bytes(clear), [*offsets, *range(position, len(raw) + 1)]


def _character(reference: re.Match[bytes]) -> bytes:
    if reference[1]:
        return _NAMED[reference[1]]
    number = int(reference[2]) if reference[2] else int(reference[3], 16)
    try:
        return chr(number).encode()
    except (ValueError, OverflowError):
        return b""
