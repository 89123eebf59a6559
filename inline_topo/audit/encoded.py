"""Bodies, and parts of bodies, that are declared as encoded (RFC 3261 section 20.12, RFC 2045 section 6)."""

import re
from binascii import Error, a2b_base64
from typing import Final, NamedTuple

from inline_topo.audit.layers import Decoded, Layer, unpack
from inline_topo.audit.work import Work

_DECLARED: Final = re.compile(
    rb"\n(content-encoding|e|content-transfer-encoding)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE
)
_TYPE: Final = re.compile(
    rb"\n(?:content-type|c)[ \t]*:[ \t]*application/(?:x-)?"
    rb"(gzip|zlib|compress|bzip2?|xz|lzma|lz4|zstd|zip|7z-compressed)[ \t]*[;\r\n]",
    re.IGNORECASE,
)
_CHARSET: Final = re.compile(
    rb"(?:;[ \t]*charset|<\?xml[^<>]{1,200}?[ \t\r\n]encoding)[ \t]*=[ \t]*[\"']?([a-z0-9._:-]{1,40})",
    re.IGNORECASE,
)
_LIKE_ASCII: Final = re.compile(
    rb"utf-?8|utf-?(?:16|32)(?:[bl]e)?|us-ascii|ascii|iso[-_]?8859[-_]?[0-9]+|windows-[0-9]+|cp125[0-9]"
    rb"|koi8-[ru]|gb2312|gbk|gb18030|big5|euc-(?:jp|kr)|shift_jis|tis-620",
    re.IGNORECASE,
)
_UTF_7: Final = frozenset({b"utf-7", b"utf7", b"unicode-1-1-utf-7"})
_ENTITY: Final = b"<!entity"
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
    if b"<!" in text and _ENTITY in text.lower():  # words that the document makes
        is_whole = False
    for match in _TYPE.finditer(text):
        start, end = _content(text, match.end() - 1)
        content, whole = unpack(text[start:end])
        is_whole = is_whole and (whole or start == end)
        if content and work.take(len(content)):
            layers.append(Decoded(content, layer, start))
    is_whole = _charsets(layer, work, layers) and is_whole
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


def _charsets(layer: Layer, work: Work, layers: list[Decoded]) -> bool:
    """Add the texts in UTF-7 (RFC 2152). Whether all charsets that are declared are read: those that keep
    ASCII as it is, and UTF-16 and UTF-32, need no decoding."""
    text, is_whole = layer.text, True
    for count, match in enumerate(_CHARSET.finditer(text)):
        charset = match[1].lower()
        if _LIKE_ASCII.fullmatch(charset):
            continue
        if charset not in _UTF_7 or count >= _MOST_DECLARED or not work.take(len(text)):
            return False
        start, end = match.end(), len(text)
        if match[0].startswith(b";"):
            start, end = _content(text, start)
        content = text[start:end]
        try:
            found = content.decode("utf-7").encode()
        except UnicodeDecodeError:
            found, is_whole = content.decode("utf-7", "replace").encode(), False
        layers.append(Decoded(found, layer, start))
    return is_whole


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
