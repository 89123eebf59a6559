"""What the records of mode topos are about: their kinds, keys and lives."""

from dataclasses import dataclass

from inline_topo.masking.topos_dialog import Dialog, transaction_of
from inline_topo.masking.topos_ids import CONTACT, Target
from inline_topo.masking.topos_shelf import Shelf

BRANCH, DIALOG = b"b", b"d"
"""The kinds of records beside CONTACT."""

FORM_DIALOGS = frozenset({b"INVITE", b"SUBSCRIBE", b"NOTIFY", b"REFER", b"UPDATE"})
"""Requests in whose dialogs more will follow."""


@dataclass(frozen=True)
class Lives:
    """For how many seconds records are kept; Kamailio's names."""

    branch_expire: float = 180
    dialog_expire: float = 10800


class Keys:
    """The keys of records."""

    def __init__(self, shelf: Shelf) -> None:
        self._key = shelf.key

    def branch(self, dialog: Dialog, topmost: bytes) -> bytes:
        """A transaction, by its topmost Via, Call-ID and CSeq."""
        return self._key(BRANCH, dialog.call_id, dialog.cseq, transaction_of(topmost))

    def contact(self, dialog: Dialog, target: Target) -> bytes:
        """A Contact of the party inside."""
        return self._key(CONTACT, dialog.call_id, dialog.local, target.uri, *target.routes)

    def dialog(self, dialog: Dialog, nested: bytes) -> bytes:
        """The way to the party inside. `nested` tells how a call that passes us twice passes."""
        return self._key(DIALOG, dialog.call_id, dialog.local, dialog.remote, nested)
