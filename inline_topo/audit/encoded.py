"""Bodies, and parts of bodies, that are declared as encoded (RFC 3261 section 20.12, RFC 2045 section 6)."""

import re
from binascii import Error, a2b_base64
from typing import Final, NamedTuple

from inline_topo.audit.layers import Decoded, Layer, unpack
from inline_topo.audit.work import Work

_DECLARED: Final = re.compile(
    rb"\n(content-encoding|e|content-transfer-encoding)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE
)
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_AS_IT_IS: Final = frozenset({b"", b"identity", b"7bit", b"8bit", b"binary", b"quoted-printable"})
_PACKED: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})
_UNREADABLE: Final = frozenset({b"compress", b"x-compress", b"br", b"zstd", b"exi"})
_MOST_DECLARED: Final = 64


class Encoded(NamedTuple):
    """What was decoded, and whether that is all that was declared as encoded."""

    layers: list[Decoded]
    is_whole: bool


def decode(layer: Layer, work: Work) -> Encoded:
    """The content of the encoded bodies and parts in a text."""
    text, is_whole = layer.text, True
    layers: list[Decoded] = []
    for count, match in enumerate(_DECLARED.finditer(text)):
        codings = [word.strip().lower() for word in match[2].split(b",")]
        codings = [word for word in codings if word not in _AS_IT_IS]
        if not codings or (len(match[1]) == 1 and not _is_known(codings)):
            continue
        start, end = _content(text, match.end())
        if start == end:
            continue
        if count >= _MOST_DECLARED or not work.take(0):
            return Encoded(layers, False)
        found = _undo(text[start:end], codings)
        is_whole = is_whole and found[1]
        if found[0]:
            work.take(len(found[0]))
            layers.append(Decoded(found[0], layer, start))
    return Encoded(layers, is_whole)


def _is_known(codings: list[bytes]) -> bool:
    """Whether a line that begins with `e:`, which may be one of a text, speaks of codings."""
    return all(coding in _PACKED or coding in _UNREADABLE for coding in codings)


def _content(text: bytes, position: int) -> tuple[int, int]:
    """The body behind the header fields that go on here, or the part up to the next boundary."""
    head = _EMPTY_LINE.search(text, position)
    if head is None:
        return len(text), len(text)
    start = head.end()
    boundary = text.rfind(b"\n--", 0, position)
    if boundary < 0:
        return start, len(text)
    line = text[boundary + 1 : position].partition(b"\n")[0].rstrip()
    end = text.find(b"\n" + line, start - 1)
    if end < 0:
        return start, len(text)
    return start, max(start, end - 1 if text[end - 1 : end] == b"\r" else end)


def _undo(data: bytes, codings: list[bytes]) -> tuple[bytes, bool]:
    """The data without its codings, the last one first."""
    is_whole = True
    for coding in reversed(codings):
        if coding == b"base64":
            data, whole = _from_base64(data)
        elif coding in _PACKED:
            data, whole = unpack(data)
        else:
            return data, False
        is_whole = is_whole and whole
    return data, is_whole


def _from_base64(data: bytes) -> tuple[bytes, bool]:
    digits = b"".join(data.split())
    try:
        return a2b_base64(digits, strict_mode=True), True
    except Error:
        pass
    try:
        return a2b_base64(digits + b"==="), False
    except Error:
        return b"", False
