"""A strategy whose calls send their media through a relay: no description tells where a party is.

Every offer and every answer is given to the relay as it passes, in both directions, and its
description goes on in place of the party's (and is masked as that one would be). Which of the two a
message carries: RFC 3261 section 13.2.1, RFC 3262 section 5, RFC 3311 section 5. The end of a call is
told to the relay by the final response to BYE, or to the INVITE that was to begin it (that to a
cancelled one, too). Nobody waits for it.

A call may pass more than once in the same direction, through a server outside that sends it back (a
spiral). It is known by its offer, which is the relay's then (forks have the same); the outside address
tells its later passes from the first.

What must be known of an INVITE for the messages after it is remembered by the process, not
kept. One that did not see it takes a description in its responses for an answer, and for an
offer where the relay knows of no call; and it leaves it to the relay to find out that a call failed
(rtpengine's `timeout`).

Anybody can send an INVITE. An offer that no response followed is ended when its transaction has failed
(UNANSWERED), or when there are too many of them. There is no clock here: the next packet, whichever, ends it.
"""

from typing import Any, Final, NamedTuple

from inline_topo.edits import Edit
from inline_topo.masking.bodies.walk import find_session
from inline_topo.masking.cache import Cache
from inline_topo.masking.effects import EffectFailed, Need
from inline_topo.masking.flow import Direction, Flow
from inline_topo.masking.hosts import address_text
from inline_topo.masking.media import (
    INSIDE,
    OUTSIDE,
    Exchanged,
    MediaAnswer,
    MediaDelete,
    MediaOffer,
)
from inline_topo.masking.policy import method_of
from inline_topo.masking.topoh import Topoh
from inline_topo.masking.topos.dialog import (
    Dialog,
    dialog_of,
    tag_of,
    topmost_of,
    transaction_of,
)
from inline_topo.masking.topos.strategy import Topos
from inline_topo.sip import names, sdp
from inline_topo.sip.message import Message, Span
from inline_topo.sip.names import FieldNames

REPEATED: Final = 32.0
"""Seconds in which a message may come again (64 * T1, RFC 3261 section 17.1.1.2)."""

UNANSWERED: Final = 32.0
"""Seconds without any response after which the transaction of an INVITE has failed (Timer B, RFC 3261
section 17.1.1.2)."""

MOST_UNANSWERED: Final = 1024
"""Offers that wait for a response at a time; one more ends the oldest."""

_REMEMBERED_INVITES: Final = 1 << 14
_LONGEST_NAME: Final = 512
_REMEMBERED: Final = 1 << 11
_LONGEST: Final = 1 << 13  # two descriptions
_LOOKED_AT: Final = names.VIA, names.FROM, names.TO, names.CALL_ID, names.CSEQ
_AUTHENTICATE: Final = 401, 407
_OF_CALLS: Final = frozenset((b"INVITE", b"ACK", b"PRACK", b"UPDATE", b"BYE"))
"""The methods whose messages a relay may be asked of."""


class _Invite(NamedTuple):
    """The latest INVITE of a party: the number of its CSeq, whether it has an offer, whether it is to
    begin a dialog."""

    number: bytes
    offers: bool
    begins: bool


class _Pass(NamedTuple):
    """Where an INVITE came from or went to outside, and the hash of its offer."""

    place: bytes
    offer: int


class _Known(NamedTuple):
    session: bytes
    until: float


class Relayed:
    """Asks a relay, and leaves the rest to `strategy`; `tokens` is the one at its bottom.

    `falls_back`: a message whose relay fails goes on with the description that it has. Messages that
    a rule on addresses leaves clear go on with theirs, too: as with Call-IDs, all of a call must.
    """

    def __init__(self, strategy: Topoh | Topos, tokens: Topoh, *, falls_back: bool) -> None:
        self._strategy = strategy
        self._tokens = tokens
        self._falls_back = falls_back
        # By Call-ID, and the party that sends it.
        self._invites: Cache[tuple[bytes, bytes], _Invite] = Cache(
            _REMEMBERED_INVITES, _LONGEST_NAME
        )
        # By Call-ID and who begins: place and offer of the first pass; the places of later ones.
        self._first: Cache[tuple[bytes, bytes], _Pass] = Cache(_REMEMBERED_INVITES, _LONGEST_NAME)
        self._later: Cache[tuple[bytes, bytes, bytes], bool] = Cache(
            _REMEMBERED_INVITES, _LONGEST_NAME
        )
        # By what was asked, CSeq and status: the repetition of an answer says nothing new, but a 200
        # after a 183 moves the media of a forked call.
        self._given: Cache[tuple[Exchanged, bytes, int], _Known] = Cache(_REMEMBERED, _LONGEST)

        # By Call-ID and branch, the oldest first: until when a response may come, and what ends the offer.
        self._unanswered: dict[tuple[bytes, bytes], tuple[float, MediaDelete]] = {}

    def field_names(self, direction: Direction) -> tuple[FieldNames, FieldNames]:
        """What requests and responses in this direction are parsed for."""
        requests, responses = self._strategy.field_names(direction)
        return (
            FieldNames({*requests.wanted, *_LOOKED_AT}),
            FieldNames({*responses.wanted, *_LOOKED_AT}),
        )

    def addresses(self, message: Message, flow: Flow, edits: list[Edit]) -> bytes:
        """As the strategy has it."""
        return self._strategy.addresses(message, flow, edits)

    def reads_all(self, flow: Flow) -> bool:
        """As the strategy has it."""
        return self._strategy.reads_all(flow)

    def admits(self, data: bytes, flow: Flow) -> bool:
        """As the strategy has it."""
        return self._strategy.admits(data, flow)

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit] | Need:
        """The edits for a message, or what must be asked of the relay (or of a store) first."""
        end = self._due(now) if self._unanswered else None
        if end is not None:
            return Need(end, lambda _: self._edits(message, flow, now))
        return self._edits(message, flow, now)

    def _edits(self, message: Message, flow: Flow, now: float) -> list[Edit] | Need:
        if not flow.masks_identifiers:
            return self._strategy.edits(message, flow, now)
        method = method_of(message)
        status = message.status
        if method in _OF_CALLS and flow.direction is Direction.INGRESS:
            self._tokens.edits(
                message, flow, now
            )  # what is refused there asks nothing, and ends nothing
        if status and method == b"INVITE" and self._unanswered:
            key = self._dialog(message, flow).call_id, self._branch(message, flow)
            self._unanswered.pop(key, None)
        if method == b"INVITE" and status >= 300:
            return self._end_of_invite(message, flow, now)
        if method == b"BYE" and status >= 200 and status not in _AUTHENTICATE:
            return self._end_of_call(message, flow, now)
        span = find_session(message) if sdp.is_exchanged(method, status) else None
        if span is None and message.method != b"INVITE":
            return self._strategy.edits(message, flow, now)
        return self._exchange(message, flow, now, span)

    # --- offers and answers -------------------------------------------------------------------

    def _exchange(
        self, message: Message, flow: Flow, now: float, span: Span | None
    ) -> list[Edit] | Need:
        dialog = self._dialog(message, flow)
        session = message.data[span[0] : span[1]] if span else b""
        begins = message.method == b"INVITE" and not tag_of(message, names.TO)
        if begins:
            self._note_pass(dialog, flow, session)
        sender, receiver = self._parties(dialog, flow)
        key = dialog.call_id, sender if message.is_request else receiver
        if message.method == b"INVITE":
            made = _Invite(_number(dialog), span is not None, begins)
            self._invites.remember(key, made, sum(map(len, key)))
        if span is None:
            return self._strategy.edits(message, flow, now)
        invite = self._invites.get(key)
        if invite and dialog.method == b"INVITE" and invite.number != _number(dialog):
            invite = None
        branch = self._branch(message, flow)
        leaves = flow.direction is Direction.EGRESS
        offer = MediaOffer(dialog.call_id, branch, sender, receiver, session, leaves)
        if not _is_answer(message, dialog.method, invite):
            return self._ask(message, flow, now, dialog, offer, None)
        answer = MediaAnswer(dialog.call_id, branch, receiver, sender, session)
        is_guess = invite is None and dialog.method == b"INVITE"
        return self._ask(message, flow, now, dialog, answer, offer if is_guess else None)

    def _ask(
        self,
        message: Message,
        flow: Flow,
        now: float,
        dialog: Dialog,
        effect: Exchanged,
        otherwise: MediaOffer | None,
    ) -> list[Edit] | Need:
        """`otherwise`: what is asked if the relay knows of no such call."""
        key = effect, dialog.cseq, message.status
        known = self._given.get(key)
        if known and now < known.until:
            message.session = known.session
            return self._strategy.edits(message, flow, now)

        def resume(result: Any) -> list[Edit] | Need:
            if result is None:
                if otherwise:
                    return self._ask(message, flow, now, dialog, otherwise, None)
                result = EffectFailed("relay", "it knows nothing of the call")
            if isinstance(result, EffectFailed):
                if not self._falls_back:
                    raise result
            else:
                message.session = result
                known = _Known(result, now + REPEATED)
                self._given.remember(key, known, len(effect.session) + len(result))
                if message.method == b"INVITE" and not effect.answerer:
                    end = MediaDelete(effect.call_id, effect.branch, effect.offerer, b"")
                    self._unanswered[effect.call_id, effect.branch] = now + UNANSWERED, end
            return self._strategy.edits(message, flow, now)

        return Need(effect, resume)

    # --- ends ---------------------------------------------------------------------------------

    def _end_of_invite(self, message: Message, flow: Flow, now: float) -> list[Edit] | Need:
        """A call does not end with a re-INVITE that fails, nor other branches with one of them."""
        dialog = self._dialog(message, flow)
        _, requester = self._parties(dialog, flow)
        invite = self._invites.get((dialog.call_id, requester))
        if not invite or not invite.begins or invite.number != _number(dialog):
            return self._strategy.edits(message, flow, now)
        branch = self._branch(message, flow)
        return self._tell(message, flow, now, MediaDelete(dialog.call_id, branch, requester, b""))

    def _end_of_call(self, message: Message, flow: Flow, now: float) -> list[Edit] | Need:
        dialog = self._dialog(message, flow)
        sender, requester = self._parties(dialog, flow)
        return self._tell(message, flow, now, MediaDelete(dialog.call_id, b"", requester, sender))

    def _due(self, now: float) -> MediaDelete | None:
        """The end of the oldest offer that no response followed, if it is time for it."""
        key = next(iter(self._unanswered))
        until, end = self._unanswered[key]
        # A clock that was set back by more than that is not waited for.
        is_waiting = until - UNANSWERED <= now < until
        if is_waiting and len(self._unanswered) <= MOST_UNANSWERED:
            return None
        del self._unanswered[key]
        return end

    def _tell(self, message: Message, flow: Flow, now: float, effect: MediaDelete) -> Need:
        return Need(effect, lambda _: self._strategy.edits(message, flow, now))

    # --- names --------------------------------------------------------------------------------

    def _dialog(self, message: Message, flow: Flow) -> Dialog:
        enters = flow.direction is Direction.INGRESS
        call_id = self._tokens.clear_call_id(message, flow) if enters else None
        return dialog_of(message, flow.direction, call_id)

    def _note_pass(self, dialog: Dialog, flow: Flow, session: bytes) -> None:
        """Take note of where an INVITE passes that begins a dialog."""
        key = dialog.call_id, self._parties(dialog, flow, plain=True)[0]
        this, length = _Pass(flow.outside, hash(session)), sum(map(len, key))
        first = self._first.get(key)
        if first is None:
            self._first.remember(key, this, length)
        elif first.place != this.place and first.offer != this.offer:
            self._later.remember((*key, this.place), True, length)

    def _parties(self, dialog: Dialog, flow: Flow, *, plain: bool = False) -> tuple[bytes, bytes]:
        """Sender and receiver of a message; empty where one has no tag yet."""
        inside = INSIDE + dialog.local if dialog.local else b""
        outside = OUTSIDE + dialog.remote if dialog.remote else b""
        if not plain and any(
            (dialog.call_id, party, flow.outside) in self._later for party in (inside, outside)
        ):
            place = b"@" + address_text(flow.outside)
            inside, outside = inside and inside + place, outside and outside + place
        return (inside, outside) if flow.direction is Direction.EGRESS else (outside, inside)

    def _branch(self, message: Message, flow: Flow) -> bytes:
        """The transaction by its topmost Via, as the inside has it; the same in all responses."""
        topmost = topmost_of(message)
        if flow.direction is Direction.INGRESS and not message.is_request:
            topmost = self._tokens.clear_via1(topmost)
        return transaction_of(topmost)


def _number(dialog: Dialog) -> bytes:
    return dialog.cseq.partition(b" ")[0]


def _is_answer(message: Message, method: bytes, invite: _Invite | None) -> bool:
    """Whether a description answers one; `invite`: what is known of the INVITE before it."""
    if message.status:
        return method != b"INVITE" or invite is None or invite.offers
    if method == b"ACK":
        return invite is None or not invite.offers
    return method == b"PRACK" and invite is not None and not invite.offers
