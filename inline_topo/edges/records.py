"""What a capture is made of, in either format, and what reads and writes it."""

from typing import NamedTuple, Protocol


class Packet(NamedTuple):
    """One captured packet. The time is `seconds` + `fraction` / `resolution`, exactly as stored."""

    number: int  # its place in the file, from 1
    seconds: int
    fraction: int
    resolution: int
    linktype: int
    data: bytes  # as captured, link layer included
    wire_length: int  # as it was on the wire
    block: bytes = b""  # pcapng: the whole block, to copy it or to take its options from


class Block(NamedTuple):
    """A pcapng block that is no packet."""

    kind: int
    data: bytes


class Writer(Protocol):
    warnings: list[str]

    def copy(self, item: Packet | Block) -> None:
        """Write what was read, unchanged as far as the format allows it."""

    def rewrite(self, packet: Packet, data: bytes, comment: str) -> None:
        """Write `packet` with other bytes; `comment` stays where the format has a place for it."""

    def finish(self) -> None:
        """Write what an empty capture still needs."""
