"""Dialog stores for mode topos: sqlite, redis and memory, behind one contract (`base.Store`)."""
