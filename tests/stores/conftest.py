"""Stores to test, each with a way to let time pass and to look in a second time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from inline_topo.masking.effects import Exchange, Record
from inline_topo.stores.base import Answer, Store
from inline_topo.stores.urls import open_store
from tests.stores.servers import Server, cluster, free_port, running, watched

TIMEOUT = 10.0  # seconds: long, as the machine may be busy with other tests


@dataclass
class Bench:
    """A store and its clock. `pass_time` makes the other side's clock go on, where it has one."""

    store: Store
    another: Callable[[], Store]
    pass_time: Callable[[float], None] = lambda seconds: None
    now: float = 1_700_000_000.0
    opened: list[Store] = field(default_factory=list)

    def do(self, *save: tuple[bytes, bytes, float], load: tuple[bytes, ...] = ()) -> Answer:
        """One exchange by itself."""
        [answer] = self.store.perform([self.exchange(*save, load=load)])
        return answer

    def exchange(self, *save: tuple[bytes, bytes, float], load: tuple[bytes, ...] = ()) -> Exchange:
        return Exchange(self.now, tuple(Record(*record) for record in save), load)

    def wait(self, seconds: float) -> None:
        """Time passes, for packets and in the store."""
        self.now += seconds
        self.pass_time(seconds)

    def second(self) -> Store:
        """Another process's view of the same store."""
        store = self.another()
        self.opened.append(store)
        return store

    def close(self) -> None:
        for store in (self.store, *self.opened):
            store.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server


@pytest.fixture(scope="session")
def sentinel_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Server]]:
    folder = tmp_path_factory.mktemp("sentinel")
    server = Server(folder / "master", port=free_port())
    with running(server), watched(folder, server, "main", free_port()) as url:
        yield url, server


@pytest.fixture(scope="session")
def cluster_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


_PROGRAMS = pytest.mark.needs("redis-server", "redis-sentinel")
SHARED = [
    "sqlite",
    pytest.param("redis", marks=_PROGRAMS),
    # by default in test_redis.py: once it has told where Redis is, the store is the same
    pytest.param("sentinel", marks=[_PROGRAMS, pytest.mark.full]),
    pytest.param("cluster", marks=_PROGRAMS),
]


@pytest.fixture(params=["memory", *SHARED])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Every kind of store in turn, empty."""
    bench = make_bench(request, request.param, tmp_path)
    yield bench
    bench.close()


@pytest.fixture(params=SHARED)
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Every kind that several processes may use."""
    bench = make_bench(request, request.param, tmp_path)
    yield bench
    bench.close()


def make_bench(request: pytest.FixtureRequest, kind: str, folder: Path) -> Bench:
    """An empty store of this kind."""
    if kind == "memory":
        store = open_store("memory:", TIMEOUT)
        return Bench(store, lambda: store)
    if kind == "sqlite":
        url = f"sqlite:///{folder}/dialogs.db"
        return Bench(open_store(url, TIMEOUT), lambda: open_store(url, TIMEOUT))
    if kind == "redis":
        servers = [request.getfixturevalue("redis_server")]
        url = servers[0].url
    elif kind == "sentinel":
        url, server = request.getfixturevalue("sentinel_url")
        servers = [server]
    else:
        servers = request.getfixturevalue("cluster_servers")
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
    for server in servers:
        with server.client() as client:
            client.flushall()
    return Bench(
        open_store(url, TIMEOUT),
        lambda: open_store(url, TIMEOUT),
        lambda seconds: _shorten_lives(servers, seconds),
    )


def _shorten_lives(servers: list[Server], seconds: float) -> None:
    """What the passing of time does to what Redis keeps."""
    for server in servers:
        with server.client() as client:
            keys = list(client.scan_iter())
            for key in keys:
                left = _number(client.pttl(key))
                if left >= 0:
                    client.pexpire(key, left - round(seconds * 1000))


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


@pytest.fixture
def redis_of_its_own(tmp_path: Path) -> Iterator[Server]:
    """A Redis that the test may kill."""
    server = Server(tmp_path / "redis")
    with running(server):
        yield server


@pytest.fixture
def redis_client(redis_of_its_own: Server) -> Iterator[redis.Redis]:
    with redis_of_its_own.client() as client:
        yield client
