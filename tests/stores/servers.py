"""Real Redis processes of a test's own: alone, watched by Sentinels, as a cluster."""

import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

_EVENT = threading.Event()  # never set: a wait with an end


def until(happens: Callable[[], object], what: str, patience: float = 30.0) -> None:
    """Wait for something that can only be asked for."""
    for _ in range(int(patience / 0.05)):
        if happens():
            return
        _EVENT.wait(0.05)
    raise AssertionError(f"waited in vain: {what}")


def free_port() -> int:
    """A loopback port that nobody listens to, and whose cluster port (10000 above) is free too."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 10000))
            except (OSError, OverflowError):
                continue
            return port


class Server:
    """A redis-server, started again as often as wanted, with the same files and port."""

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.socket = folder / "socket"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix://{self.socket}"

    def client(self) -> redis.Redis:
        """A connection beside the store's, for what an operator would do."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Returns when it takes connections."""
        place = [] if self.port else ["--unixsocket", str(self.socket)]
        process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), *place, "--bind", "127.0.0.1",
             "--dir", str(self.folder), "--save", "", *self._options],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        self._process = process
        said = []
        for line in process.stdout:
            said.append(line)
            if b"eady to accept connections" in line:
                return
        raise AssertionError(b"".join(said).decode())

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """They run, and at the end do no more."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.kill()


@contextmanager
def watched(
    folder: Path, master: Server, service: str, port: int, *more: str, password: str = ""
) -> Iterator[str]:
    """A Sentinel that watches over `master`; the URL of a store with it. `more` lines of its
    configuration; `password`: what it asks for itself."""
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {service} 127.0.0.1 {master.port} 1\n"
        f"sentinel down-after-milliseconds {service} 300\n"
        f"sentinel failover-timeout {service} 2000\n"
        + "".join(f"{line}\n" for line in more)
        + (f"requirepass {password}\n" if password else "")
    )
    process = subprocess.Popen(
        ["redis-sentinel", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with redis.Redis(port=port, password=password or None) as sentinel:
            until(lambda: _answers(sentinel), "the Sentinel")
        yield f"redis+sentinel://127.0.0.1:{port}/{service}"
    finally:
        process.kill()
        process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@contextmanager
def cluster(folder: Path, nodes: int = 3) -> Iterator[list[Server]]:
    """A cluster whose slots are spread over its nodes."""
    servers = [
        Server(folder / str(number), "--cluster-enabled", "yes", port=free_port())
        for number in range(nodes)
    ]
    with running(*servers):
        bounds = [16384 * number // nodes for number in range(nodes + 1)]
        for number, server in enumerate(servers):
            with server.client() as client:
                client.execute_command(
                    "CLUSTER ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1
                )
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for server in servers[1:]:
            with server.client() as client:
                client.execute_command("CLUSTER MEET", "127.0.0.1", servers[0].port)
        for server in servers:
            until(lambda server=server: _is_whole(server, nodes), "the cluster")  # type: ignore[misc]
        yield servers


def _is_whole(server: Server, nodes: int) -> bool:
    with server.client() as client:
        info = client.execute_command("CLUSTER INFO")
    text = info if isinstance(info, dict) else {}
    return text.get("cluster_state") == "ok" and text.get("cluster_known_nodes") == str(nodes)
