"""Performers of the effects of a media relay (masking.media), by an rtpengine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inline_topo.edges.relay.ng import Client, Command, NgError
from inline_topo.masking.effects import EffectFailed
from inline_topo.masking.media import Exchanged, MediaAnswer, MediaDelete, MediaOffer

_UNKNOWN = "Unknown call-id"
_DELAY = 1
"""Seconds after which rtpengine deletes. At once, its threads lose an offer of the same call that comes
meanwhile, as one with credentials does 200 us behind the 407 (2 of 100 calls; rtpengine 10.5.3)."""


@dataclass(frozen=True)
class Relay:
    """Where rtpengine listens for ng, how long it has to answer (seconds), how it calls its interfaces
    to the inside and to the outside (none: it has one), and flags to give with each offer and answer."""

    address: tuple[str, int]
    timeout: float
    interfaces: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Exchanges:
    """Performs MediaOffer and MediaAnswer. What rtpengine does not answer in time has failed; the next
    one is asked anew, so it needs no more than to be there again."""

    outcome = "relay"
    is_immediate = False

    def __init__(self, relay: Relay) -> None:
        self.patience = relay.timeout
        self._relay = relay
        self._client = Client(relay.address)

    def perform(self, effects: Sequence[Exchanged]) -> list[bytes | EffectFailed | None]:
        """Descriptions; None for the answer of a call that rtpengine does not know."""
        commands = [self._command(effect) for effect in effects]
        replies = self._client.ask(commands, self._relay.timeout)
        return [self._result(*pair) for pair in zip(effects, replies, strict=True)]

    def close(self) -> None:
        self._client.close()

    def _command(self, effect: Exchanged) -> Command:
        relay = self._relay
        command: dict[str, Any] = {
            "command": "answer" if isinstance(effect, MediaAnswer) else "offer",
            **_parties(effect),
            "sdp": effect.session,
            "replace": ["origin", "session-connection"],
            "ICE": "remove",
        }
        if relay.flags:
            command["flags"] = relay.flags
        if relay.interfaces and isinstance(effect, MediaOffer):
            command["direction"] = relay.interfaces[:: 1 if effect.leaves else -1]
        return command

    def _result(
        self, effect: Exchanged, reply: dict[str, Any] | NgError
    ) -> bytes | EffectFailed | None:
        if isinstance(reply, NgError):
            return EffectFailed("relay", f"rtpengine at {self._relay.name}: {reply}")
        session = reply.get("sdp")
        if reply.get("result") == "ok" and isinstance(session, str):
            try:
                return session.encode("latin-1")
            except UnicodeEncodeError:
                return EffectFailed("relay", "rtpengine: a description in other characters")
        reason = str(reply.get("error-reason", "no description"))
        if isinstance(effect, MediaAnswer) and reason == _UNKNOWN:
            return None
        return EffectFailed("relay", f"rtpengine: {reason}")


class Ends:
    """Performs MediaDelete: sends it, once. What is lost, rtpengine finds out by its own `timeout`."""

    outcome = "relay"
    is_immediate = True

    def __init__(self, relay: Relay) -> None:
        self.patience = relay.timeout
        self._client = Client(relay.address)

    def perform(self, effects: Sequence[MediaDelete]) -> list[EffectFailed | None]:
        """None for what was sent."""
        commands = [command for effect in effects for command in _deletes(effect)]
        try:
            self._client.tell(commands)
        except OSError as error:
            return [EffectFailed("relay", f"rtpengine: {error.strerror}")] * len(effects)
        return [None] * len(effects)

    def close(self) -> None:
        self._client.close()


def check(relay: Relay) -> list[str]:
    """What is to be said at a start. An rtpengine that does not answer yet is a warning: it may come."""
    client = Client(relay.address)
    try:
        [reply] = client.ask([{"command": "ping"}], relay.timeout)
    finally:
        client.close()
    if isinstance(reply, NgError):
        return [f"media.rtpengine {relay.name}: {reply}: calls have no media until it is there"]
    if reply.get("result") != "pong":
        return [f"media.rtpengine {relay.name}: what answers there is no rtpengine"]
    return []


def _deletes(effect: MediaDelete) -> list[Command]:
    """It ends the party of the to-tag and the branches that hang on it, the other's only with it; and
    nobody says which of the two others of a fork hang on."""
    parties = _parties(effect)
    both = [parties]
    if effect.answerer:
        both.append({**parties, "from-tag": effect.answerer, "to-tag": effect.offerer})
    return [{"command": "delete", **one, "delete delay": _DELAY} for one in both]


def _parties(effect: Exchanged | MediaDelete) -> dict[str, bytes]:
    parties = {
        "call-id": effect.call_id,
        "via-branch": effect.branch,
        "from-tag": effect.offerer,
        "to-tag": effect.answerer,
    }
    return {key: value for key, value in parties.items() if value}
