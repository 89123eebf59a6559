"""The bounds of a message's header fields, measured without parsing them."""

from typing import Final

from inline_topo.bounds import MOST_IN_FIELDS, MOST_LINES, MOST_VALUES, TooMuch
from inline_topo.sip.message import Message

_SHORT: Final = 2 * MOST_LINES  # bytes: no more lines find room in it


def check(message: Message) -> int:
    """The number of elements in the fields that a message was parsed for; TooMuch where a bound says so.

    Commas are counted wherever they stand, in quotes too: nothing has to be parsed for it.
    """
    data, (first, last) = message.data, message.headers
    lines = 0
    for spans in message.fields.values():
        lines += len(spans)
    comma = data.find(b",", first, last)  # most messages have few, near their end: Allow, Supported
    commas = 0 if comma < 0 else data.count(b",", comma, last)
    if lines + commas <= MOST_VALUES and last - first <= _SHORT:
        return lines + commas
    if data.count(b"\n", first, last) > MOST_LINES:
        raise TooMuch("header lines")
    return _elements(message) if lines + commas > MOST_VALUES else lines + commas


def _elements(message: Message) -> int:
    data, total = message.data, 0
    for name, spans in message.fields.items():
        count = len(spans)
        for start, end in spans:
            count += data.count(b",", start, end)
        if count > MOST_VALUES:
            raise TooMuch(f"values of {name}")
        total += count
    if total > MOST_IN_FIELDS:
        raise TooMuch("values of all fields")
    return total
