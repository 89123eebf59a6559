"""What mode topos keeps in a store, seen from the packet path: bounded memory of it, and what is asked.

Records are immutable: a key is a MAC over what its record says. So what was once read or written stays
true, on every gateway, and the memory needs no care. A rule that must wait is a generator (Steps): it
yields an Exchange (a Draft where it writes), gets the result, and returns its edits.
"""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from inline_topo.bounds import RECORD_BYTES
from inline_topo.edits import Edit
from inline_topo.masking.cache import Cache
from inline_topo.masking.codecs.records import Seal
from inline_topo.masking.codecs.siv import TAG_SIZE
from inline_topo.masking.effects import EffectFailed, Exchange, Need, Record
from inline_topo.masking.flow import Flow
from inline_topo.masking.topos.spoilt import Spoilt
from inline_topo.sip.message import Message

_Result = TypeVar("_Result")


class Draft(NamedTuple):
    """Records to keep, if the message goes on with `edits` (effects.Need)."""

    exchange: Exchange
    edits: list[Edit]


Steps = Generator[Exchange | Draft, Any, _Result]

_REMEMBERED: Final = 1 << 15
_LONGEST_REMEMBERED: Final = 2048
_FOREVER: Final = float("inf")
_ABSENT: Final = 10.0  # seconds for which what is not there is not asked for again


Rules = Callable[[Message, Flow, float], Steps[list[Edit]]]
"""What becomes of the messages of a direction."""


class Entry:
    """A record before it is sealed: its content is kept under its key for `lifetime` seconds."""

    __slots__ = ("content", "key", "lifetime")

    def __init__(self, key: bytes, content: bytes, lifetime: float) -> None:
        self.key = key
        self.content = content
        self.lifetime = lifetime

    @property
    def size(self) -> int:
        """Bytes of the record, key and value (which is sealed together with the key)."""
        return 2 * len(self.key) + TAG_SIZE + len(self.content)


class _Known:
    """`content` is None where there is nothing. `until`: the end of the life that we asked for; of
    nothing, how long that is believed. `value`: the content sealed, where that has been done."""

    __slots__ = ("content", "until", "value")

    def __init__(self, content: bytes | None, until: float, value: bytes | None = None) -> None:
        self.content = content
        self.until = until
        self.value = value


class Shelf:
    """Records of one key ring."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._keys: Cache[tuple[bytes, ...], bytes] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)
        self._known: Cache[bytes, _Known] = Cache(_REMEMBERED, _LONGEST_REMEMBERED, RECORD_BYTES)
        self._spoilt = Spoilt()

    def key(self, kind: bytes, *parts: bytes) -> bytes:
        """The key of the record of this kind about `parts` (records.Seal.key)."""
        about = (kind, *parts)
        key = self._keys.get(about)
        if key is None:
            key = self._seal.key(kind, *parts)
            self._keys.remember(about, key, sum([len(part) for part in parts]))
        return key

    def remembers(self, key: bytes, now: float) -> bool:
        """Whether it is known what is kept under `key`, or that nothing is."""
        known = self._known.get(key)
        return known is not None and (known.content is not None or now < known.until)

    def get(self, key: bytes) -> bytes | None:
        """What is known to be kept under `key`."""
        known = self._known.get(key)
        return known.content if known else None

    def nothing(self, key: bytes) -> None:
        """Take note that nothing is kept under `key`, so that nobody asks the store."""
        self._known.remember(key, _Known(None, _FOREVER), 0)

    def note(self, key: bytes, content: bytes) -> None:
        """Take note of what was read elsewhere; it is not known for how long it is kept."""
        if self.get(key) != content:
            self._known.remember(key, _Known(content, 0), len(content))

    def save(self, now: float, entries: list[Entry], edits: list[Edit]) -> Steps[None]:
        """Keep `entries`, but for those that are known to be kept for half of their life yet, if the
        message goes on with `edits`."""
        due: list[Record] = []
        learnt: list[_Known] = []
        for entry in entries:
            known = self._known.get(entry.key)
            value = None
            if known is not None and known.content == entry.content:
                if known.until - now >= entry.lifetime / 2:
                    continue
                value = known.value  # as before: sealing is deterministic
            if value is None:
                value = self._seal.seal(entry.key, entry.content)
            due.append(Record(entry.key, value, entry.lifetime))
            learnt.append(_Known(entry.content, now + entry.lifetime, value))
        if due:
            yield Draft(Exchange(now, tuple(due)), edits)
            for record, known in zip(due, learnt, strict=True):
                self._known.remember(record.key, known, len(record.value))

    def load(self, now: float, keys: list[bytes]) -> Steps[dict[bytes, bytes]]:
        """What is kept under `keys`. Raises EffectFailed where a value is not of our making."""
        wanted = tuple(key for key in keys if not self.remembers(key, now))
        contents = {key: known.content for key in keys if (known := self._known.get(key))}
        if wanted:
            found = yield Exchange(now, load=wanted)
            for key in wanted:
                value = found.get(key)
                contents[key] = content = self._open(key, value, now)
                until = 0 if content is not None else now + _ABSENT
                self._known.remember(key, _Known(content, until, value), len(value or b""))
        return {key: content for key, content in contents.items() if content is not None}

    def _open(self, key: bytes, value: bytes | None, now: float) -> bytes | None:
        content = self._seal.open(key, value) if value is not None else None
        if value is not None and content is None:
            self._spoilt.note(key, now)
            raise EffectFailed("store", "a record was changed, or made with another key")
        return content


def drive(steps: Steps[list[Edit]]) -> list[Edit] | Need:
    """Take `steps` as far as they go without waiting."""
    return _resume(steps, None)


def _resume(steps: Steps[list[Edit]], result: Any) -> list[Edit] | Need:
    try:
        effect = steps.throw(result) if isinstance(result, EffectFailed) else steps.send(result)
    except StopIteration as end:
        edits: list[Edit] = end.value
        return edits
    if isinstance(effect, Draft):
        return Need(effect.exchange, partial(_resume, steps), effect.edits)
    return Need(effect, partial(_resume, steps))
