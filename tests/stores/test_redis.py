"""The Redis store in trouble: killed, hung, full, read-only, not a Redis at all."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from inline_topo.errors import ConfigError
from inline_topo.masking.effects import EffectFailed, Exchange, Record
from inline_topo.stores.base import Answer, StoreError
from inline_topo.stores.redis import RedisStore
from tests.stores.servers import Server, cluster, free_port, running, until, watched

pytestmark = pytest.mark.needs("redis-server", "redis-sentinel")


@pytest.fixture
def make() -> Iterator[Callable[..., RedisStore]]:
    made = []

    def store(url: str, timeout: float = 5.0) -> RedisStore:
        made.append(RedisStore(url, timeout))
        return made[-1]

    yield store
    for one in made:
        one.close()


def save(store: RedisStore, key: bytes, value: bytes = b"value") -> Answer:
    [answer] = store.perform([Exchange(1.0, (Record(key, value, 3600.0),))])
    return answer


def load(store: RedisStore, key: bytes) -> Answer:
    [answer] = store.perform([Exchange(1.0, load=(key,))])
    return answer


def reason(answer: Answer) -> str:
    assert isinstance(answer, EffectFailed)
    assert answer.outcome == "store"
    return str(answer)


def works_again(store: RedisStore) -> None:
    until(lambda: save(store, b"again") == {}, "the store")


def test_a_redis_that_comes_later(tmp_path: Path, make: Callable[..., RedisStore]) -> None:
    server = Server(tmp_path / "redis", port=free_port())
    store = make(server.url)
    [warning] = store.check()
    assert warning.startswith(f"store {server.url}: does not answer yet: ")
    assert "refused" in reason(save(store, b"key"))
    with pytest.raises(StoreError, match="refused"):
        list(store.records(0.0))
    with running(server):
        works_again(store)


def test_a_redis_that_was_killed_and_kept_what_it_acknowledged(
    tmp_path: Path, make: Callable[..., RedisStore]
) -> None:
    server = Server(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    with running(server):
        store = make(server.url)
        for number in range(100):
            assert save(store, b"%d" % number, b"v%d" % number) == {}
        server.kill()
        assert isinstance(save(store, b"new"), EffectFailed)
        server.start()
        works_again(store)
        for number in range(100):
            assert load(store, b"%d" % number) == {b"%d" % number: b"v%d" % number}


def test_a_redis_that_was_killed_and_forgot(
    redis_of_its_own: Server, make: Callable[..., RedisStore]
) -> None:
    """Its script is gone too, and is brought again."""
    store = make(redis_of_its_own.url)
    save(store, b"old")
    redis_of_its_own.kill()
    redis_of_its_own.start()
    works_again(store)
    assert load(store, b"old") == {}


def test_a_script_that_was_flushed(
    redis_of_its_own: Server, redis_client: redis.Redis, make: Callable[..., RedisStore]
) -> None:
    store = make(redis_of_its_own.url)
    save(store, b"key")
    redis_client.script_flush()
    assert save(store, b"key", b"new") == {}
    assert load(store, b"key") == {b"key": b"new"}


def test_a_connection_that_redis_closed(
    redis_of_its_own: Server, redis_client: redis.Redis, make: Callable[..., RedisStore]
) -> None:
    """As it does with idle ones, where it is told to: nothing fails for it."""
    store = make(redis_of_its_own.url)
    save(store, b"key")
    redis_client.client_kill_filter(_type="normal", skipme=True)
    assert load(store, b"key") == {b"key": b"value"}
    redis_client.client_kill_filter(_type="normal", skipme=True)
    assert save(store, b"other") == {}


def test_a_redis_that_hangs(redis_of_its_own: Server, make: Callable[..., RedisStore]) -> None:
    """It ends at all: without limits this would wait for ever. No late answer is taken for another."""
    store = make(redis_of_its_own.url, timeout=0.5)
    save(store, b"one", b"1")
    save(store, b"two", b"2")
    redis_of_its_own.signal(signal.SIGSTOP)
    try:
        assert "imeout" in reason(load(store, b"one"))
        assert isinstance(save(store, b"three"), EffectFailed)
        assert "does not answer yet" in store.check()[0]
    finally:
        redis_of_its_own.signal(signal.SIGCONT)
    works_again(store)
    assert load(store, b"two") == {b"two": b"2"}
    assert load(store, b"one") == {b"one": b"1"}


def test_one_that_takes_connections_and_says_nothing(make: Callable[..., RedisStore]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = make(f"redis://:password@127.0.0.1:{silent.getsockname()[1]}/3", timeout=0.5)
        assert "imeout" in reason(save(store, b"key"))


def test_in_the_pause_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., RedisStore]
) -> None:
    clock = [100.0]
    monkeypatch.setattr("inline_topo.stores.redis.time.monotonic", lambda: clock[0])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[int] = []

        def hang_up() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if not connection.recv(1000):
                        return
                    accepted.append(len(accepted))

        thread = threading.Thread(target=hang_up)
        thread.start()
        store = make(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        asked = []
        for step in range(60):
            clock[0] = 100 + step / 8
            save(store, b"key")
            asked.append(len(accepted))
        socket.create_connection(listener.getsockname()).close()
        thread.join()
    # Asked at 0 s, and after pauses of 0.05, 0.1, 0.2, 0.4, 0.8 and then 1 s, at the next eighth.
    eighths = [asked.index(count) for count in sorted(set(asked))]
    assert eighths == [0, 1, 2, 4, 8, 15, 23, 31, 39, 47, 55]


def test_a_full_redis_fails_and_still_reads(
    redis_of_its_own: Server, redis_client: redis.Redis, make: Callable[..., RedisStore]
) -> None:
    store = make(redis_of_its_own.url)
    save(store, b"known")
    redis_client.config_set("maxmemory-policy", "noeviction")
    redis_client.config_set("maxmemory", 1)
    first, second, third = store.perform(
        [
            Exchange(1.0, load=(b"known",)),
            Exchange(1.0, (Record(b"new", b"", 60.0),), (b"known",)),
            Exchange(1.0, load=(b"known",)),
        ]
    )
    assert first == third == {b"known": b"value"}
    assert "maxmemory" in reason(second)
    redis_client.config_set("maxmemory", 0)
    assert save(store, b"new") == {}


def test_a_replica_that_takes_no_writes(
    redis_of_its_own: Server, redis_client: redis.Redis, make: Callable[..., RedisStore]
) -> None:
    store = make(redis_of_its_own.url)
    save(store, b"known")
    redis_client.replicaof("127.0.0.1", str(free_port()))
    assert "read only replica" in reason(save(store, b"new"))
    assert load(store, b"known") == {b"known": b"value"}
    redis_client.replicaof("NO", "ONE")
    assert save(store, b"new") == {}


def test_a_key_of_another_program(
    redis_of_its_own: Server, redis_client: redis.Redis, make: Callable[..., RedisStore]
) -> None:
    store = make(redis_of_its_own.url)
    redis_client.rpush("inline-topo:key", "1")
    redis_client.set("key", "2")
    first, second = store.perform([Exchange(1.0, load=(b"key",)), Exchange(1.0, load=(b"other",))])
    assert "WRONGTYPE" in reason(first)
    assert second == {}


def test_a_schema_of_another_version_is_refused(
    redis_of_its_own: Server, redis_client: redis.Redis, make: Callable[..., RedisStore]
) -> None:
    make(redis_of_its_own.url).check()
    redis_client.set("inline-topo schema", "7")
    with pytest.raises(ConfigError, match="schema is version 7, this program's is 2"):
        make(redis_of_its_own.url).check()
    store = make(redis_of_its_own.url)
    assert "version 7" in reason(save(store, b"key"))
    redis_client.delete("inline-topo schema")
    works_again(store)


def test_a_wrong_password(redis_of_its_own: Server, make: Callable[..., RedisStore]) -> None:
    with redis_of_its_own.client() as client:
        client.config_set("requirepass", "right")
    good = make(f"unix://:right@{redis_of_its_own.socket}")
    assert save(good, b"key") == {}
    bad = make(f"unix://:secret-of-mine@{redis_of_its_own.socket}")
    with pytest.raises(ConfigError, match="invalid username-password") as error:
        bad.check()
    assert "secret-of-mine" not in str(error.value) + reason(save(bad, b"key"))


@pytest.fixture
def certificates(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """Certificate and key of a name, signed by themselves."""

    def make(name: str) -> tuple[Path, Path]:
        certificate, key = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        return certificate, key

    return make


@pytest.mark.needs("openssl")
def test_tls(
    tmp_path: Path,
    make: Callable[..., RedisStore],
    certificates: Callable[[str], tuple[Path, Path]],
) -> None:
    """A server that shows a certificate and wants to see one."""
    server_certificate, server_key = certificates("server")
    own, key = certificates("gateway")
    port = free_port()
    server = Server(
        tmp_path / "redis", "--tls-port", str(port), "--tls-cert-file", str(server_certificate),
        "--tls-key-file", str(server_key), "--tls-ca-cert-file", str(own), "--appendonly", "yes",
    )  # fmt: skip
    known, shown = f"ssl_ca_certs={server_certificate}", f"ssl_certfile={own}&ssl_keyfile={key}"
    with running(server):
        store = make(f"rediss://127.0.0.1:{port}?{known}&{shown}")
        assert [store.check() for _ in range(20)] == [[]] * 20
        assert save(store, b"key") == {}
        assert load(store, b"key") == {b"key": b"value"}
        assert [record.key for record in store.records(1.0)] == [b"key"]
        server.kill()
        assert isinstance(save(store, b"new"), EffectFailed)
        server.start()
        works_again(store)
        assert load(store, b"key") == {b"key": b"value"}
        for options, why in (
            (shown, "CERTIFICATE_VERIFY_FAILED"),  # nobody that the system knows
            (f"ssl_ca_certs={own}&{shown}", "CERTIFICATE_VERIFY_FAILED"),
            (known, ""),  # the server closes the connection, in one way or another
        ):
            stranger = make(f"rediss://127.0.0.1:{port}?{options}")
            [warning] = stranger.check()
            assert "does not answer yet" in warning
            assert why in warning
            assert isinstance(save(stranger, b"key"), EffectFailed)
        assert isinstance(save(make(f"redis://127.0.0.1:{port}"), b"key"), EffectFailed)


def test_a_database_that_is_not_there(
    redis_of_its_own: Server, make: Callable[..., RedisStore]
) -> None:
    with pytest.raises(ConfigError, match="DB index is out of range"):
        make(f"{redis_of_its_own.url}?db=4000").check()


def test_something_that_is_no_redis(make: Callable[..., RedisStore]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        store = make(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(ConfigError, match=r"(?i)protocol error"):
            store.check()
        assert "protocol error" in reason(save(store, b"key")).lower()
        thread.join()


def test_settings_that_lose_dialogs_are_told(
    redis_of_its_own: Server, redis_client: redis.Redis, make: Callable[..., RedisStore]
) -> None:
    redis_client.config_set("maxmemory", "100mb")
    redis_client.config_set("maxmemory-policy", "volatile-ttl")
    store = make(redis_of_its_own.url)
    eviction, restart = store.check()
    assert "maxmemory-policy volatile-ttl forgets dialogs" in eviction
    assert "appendonly is off" in restart
    redis_client.config_set("maxmemory-policy", "noeviction")
    redis_client.config_set("appendonly", "yes")
    assert store.check() == []


def test_a_store_made_before_a_fork_is_used_after_it(
    redis_of_its_own: Server, make: Callable[..., RedisStore]
) -> None:
    store = make(redis_of_its_own.url)
    save(store, b"before")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            save(store, b"child")
            status = 0 if load(store, b"before") == {b"before": b"value"} else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert load(store, b"child") == {b"child": b"value"}


def test_no_record_is_without_an_end(
    redis_of_its_own: Server, redis_client: redis.Redis, make: Callable[..., RedisStore]
) -> None:
    redis_client.set("inline-topo:key", "without an end")
    store = make(redis_of_its_own.url)
    save(store, b"key")
    save(store, b"other")
    for key in ("inline-topo:key", "inline-topo:other"):
        left = redis_client.ttl(key)
        assert isinstance(left, int)
        assert 0 < left <= 3600


@pytest.mark.full  # waits for the Sentinel's own times
def test_the_master_dies_and_its_replica_takes_over(
    tmp_path: Path, make: Callable[..., RedisStore]
) -> None:
    master = Server(tmp_path / "master", port=free_port())
    replica = Server(
        tmp_path / "replica", "--replicaof", "127.0.0.1", str(master.port), port=free_port()
    )
    with running(master, replica), watched(tmp_path, master, "calls", free_port()) as url:
        store = make(url)
        assert save(store, b"key") == {}
        with replica.client() as client:
            until(lambda: client.get("inline-topo:key"), "replication")
        port = int(url.rpartition(":")[2].partition("/")[0])
        with redis.Redis(port=port, decode_responses=True) as sentinel:
            until(lambda: sentinel.execute_command("SENTINEL REPLICAS", "calls"), "the replica")
        master.kill()
        assert isinstance(save(store, b"lost"), EffectFailed)
        works_again(store)
        assert load(store, b"key") == {b"key": b"value"}
        with replica.client() as client:
            assert client.role()[0] == b"master"


def test_passwords_of_a_sentinel_and_of_its_redis(
    tmp_path: Path, make: Callable[..., RedisStore]
) -> None:
    port = free_port()
    server = Server(tmp_path / "master", "--requirepass", "masters", port=free_port())
    lines = ("sentinel auth-pass calls masters",)
    watching = watched(tmp_path, server, "calls", port, *lines, password="sentinels")
    with running(server), watching as url:
        place = url.removeprefix("redis+sentinel://")
        store = make(f"redis+sentinel://:masters@{place}?sentinel_password=sentinels")
        assert not any("answer" in warning for warning in store.check())
        assert save(store, b"key") == {}
        assert load(store, b"key") == {b"key": b"value"}
        for login, own in (("", "sentinels"), (":masters@", ""), (":masters@", "wrong"),
                           (":wrong@", "sentinels")):  # fmt: skip
            option = f"?sentinel_password={own}" if own else ""
            wrong = make(f"redis+sentinel://{login}{place}{option}")
            said = reason(save(wrong, b"key"))
            assert said
            assert "masters" not in said
            assert "sentinels" not in said


def test_a_sentinel_that_is_gone_is_not_missed(
    tmp_path: Path, make: Callable[..., RedisStore]
) -> None:
    master = Server(tmp_path / "master", port=free_port())
    with running(master):
        with watched(tmp_path, master, "calls", free_port()) as url:
            store = make(url)
            assert save(store, b"key") == {}
        assert load(store, b"key") == {b"key": b"value"}


def test_a_cluster_that_comes_later(make: Callable[..., RedisStore]) -> None:
    store = make(f"redis+cluster://127.0.0.1:{free_port()}", timeout=0.5)
    [warning] = store.check()
    assert "does not answer yet" in warning
    assert "refused" in reason(save(store, b"key"))
    with pytest.raises(StoreError, match="refused"):
        list(store.records(1.0))


@pytest.mark.full  # waits for the cluster's own times
def test_a_node_of_a_cluster_dies_and_comes_back(
    tmp_path: Path, make: Callable[..., RedisStore]
) -> None:
    with cluster(tmp_path) as servers:
        store = make("redis+cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in servers))
        keys = [b"%d" % number for number in range(100)]
        exchanges = [Exchange(1.0, (Record(key, key, 3600.0),)) for key in keys]
        assert store.perform(exchanges) == [{}] * 100
        servers[1].kill()
        answers = store.perform([Exchange(1.0, load=(key,)) for key in keys])
        assert all(
            isinstance(answer, EffectFailed) or answer == {key: key}
            for key, answer in zip(keys, answers, strict=True)
        )
        assert any(isinstance(answer, EffectFailed) for answer in answers)
        servers[1].start()
        until(lambda: store.perform(exchanges) == [{}] * 100, "the cluster")
        assert load(store, b"7") == {b"7": b"7"}
