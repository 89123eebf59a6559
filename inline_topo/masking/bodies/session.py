"""SDP (RFC 8866): its origin and its texts are masked; where media goes is looked at, and stays."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from inline_topo.bounds import TooMuch
from inline_topo.edits import Edit
from inline_topo.masking.bodies.base import SDP, Pass
from inline_topo.masking.bodies.origin import Origins
from inline_topo.masking.bodies.texts import Texts, touches
from inline_topo.masking.cache import Cache
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_hidden, is_named
from inline_topo.masking.hosts import Host, Hosts
from inline_topo.masking.swap import Swap
from inline_topo.masking.uris import MASKED, OPENED, SWAPPED
from inline_topo.sip import sdp

_REMEMBERED: Final = 1 << 14
_LONGEST_REMEMBERED: Final = 256
_WITH_HOST: Final = frozenset((b"u", b"e", sdp.SOURCE))  # elsewhere four numbers may be a version


class _Seen(NamedTuple):
    """What becomes of a line: edits by offsets in its value; whether it shows where media goes."""

    edits: tuple[Edit, ...] = ()
    media: bool = False


class Sessions:
    """Edits on one description. What becomes of a line is remembered."""

    def __init__(self, codec: Codec, hosts: Hosts) -> None:
        self._hosts = hosts
        self._texts = Texts(codec, hosts)
        self._swap = Swap(hosts)
        self._origins = Origins(codec, hosts, self._texts)
        bounds = _REMEMBERED, _LONGEST_REMEMBERED
        self._usual: Cache[tuple[bytes, ...], tuple[bytes, bytes, bool]] = Cache(*bounds)
        self._masked: Cache[tuple[bytes, bytes, bytes], _Seen] = Cache(*bounds)
        self._opened: Cache[bytes, tuple[Edit, ...]] = Cache(*bounds)

    def mask(
        self, data: bytes, start: int, end: int, flow: Flow, left: int
    ) -> tuple[list[Edit], bool, int]:
        """The edits for data[start:end], whether it shows something hidden as a place of media, and what
        is left of `left`: the lines and words that may be looked at. TooMuch where they are more.

        Most descriptions name hosts in their first lines alone, and differ from call to call in the
        numbers of the session only: what becomes of the rest of those lines is remembered.
        """
        usual = sdp.USUAL.match(data, start, end)
        if not usual or sdp.has_lines(data, usual.end(), end):
            return self._mask(data, start, end, flow, left)
        username, numbers, address, rest = usual.groups()
        key = (username, address, rest, flow.mask_address, flow.outside)
        known = self._usual.get(key)
        if known is None:
            edits, media, left = self._mask(data, start, end, flow, left)
            if all(edit.start == usual.start(1) for edit in edits):
                words = edits[0].new.split(b" ", 4) if edits else (username, address)
                self._usual.remember(key, (words[0], words[-1], media), usual.end() - start)
            return edits, media, left
        masked, instead, media = known
        if masked == username and instead == address:
            return [], media, left
        new = b" ".join((masked, numbers, instead))
        return [Edit(usual.start(1), usual.end(3), new, SDP, MASKED)], media, left

    def _mask(
        self, data: bytes, start: int, end: int, flow: Flow, left: int
    ) -> tuple[list[Edit], bool, int]:
        edits: list[Edit] = []
        media = False
        mask_address, outside = flow.mask_address, flow.outside
        for line in sdp.lines(data, start, end):
            left -= 1
            if left < len(edits):
                raise TooMuch("lines of a session description")
            text = line[0]
            if text.startswith(b"\no="):
                new = self._origins.mask(text[3:], flow)
                if new is not None:
                    edits.append(Edit(*line.span(3), new, SDP, MASKED))
                continue
            key = (text, mask_address, outside)
            seen = self._masked.get(key)
            if seen is None:
                seen = self._judge(line[1] or line[2], line[3], flow)
                self._masked.remember(key, seen, len(key[0]))
            if seen.media:
                media = True
            if seen.edits:
                edits += _moved(seen.edits, line.start(3))
        return edits, media, left - len(edits)

    def open(self, data: bytes, start: int, end: int, how: Pass) -> list[Edit]:
        """The edits that put back what tokens in origin and texts stand for."""
        edits: list[Edit] = []
        for line in sdp.lines(data, start, end):
            how.spend()
            letter, attribute, value = line.groups()
            if letter == sdp.ORIGIN:
                new = self._origins.open(value)
                if new is not None:
                    edits.append(Edit(*line.span(3), new, SDP, OPENED))
            elif (letter or attribute) not in sdp.MEDIA:
                seen = self._opened.get(value)
                if seen is None:
                    seen = tuple(self._texts.open(value, (0, len(value)), SDP))
                    self._opened.remember(value, seen, len(value))
                if seen:
                    edits += _moved(seen, line.start(3))
        return edits

    def swap(
        self, data: bytes, start: int, end: int, flow: Flow, opened: Sequence[Edit]
    ) -> list[Edit]:
        """The edits that swap what a stranger's description says of the inside in its origin (0.0.0.0, as
        RFC 8829 section 5.2.1 has it) and its texts, but for what was opened. Where media goes stays."""
        edits: list[Edit] = []
        for line in sdp.lines(data, start, end):
            letter, attribute, _ = line.groups()
            if letter == sdp.ORIGIN and (words := sdp.origin(line[3])):
                if is_named(self._hosts.find(words[5]), flow):
                    words[4:] = [b"IP4", b"0.0.0.0"]
                if any(is_named(host, flow) for host in self._hosts.named_in(words[0])):
                    words[0] = b"-"
                new = b" ".join(words)
                if new != line[3]:
                    edits.append(Edit(*line.span(3), new, SDP, SWAPPED))
            elif (letter or attribute) not in sdp.MEDIA:
                edits += self._swap.strangers(data, line.span(3), flow, SDP)
        taken = sorted([(edit.start, edit.end) for edit in opened])
        return [edit for edit in edits if not touches(taken, (edit.start, edit.end))]

    def _judge(self, kind: bytes, value: bytes, flow: Flow) -> _Seen:
        if kind in sdp.MEDIA:
            return _Seen(media=any(_shows(host, flow) for host in self._hosts.named_in(value)))
        decide = is_hidden if kind in _WITH_HOST else is_named
        return _Seen(tuple(self._texts.mask(value, (0, len(value)), flow, SDP, decide)))


def _shows(host: Host, flow: Flow) -> bool:
    """Whether a host is hidden; 0.0.0.0 is nobody's (a stream on hold, RFC 3264 section 8.4)."""
    return is_hidden(host, flow) and (any(host.address) or bool(host.name))


def _moved(edits: tuple[Edit, ...], offset: int) -> list[Edit]:
    return [
        Edit(start + offset, end + offset, new, field, action)
        for start, end, new, field, action in edits
    ]
