"""inline_topo: hides the topology of a SIP network from the wire, packet by packet."""

__version__ = "0.1.0"
