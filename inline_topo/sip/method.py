"""The method of a message, where a response does not say it in its first line (RFC 3261 section 8.1.1.5)."""

from typing import Final

from inline_topo.sip import names
from inline_topo.sip.message import Message, find_fields
from inline_topo.sip.names import FieldNames

_CSEQ_ONLY: Final = FieldNames([names.CSEQ])


def is_register(message: Message) -> bool:
    """Whether a message is a REGISTER or answers one."""
    return is_method(message, b"REGISTER")


def is_method(message: Message, method: bytes) -> bool:
    """Whether a message is a request of this method or answers one.

    Looks its CSeq up only where the word occurs: it is not among the fields that are parsed for.
    """
    if message.is_request:
        return message.method == method
    data = message.data
    start, end = message.headers
    if data.find(method, start, end) < 0:
        return False
    spans = find_fields(message, _CSEQ_ONLY).get(names.CSEQ)
    return spans is not None and data[spans[0][0] : spans[0][1]].split()[-1:] == [method]
