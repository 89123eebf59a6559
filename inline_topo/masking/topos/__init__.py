"""Mode topos: `strategy` is the whole of it, `leaving` and `entering` its two directions, `shelf` its
records, `legs` a replay of one side."""
