"""What outsiders say of the inside's range, by a small reader that knows nothing of masking.

A gateway marks or swaps it on the way in. On the way out it seals what it has set no mark for: a capture
that was taken without a gateway has none.
"""

import re
from ipaddress import ip_address

from tests.corpus.rows import is_in

# Where requests go by what stands there (RFC 3261 sections 12 and 16, RFC 3327), long and compact.
_ROUTING = ("contact", "m", "record-route", "route", "path", "refer-to", "r")
# Who sent a message, what finds its dialog, what is signed; From and To stay in profile default.
_STAYS = (
    *("via", "v", "call-id", "i", "from", "f", "to", "t", "cseq", "date", "identity"),
    *("authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate"),
)
_ADDRESS = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.]*\w)")
_MEDIA = ("c=", "m=", "a=")
Words = tuple[list[str], list[str]]
"""The networks inside, and the addresses that outsiders are meant to see."""


def routes_inside(message: bytes, words: Words) -> bool:
    """Whether it names the inside in its Request-URI or a field that routes."""
    start, fields, _ = _read(message)
    texts = [value for name, value in fields if name in _ROUTING]
    return any(_names(text, words) for text in (start, *texts))


def speaks_of_the_inside(message: bytes, words: Words) -> bool:
    """Whether it names the inside anywhere but in what stays, and where media goes."""
    start, fields, body = _read(message)
    texts = [value for name, value in fields if name not in _STAYS]
    texts += [line for line in body.splitlines() if not line.startswith(_MEDIA)]
    return any(_names(text, words) for text in (start, *texts))


def _read(message: bytes) -> tuple[str, list[tuple[str, str]], str]:
    """The Request-URI, the header fields, the body."""
    text = message.decode("latin-1").replace("\r\n", "\n")
    head, _, body = text.partition("\n\n")
    start, *lines = re.sub(r"\n[ \t]+", " ", head).split("\n")
    uri = "" if start.startswith("SIP/") else start.partition(" ")[2]
    pairs = [line.partition(":") for line in lines]
    return uri, [(name.strip().lower(), value) for name, _, value in pairs], body


def _names(text: str, words: Words) -> bool:
    inside, seen = words
    found = [one for one in _ADDRESS.findall(text) if max(map(int, one.split("."))) < 256]
    return any(is_in(str(ip_address(one)), inside) and one not in seen for one in found)
