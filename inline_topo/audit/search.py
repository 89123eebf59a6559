"""The search: every host of the inside in the bytes of a message, in any spelling."""

from typing import Final, NamedTuple

from inline_topo.audit import encoded
from inline_topo.audit.findings import BODY, BOUNDS
from inline_topo.audit.hosts import Hosts
from inline_topo.audit.layers import (
    Decoded,
    FromBase64,
    Joined,
    Layer,
    WithoutNulls,
    is_wide,
    is_wrapped,
    may_be_base64,
    unescaped,
    unpack,
    unquoted,
)
from inline_topo.audit.literals import IPV4, IPV6, Literal, Literals
from inline_topo.audit.packed import Packed
from inline_topo.audit.work import Work

ROUNDS: Final = 3
"""How often codes are undone in one text."""

DEPTH: Final = 3
"""How many decodings (base64, compression, wide characters) are looked through."""

LOOKS: Final = 4096
"""At what may be a host, in one message."""

ROOM: Final = 3 << 17
"""Bytes that are searched for one message, all its layers together."""

FINDS: Final = 512
"""Hosts of the inside that are found in one message, and as many others."""

_GZIP: Final = b"\x1f\x8b\x08"
_MOST_PACKED: Final = 8
_PART: Final = 4
_SHORT: Final = 32


class Sighting(NamedTuple):
    """A host at data[start:end] of a message.

    `shown` is how it is spelled once decoded; `kind`, `named`, `part` and `address` as in
    literals.Literal. It stands at `at` in the text of `layer`. `packed`: in the digits of base64 or of
    hexadecimal.
    """

    start: int
    end: int
    kind: str
    shown: bytes
    named: bool
    part: bool
    address: bytes
    layer: Layer
    at: int
    packed: bool = False


_Found = dict[tuple[int, str, bytes, bool], Sighting]
"""By where it starts, its kind, how it is spelled, and whether it is named."""


class Seen(NamedTuple):
    """The sightings of a message in order, and why something in it was not read (BODY, BOUNDS)."""

    sightings: list[Sighting]
    not_read: list[str]


class Search:
    """Finds hosts that outsiders are not meant to see, by the definitions of own, inside, protected."""

    def __init__(self, hosts: Hosts) -> None:
        self._literals = Literals(hosts)
        self._packed = Packed(hosts)

    def find(self, data: bytes, exempt: tuple[bytes, ...]) -> Seen:
        """All of them in `data`. `exempt`: packed addresses that are known anyway."""
        work = Work(LOOKS, ROOM, FINDS)
        found: _Found = {}
        is_whole = True
        todo = [Layer(data)]
        for layer in todo:  # grows
            self._look(layer, exempt, work, found)
            texts = [layer]
            for other in unescaped(layer, ROUNDS, work) + unquoted(layer, work):
                self._look(other, exempt, work, found)
                texts[1:] = [other]
            if layer.within is None:
                for text in texts:
                    self._look_at_digits(text, exempt, work, found)
            declared: set[int] = set()
            if not layer.is_guess:
                inner = encoded.decode(layer, work)
                is_whole = is_whole and inner.is_whole
                declared = {one.start for one in inner.layers}
                todo += inner.layers
            for text in texts:
                todo += _within(text, declared, work)
        not_read = [] if is_whole else [BODY]
        if work.is_spent:
            not_read.append(BOUNDS)
        sightings = list(found.values())
        if len(sightings) > 1:
            sightings.sort(key=_start)
        return Seen(sightings, not_read)

    def _look(self, layer: Layer, exempt: tuple[bytes, ...], work: Work, found: _Found) -> None:
        text = layer.text
        for one in self._literals.find(text, exempt, work, is_guess=layer.is_guess):
            if not layer.is_guess or (one.named and not one.part):
                _keep(found, layer, one, work)

    def _look_at_digits(
        self, layer: Layer, exempt: tuple[bytes, ...], work: Work, found: _Found
    ) -> None:
        for one in self._packed.find(layer.text, exempt, work):
            address = one.host.address
            kind = IPV4 if len(address) == 4 else IPV6
            literal = Literal(one.start, one.end, kind, True, address=address)
            _keep(found, layer, literal, work, packed=True)


def _keep(found: _Found, layer: Layer, one: Literal, work: Work, *, packed: bool = False) -> None:
    """Add what was found in a layer, where the message has it, unless that is known or too much is."""
    start, end = one.start, one.end
    shown = layer.text[start:end]
    if layer.within is not None:
        start, end = layer.place(start), layer.place(end - 1) + 1
    key = (start, one.kind, shown, one.named)
    if key not in found and work.find(named=one.named):
        found[key] = Sighting(
            start,
            end,
            one.kind,
            shown,
            one.named,
            one.part,
            one.address,
            layer,
            one.start,
            packed,
        )


def _start(sighting: Sighting) -> int:
    return sighting.start


def _within(layer: Layer, declared: set[int], work: Work) -> list[Layer]:
    """The texts that stand in a text in base64, in wide characters, or compressed; but for those that
    are `declared`, by where they begin."""
    text = layer.text
    if not work.take(len(text)) or (
        layer.is_guess and not may_be_base64(text) and not is_wide(text)
    ):
        return []
    found: list[Layer] = [FromBase64(layer)]
    if is_wrapped(text) and work.take(len(text)):
        found.append(FromBase64(Joined(layer)))
    if is_wide(text):
        found.append(WithoutNulls(layer))
    at, count = text.find(_GZIP), 0
    while at >= 0 and count < _MOST_PACKED:
        if at not in declared:
            found.append(Decoded(unpack(text[at:])[0], layer, at))
        at, count = text.find(_GZIP, at + 1), count + 1
    found = [one for one in found if one.text]
    if layer.depth >= DEPTH:  # what decodes for the most part is no chance
        if any(len(one.text) * _PART > len(text) > _SHORT for one in found):
            work.is_spent = True
        return []
    return [one for one in found if work.take(len(one.text))]
