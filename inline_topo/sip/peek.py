"""A field's value without parsing the message: of a packet that may not parse, or in a hurry."""

import re
from typing import Final

_CALL_ID: Final = re.compile(rb"\n(?:[Cc][Aa][Ll][Ll]-[Ii][Dd]|[Ii])[ \t]*:\s*(\S+)")


def call_id(data: bytes) -> bytes:
    """The Call-ID in a message, or in a packet that carries one; empty where there is none."""
    found = _CALL_ID.search(data)
    return found[1] if found else b""
