"""A store in memory: lost with its process and not shared, for replays and tests."""

from collections.abc import Iterator, Sequence

from inline_topo.masking.effects import Exchange
from inline_topo.stores.base import Answer, Stored
from inline_topo.stores.clean import Cleaner


class MemoryStore:
    """A dict with ends of life. Nothing survives its process, and nothing bounds it but expiry."""

    outcome = "store"
    patience = 1.0
    is_immediate = True

    def __init__(self, clean_interval: float = 60.0) -> None:
        self._kept: dict[bytes, tuple[bytes, float, float]] = {}  # value, born, end of life
        self._cleaner = Cleaner(clean_interval)

    def perform(self, effects: Sequence[Exchange]) -> list[Answer]:
        """See `base.Store`; never fails."""
        if effects and self._cleaner.is_due(effects[-1].now):
            self.prune(effects[-1].now)
        return [self._exchange(effect) for effect in effects]

    def _exchange(self, effect: Exchange) -> Answer:
        now, kept = effect.now, self._kept
        for key, value, lifetime in effect.save:
            _, born, end = kept.get(key, (b"", now, now))
            if end <= now:
                born = now
            kept[key] = value, born, max(end, now + lifetime)
        found = {}
        for key in effect.load:
            if (record := kept.get(key)) is not None and record[2] > now:
                found[key] = record[0]
        return found

    def check(self) -> list[str]:
        """See `base.Store`."""
        return ["store memory: a restart forgets every dialog, and each queue has its own"]

    def records(self, now: float) -> Iterator[Stored]:
        """See `base.Store`."""
        for key, (value, born, end) in list(self._kept.items()):
            if end > now:
                yield Stored(key, value, now - born, end - now)

    def prune(self, now: float) -> int:
        """See `base.Store`."""
        expired = [key for key, (_, _, end) in self._kept.items() if end <= now]
        for key in expired:
            del self._kept[key]
        return len(expired)

    def close(self) -> None:
        """Forget everything."""
        self._kept.clear()
