"""What becomes of the names of parts (masking.part_names): hosts in them become tokens, as in text."""

from urllib.parse import unquote_to_bytes

from inline_topo.edits import Edit
from inline_topo.masking.bodies.texts import Texts
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_named
from inline_topo.masking.part_names import PART_NAME, in_text
from inline_topo.masking.swap import Swap
from inline_topo.sip.message import Span


class PartNames:
    """The edits in the names that were found."""

    def __init__(self, texts: Texts, swap: Swap) -> None:
        self._texts = texts
        self._swap = swap

    def mask(
        self, data: bytes, spans: list[Span], flow: Flow, fixed: frozenset[bytes]
    ) -> list[Edit]:
        """Those that hide what names the inside, but for words that are `fixed`."""
        edits = []
        for span in spans:
            for one in self._texts.mask(data, span, flow, PART_NAME, is_named):
                if data[one.start : one.end] not in fixed:
                    edits.append(one)
        return edits

    def open(self, data: bytes, spans: list[Span]) -> list[Edit]:
        """Those that put it back."""
        edits = []
        for span in spans:
            edits += self._texts.open(data, span, PART_NAME)
        return edits

    def strangers(self, data: bytes, spans: list[Span], flow: Flow) -> list[Edit]:
        """Those that swap what names the inside in what enters."""
        edits = []
        for span in spans:
            edits += self._swap.strangers(data, span, flow, PART_NAME)
        return edits

    def fixed(self, data: bytes, unread: list[Span], flow: Flow) -> frozenset[bytes]:
        """The words that must stay, as they stand in names in bodies that are not read, or with escapes."""
        found = set()
        for span in unread:
            for start, end in in_text(data, span):
                found |= self._words(data[start:end], flow)
        for start, end in in_text(data, (0, len(data))):
            name = data[start:end]
            if b"%" in name:
                found |= self._words(unquote_to_bytes(name), flow)
        return frozenset(found)

    def _words(self, name: bytes, flow: Flow) -> set[bytes]:
        edits = self._texts.mask(name, (0, len(name)), flow, PART_NAME, is_named)
        return {name[one.start : one.end] for one in edits}
