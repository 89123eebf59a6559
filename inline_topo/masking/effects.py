"""What a strategy waits for: effects that an edge runs, and how they fail.

The core does no I/O. A strategy that needs something from outside gives a Need; the gateway makes an
Ask of it; the edge has the effect performed and resumes with its result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from inline_topo.edits import Edit


class EffectFailed(Exception):
    """An effect that did not happen in time, or at all. It is the effect's result, not raised by a
    performer; a strategy that can go on without does, and raises it otherwise.

    `outcome` is how a counter would call it ("store", "relay"); the text says why, for the log.
    """

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


class Need:
    """A strategy's way to say that it cannot yet give edits.

    `resume` takes the effect's result, or the EffectFailed that stands for it, and gives the edits
    or the next Need. It may raise SealError or EffectFailed.

    `draft`: the edits that the message has if the effect goes well, where the effect is a write. It is
    made only if the message goes on with them; `resume` then gives this same list.
    """

    __slots__ = ("draft", "effect", "resume")

    def __init__(
        self,
        effect: Any,
        resume: Callable[[Any], "list[Edit] | Need"],
        draft: "list[Edit] | None" = None,
    ) -> None:
        self.effect = effect
        self.resume = resume
        self.draft = draft


class Performer(Protocol):
    """Runs the effects of one kind, outside the packet path.

    `outcome` is what its failures are called (one of KINDS). `patience`: seconds that a packet waits
    for one effect; then its result is an EffectFailed, and what comes later is thrown away.
    `is_immediate`: it takes no longer than a packet may hold up all others (memory, a local file),
    and is run in their midst.

    It is made in the process that uses it. Else than where `is_immediate`, one thread of its own
    calls `perform` and, at the end, `close`; it is not the one that made it, which calls `attempt`
    where there is one (see Prompt), and `close` where nothing was performed.
    """

    outcome: str
    patience: float
    is_immediate: bool

    def perform(self, effects: Sequence[Any]) -> list[Any]:
        """The results of the effects, in order: an EffectFailed for each that failed. Never raises.

        May block for as long as the configuration grants a store or a relay.
        """

    def close(self) -> None:
        """Let go of connections and files."""


class Prompt(Protocol):
    """A performer that is not immediate, but can be for many an effect."""

    def attempt(self, effects: Sequence[Any]) -> list[Any] | None:
        """The results of the effects, in order, in the midst of the packet path; None where they would
        hold up all others for longer than a packet may, so that `perform` has to do them. Never
        raises.

        May be called while the other thread is in `perform`.
        """


KINDS = ("store", "relay")
"""The outcomes of effects that fail: what a performer may be called."""

Performers = Mapping[type, Performer]
"""Who performs which effects, by the effect's class."""


def performer_of(effect: Any, performers: Performers) -> Performer:
    """Who performs this effect. LookupError where nobody does: a defect, not a failure."""
    performer = performers.get(type(effect))
    if performer is None:
        raise LookupError(f"nobody is there to perform {type(effect).__name__}")
    return performer


def perform(performers: Performers, effect: Any) -> Any:
    """The result of one effect, waited for here."""
    [result] = performer_of(effect, performers).perform([effect])
    return result


@contextmanager
def closing(performers: Performers) -> Iterator[None]:
    """Closes them at the end of its block, each once."""
    try:
        yield
    finally:
        for performer in {id(performer): performer for performer in performers.values()}.values():
            performer.close()


class Record(NamedTuple):
    """What a strategy wants kept: `value` under `key` for `lifetime` seconds from the effect's `now`."""

    key: bytes
    value: bytes
    lifetime: float


class Exchange:
    """Records to keep and keys to look up, done together and durably (the store says what that means).

    `now` is the time of the packet in seconds: what has expired by then is not found. A key that is
    there already gets the new value, and the later of both ends of life. The result is a dict of
    the values found for `load`.
    """

    __slots__ = ("load", "now", "save")

    def __init__(
        self, now: float, save: tuple[Record, ...] = (), load: tuple[bytes, ...] = ()
    ) -> None:
        self.now = now
        self.save = save
        self.load = load
