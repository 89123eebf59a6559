"""Text in base64 or base64url (RFC 4648), wherever it begins in its run: tokens and other binary
are no text, and cost next to nothing."""

import re
from binascii import a2b_base64
from collections.abc import Iterator
from itertools import pairwise

Found = tuple[int, int, bytes]

_ALPHABET = rb"[A-Za-z0-9+/_-]"
# What the first three of four characters can be that stand for three bytes: of an address (digits,
# `a` to `f`, dots and colons; IPv4 and IPv6 have three in a row wherever they begin), or of any
# printable ones (0x20 to 0x7e).
_OF_ADDRESS = rb"[L-OQRYZ]", rb"[CDSTijyzEGUWkm02][ABEFIJMNQRUVYZcdghkloptswx014589]"
_PRINTABLE = rb"[I-Za-f]", rb"[C-HS-Xi-nyz0-3][ABEFIJMNQRUVYZcdghkloptswx014589]"
_MAY_HOLD_ADDRESS = re.compile(rb"%s(?=%s%s%s)" % (*_OF_ADDRESS, _ALPHABET, _OF_ADDRESS[0]))
_MAY_HOLD_TEXT = re.compile(rb"%s(?=%s%s%s%s)" % (*_PRINTABLE, _ALPHABET, *_PRINTABLE))
_TEXT_GOES_ON = re.compile(rb"(?:%s%s%s)*" % (*_PRINTABLE, _ALPHABET))
_QUAD_BEFORE = re.compile(_ALPHABET + rb"{4}")
_QUAD_AFTER = re.compile(_ALPHABET + rb"{0,4}")
_WRAPPED = re.compile(rb"\n(?<=[A-Za-z0-9+/]{60}\r\n)(?=[A-Za-z0-9+/])")
_SHORTEST_NAME, _SHORTEST_ADDRESS = 3, 7  # bytes
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class Base64Text:
    """Finds texts that may hold an address, or (`any_text`) anything printable."""

    def __init__(self, *, any_text: bool) -> None:
        self._may_hold = _MAY_HOLD_TEXT if any_text else _MAY_HOLD_ADDRESS
        self._shortest = _SHORTEST_NAME if any_text else _SHORTEST_ADDRESS

    def find(self, data: bytes) -> Iterator[Found]:
        """Each text, with the span of its base64."""
        found = False
        for one in self._search(data):
            found = True
            yield one
        breaks = [match.start() - 1 for match in _WRAPPED.finditer(data)] if found else ()
        if breaks:  # lines as MIME has them (RFC 2045 section 6.8)
            pieces = [data[i:j] for i, j in pairwise([0, *(b + 2 for b in breaks), len(data) + 2])]
            joined = b"".join([*(piece[:-2] for piece in pieces[:-1]), pieces[-1]])
            for start, end, text in self._search(joined):
                before = sum(b - 2 * i < start for i, b in enumerate(breaks))
                within = sum(b - 2 * i < end for i, b in enumerate(breaks))
                if before < within:  # others were found line by line
                    yield start + 2 * before, end + 2 * within, text

    def _search(self, data: bytes) -> Iterator[Found]:
        covered = [0, 0, 0, 0]  # by alignment
        for match in self._may_hold.finditer(data):
            start = match.start()
            if start < covered[start & 3]:
                continue
            more = _TEXT_GOES_ON.match(data, start)
            end = covered[start & 3] = max(more.end() if more else 0, start + 4)
            # what begins or ends within three bytes has the others in the quads around
            begin = start - 4 if start > 3 and _QUAD_BEFORE.match(data, start - 4, start) else start
            after = _QUAD_AFTER.match(data, end)
            end = after.end() if after else end
            digits = data[begin:end].translate(_TO_STANDARD)
            digits = digits[: len(digits) - 1] if len(digits) % 4 == 1 else digits
            text = a2b_base64(digits + b"=" * (-len(digits) % 4))
            if len(text) >= self._shortest:
                yield begin, end, text
