"""How attackers write what they send: the same message in other spellings that RFC 3261 allows, or nearly."""

import re
from collections.abc import Callable

_COMPACT = {
    b"Via": b"v", b"From": b"f", b"To": b"t", b"Call-ID": b"i", b"Contact": b"m", b"Refer-To": b"r",
    b"Referred-By": b"b", b"Subject": b"s", b"Event": b"o", b"Content-Type": b"c",
}  # fmt: skip
_ONCE = (b"From", b"To", b"Call-ID", b"CSeq")

Spelling = Callable[[bytes], bytes]


def _lines(each: Callable[[bytes, bytes], bytes]) -> Spelling:
    """Write every header field anew, from its name and its value."""

    def spell(data: bytes) -> bytes:
        head, end, body = data.partition(b"\r\n\r\n")
        start, *lines = head.split(b"\r\n")
        fields = [line.partition(b":")[::2] for line in lines]
        return (
            b"\r\n".join([start, *(each(name, value.strip()) for name, value in fields)])
            + end
            + body
        )

    return spell


def _folded_inside(name: bytes, value: bytes) -> bytes:
    if name != b"Call-ID":
        value = re.sub(rb"([;,<])", rb"\r\n \1", value, count=1)
    return name + b":" + value


def _twice(name: bytes, value: bytes) -> bytes:
    line = name + b": " + value
    return line + b"\r\n" + line if name in _ONCE else line


def _bare_lf(data: bytes) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    return head.replace(b"\r\n", b"\n") + b"\n\n" + body


SPELLINGS: dict[str, Spelling] = {
    "plain": lambda data: data,
    "compact": _lines(lambda name, value: _COMPACT.get(name, name) + b":" + value),
    "folded": _lines(lambda name, value: name + b":\r\n " + value),
    "folded-inside": _lines(_folded_inside),
    "spaces": _lines(lambda name, value: name.upper() + b" \t: \t" + value + b" \t"),
    "lf": _bare_lf,
    "twice": _lines(_twice),
    "upper": lambda data: data.replace(b"<sip:", b"<SIP:").replace(b" sip:", b" SiP:", 1),
}
"""By name."""
