"""via-parm (RFC 3261 section 20.42): sent-protocol, sent-by, parameters."""

import re
from typing import Final, NamedTuple

from inline_topo.sip import values
from inline_topo.sip.uri import LITERAL

_VIA_PARM: Final = re.compile(
    rb"(?P<protocol>[A-Za-z0-9.!%*_+`'~-]+[ \t\r\n]*/[ \t\r\n]*[A-Za-z0-9.!%*_+`'~-]+"
    rb"[ \t\r\n]*/[ \t\r\n]*(?P<transport>[A-Za-z0-9.!%*_+`'~-]+))[ \t\r\n]+"
    rb"(?P<host>" + LITERAL + rb"|[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(?=[ \t\r\n]*(?:;|\Z)))"
    rb"(?:[ \t\r\n]*:[ \t\r\n]*(?P<port>[0-9]{1,10}))?"
    rb"(?P<parameters>(?:[ \t\r\n]*;[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*)?)",
    re.DOTALL,
)
_BRANCH: Final = re.compile(rb";[ \t]*branch[ \t]*=[ \t]*([^\s;,\"]+)", re.IGNORECASE)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class ViaParm(NamedTuple):
    """The spans of the parts of one via-parm, relative to the same data as the span parsed.

    `sent_by` covers host and port; `branch` is (-1, -1) where there is none.
    """

    protocol_end: int
    host: tuple[int, int]
    sent_by_end: int
    branch: tuple[int, int]


def parse(data: bytes, start: int, end: int) -> ViaParm | None:
    """The parts of the single via-parm in data[start:end], or None where it does not parse."""
    match = _VIA_PARM.fullmatch(data, start, end)
    if not match:
        return None
    sent_by_end = match.end("port") if match["port"] is not None else match.end("host")
    branch = _BRANCH.search(data, sent_by_end, end)
    return ViaParm(
        match.end("protocol"),
        match.span("host"),
        sent_by_end,
        branch.span(1) if branch else (-1, -1),
    )


def is_via_parm(value: bytes) -> bool:
    """Whether `value` may enter a message as one Via value: its grammar holds, no line break."""
    whole = (0, len(value))
    return (
        not _CONTROL.search(value)
        and values.split(value, [whole]) == [whole]
        and bool(parse(value, *whole))
    )
