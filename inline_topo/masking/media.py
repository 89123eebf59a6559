"""What is asked of a media relay: the effects of masking.relayed.

Each names a call by the Call-ID that the inside knows, and its two parties by their tags with a
letter for the side on which they stand, seen from here. So a call that passes twice (in to a proxy,
out to the next hop) is two pairs of parties to the relay, one behind the other, and each is asked
about once: "o-1" and "i-2" for the way in, "i-1" and "o-2" for the way out.
"""

from dataclasses import dataclass

INSIDE, OUTSIDE = b"i-", b"o-"


@dataclass(frozen=True)
class MediaOffer:
    """An offer (RFC 3264): the relay opens ports and writes them into `session`.

    `answerer` is empty while nobody has answered; `branch` then tells forks apart. `leaves`: it goes
    from the inside to the outside. The result is the description to send on.
    """

    call_id: bytes
    branch: bytes
    offerer: bytes
    answerer: bytes
    session: bytes
    leaves: bool


@dataclass(frozen=True)
class MediaAnswer:
    """The answer to an offer. The result is the description to send on; None where the relay knows
    of no such call."""

    call_id: bytes
    branch: bytes
    offerer: bytes
    answerer: bytes
    session: bytes


@dataclass(frozen=True)
class MediaDelete:
    """The end of the media between two parties; without an answerer, of a branch. There is no result,
    and nobody waits for one."""

    call_id: bytes
    branch: bytes
    offerer: bytes
    answerer: bytes


Exchanged = MediaOffer | MediaAnswer
"""What takes a description and gives another."""
