"""The configuration: `tables` and `model` hold the keys, `settings` says where values come from,
`values` how they are written."""

from inline_topo.config.model import Config, load, markdown_table
from inline_topo.config.tables import Rule

__all__ = ["Config", "Rule", "load", "markdown_table"]
