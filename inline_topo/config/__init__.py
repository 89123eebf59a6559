"""The configuration: `model` holds the keys, `settings` where their values come from, `values` how
they are written."""

from inline_topo.config.model import Config, Rule, load, markdown_table

__all__ = ["Config", "Rule", "load", "markdown_table"]
