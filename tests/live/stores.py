"""Dialog stores for the gateway at work: a Redis in a host of the laboratory, a file beside."""

import signal
import subprocess

from lab.net import Net
from lab.site import Site

PORT = 6379


def topos(store: str, *more: str) -> str:
    """The configuration of mode topos on a router, with this store."""
    return "\n".join(
        [
            'mode = "topos"',
            'inside = ["192.168.178.0/24"]',
            f'own = ["{Site.INSIDE}", "server.com"]',
            "[topoh]",
            'mask_key_file = "mask.key"',
            "[topos]",
            f'store = "{store}"',
            *more,
            "",
        ]
    )


def in_topos(config: str, store: str = "memory:") -> str:
    """A configuration of mode topoh, in mode topos."""
    return f'mode = "topos"\n{config}[topos]\nstore = "{store}"\n'


class Redis:
    """A redis-server in a host, that keeps what it acknowledged: it may be killed, hung, and started
    again with the same files. `address`: where it listens, and where `url` leads."""

    def __init__(self, net: Net, host: str, address: str = "127.0.0.1") -> None:
        self.url = f"redis://{address}:{PORT}"
        self._net = net
        self._host = host
        self._address = address
        self._starts = 0
        self._process: subprocess.Popen[bytes]
        (net.folder / "redis").mkdir()
        self.start()

    def start(self) -> None:
        """Returns when it takes connections."""
        self._starts += 1
        log = f"redis-{self._starts}.log"
        self._process = self._net.start(
            self._host, log, "redis-server", "--port", str(PORT), "--bind", self._address,
            "--protected-mode", "no", "--dir", str(self._net.folder / "redis"), "--save", "",
            "--appendonly", "yes",
        )  # fmt: skip
        self._net.await_text(log, "eady to accept connections")

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """It takes connections, and answers nobody."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)
