"""The contract of a dialog store.

A store keeps sealed values under opaque keys, each with an end of life. It performs
`masking.effects.Exchange` in batches. What every store promises:

- The exchanges of a batch happen in order, and in each the saves before the loads. One that failed
  is answered with EffectFailed("store", reason), whatever else was in the batch; nothing raises.
- What was answered without a failure is durable, as the store's module says.
- A value and its end of life are written in one step: no record is ever without an end.
- A key that is there gets the new value and the later of both ends of life.
- A failed store is tried again by every batch, or after a short and bounded pause. It needs no
  restart once its trouble is over.
- Nothing is opened before the first use, and a connection or file is never used across a fork: a
  store may be made before it. One thread at a time uses a store, whichever.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from inline_topo.errors import InlineTopoError
from inline_topo.masking.effects import EffectFailed, Exchange, Performer

SCHEMA = 2
"""The version of what is kept. A store of another version is refused at the start."""

Answer = dict[bytes, bytes] | EffectFailed
"""The result of an Exchange: the values found, or why there is none."""


class StoreError(InlineTopoError):
    """A store that cannot be inspected or pruned; names the store and the reason."""


class Stored(NamedTuple):
    """A live record, for an operator. `age` is that of the key, in seconds; None where the store
    does not know it. `left` is what is left of its life, in seconds."""

    key: bytes
    value: bytes
    age: float | None
    left: float


class Store(Performer, Protocol):
    """Performs exchanges, and lets an operator look at what is kept."""

    def perform(self, effects: Sequence[Exchange]) -> list[Answer]:
        """The results of the exchanges, in order. Never raises."""

    def check(self) -> list[str]:
        """Make sure that the store can be used, and make its schema if there is none.

        Returns warnings: what works, or may yet work, and should be known. ConfigError where only a
        change of the configuration or of the store can help. Leaves nothing open: call it
        before a fork.
        """

    def records(self, now: float) -> Iterator[Stored]:
        """Every record that is alive at `now`. Makes and changes nothing. StoreError."""

    def prune(self, now: float) -> int:
        """Remove what has expired at `now`; how many records that were. StoreError."""


def failed(reason: str, effects: Sequence[Exchange]) -> list[Answer]:
    """The same failure for each of them."""
    return [EffectFailed("store", reason) for _ in effects]
