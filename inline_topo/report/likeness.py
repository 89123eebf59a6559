"""By what a message is known again in another capture, masked, opened or translated on its way.

Masking changes Call-ID, Request-URI, lower Vias, routes, Contacts and bodies; a NAT changes addresses
and, in shape nat, the topmost Via is masked too. What stays is the key: request or response, method
or status, CSeq, the tags of From and To (RFC 3261 section 12: they name the dialog), Max-Forwards and
the topmost branch, which tell one hop from the next. Call-ID and body only choose among equals.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inline_topo.masking.topoh import tag_of
from inline_topo.report.messages import MAX_FORWARDS, RSEQ, Seen
from inline_topo.sip import names, values, via

Key = tuple[bytes | int, ...]

# Lines of SDP that a NAT, a media relay or masking writes anew (RFC 4566, RFC 8839).
_REWRITTEN = re.compile(rb"(?:[osiuecm]=|a=(?:candidate|rtcp|ice-|cname|ssrc))")


class Likeness(NamedTuple):
    """`key` must be equal in a pair, and `branch` too where both captures know it; `call_id` and
    `body`, a digest, are equal where nothing rewrote them."""

    key: Key
    branch: bytes
    call_id: bytes
    body: bytes


def likenesses(
    left: Iterable[Seen], right: Iterable[Seen]
) -> tuple[list[Likeness], list[Likeness]]:
    """Those of the messages of two captures. A branch that one capture alone knows was masked, or
    belongs to a hop that the other one did not see: it is left empty."""
    one, other = [_likeness(seen) for seen in left], [_likeness(seen) for seen in right]
    known = {like.branch for like in one} & {like.branch for like in other}
    return _known_only(one, known), _known_only(other, known)


def _known_only(likes: Sequence[Likeness], known: set[bytes]) -> list[Likeness]:
    return [like if like.branch in known else like._replace(branch=b"") for like in likes]


def _likeness(seen: Seen) -> Likeness:
    message = seen.message
    if not message:
        return Likeness((b"", seen.start_line.partition(b" ")[0]), b"", b"", _digest(seen.data))
    key = (
        message.method.upper() or message.status,
        b" ".join(message.first(names.CSEQ).split()).upper(),
        tag_of(message, names.FROM),
        tag_of(message, names.TO),
        message.first(MAX_FORWARDS),
    )
    body = message.first(RSEQ) + _without_rewritten(message.data[message.body :])
    return Likeness(key, _branch(seen), seen.call_id, _digest(body))


def _branch(seen: Seen) -> bytes:
    message = seen.message
    spans = message.fields.get(names.VIA) if message else None
    topmost = values.split(seen.data, spans[:1])[:1] if spans else []
    for start, end in topmost:
        parts = via.parse(seen.data, start, end)
        if parts and parts.branch[0] >= 0:
            return seen.data[parts.branch[0] : parts.branch[1]]
    return b""


def _without_rewritten(body: bytes) -> bytes:
    if not body.startswith(b"v="):
        return body
    return b"".join(line for line in body.splitlines(True) if not _REWRITTEN.match(line))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
