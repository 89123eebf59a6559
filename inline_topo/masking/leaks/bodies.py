"""Places in a body: by line in SDP, wherever it stands (in a part, too), and else by its type."""

import re

from inline_topo.sip.message import Message

# A line that says where a stream goes (RFC 8866, RFC 8839, RFC 3605, RFC 4570, RFC 4975).
_MEDIA_LINE = re.compile(
    rb"c=|m=|a=(?:candidate|remote-candidates|rtcp|source-filter|path|alt):",
    re.IGNORECASE,
)
_SDP_IN = (b"application/sdp", b"multipart/", b"message/sip")
_PART_TYPE = re.compile(rb"^(?:Content-Type|c)[ \t]*:[ \t]*([^\s;]+)", re.IGNORECASE | re.MULTILINE)


def place(message: Message, content_type: bytes, position: int) -> tuple[str, bool, int, int]:
    """Field, whether it is where a stream goes, and span of the line, or body, that holds a byte."""
    data = message.data
    kind = content_type.partition(b";")[0].strip().lower()
    start = max(data.rfind(b"\n", 0, position) + 1, message.body)
    end = data.find(b"\n", position)
    end = len(data) if end < 0 else end
    line = data[start:end].rstrip(b"\r")
    may_be_sdp = not kind or kind.startswith(_SDP_IN)
    if may_be_sdp and re.match(rb"[a-z]=", line):
        name = line[:2]
        if name == b"a=":
            name += line[2:].partition(b":")[0]
        value = start + 2 if name[:2] != b"a=" else start + len(name) + (len(line) > len(name))
        field = f"SDP {name[:20].decode('ascii', 'replace')}"
        return field, bool(_MEDIA_LINE.match(line)), value, end
    if kind.startswith(b"multipart/"):
        parts = [m for m in _PART_TYPE.finditer(data, message.body) if m.start() < position]
        kind = parts[-1][1].lower() if parts else kind
    text = kind.decode("ascii", "replace") or "without a type"
    if kind == b"application/sdp":
        return "SDP", False, start, end
    return f"body {text}", False, message.body, len(data)
