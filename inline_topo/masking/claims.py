"""What a message that enters says of the inside in clear, where proxies route by it: it does not enter."""


class ClaimError(Exception):
    """A message that enters names a host inside that nobody outside can have been told."""
