"""A rule table: which field is edited by what. A message is parsed for the fields of its table alone."""

from collections.abc import Callable
from typing import Final

from inline_topo.edits import Edit
from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.flow import Flow
from inline_topo.sip import values
from inline_topo.sip.message import Message, Span

Rule = Callable[[Message, Flow, str, list[Span]], list[Edit]]
"""Takes the message, its flow, the field's name and the spans of its values, one a header line."""

Table = dict[str, Rule]

MOST_VALUES: Final = 64
"""Values of one field that are tried for tokens in one message, and so that are sealed in one."""


def sealed_values(data: bytes, spans: list[Span], field: str) -> list[Span]:
    """The single values of a field that is sealed. Raises SealError where there are more than would open
    again."""
    entries = values.split(data, spans)
    if len(entries) > MOST_VALUES:
        raise SealError(f"{field}: more than {MOST_VALUES} values")
    return entries
