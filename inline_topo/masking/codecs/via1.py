"""The topmost Via of a request that leaves in shape nat: what of it is sealed, and where it goes.

Protocol, sent-by and branch alone are sealed, because the Vias of an INVITE, its CANCEL and the ACK
of its failure must agree (RFC 3261 section 9.1) and may differ in their other parameters.
"""

from collections.abc import Callable

from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.codecs.compact import unfold
from inline_topo.sip import via as vias


def seal(value: bytes, mask: bytes, branch_of: Callable[[bytes], bytes]) -> bytes:
    """`value` with sent-by `mask` and the branch that `branch_of` makes of the hidden via-parm.

    Its folds stay, but for one within the branch parameter.
    """
    parts = vias.parse(value, 0, len(value))
    if parts and parts.branch[0] < 0 and b"\n" in value:
        value = unfold(value)
        parts = vias.parse(value, 0, len(value))
    if not parts:
        raise SealError("Via does not parse")
    start, end = parts.branch
    protocol = value[: parts.host[0]]
    if start < 0:
        branch = branch_of(unfold(value[: parts.sent_by_end]))
        return b"".join((protocol, mask, b";branch=", branch, value[parts.sent_by_end :]))
    branch = branch_of(unfold(value[: parts.sent_by_end]) + b";branch=" + value[start:end])
    return b"".join((protocol, mask, value[parts.sent_by_end : start], branch, value[end:]))


def restore(value: bytes, original: bytes | None) -> bytes | None:
    """`value` with sent-by and branch of the hidden via-parm `original`; None where it is none."""
    if not original or not vias.is_via_parm(original):
        return None
    parts = vias.parse(value, 0, len(value))
    inner = vias.parse(original, 0, len(original))
    if not parts or not inner or parts.branch[0] < 0:
        return None
    start, end = parts.branch
    protocol, hidden = value[: parts.host[0]], original[: inner.host[0]]
    head = protocol if unfold(protocol) == hidden else hidden
    head += original[inner.host[0] : inner.sent_by_end]
    if inner.branch[0] < 0:  # the sender wrote no branch: the parameter goes
        name = value.rfind(b";", 0, start)
        return head + value[parts.sent_by_end : name] + value[end:]
    branch = original[inner.branch[0] : inner.branch[1]]
    return b"".join((head, value[parts.sent_by_end : start], branch, value[end:]))
