"""Bytes of a capture as text that is safe to print, and the console that prints it."""

import os
import re
import sys
from collections.abc import Sequence

from rich.console import Console

from inline_topo.masking.hosts import address_text

_UNBOUNDED = 10_000  # columns where lines are not to be broken: a pipe, a file
_ESCAPES = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}


def printable(data: bytes) -> str:
    """`data` as one line of text: what is not UTF-8 or not printable (line breaks and a terminal's
    escape sequences are not) is written `\\xNN`."""
    text = data.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    return _ESCAPES.get(char) or "".join(f"\\x{byte:02x}" for byte in char.encode())


def host_text(address: bytes) -> str:
    """A packed address as it stands in a SIP URI."""
    return address_text(address).decode()


def endpoint_text(address: bytes, port: int) -> str:
    """`host:port` of a packed address."""
    return f"{host_text(address)}:{port}"


def seconds(nanoseconds: int) -> str:
    """A time as decimal seconds with nine places."""
    sign = "-" if nanoseconds < 0 else ""
    whole, rest = divmod(abs(nanoseconds), 10**9)
    return f"{sign}{whole}.{rest:09d}"


def count(number: int, noun: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def signed(number: int) -> str:
    """`+12`, `-3`, `0`."""
    return f"{number:+d}" if number else "0"


def listing(counts: dict[str, int]) -> str:
    """`Via 4, Contact 2`, most first."""
    items = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {number}" for name, number in items)


def changed_span(before: str, after: str, stops: str = " ;,<>@=?&\"'") -> Sequence[tuple[int, int]]:
    """What differs between two lines, as one span of each, widened to whole words."""
    shortest = min(len(before), len(after))
    start = 0
    while start < shortest and before[start] == after[start]:
        start += 1
    while start and before[start - 1] not in stops:
        start -= 1
    tail = 0
    while tail < shortest - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    while tail and before[-tail] not in stops:
        tail -= 1
    return (start, len(before) - tail), (start, len(after) - tail)


def fit(label: str, room: int) -> str:
    """The label in `room` characters; what gives way is its middle, not the bytes added."""
    if len(label) <= room:
        return label
    text, _, added = label.rpartition(" ")
    if added[:1] in ("+", "-") and room > len(added) + 2:
        return f"{text[: room - len(added) - 2]}… {added}"
    return f"{label[: room - 1]}…" if room > 1 else ""


def console() -> Console:
    """Standard output: coloured on a terminal (not with NO_COLOR), and unbroken lines elsewhere."""
    if sys.stdout.isatty():
        plain = os.environ.get("NO_COLOR")  # rich alone would still write bold and reverse
        return Console(
            highlight=False, markup=False, emoji=False, color_system=None if plain else "auto"
        )
    return Console(
        highlight=False,
        markup=False,
        emoji=False,
        width=_UNBOUNDED,
        color_system=None,
        force_terminal=False,
    )


def is_ascii_only(encoding: str | None) -> bool:
    """Whether an output's encoding has no box-drawing characters."""
    return not re.fullmatch(r"utf-?(8|16|32).*", encoding or "", re.IGNORECASE)
