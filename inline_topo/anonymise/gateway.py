"""What stands between a replay and its gateway: messages get their pseudonyms behind the masking."""

from collections.abc import Callable
from dataclasses import dataclass

from inline_topo.anonymise.message import Messages
from inline_topo.anonymise.originals import Originals
from inline_topo.anonymise.pseudonyms import Pseudonyms
from inline_topo.gateway import Action, Ask, Gateway, Verdict
from inline_topo.masking.flow import Direction
from inline_topo.wire import ip

_OFF_BY_ONE = 1


@dataclass
class Payloads:
    """UDP payloads that did not stay, by why: no SIP, or SIP that does not parse or grew too long."""

    other: int = 0
    unreadable: int = 0


class Anonymiser:
    """A gateway for a replay. A verdict REPLACE holds a message with pseudonyms in a packet with
    other addresses; what is accepted is still as it was, and its payload must not stay.

    `is_inside` says of a packed address whether it lies inside.
    """

    def __init__(
        self,
        gateway: Gateway,
        messages: Messages,
        pseudonyms: Pseudonyms,
        originals: Originals,
        is_inside: Callable[[bytes], bool],
    ) -> None:
        self.payloads = Payloads()
        self._gateway = gateway
        self._messages = messages
        self._pseudonyms = pseudonyms
        self._originals = originals
        self._is_inside = is_inside

    def handle(self, packet: bytes, now: float) -> Verdict | Ask:
        """The verdict on an IP packet, as Gateway.handle."""
        self._originals.packet(packet)
        before = ip.decode(packet)
        if isinstance(before, ip.Datagram) and b"SIP/" in before.payload.upper():
            self._originals.text(before.payload)
        return self._behind(self._gateway.handle(packet, now))

    def _behind(self, verdict: Verdict | Ask) -> Verdict | Ask:
        if isinstance(verdict, Ask):
            resume = verdict.resume
            return Ask(verdict.effect, lambda result: self._behind(resume(result)))
        if verdict.action is Action.DROP or verdict.outcome == Direction.INSIDE:
            return verdict
        datagram = ip.decode(verdict.packet)
        if isinstance(datagram, str):
            inside = self._between_insiders(verdict.packet)
            verdict.action = Action.ACCEPT
            if inside:
                verdict.outcome = Direction.INSIDE.value
            return verdict
        new = None if datagram.flaw else self._message(datagram)
        if new is None:
            verdict.action = Action.ACCEPT
        else:
            verdict.action, verdict.packet = Action.REPLACE, new
        return verdict

    def _message(self, datagram: ip.Datagram) -> bytes | None:
        payload = self._messages.rewrite(datagram.payload)
        if payload is None:
            if b"SIP/" in datagram.payload.upper():
                self.payloads.unreadable += 1
            else:
                self.payloads.other += 1
            return None
        kind, error = ip.checksum_state(datagram)
        if kind == ip.CORRUPT:
            error = _OFF_BY_ONE  # by how much it was wrong may tell of an address
        ends = datagram.endpoints[:-4]
        half = len(ends) // 2
        addresses = self._address(ends[:half]) + self._address(ends[half:])
        try:
            new = ip.encode(datagram, payload, (kind, error), addresses)
        except ip.TooLong:
            self.payloads.unreadable += 1
            return None
        behind = len(datagram.packet) - datagram.udp - 8 - len(datagram.payload)
        return new[: len(new) - behind] + bytes(behind)

    def _address(self, packed: bytes) -> bytes:
        return self._pseudonyms.address(packed)

    def _between_insiders(self, packet: bytes) -> bool:
        if packet[:1] and packet[0] >> 4 == 4:
            return self._is_inside(packet[12:16]) and self._is_inside(packet[16:20])
        return self._is_inside(packet[8:24]) and self._is_inside(packet[24:40])
