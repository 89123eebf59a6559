"""What a token stands for, and what the outside sees of a Call-ID: for an operator with the key."""

from dataclasses import dataclass

from inline_topo.edges.capture import open_capture
from inline_topo.masking import revealed
from inline_topo.masking.callid import CallIds
from inline_topo.masking.codecs.base import Codec, Revealed
from inline_topo.report.messages import Tally, read
from inline_topo.report.texts import printable

KINDS = {
    "uri": "URI",
    "host": "host of From or To",
    "via": "Via",
    "quoted_via": "Via in a body",
    "via1": "topmost Via",
    "callid": "Call-ID",
    "text": "word of a body",
}
"""The kinds of a token, for people."""


@dataclass(frozen=True)
class Findings:
    """Tokens that opened; or else the other side's form of a clear Call-ID (None: the same)."""

    tokens: list[Revealed]
    outside: bytes | None = None
    inside: bytes | None = None

    @property
    def is_empty(self) -> bool:
        return not self.tokens and self.outside is None and self.inside is None


def reveal(value: bytes, codec: Codec, call_ids: CallIds | None) -> Findings:
    """Open every token in `value`: a token or anything that holds one (a URI, a header field, a whole
    message, which the Vias below the topmost need). Where none opens, `value` is taken for a Call-ID and
    traced through `call_ids`, the bijection of `mask_callid` (None where that is off)."""
    tokens = revealed.reveal(value, codec, call_ids)
    if tokens or call_ids is None or len(value.split()) != 1:
        return Findings(tokens)
    outside, inside = call_ids.mask(value), call_ids.unmask(value)
    return Findings([], outside if outside != value else None, inside if inside != value else None)


def reveal_in(source: str, value: bytes, codec: Codec, call_ids: CallIds | None) -> Findings:
    """Open the tokens in `value` where it stands in a message of the capture `source`: the first one in
    which it opens. Without such a message as `reveal` does it. Raises CaptureError."""
    if value:
        with open_capture(source) as capture:
            for seen in read(capture, Tally()):
                start = seen.data.find(value)
                if start < 0:
                    continue
                end = start + len(value)
                found = revealed.reveal(seen.data, codec, call_ids)
                tokens = [one for one in found if one.start < end and one.end > start]
                if tokens:
                    return Findings(tokens)
    return reveal(value, codec, call_ids)


def lines(findings: Findings) -> list[str]:
    """What was found: a line for what opened, with its kind and key id, and the clear text below."""
    text = []
    for token in findings.tokens:
        key = "" if token.key is None else f", key {token.key}"
        text.append(f"{KINDS[token.kind]}{key}:")
        text += [f"  {printable(line)}" for line in token.content.splitlines()]
    if findings.outside is not None:
        text += ["Call-ID made inside; the outside sees:", f"  {printable(findings.outside)}"]
    if findings.inside is not None:
        text += ["Call-ID made outside; the inside sees:", f"  {printable(findings.inside)}"]
    return text
