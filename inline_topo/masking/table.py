"""A rule table: which field is edited by what. A message is parsed for the fields of its table alone."""

from collections.abc import Callable

from inline_topo.edits import Edit
from inline_topo.masking.flow import Flow
from inline_topo.sip.message import Message, Span

Rule = Callable[[Message, Flow, str, list[Span]], list[Edit]]
"""Takes the message, its flow, the field's name and the spans of its values, one a header line."""

Table = dict[str, Rule]
