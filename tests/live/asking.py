"""`inline-topo` with a store of the tests' own: run in a namespace, with its words behind LATENCY and
PATIENCE.

A message with a field `X-Gate: NAME` waits until somebody writes into the named pipe NAME of this
folder: what is written is the answer, "fail" a failure. Any other message waits LATENCY seconds; with
LATENCY 0 it does not. Nobody waits longer than PATIENCE seconds.
"""

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inline_topo import assemble
from inline_topo.cli import main
from inline_topo.edits import Edit
from inline_topo.gateway import Gateway, Strategy
from inline_topo.masking.effects import EffectFailed, Need, Performers
from inline_topo.masking.flow import Direction, Flow
from inline_topo.sip.message import Message
from inline_topo.sip.names import FieldNames

_GATE = re.compile(rb"\r\nX-Gate: (\w+)")


@dataclass(frozen=True)
class Gate:
    """The effect: an answer from this pipe; without a name, after some time."""

    name: str


class Asking:
    """A strategy that asks before it masks, and does not go on without an answer."""

    def __init__(self, strategy: Strategy, latency: float) -> None:
        self._strategy = strategy
        self._latency = latency

    def field_names(self, direction: Direction) -> tuple[FieldNames, FieldNames]:
        return self._strategy.field_names(direction)

    def reads_all(self, flow: Flow) -> bool:
        return False

    def admits(self, data: bytes, flow: Flow) -> bool:
        return True

    def addresses(self, message: Message, flow: Flow, edits: list[Edit]) -> bytes:
        return self._strategy.addresses(message, flow, edits)

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit] | Need:
        found = _GATE.search(message.data)
        if not found and not self._latency:
            return self._strategy.edits(message, flow, now)

        def resume(answer: Any) -> list[Edit] | Need:
            if isinstance(answer, EffectFailed):
                raise answer
            return self._strategy.edits(message, flow, now)

        return Need(Gate(found[1].decode() if found else ""), resume)


class Gates:
    """The store. It says that it was closed by a file `closed`."""

    outcome = "store"
    is_immediate = False

    def __init__(self, latency: float, patience: float) -> None:
        self._latency = latency
        self.patience = patience

    def perform(self, effects: Sequence[Gate]) -> list[Any]:
        if not all(effect.name for effect in effects):
            time.sleep(self._latency)
        return [self._answer(effect.name) if effect.name else "ok" for effect in effects]

    def close(self) -> None:
        Path("closed").touch()

    def _answer(self, name: str) -> Any:
        answer = Path(name).read_text()
        return EffectFailed("store", "it says so") if answer == "fail" else answer


def run(latency: float, patience: float) -> None:
    """As `inline-topo`, with a gateway that asks."""
    plain = assemble.gateway

    def gateway(*arguments: Any, **options: Any) -> Gateway:
        made = plain(*arguments, **options)
        made._strategy = Asking(made._strategy, latency)
        return made

    def performers(config: object) -> Performers:
        return {Gate: Gates(latency, patience)}

    vars(assemble).update(gateway=gateway, performers=performers)
    main()


if __name__ == "__main__":
    run(float(sys.argv.pop(1)), float(sys.argv.pop(1)))
