"""What the records of mode topos are about: their kinds, keys and lives."""

from dataclasses import dataclass
from typing import Final

from inline_topo.masking.cache import Cache
from inline_topo.masking.topos.dialog import Dialog, transaction_of
from inline_topo.masking.topos.ids import CONTACT, Target
from inline_topo.masking.topos.shelf import Shelf
from inline_topo.sip.message import Message, find_fields
from inline_topo.sip.names import FieldNames

BRANCH: Final = b"b"
DIALOG: Final = b"d"
"""The kinds of records beside CONTACT."""

FORM_DIALOGS: Final = frozenset({b"INVITE", b"SUBSCRIBE", b"NOTIFY", b"REFER", b"UPDATE"})
"""Requests in whose dialogs more will follow."""


_EXPIRES: Final = FieldNames(["Expires"])
_REMEMBERED: Final = 1 << 13
_LONGEST: Final = 1024


@dataclass(frozen=True)
class Lives:
    """For how many seconds records are kept; Kamailio's names."""

    branch_expire: float = 180
    dialog_expire: float = 10800

    def of_dialog(self, message: Message, dialog: Dialog) -> float:
        """How long after this message; that of a subscription no shorter than it says itself."""
        if dialog.method != b"SUBSCRIBE":
            return self.dialog_expire
        spans = find_fields(message, _EXPIRES).get("Expires")
        seconds = message.data[spans[0][0] : spans[0][1]] if spans else b""
        asked = int(seconds) if seconds.isdigit() and len(seconds) < 10 else 0
        return max(self.dialog_expire, asked)


class Keys:
    """The keys of records."""

    def __init__(self, shelf: Shelf) -> None:
        self._key = shelf.key
        # A request and its responses, and their retransmissions, name one transaction.
        self._branches: Cache[tuple[bytes, bytes, bytes], bytes] = Cache(_REMEMBERED, _LONGEST)

    def branch(self, call_id: bytes, cseq: bytes, topmost: bytes) -> bytes:
        """A transaction, by its topmost Via, Call-ID and CSeq."""
        about = call_id, cseq, topmost
        key = self._branches.get(about)
        if key is None:
            key = self._key(BRANCH, call_id, cseq, transaction_of(topmost))
            self._branches.remember(about, key, len(call_id) + len(cseq) + len(topmost))
        return key

    def contact(self, dialog: Dialog, target: Target) -> bytes:
        """A Contact of the party inside."""
        return self._key(CONTACT, dialog.call_id, dialog.local, target.uri, *target.routes)

    def dialog(self, dialog: Dialog, nested: bytes) -> bytes:
        """The way to the party inside. `nested` tells how a call that passes us twice passes."""
        return self._key(DIALOG, dialog.call_id, dialog.local, dialog.remote, nested)
