"""What the rules for bodies share: the names of edits and notes, and what one pass is told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from inline_topo.bounds import MOST_IN_BODY, TooMuch
from inline_topo.masking.flow import Flow
from inline_topo.masking.part_names import PART_NAME
from inline_topo.masking.topos.ids import UNKNOWN_ID
from inline_topo.masking.uris import MASKED, OPENED, KnownUri
from inline_topo.sip import names

SDP: Final = "SDP"
BODY_URI: Final = "body URI"
BODY_CALL_ID: Final = "body Call-ID"
BODY_TEXT: Final = "body text"
BODY_VIA: Final = "body Via"
BEHIND_BODY: Final = "behind body"
FIELDS: Final = (
    *(SDP, BODY_URI, BODY_CALL_ID, BODY_TEXT, BODY_VIA, BEHIND_BODY, PART_NAME),
    names.CONTENT_LENGTH,
)
"""What the edits of this package are called."""

MEDIA: Final = "media"
UNSEEN: Final = "unseen_body"
NOTES: Final = {
    MEDIA: "SDP that leaves tells where media goes inside",
    UNKNOWN_ID: "a request that enters names a Contact that mode topos does not know (any more)",
    UNSEEN: "a body that leaves was not looked into: signed, encoded, or of another type",
}
"""What a message may be counted for beside its edits."""

Mapping = Callable[[bytes], bytes]
Sealer = Callable[[bytes, KnownUri, bool], bytes | None]
"""From a URI (no headers part), what is known of it, and whether `<>` are being added: what takes its
place, or None where it stays. Raises SealError."""


@dataclass
class Pass:
    """One message being masked, or opened if not `masking`.

    `seal` is for URIs and hosts, `call_id` for Call-IDs; None leaves them. `opens`: so do tokens for
    URIs, hosts and Vias where `masking` is off. `descriptions`: SDP is looked at. `session` takes the
    place of the first description. `strangers`: in what enters, hosts that name the inside are swapped.
    `names_parts`: there may be names of parts, which `keeps_names` leaves. `unread`: bodies that were not
    looked into.
    """

    masking: bool
    flow: Flow
    seal: Sealer | None
    call_id: Mapping | None
    descriptions: bool = True
    session: bytes | None = None
    strangers: bool = False
    opens: bool = True
    names_parts: bool = False
    keeps_names: bool = False
    notes: list[str] = field(default_factory=list)
    unread: list[bytes] = field(default_factory=list)
    left: int = MOST_IN_BODY

    def spend(self, count: int = 1) -> None:
        """Something is looked at; TooMuch where that is more than a packet may ask for."""
        self.left -= count
        if self.left < 0:
            raise TooMuch("values in the body")

    @property
    def action(self) -> str:
        """What the edits are said to do."""
        return MASKED if self.masking else OPENED

    def map(self, call_id: bytes) -> bytes:
        """What takes the place of a Call-ID."""
        return self.call_id(call_id) if self.call_id else call_id

    def note(self, what: str) -> None:
        """Count the message for one of NOTES."""
        if what not in self.notes:
            self.notes.append(what)

    def take_session(self) -> bytes | None:
        """The description to put in place of the first one, once."""
        session, self.session = self.session, None
        return session
