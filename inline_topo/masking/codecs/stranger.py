"""What the token of a stranger's URI holds (masking.out), packed small.

count of parameters (1 byte; 255: two more follow) | an index of 2 bytes for each | packed URI
"""

from typing import Final, NamedTuple

from inline_topo.masking.codecs import compact

_LONG: Final = 255
_SCHEME: Final = b"sip:"


class Mark(NamedTuple):
    """Host and port as they stood, the user where it was taken out, the parameters that were, each with
    its index among all, and how the URI stood bare (codecs.base)."""

    authority: bytes
    user: bytes | None = None
    taken: tuple[tuple[int, bytes], ...] = ()
    bare: int = 0

    @property
    def uri(self) -> bytes:
        """All of it as one URI."""
        user = b"" if self.user is None else self.user + b"@"
        parameters = b"".join([b";" + text for _, text in self.taken])
        return b"".join((_SCHEME, user, self.authority, parameters))

    def pack(self) -> bytes:
        """The content of the token."""
        number = len(self.taken)
        count = bytes((number,)) if number < _LONG else b"\xff" + number.to_bytes(2, "big")
        indices = b"".join([index.to_bytes(2, "big") for index, _ in self.taken])
        return count + indices + compact.pack_uri(self.uri, self.bare)


def unpack(content: bytes) -> Mark | None:
    """What `Mark.pack` packed; None for anything else."""
    count, start = content[0] if content else 0, 1
    if count == _LONG:
        count, start = int.from_bytes(content[1:3], "big"), 3
    end = start + 2 * count
    unpacked = compact.unpack_uri(content[end:]) if len(content) > end else None
    if not unpacked or not unpacked[0].startswith(_SCHEME):
        return None
    before, *texts = unpacked[0][len(_SCHEME) :].rsplit(b";", count)
    if len(texts) != count:
        return None
    user, at, authority = before.rpartition(b"@")
    indices = [int.from_bytes(content[i : i + 2], "big") for i in range(start, end, 2)]
    taken = tuple(zip(indices, texts, strict=True))
    mark = Mark(authority, user if at else None, taken, unpacked[1])
    return mark if mark.pack() == content else None


def clear(content: bytes) -> bytes | None:
    """The content as a URI, for people."""
    mark = unpack(content)
    return mark.uri if mark else None
