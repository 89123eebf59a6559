"""What becomes of the names of parts (masking.part_names): hosts in them become tokens, as in text."""

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

    def mask(self, data: bytes, spans: list[Span], flow: Flow) -> list[Edit]:
        """Those that hide what names the inside."""
        edits = []
        for span in spans:
            edits += self._texts.mask(data, span, flow, PART_NAME, is_named)
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

    def stay(self, data: bytes, unread: list[bytes], flow: Flow) -> bool:
        """Whether the names of a message stay as they are: one that names the inside stands in a body that is
        not read, or one is spelled with escapes. Opening changes nothing of that, so what was kept as it
        entered is kept as it leaves, and nothing that opened leaves in clear."""
        for start, end in in_text(data, (0, len(data))):
            if data.find(b"%", start, end) >= 0:
                return True
        for body in unread:
            for name in in_text(body, (0, len(body))):
                if self._texts.mask(body, name, flow, PART_NAME, is_named):
                    return True
        return False
