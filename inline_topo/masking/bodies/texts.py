"""Hosts in plain text: each word that names a hidden one becomes a token, and opens again."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from inline_topo.bounds import MOST_IN_BODY, TooMuch
from inline_topo.edits import Edit
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.flow import Flow
from inline_topo.masking.hosts import Host, Hosts
from inline_topo.masking.uris import MASKED, OPENED
from inline_topo.sip.message import Span

_WORD: Final = re.compile(rb"[A-Za-z0-9._:\[\]-]+")
_WITH_DOT: Final = re.compile(  # or colon: what names an address or a name with a dot
    rb"(?<![A-Za-z0-9._:\[\]-])[A-Za-z0-9_\[\]-]*[.:][A-Za-z0-9._:\[\]-]*"
)


class Texts:
    """Edits on text. What stands in `spared` spans (in order, apart) is not looked at."""

    def __init__(self, codec: Codec, hosts: Hosts) -> None:
        self._codec = codec
        self._hosts = hosts
        has_dots = all(b"." in name for name in hosts.protected_names)
        self._word = _WITH_DOT if has_dots else _WORD

    def mask(
        self,
        data: bytes,
        span: Span,
        flow: Flow,
        field: str,
        decide: Callable[[Host, Flow], bool],
        spared: Sequence[Span] = (),
    ) -> list[Edit]:
        """The words of data[start:end] that name a host that `decide` wants hidden. TooMuch where they are
        more than MOST_IN_BODY."""
        if not self._names(data[span[0] : span[1]], flow, decide):
            return []
        edits = []
        for match in _words(data, span, spared, self._word):
            if self._names(match[0], flow, decide):
                sealed = self._codec.seal_text(match[0])
                edits.append(Edit(*match.span(), sealed, field, MASKED))
                if len(edits) > MOST_IN_BODY:
                    raise TooMuch("words of a text")
        return edits

    def _names(self, text: bytes, flow: Flow, decide: Callable[[Host, Flow], bool]) -> bool:
        return any(decide(host, flow) for host in self._hosts.named_in(text))

    def open(self, data: bytes, span: Span, field: str, spared: Sequence[Span] = ()) -> list[Edit]:
        """The words behind the tokens in data[start:end]."""
        return [
            Edit(first, last, word, field, OPENED)
            for first, last, word in self._codec.open_texts(data, *span)
            if _WORD.fullmatch(word) and not touches(spared, (first, last))
        ]


def touches(spans: Sequence[Span], span: Span) -> bool:
    """Whether a span overlaps one of `spans`, which are apart and in order."""
    before = bisect_left(spans, (span[1], -1))
    return before > 0 and spans[before - 1][1] > span[0]


def _words(
    data: bytes, span: Span, spared: Sequence[Span], word: re.Pattern[bytes]
) -> Iterator[re.Match[bytes]]:
    """The words of a span that do not touch what is spared."""
    position, end = span
    for start, stop in (*spared, (end, end)):
        is_within = position > 0 and _WORD.match(data, position - 1) is not None
        yield from (_WORD if is_within else word).finditer(data, position, max(start, position))
        position = max(stop, position)
