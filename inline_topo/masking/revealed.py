"""Every token in a text that opens, those that need their message among them: for people and reports."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from inline_topo.bounds import MOST_VALUES
from inline_topo.masking import vias
from inline_topo.masking.bodies import fragment
from inline_topo.masking.callid import CallIds
from inline_topo.masking.codecs.base import Codec, Revealed
from inline_topo.sip import names, values
from inline_topo.sip.message import Malformed, Message, Span

_VIA: Final = "via"


def reveal(text: bytes, codec: Codec, call_ids: CallIds | None = None) -> list[Revealed]:
    """The tokens of any kind, in order. A Via below the topmost opens where `text` is its message, or
    the header fields of it: the Vias, and Call-ID, CSeq and From where the branch needs them.
    `call_ids`: the bijection of `mask_callid`, None where that is off. Slow; nothing is remembered."""
    found = codec.reveal(text)
    if not any(token.kind == _VIA for token in found):
        found += _in_stack(text, codec, call_ids)
    return sorted(found, key=_by_start)


def _by_start(token: Revealed) -> int:
    return token.start


def _in_stack(text: bytes, codec: Codec, call_ids: CallIds | None) -> list[Revealed]:
    try:
        message = fragment.parse(b"\n" + text)  # so that each header field begins a line
    except Malformed:
        return []
    data = message.data
    entries = values.split(data, message.fields.get(names.VIA, []))[:MOST_VALUES]
    for first in range(len(entries) - 1):
        lower = [data[start:end] for start, end in entries[first + 1 :]]
        for context in _contexts(message, entries[first], codec, call_ids):
            opened = codec.open_vias(lower, context)
            if opened:
                stack = zip(entries[first + 1 :], opened, strict=True)
                return [
                    Revealed(start - 1, end - 1, _VIA, codec.key_of(data[start:end]), content)
                    for (start, end), content in stack
                ]
    return []


def _contexts(
    message: Message, topmost: Span, codec: Codec, call_ids: CallIds | None
) -> Iterator[bytes]:
    """What Vias below `topmost` may be bound to: its branch or that in it (shape nat), the Call-ID as
    it stands or the inside's."""
    value = message.data[topmost[0] : topmost[1]]
    for clear_value in filter(None, (value, codec.open_via1(value))):
        for clear in (None, partial(_clear, codec, call_ids)):
            context = vias.context(message, clear_value, clear)
            if context is not None:
                yield context


def _clear(codec: Codec, call_ids: CallIds | None, call_id: bytes) -> bytes:
    return call_ids.unmask(call_id) if call_ids else codec.open_callid(call_id) or call_id
