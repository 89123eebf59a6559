"""What the packet path remembers: bounded in number and in bytes."""

from collections.abc import Hashable
from typing import TypeVar

from inline_topo.bounds import CACHE_BYTES

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Cache(dict[_Key, _Value]):
    """A dict to look things up in, and `remember` to fill it.

    All is forgotten when there are too many entries, or bytes, which costs less than keeping an order.
    """

    def __init__(self, most: int, longest: int, most_bytes: int = CACHE_BYTES) -> None:
        super().__init__()
        self._most_bytes = most_bytes
        self._most = most
        self._longest = longest
        self._bytes = 0

    def remember(self, key: _Key, value: _Value, length: int) -> None:
        """Keep `value`, unless `length` (of what a stranger may choose of key and value, in bytes) is too
        much."""
        if length <= self._longest:
            if len(self) >= self._most or self._bytes >= self._most_bytes:
                self.clear()
                self._bytes = 0
            self[key] = value
            self._bytes += length
