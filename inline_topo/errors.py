"""The exceptions that reach a user: each is one line, and says how the command exits."""


class InlineTopoError(Exception):
    """Anything that stops a command; its text is the one line that the user reads."""

    exit_code = 2


class ConfigError(InlineTopoError):
    """A configuration, key or option that cannot be used (EX_CONFIG of sysexits.h)."""

    exit_code = 78


class KeyRingError(ConfigError):
    """A key ring that cannot be read, or must not be (readable by others)."""


class CaptureError(InlineTopoError):
    """A capture that cannot be read or written; names the file, the packet and the reason."""


class CutCaptureError(CaptureError):
    """A capture that ends in the middle of a packet."""


class RulesError(InlineTopoError):
    """Firewall rules that cannot be read or changed; says which program said what."""


class LeakError(InlineTopoError):
    """A capture for sharing that shows a name of the original; names the packet and what shows."""

    exit_code = 1
