"""Mode topos, replayed: each message's way back, kept by the leg `outside` for the leg `inside`.

The layout of what is taken out (which line stood where) is nothing that a gateway needs, and all that a
capture needs to come back byte for byte. So the leg `outside` keeps the way back of each message under
its time and bytes; `inside`, with the same store, goes it. Where it knows none (a capture taken outside
of a live gateway), it brings back what the gateway would have, in both directions.
"""

from collections.abc import Iterable
from typing import Final

from inline_topo.edits import Edit, splice
from inline_topo.masking.codecs.records import pack, unpack
from inline_topo.masking.flow import Flow
from inline_topo.masking.topos.keys import Lives
from inline_topo.masking.topos.shelf import Entry, Rules, Shelf, Steps
from inline_topo.masking.uris import MASKED, OPENED, RESTORED
from inline_topo.sip.message import Message

FOR_GOOD: Final = Lives(1e9, 1e9)
"""A capture may be read again in ten years."""

WAY_BACK: Final = b"r"
"""The kind of its records."""


def keeping(rules: Rules, shelf: Shelf) -> Rules:
    """`rules`, and the way back of each message is kept."""

    def steps(message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        edits = yield from rules(message, flow, now)
        key = _key(shelf, splice(message.data, edits), now)
        content = pack(_pack_edit(edit) for edit in inverse(message.data, edits))
        yield from shelf.save(now, [Entry(key, content, FOR_GOOD.dialog_expire)], edits)
        return edits

    return steps


def going(rules: Rules, shelf: Shelf) -> Rules:
    """The ways back that were kept; `rules` for a message that has none."""

    def steps(message: Message, flow: Flow, now: float) -> Steps[list[Edit]]:
        key = _key(shelf, message.data, now)
        found = yield from shelf.load(now, [key])
        if key in found:
            return [_unpack_edit(packed) for packed in unpack(found[key])]
        return (yield from rules(message, flow, now))

    return steps


def _key(shelf: Shelf, data: bytes, now: float) -> bytes:
    return shelf.key(WAY_BACK, repr(now).encode(), data)


def inverse(data: bytes, edits: Iterable[Edit]) -> list[Edit]:
    """What makes `data` again of `data` with `edits` done; edits that touch become one."""
    back: list[Edit] = []
    shift = 0
    for start, end, new, field, action in sorted(edits):
        first, last, old = start + shift, start + shift + len(new), data[start:end]
        shift += len(new) - (end - start)
        done = OPENED if action == MASKED else RESTORED
        if back and back[-1].end == first:
            before = back.pop()
            first, old, field, done = before.start, before.new + old, before.field, before.action
        back.append(Edit(first, last, old, field, done))
    return back


def _pack_edit(edit: Edit) -> bytes:
    place = b"%d %d" % edit[:2]
    return pack((place, edit.new, edit.field.encode(), edit.action.encode()))


def _unpack_edit(packed: bytes) -> Edit:
    place, new, field, action = unpack(packed)
    start, end = map(int, place.split())
    return Edit(start, end, new, field.decode(), action.decode())
