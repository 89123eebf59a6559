"""Fragments of UDP datagrams, IPv4 (RFC 791) and IPv6 (RFC 8200, section 4.5): whole and back.

Header checksums of IPv4 are only ever updated (RFC 1624), never computed: a right one stays right
and a wrong one stays wrong by the same amount, so that a corrupt fragment is not made to look good.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from inline_topo.wire.checksum import ones_sum

Tag = TypeVar("Tag")

TIMEOUT = 30.0  # seconds; Linux keeps fragments as long (net.ipv4.ipfrag_time)
MAX_DATAGRAMS = 1024
MAX_BYTES = 16 << 20
MAX_LENGTH = 0xFFFF

_UDP, _FRAGMENT = 17, 44
_EXTENSIONS = frozenset({0, 43, 60})  # hop-by-hop, routing, destination options: same length rule
_MORE4, _OFFSET4 = 0x2000, 0x1FFF


class Fragment(NamedTuple):
    """One fragment, taken apart."""

    key: bytes  # what the fragments of one datagram have in common
    header: bytes  # all that is repeated in each fragment, the Fragment header of IPv6 included
    offset: int  # of the payload in the datagram's, in bytes
    more: bool  # not the last one
    payload: bytes
    next_at: int  # IPv6: where the header says that a Fragment header follows; IPv4: 0


class Arrival(NamedTuple, Generic[Tag]):
    fragment: Fragment
    tag: Tag


class Whole(NamedTuple, Generic[Tag]):
    """A datagram put together, and the fragments that it came in."""

    packet: bytes  # one IP packet
    arrivals: tuple[Arrival[Tag], ...]  # as they came, duplicates included


class Refused(NamedTuple, Generic[Tag]):
    """Fragments of a datagram that must not be put together."""

    reason: str
    tags: tuple[Tag, ...]


@dataclass
class _Pending(Generic[Tag]):
    since: float
    arrivals: list[Arrival[Tag]] = field(default_factory=list)
    pieces: dict[int, Fragment] = field(default_factory=dict)  # by offset, no two overlap
    length: int = 0  # of the payload, once the last fragment has come
    received: int = 0
    size: int = 0  # bytes of memory
    refused: str = ""


def parse(packet: bytes) -> Fragment | None:
    """The fragment of a UDP datagram that this IP packet is.

    None for all else: whole packets (an atomic fragment is one, RFC 6946), other protocols, and
    fragments that are cut or malformed (a length that is no multiple of 8 before the last, an end
    beyond 65,535 bytes).
    """
    if len(packet) < 20:
        return None
    version = packet[0] >> 4
    if version == 4:
        if not packet[6] & 0x3F and not packet[7]:
            return None
        return _parse4(packet) if packet[9] == _UDP else None
    if version == 6 and packet[6] != _UDP and len(packet) > 48:
        return _parse6(packet)
    return None


def _parse4(packet: bytes) -> Fragment | None:
    start = (packet[0] & 15) * 4
    total, word = packet[2] << 8 | packet[3], packet[6] << 8 | packet[7]
    more, offset = bool(word & _MORE4), (word & _OFFSET4) * 8
    length = len(packet) - start
    if start < 20 or total != len(packet) or not _sound(start + offset, length, more):
        return None
    key = packet[12:20] + packet[4:6]
    return Fragment(key, packet[:start], offset, more, packet[start:], 0)


def _parse6(packet: bytes) -> Fragment | None:
    next_at, at = 6, 40
    while packet[next_at] in _EXTENSIONS:
        if at + 8 > len(packet):
            return None
        next_at, at = at, at + (packet[at + 1] + 1) * 8
    if packet[next_at] != _FRAGMENT or at + 8 > len(packet):
        return None
    if packet[at] != _UDP and packet[at] not in _EXTENSIONS:
        return None
    word = packet[at + 2] << 8 | packet[at + 3]
    more, offset = bool(word & 1), word & 0xFFF8
    if not more and not offset:
        return None
    start = at + 8
    length = len(packet) - start
    if int.from_bytes(packet[4:6], "big") + 40 != len(packet):
        return None
    if not _sound(at - 40 + offset, length, more):
        return None
    key = packet[8:40] + packet[at + 4 : start]
    return Fragment(key, packet[:start], offset, more, packet[start:], next_at)


def _sound(before: int, length: int, more: bool) -> bool:
    return length > 0 and before + length <= MAX_LENGTH and not (more and length % 8)


class Reassembler(Generic[Tag]):
    """Collects fragments until a datagram is whole. Time is the caller's, in seconds."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._pending: dict[bytes, _Pending[Tag]] = {}
        self._size = 0

    def add(
        self, fragment: Fragment, tag: Tag, now: float, path: bytes = b""
    ) -> Whole[Tag] | Refused[Tag] | None:
        """Take a fragment; the datagram when it is whole, or why it never will be.

        Fragments with another `path` never belong together. An exact duplicate is only noted; an
        overlap refuses the datagram with all that is still to come of it (RFC 5722, section 4).
        """
        key = path + fragment.key
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending(now)
        if pending.refused:
            return Refused(pending.refused, (tag,))
        pending.arrivals.append(Arrival(fragment, tag))
        size = len(fragment.header) + len(fragment.payload) + 512
        pending.size += size
        self._size += size

        known = pending.pieces.get(fragment.offset)
        if known is not None and (known.payload, known.more) == (fragment.payload, fragment.more):
            return None
        if _overlaps(pending, fragment):
            return self._refuse(key, "fragments_overlap", now)

        pending.pieces[fragment.offset] = fragment
        pending.received += len(fragment.payload)
        if not fragment.more:
            pending.length = fragment.offset + len(fragment.payload)
        if pending.received != pending.length:
            return None
        if len(pending.pieces[0].header) + pending.length > MAX_LENGTH:
            return self._refuse(key, "fragments_too_long", now)
        self._forget(key)
        return Whole(_join(pending.pieces), tuple(pending.arrivals))

    def expire(self, now: float) -> list[tuple[Tag, ...]]:
        """Forget what waits longer than the timeout, or is too much to keep; oldest first.
        Returns the tags of each datagram that stays incomplete."""
        given_up = []
        while self._pending:
            key, oldest = next(iter(self._pending.items()))
            late = now - oldest.since > self._timeout
            if not late and len(self._pending) <= MAX_DATAGRAMS and self._size <= MAX_BYTES:
                break
            given_up.append(self._forget(key))
        return [tags for tags in given_up if tags]

    def give_up(self) -> tuple[Tag, ...]:
        """Forget the oldest incomplete datagram; its tags, none if nothing waits."""
        while self._pending:
            if tags := self._forget(next(iter(self._pending))):
                return tags
        return ()

    def _refuse(self, key: bytes, reason: str, now: float) -> Refused[Tag]:
        tags = self._forget(key)
        self._pending[key] = _Pending(now, refused=reason)
        return Refused(reason, tags)

    def _forget(self, key: bytes) -> tuple[Tag, ...]:
        pending = self._pending.pop(key)
        self._size -= pending.size
        return tuple(arrival.tag for arrival in pending.arrivals)


def _overlaps(pending: _Pending[Tag], new: Fragment) -> bool:
    end = new.offset + len(new.payload)
    if pending.length and (end > pending.length or not new.more):
        return True
    return any(
        (new.offset < offset + len(piece.payload) and offset < end)
        or (not new.more and offset >= end)
        for offset, piece in pending.pieces.items()
    )


def _join(pieces: dict[int, Fragment]) -> bytes:
    first = pieces[0]
    payload = b"".join(pieces[offset].payload for offset in sorted(pieces))
    if not first.next_at:
        return _header4(first.header, first.header[12:20], 0, False, len(payload)) + payload
    at = len(first.header) - 8
    header = bytearray(first.header[:at])
    header[first.next_at] = first.header[at]
    header[4:6] = (at - 40 + len(payload)).to_bytes(2, "big")
    return bytes(header) + payload


def fragment(whole: Whole[Tag], packet: bytes) -> tuple[list[bytes | None], list[bytes]]:
    """Cut `packet`, `whole.packet` with another payload or other addresses, as the original was.

    Returns a packet for each arrival (None where fewer are needed than came) and those that are
    needed beyond. The headers are those of the original fragments, and the cuts are theirs too as
    far as they reach; behind them the largest original size counts. What fits into the first of
    the original sizes leaves unfragmented.
    """
    by_offset = {arrival.fragment.offset: arrival.fragment for arrival in whole.arrivals}
    originals = [by_offset[offset] for offset in sorted(by_offset)]
    rank = {original.offset: index for index, original in enumerate(originals)}
    first = originals[0]
    addresses, payload = _split(packet, first)
    room = MAX_LENGTH - max(len(original.header) for original in originals)
    cuts = list(_cuts(len(payload), [len(original.payload) for original in originals], room))

    def piece(header: bytes, index: int) -> bytes:
        start, end = cuts[index]
        make = _header6 if first.next_at else _header4
        return make(header, addresses, start, end < len(payload), end - start) + payload[start:end]

    kept: list[bytes | None] = []
    for arrival in whole.arrivals:
        index = rank[arrival.fragment.offset]
        kept.append(piece(arrival.fragment.header, index) if index < len(cuts) else None)
    extra = range(len(originals), len(cuts))
    return kept, [piece(originals[-1].header, index) for index in extra]


def _split(packet: bytes, first: Fragment) -> tuple[bytes, bytes]:
    if first.next_at:
        return packet[8:40], packet[len(first.header) - 8 :]
    return packet[12:20], packet[len(first.header) :]


def _cuts(length: int, sizes: Sequence[int], room: int) -> Iterator[tuple[int, int]]:
    start = 0
    for size in sizes[:-1]:
        if length - start <= size:
            break
        yield start, start + size
        start += size
    largest = min(max(sizes), room)
    while length - start > largest:
        yield start, start + (largest & ~7)
        start += largest & ~7
    yield start, length


def _header4(header: bytes, addresses: bytes, offset: int, more: bool, length: int) -> bytes:
    word = header[6] << 8 | header[7]
    word = (word & ~(_MORE4 | _OFFSET4)) | (_MORE4 if more else 0) | offset >> 3
    changed = b"".join(
        (
            header[:2],
            struct.pack("!H", len(header) + length),
            header[4:6],
            struct.pack("!H", word),
            header[8:12],
            addresses,
            header[20:],
        )
    )
    checksum = header[10] << 8 | header[11]
    if changed != header:
        checksum = (checksum + ones_sum(header) - ones_sum(changed)) % 0xFFFF
    return changed[:10] + struct.pack("!H", checksum) + changed[12:]


def _header6(header: bytes, addresses: bytes, offset: int, more: bool, length: int) -> bytes:
    at = len(header) - 8
    size = struct.pack("!H", at - 32 + length)
    place = struct.pack("!H", offset | header[at + 3] & 6 | more)
    start = header[:4] + size + header[6:8] + addresses
    return start + header[40 : at + 2] + place + header[at + 4 :]
