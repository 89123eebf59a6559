"""What the packet path remembers: bounded in number and, by the length of its keys, in bytes."""

from collections.abc import Hashable
from typing import TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Cache(dict[_Key, _Value]):
    """A dict to look things up in, and `remember` to fill it.

    All is forgotten when there are too many entries, which costs less than keeping an order.
    """

    def __init__(self, most: int, longest: int) -> None:
        super().__init__()
        self._most = most
        self._longest = longest

    def remember(self, key: _Key, value: _Value, length: int) -> None:
        """Keep `value`, unless `length` (of what a stranger may choose of the key) is too much."""
        if length <= self._longest:
            if len(self) >= self._most:
                self.clear()
            self[key] = value
