"""What systemd is told (sd_notify(3)): one datagram to the socket that the service was given."""

import os
import socket


class Notifier:
    """Tells the service manager; says nothing where there is none. It takes its address from
    NOTIFY_SOCKET and leaves children without it."""

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        wanted = os.environ.pop("WATCHDOG_USEC", "")
        pid = os.environ.pop("WATCHDOG_PID", "")
        is_ours = pid in ("", str(os.getpid()))
        self.watchdog = int(wanted) / 1e6 if wanted.isdigit() and is_ours else 0.0
        """Seconds within which the manager wants to hear of us; 0: it does not."""

    def tell(self, *lines: str) -> None:
        """Send `NAME=value` lines; what the manager does not take is lost."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            pass
