"""Policy rules: the first that matches says whether a message that leaves is masked.

They decide masking only; whatever opens is opened. Call-ID and the topmost Via must be treated alike
in every message of a dialog or transaction, so only rules on source and destination decide there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from inline_topo.masking.hosts import Networks
from inline_topo.sip import address, names, uri
from inline_topo.sip.message import Message


@dataclass(frozen=True)
class Rule:
    """What a message must be for the rule to match (an empty condition always holds), and whether
    it is then masked. Methods in upper case; users as they stand in the URI, up to a password."""

    mask: bool
    source: Networks = field(default_factory=lambda: Networks(()))
    destination: Networks = field(default_factory=lambda: Networks(()))
    method: frozenset[bytes] = frozenset()
    from_user: frozenset[bytes] = frozenset()
    to_user: frozenset[bytes] = frozenset()
    request_uri_user: frozenset[bytes] = frozenset()
    requests: bool = True
    responses: bool = True

    @property
    def is_static(self) -> bool:
        """Whether the addresses of a packet decide the rule."""
        asks = self.method or self.from_user or self.to_user or self.request_uri_user
        return not asks and self.requests and self.responses

    def covers(self, source: bytes, destination: bytes) -> bool:
        """Whether packed addresses meet the rule's conditions on them."""
        return (not self.source or source in self.source) and (
            not self.destination or destination in self.destination
        )

    def matches(self, message: Message) -> bool:
        """Whether a message meets the other conditions."""
        if not (self.requests if message.is_request else self.responses):
            return False
        if self.method and method_of(message) not in self.method:
            return False
        if self.from_user and _user_of(message, names.FROM) not in self.from_user:
            return False
        if self.to_user and _user_of(message, names.TO) not in self.to_user:
            return False
        if self.request_uri_user:
            user = _user(message.data[message.request_uri[0] : message.request_uri[1]])
            return message.is_request and user in self.request_uri_user
        return True


class Policy:
    """The rules in order."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(rules)

    @property
    def fields(self) -> frozenset[str]:
        """The header fields that the rules look at."""
        wanted = set()
        for rule in self.rules:
            wanted |= {names.FROM} if rule.from_user else set()
            wanted |= {names.TO} if rule.to_user else set()
            wanted |= {names.CSEQ} if rule.method else set()
        return frozenset(wanted)

    def between(self, source: bytes, destination: bytes) -> tuple[Rule, ...]:
        """The rules that packets between two addresses can meet, up to the first that always does."""
        covering = []
        for rule in self.rules:
            if rule.covers(source, destination):
                covering.append(rule)
                if rule.is_static:
                    break
        return tuple(covering)


def decides(rules: Sequence[Rule], message: Message) -> bool:
    """Whether `message` is masked by the first of these rules that matches; masked where none does."""
    for rule in rules:
        if rule.matches(message):
            return rule.mask
    return True


def decides_identifiers(rules: Sequence[Rule]) -> bool:
    """Whether Call-ID and topmost Via are masked: by the first rule on addresses alone."""
    return next((rule.mask for rule in rules if rule.is_static), True)


def method_of(message: Message) -> bytes:
    """The method of a request, and of the request that a response answers (its CSeq), upper case."""
    if message.is_request:
        return message.method.upper()
    words = message.first(names.CSEQ).split()
    return words[-1].upper() if words else b""


def _user_of(message: Message, name: str) -> bytes:
    spans = message.fields.get(name)
    where = address.locate(message.data, *spans[0]) if spans else None
    return _user(message.data[where.start : where.end]) if where else b""


def _user(text: bytes) -> bytes:
    parts = uri.parse(text)
    if parts:
        return (parts.userinfo or b"").split(b":")[0].split(b";")[0]
    scheme, _, rest = text.partition(b":")
    return rest.split(b";")[0] if scheme.lower() == b"tel" else b""
