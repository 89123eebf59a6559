"""What a message says about its dialog and its transaction: the names of records."""

from typing import Final

from inline_topo.masking.cache import Cache
from inline_topo.masking.flow import Direction
from inline_topo.sip import address, names, values, via
from inline_topo.sip.message import Message, Span

_tags: Final[Cache[bytes, bytes]] = Cache(1 << 13, 512)  # a dialog's messages have the same two

FIELDS: Final = frozenset(
    {names.VIA, names.FROM, names.TO, names.CALL_ID, names.CSEQ, names.CONTACT}
)
"""What must be parsed for that."""


class Dialog:
    """Where a message stands (RFC 3261 section 12): `local` is the tag of the party inside, `remote`
    that of the one outside, each empty where it is not there yet. `method` is the CSeq's in upper
    case, `cseq` number and method."""

    __slots__ = ("call_id", "cseq", "local", "method", "remote")

    def __init__(
        self, call_id: bytes, local: bytes, remote: bytes, method: bytes, cseq: bytes
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.method = method
        self.cseq = cseq

    def with_remote(self, remote: bytes) -> "Dialog":
        """The same with another tag of the party outside."""
        return Dialog(self.call_id, self.local, remote, self.method, self.cseq)


def dialog_of(message: Message, direction: Direction, call_id: bytes | None = None) -> Dialog:
    """The dialog of a message. `call_id`: as the inside has it, where the message has another."""
    local, remote = tag_of(message, names.FROM), tag_of(message, names.TO)
    if (direction is Direction.EGRESS) is not message.is_request:
        local, remote = remote, local
    cseq = cseq_of(message)
    method = message.method or cseq.rpartition(b" ")[2]
    call_id = message.first(names.CALL_ID) if call_id is None else call_id
    return Dialog(call_id, local, remote, method.upper(), cseq)


def cseq_of(message: Message) -> bytes:
    """Number and method, a blank between them."""
    return b" ".join(message.first(names.CSEQ).split())


def tag_of(message: Message, name: str) -> bytes:
    """The tag of From or To; empty where it has none."""
    spans = message.fields.get(name)
    if not spans:
        return b""
    start, end = spans[0]
    value = message.data[start:end]
    tag = _tags.get(value)
    if tag is None:
        tag = address.tag(value, 0, len(value))
        _tags.remember(value, tag, len(value))
    return tag


def vias_of(message: Message) -> list[Span]:
    """The Via values; a line without one (`Via:`) has none."""
    entries = values.split(message.data, message.fields.get(names.VIA, []))
    return [entry for entry in entries if entry[0] < entry[1]]


def topmost_of(message: Message) -> bytes:
    """The topmost Via value; empty where there is none."""
    vias = vias_of(message)
    return message.data[vias[0][0] : vias[0][1]] if vias else b""


def transaction_of(value: bytes) -> bytes:
    """What a topmost Via says about its transaction: sent-by and branch (RFC 3261 section 17.1.3)."""
    parts = via.parse(value, 0, len(value))
    if not parts:
        return value
    sent_by = value[parts.host[0] : parts.sent_by_end]
    branch = value[parts.branch[0] : parts.branch[1]] if parts.branch[0] >= 0 else b""
    return sent_by.lower() + b" " + branch
