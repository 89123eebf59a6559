"""What the tokens for the Vias of one request are bound to: the transaction that they left in.

A response comes back with the Vias of its request (RFC 3261 section 8.2.6.2), so the topmost branch is
there when it enters, and a token that was sealed below another branch does not open. Where a branch
may belong to several transactions, the dialog and the CSeq number are added. Neither the address of
the peer nor the topmost host: a response may come from another address, and a sent-by be a name.
"""

import re
from collections.abc import Callable
from typing import Final

from inline_topo.masking.cache import Cache
from inline_topo.sip import address, names, via
from inline_topo.sip.message import Message, find_fields
from inline_topo.sip.names import FieldNames

_COOKIE: Final = b"z9hG4bK"
_UNIQUE: Final = len(_COOKIE) + 20  # shorter branches are constants, or numbers that repeat
_BRANCH: Final = b";branch="
_USUAL: Final = b"SIP/2.0/UDP "
# Beside that most Vias have nothing but these, in which nothing can be read in two ways.
_OF_TOKENS: Final = (
    bytes(c for c in range(256) if chr(c).isalnum() and c < 128) + b".!%*_+`'~-:[]=;"
)
_OF_HOSTS: Final = bytes(c for c in range(256) if chr(c).isalnum() and c < 128) + b".-:[]"
_CR: Final = 13
_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")
_TWO_WAYS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f\"<>()\\,]")  # quotes, comments, controls
_ASSIGNED: Final = re.compile(rb"branch[ \t]*=", re.IGNORECASE)
_OF_DIALOG: Final = FieldNames((names.CALL_ID, names.CSEQ, names.FROM))
_CALLID: Final = re.compile(rb"[^\x00-\x20\x7f,;]+")  # as masking.callid takes it
# A request and its answers have the same topmost Via.
_branches: Final[Cache[bytes, bytes]] = Cache(1 << 13, 512)
_tags: Final[Cache[bytes, bytes]] = Cache(1 << 13, 512)  # a dialog's messages have the same From


def branch_of(value: bytes) -> bytes | None:
    """The branch of a Via value, empty where it has none; None where two receivers may read two.

    Our parser takes the first of two branches, Kamailio the last: what would be opened by one of
    them would be forwarded by the other.
    """
    branch = _branches.get(value)
    if branch is None:
        branch = _plain_branch(value) or _read_branch(_FOLD.sub(b"", value))
        if branch is not None:
            _branches.remember(value, branch, len(value))
    return branch


def _plain_branch(value: bytes) -> bytes | None:
    """The branch of a value as most senders write it; None says nothing."""
    start = value.find(_BRANCH)
    if (
        start < 0
        or not value.startswith(_USUAL)
        or value.translate(None, _OF_TOKENS) != b"// "
        or value.lower().count(b"branch") != 1
        or value[len(_USUAL) : value.find(b";")].translate(None, _OF_HOSTS)
    ):
        return None
    end = value.find(b";", start + 1)
    return value[start + len(_BRANCH) :] if end < 0 else value[start + len(_BRANCH) : end]


def _read_branch(value: bytes) -> bytes | None:
    parts = via.parse(value, 0, len(value))
    if not parts or _TWO_WAYS.search(value):
        return None
    start, end = parts.branch
    if len(_ASSIGNED.findall(value)) != (start >= 0):
        return None
    return value[start:end] if start >= 0 else b""


def context(
    message: Message, topmost: bytes, clear: Callable[[bytes], bytes] | None = None
) -> bytes | None:
    """What the Vias below `topmost` are sealed for; None where `topmost` can be read in two ways.

    `topmost` is the value as the inside has it. `clear` gives a Call-ID of `message` as the inside has
    it; None where it is that.
    """
    branch = branch_of(topmost)
    if branch is None:
        return None
    if len(branch) >= _UNIQUE and branch.startswith(_COOKIE):
        return b"=" + branch
    call_id, cseq, sender = _of_dialog(message)
    match = _CALLID.match(call_id)
    call_id = match[0] if match else b""
    words = cseq.split(None, 1)
    number = words[0].lstrip(b"0") if words else b""
    # No part has a blank in it, so that no two lists of them are the same text.
    return b" ".join((b"+" + branch, clear(call_id) if clear else call_id, number, _tag(sender)))


def _of_dialog(message: Message) -> tuple[bytes, bytes, bytes]:
    """The values of Call-ID, CSeq and From; empty where there is none. As most senders write them they
    are found without reading the other fields."""
    call_id, cseq = _find(message, b"\nCall-ID: "), _find(message, b"\nCSeq: ")
    sender = _find(message, b"\nFrom: ")
    if call_id and cseq and sender:
        return call_id, cseq, sender
    fields = find_fields(message, _OF_DIALOG)
    first = {name: message.data[spans[0][0] : spans[0][1]] for name, spans in fields.items()}
    return first.get(names.CALL_ID, b""), first.get(names.CSEQ, b""), first.get(names.FROM, b"")


def _find(message: Message, begins: bytes) -> bytes:
    """The value of a header line that begins so, and that is not folded; empty where there is none."""
    data, (first, last) = message.data, message.headers
    start = data.find(begins, first - 1, last)
    if start < 0:
        return b""
    start += len(begins)
    end = data.find(b"\n", start, last)
    if end < 0 or data[end - 1] != _CR or data[end + 1 : end + 2] in (b" ", b"\t"):
        return b""
    return data[start : end - 1].strip(b" \t")


def _tag(sender: bytes) -> bytes:
    tag = _tags.get(sender)
    if tag is None:
        tag = b"".join(address.tag(sender, 0, len(sender)).split())
        _tags.remember(sender, tag, len(sender))
    return tag
