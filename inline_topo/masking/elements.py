"""The bounds of a message's header fields, measured without parsing them."""

from collections.abc import Iterable
from typing import Final

from inline_topo.bounds import (
    MOST_ESCAPES,
    MOST_IN_FIELDS,
    MOST_LINES,
    MOST_ROUTING,
    MOST_VALUES,
    TooMuch,
)
from inline_topo.sip.message import Message

_ESCAPES: Final = b"%&\\"
_LITTLE: Final = 2048  # bytes, which cost little whatever they are
_SHORTEST: Final = 3  # bytes of a header line: a name, a colon, a line break


def check(message: Message) -> None:
    """Raise TooMuch where a parsed message goes beyond a bound of its header fields."""
    first, last = message.headers
    if last - first > _SHORTEST * (MOST_VALUES - message.commas):  # else no more lines find room
        _count(message, message.commas)


def check_routing(message: Message, names: Iterable[str], most: int = MOST_ROUTING) -> None:
    """Raise TooMuch where the Request-URI and the fields of these names have more than `most` bytes, or too
    many escapes: each is read in every spelling that somebody might undo."""
    if message.headers[1] <= _LITTLE:
        return
    length = message.request_uri[1] - message.request_uri[0]
    for name in names:
        for start, end in message.fields.get(name, ()):
            length += end - start
    if length > most:
        raise TooMuch("bytes of what routes")
    check_escapes(message)


def check_escapes(message: Message) -> None:
    """Raise TooMuch where the header fields have too many escapes."""
    first, last = message.headers
    if last - first > _LITTLE:
        text = message.data[first:last]
        if len(text) - len(text.translate(None, _ESCAPES)) > MOST_ESCAPES:
            raise TooMuch("escapes")


def count(message: Message) -> int:
    """The number of elements in the fields that a message was parsed for; TooMuch as in `check`.

    Commas are counted wherever they stand, in quotes too: nothing has to be parsed for it.
    """
    first, last = message.headers
    return _count(message, message.data.count(b",", first, last))


def _count(message: Message, commas: int) -> int:
    data, (first, last) = message.data, message.headers
    lines = 0
    for spans in message.fields.values():
        lines += len(spans)
    if last - first > _SHORTEST * MOST_LINES and data.count(b"\n", first, last) > MOST_LINES:
        raise TooMuch("header lines")
    return _elements(message) if lines + commas > MOST_VALUES else lines + commas


def _elements(message: Message) -> int:
    data, total = message.data, 0
    for name, spans in message.fields.items():
        values = len(spans)
        for start, end in spans:
            values += data.count(b",", start, end)
        if values > MOST_VALUES:
            raise TooMuch(f"values of {name}")
        total += values
    if total > MOST_IN_FIELDS:
        raise TooMuch("values of all fields")
    return total
