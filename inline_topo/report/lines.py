"""A message as the lines that people compare."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from inline_topo.report.messages import Seen
from inline_topo.sip import names, values
from inline_topo.sip.names import field_name

START_LINE = "start line"  # of what does not parse, or of a response
BODY = "body"
LISTS = frozenset(
    {
        *(names.VIA, names.ROUTE, names.RECORD_ROUTE, names.CONTACT, names.PATH),
        *(names.SERVICE_ROUTE, names.HISTORY_INFO, names.DIVERSION),
    }
)
"""Fields whose comma-separated values are compared one by one; `Name: ..., ` stands before those
that follow another one in their line."""
_SDP = re.compile(rb"([a-z])=")


class Line(NamedTuple):
    """A line of a message, a folded header field being one, or one value of a list (LISTS)."""

    field: str
    text: bytes


def lines_of(seen: Seen) -> Iterable[Line]:
    """The start line, the header fields and the body, without line ends and the empty line."""
    message = seen.message
    end = message.headers[1] if message else len(seen.data)
    start = names.REQUEST_URI if message and message.is_request else START_LINE
    pending: list[bytes] = []
    for line in seen.data[:end].split(b"\n"):
        if line[:1] in (b" ", b"\t") and len(pending) > 1:
            pending[-1] += b"\n" + line
        elif line.strip(b"\r"):
            pending.append(line)
    for index, line in enumerate(pending):
        name = field_name(line.partition(b":")[0].strip()) if index else start
        text = line.rstrip(b"\r")
        if name in LISTS:
            yield from _values(name, text)
        else:
            yield Line(name, text)
    if message:
        for line in seen.data[message.body :].split(b"\n"):
            sdp = _SDP.match(line)
            yield Line(f"{BODY} {sdp[1].decode()}=" if sdp else BODY, line.rstrip(b"\r"))


def _values(name: str, line: bytes) -> Iterable[Line]:
    """Each value of a list on its own: one that changed must not show the others as changed."""
    spelled, _, value = line.partition(b":")
    first, *others = values.split(value, [(0, len(value))]) or [(0, len(value))]
    yield Line(name, line[: len(spelled) + 1 + first[1]])
    for start, end in others:
        yield Line(name, spelled + b": ..., " + value[start:end])
