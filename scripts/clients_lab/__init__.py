"""Real SIP clients through the gateway: what `scripts/clients` runs."""
