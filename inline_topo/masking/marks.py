"""What a log calls a call: a keyed mark of its Call-ID, the same on both sides of the gateway.

It shows nothing of the Call-ID (which often names a host); who has the key and the Call-ID finds it.
"""

from hashlib import sha256
from typing import Final

from inline_topo.masking.callid import CallIds
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.flow import Direction
from inline_topo.sip import peek

_DIGITS: Final = 16  # of four bits


class CallMarks:
    """Makes marks with the key of the codec. `call_ids`: None where Call-IDs are not masked."""

    def __init__(self, codec: Codec, call_ids: CallIds | None) -> None:
        self._codec = codec
        self._call_ids = call_ids

    def of(self, call_id: bytes) -> str:
        """The mark of a Call-ID as the inside knows it."""
        return sha256(self._codec.seal_callid(call_id)).hexdigest()[:_DIGITS]

    def of_packet(self, packet: bytes, direction: Direction) -> str:
        """The mark of the call that a packet is of, as it came; empty where it shows no Call-ID."""
        call_id = peek.call_id(packet)
        if call_id and direction is Direction.INGRESS:
            call_id = self.inside(call_id)
        return self.of(call_id) if call_id else ""

    def inside(self, call_id: bytes) -> bytes:
        """A Call-ID of the outside as the inside knows it."""
        return self._call_ids.unmask(call_id) if self._call_ids else call_id

    def outside(self, call_id: bytes) -> bytes:
        """The reverse."""
        return self._call_ids.mask(call_id) if self._call_ids else call_id
