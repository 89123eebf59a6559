"""Places in a body: by line in SDP, wherever it stands (in a part, too), and else by its type."""

import re
import zlib

from inline_topo.sip.message import Message

# A line that says where a stream goes (RFC 8866, RFC 8839, RFC 3605, RFC 4570, RFC 4975).
_MEDIA_LINE = re.compile(
    rb"c=|m=|a=(?:candidate|remote-candidates|rtcp|source-filter|path|alt):",
    re.IGNORECASE,
)
_COMPRESSED = re.compile(rb"\n(?i:content-encoding|e)[ \t]*:[^\n]*(?i:gzip|deflate)")
_ANY_HEADER = 47  # zlib's word for: gzip's or its own
MOST_UNPACKED = 1 << 20
_SDP_LINE = re.compile(rb"([a-z]=(?:(?<=a=)[^:\r\n]*)?):?([^\r\n]*)")
_SDP_IN = (b"application/sdp", b"multipart/", b"message/sip")
_PART_TYPE = re.compile(rb"^(?:Content-Type|c)[ \t]*:[ \t]*([^\s;]+)", re.IGNORECASE | re.MULTILINE)


def unpacked(data: bytes) -> tuple[int, bytes] | None:
    """Where a compressed body begins (RFC 3261 section 20.12), and what it holds, up to MOST_UNPACKED
    bytes; None for any other message, and for what does not unpack."""
    body = data.find(b"\r\n\r\n") + 4
    if body < 4 or not _COMPRESSED.search(data, 0, body):
        return None
    try:
        return body, zlib.decompressobj(_ANY_HEADER).decompress(data[body:], MOST_UNPACKED)
    except zlib.error:
        return None


def media_line(data: bytes, position: int) -> tuple[str, int, int] | None:
    """Field and span of the line of SDP that holds a byte, if it says where a stream goes."""
    start = data.rfind(b"\n", 0, position) + 1
    return _sdp_line(data, start) if _MEDIA_LINE.match(data, start) else None


def place(message: Message, content_type: bytes, position: int) -> tuple[str, bool, int, int]:
    """Field, whether it is where a stream goes, and span of the line, or body, that holds a byte."""
    data = message.data
    kind = content_type.partition(b";")[0].strip().lower()
    start = max(data.rfind(b"\n", 0, position) + 1, message.body)
    if not kind or kind.startswith(_SDP_IN):
        line = _sdp_line(data, start)
        if line:
            return line[0], bool(_MEDIA_LINE.match(data, start)), *line[1:]
    if kind.startswith(b"multipart/"):
        parts = [m for m in _PART_TYPE.finditer(data, message.body) if m.start() < position]
        kind = parts[-1][1].lower() if parts else kind
    if kind == b"application/sdp":
        end = data.find(b"\n", position)
        return "SDP", False, start, len(data) if end < 0 else end
    return (
        f"body {kind.decode('ascii', 'replace') or 'without a type'}",
        False,
        message.body,
        len(data),
    )


def _sdp_line(data: bytes, start: int) -> tuple[str, int, int] | None:
    match = _SDP_LINE.match(data, start)
    return (f"SDP {match[1][:20].decode('ascii', 'replace')}", *match.span(2)) if match else None
