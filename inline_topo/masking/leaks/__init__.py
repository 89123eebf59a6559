"""The leak scan: every byte of a message that leaves, for the report, the live audit and enforcement."""
