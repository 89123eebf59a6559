"""The shared store: Redis 6 or newer, alone, with Sentinels, or a Cluster.

What was answered without a failure is in the memory of the Redis that answered. What of that
survives its kill -9, a power loss or a failover is Redis's own matter: with `appendonly yes` and
`appendfsync always` everything, with `everysec` all but the last second, with snapshots alone
what the last one holds; and a replica that takes over lacks what had not reached it yet.

Records are written by a script, value and end of life in one step: those of one exchange by one call,
but in a cluster, which keeps them in different places, each by its own.

Records end by Redis's clock, a lifetime after they were written: the clock of the gateway, and its
jumps, do not matter. A jump of Redis's own clock forward ends what had less left than the jump.

A Redis that answers within two milliseconds (on this host, or the next) is asked in place, in the packet
path's own midst: to hand an exchange to a thread costs more than that. All others, clusters and
times of trouble are the thread's, and it alone connects.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from hiredis import HiredisError
from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import SSLConnection
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as ClosedError
from redis.retry import Retry
from redis.sentinel import Sentinel

from inline_topo.errors import ConfigError
from inline_topo.masking.effects import EffectFailed, Exchange, Record
from inline_topo.stores.base import SCHEMA, Answer, Stored, StoreError, failed
from inline_topo.stores.health import Health
from inline_topo.stores.pace import BUSY, Pace
from inline_topo.stores.redis_here import Conversation, close_client
from inline_topo.stores.redis_url import CLUSTER, SENTINEL, check_options, nodes
from inline_topo.stores.urls import shown

_PREFIX = b"inline-topo:"
_SCHEMA_KEY = b"inline-topo schema"  # no record's: those have a colon
_SAVE = """
for i, key in ipairs(KEYS) do
    local left = redis.call('PTTL', key)
    redis.call('SET', key, ARGV[2 * i - 1], 'PX', math.max(left, ARGV[2 * i]))
end
"""
_STEPS = 3  # of connecting, which may hang one after the other: the socket, to log in, to select
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds
_PAGE = 500  # keys an inspection asks for at once


_TROUBLE = RedisError, RedisClusterException, HiredisError, OSError  # none is one of the others


class _OtherSchemaError(Exception):
    pass


class RedisStore:
    """A batch is one round trip (in a cluster: one to each node). In place, each exchange is.

    Redis has the timeout to answer, and half as much before that where it must be connected to (a
    host's name is looked up besides: give an address). After a failure to connect or a hung answer
    the store fails at once for a pause that doubles up to a second, and is then tried again.
    """

    outcome = "store"
    is_immediate = False

    def __init__(self, url: str, timeout: float) -> None:
        """Any URL of `urls.open_store` with Redis; ConfigError where it cannot be read."""
        self._url = url
        self._name = shown(url)
        self.patience = self._timeout = timeout
        self._health = Health(self._name)
        self._is_cluster = url.partition(":")[0] == CLUSTER
        self._client: Any = None
        self._connection: Any = None  # of a single Redis
        self._process = 0
        self._sha = ""
        self._pause = 0.0
        self._not_before = 0.0
        self._last = ""
        self._here: Conversation | None = None  # given by the thread
        self._pace = Pace()
        self._make()  # reads the URL; connects to nothing

    def attempt(self, effects: Sequence[Exchange]) -> list[Answer] | None:
        """See `masking.effects.Prompt`."""
        if self._here is None or self._process != os.getpid():
            return None
        if self._health.is_failing:
            self._leave_place()
            return None
        if not self._pace.is_quick():
            return None
        began = time.monotonic()
        try:
            together = _as_one(effects)
            replies = self._here.ask(self._commands(together))
        except _TROUBLE:
            self._leave_place()
            self._pace.rest()
            return None
        self._pace.took(time.monotonic() - began)
        answers = self._answers(together, replies)
        if not all(isinstance(answer, dict) for answer in answers):
            return None
        return answers if together is effects else [{} for _ in effects]

    def _take_place(self) -> None:
        """Have a connection for exchanges in place; only they end it."""
        client = self._make()
        self._here = Conversation(client, client.connection_pool.get_connection(), BUSY)

    def _leave_place(self) -> None:
        here, self._here = self._here, None
        if here is not None:
            here.close()

    def perform(self, effects: Sequence[Exchange]) -> list[Answer]:
        """See `base.Store`."""
        if not effects:
            return []
        saving = any(effect.save for effect in effects)
        if time.monotonic() < self._not_before:
            answers = failed(self._last, effects)
            self._health.failed(self._last, len(effects), saving=saving)
            return answers
        try:
            replies = self._talk(effects)
        except (*_TROUBLE, _OtherSchemaError) as error:
            self._let_go()
            self._last = _reason(error)
            self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._not_before = time.monotonic() + self._pause
            self._health.failed(self._last, len(effects), saving=saving)
            return failed(self._last, effects)
        self._pause = 0.0
        answers = self._answers(effects, replies)
        reasons = [str(answer) for answer in answers if isinstance(answer, EffectFailed)]
        if reasons:
            self._health.failed(reasons[0], len(reasons), saving=saving)
        else:
            self._health.worked(saving=saving)
            if self._here is None and self._connection is not None:
                with suppress(*_TROUBLE):
                    self._take_place()
        return answers

    def _talk(self, effects: Sequence[Exchange]) -> list[Any]:
        """The replies to every save and load, in order; errors of single ones among them."""
        client = self._open()
        replies = self._send(client, effects)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            self._sha = client.script_load(_SAVE)
            replies = self._send(client, effects)  # a save twice is a save
        return replies

    def _commands(self, effects: Sequence[Exchange]) -> list[tuple[Any, ...]]:
        commands: list[tuple[Any, ...]] = []
        for effect in effects:
            for records in self._saved_together(effect):
                keys = [_PREFIX + key for key, _, _ in records]
                told: list[Any] = []
                for _, value, lifetime in records:
                    told += value, max(1, int(lifetime * 1000))
                commands.append(("EVALSHA", self._sha, len(keys), *keys, *told))
            commands += [("GET", _PREFIX + key) for key in effect.load]
        return commands

    def _saved_together(self, effect: Exchange) -> list[tuple[Record, ...]]:
        """The records of an exchange by the commands that save them."""
        if self._is_cluster:
            return [(record,) for record in effect.save]
        return [effect.save] if effect.save else []

    def _answers(self, effects: Sequence[Exchange], replies: list[Any]) -> list[Answer]:
        answers: list[Answer] = []
        each = iter(replies)
        for effect in effects:
            saved = [next(each) for _ in self._saved_together(effect)]
            loaded = [next(each) for _ in effect.load]
            error = next((reply for reply in saved + loaded if isinstance(reply, Exception)), None)
            if error is not None:
                answers.append(EffectFailed("store", _reason(error)))
            else:
                pairs = zip(effect.load, loaded, strict=True)
                answers.append({key: value for key, value in pairs if value is not None})
        return answers

    def _send(self, client: Any, effects: Sequence[Exchange]) -> list[Any]:
        commands = self._commands(effects)
        if not commands:
            return []
        if self._connection is not None:
            return _converse(self._connection, commands)
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        return replies

    def _open(self) -> Any:
        """The client of this process, its server known to hold our schema and our script."""
        if self._client is None or self._process != os.getpid():
            client = self._connect()
            try:
                _check_schema(client)
                self._sha = client.script_load(_SAVE)
                is_single = isinstance(client, Redis)
                self._connection = client.connection_pool.get_connection() if is_single else None
            except BaseException:
                close_client(client)
                raise
            if self._process != os.getpid():
                self._here = None  # it is the parent's
            self._client, self._process = client, os.getpid()
        return self._client

    def _connect(self) -> Any:
        """A client of its own; what it is connected to shows with the first command."""
        return self._make() or self._cluster()

    def _make(self) -> Any:
        """A client that has not connected yet; None for a cluster, which cannot be one."""
        scheme = self._url.partition(":")[0]
        if self._is_cluster:
            nodes(self._url, self._name)
            return None
        if scheme != SENTINEL:
            check_options(self._url, self._name)
            try:
                return Redis.from_url(
                    self._url, redis_connect_func=self._connected, **self._limits(_STEPS)
                )
            except (ValueError, TypeError) as error:
                raise ConfigError(f"store {self._name}: {error}") from None
        found = nodes(self._url, self._name)
        limits = self._limits(_STEPS + 2 * len(found.hosts))
        sentinel = Sentinel(
            found.hosts,
            sentinel_kwargs={**limits, **found.sentinel_options},
            redis_connect_func=self._connected,
            **limits,
        )
        return sentinel.master_for(found.service, db=found.database, **found.options)

    def _cluster(self) -> Any:
        found = nodes(self._url, self._name)
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in found.hosts],
            redis_connect_func=self._connected,
            **self._limits(_STEPS + 3 * len(found.hosts)),
            **found.options,
        )

    def _limits(self, steps: int) -> dict[str, Any]:
        share = self._timeout / 2 / steps
        return {
            "socket_timeout": share,
            "socket_connect_timeout": share,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "driver_info": None,
        }

    def _connected(self, connection: Any) -> None:
        """Called with each connection to a Redis, for its handshake."""
        if not self._is_cluster:  # redis-py has done it there
            connection.on_connect()
        if isinstance(connection, SSLConnection):
            # What TLS 1.3 sends after its handshake is read with an answer: redis-py would take it
            # for one that nobody waits for, and the connection for a broken one.
            connection.send_command("PING", check_health=False)
            connection.read_response()
        connection.update_current_socket_timeout(self._timeout)

    def close(self) -> None:
        """Let go of the connections."""
        self._leave_place()
        self._let_go()

    def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            close_client(client)

    def check(self) -> list[str]:
        """See `base.Store`. A Redis that does not answer yet is a warning: it may come."""
        try:
            client = self._connect()
            try:
                _check_schema(client)
                return [f"store {self._name}: {warning}" for warning in _warnings(client)]
            finally:
                close_client(client)
        except (AuthenticationError, ResponseError, InvalidResponse, _OtherSchemaError) as error:
            raise ConfigError(f"store {self._name}: {_reason(error)}") from None
        except _TROUBLE as error:
            return [f"store {self._name}: does not answer yet: {_reason(error)}"]

    def records(self, now: float) -> Iterator[Stored]:
        """See `base.Store`. `now` means nothing here: Redis gives what is alive by its own clock."""
        try:
            client = self._connect()
            try:
                _check_schema(client, make=False)
                page: list[bytes] = []
                for key in client.scan_iter(match=_PREFIX + b"*", count=_PAGE):
                    page.append(key)
                    if len(page) == _PAGE:
                        yield from _read(client, page)
                        page = []
                yield from _read(client, page)
            finally:
                close_client(client)
        except (*_TROUBLE, _OtherSchemaError) as error:
            raise StoreError(f"store {self._name}: {_reason(error)}") from None

    def prune(self, now: float) -> int:
        """Nothing: Redis removes what has expired by itself."""
        return 0


def _as_one(effects: Sequence[Exchange]) -> Sequence[Exchange]:
    """Exchanges that load nothing as one, for one call of the script; others as they are."""
    if len(effects) == 1 or any(effect.load for effect in effects):
        return effects
    return [Exchange(effects[0].now, tuple(record for effect in effects for record in effect.save))]


def _converse(connection: Any, commands: list[tuple[Any, ...]]) -> list[Any]:
    """What a pipeline does, at half of its cost. A connection that Redis closed meanwhile is made
    anew, once: what is done twice here is done."""
    is_old = connection.is_connected
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        return [_reply(connection) for _ in commands]
    except ClosedError:
        connection.disconnect()
        if not is_old:
            raise
    connection.send_packed_command(connection.pack_commands(commands))
    return [_reply(connection) for _ in commands]


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _check_schema(client: Any, *, make: bool = True) -> None:
    version = client.get(_SCHEMA_KEY)
    if version is None and make:
        client.set(_SCHEMA_KEY, SCHEMA, nx=True)
        version = client.get(_SCHEMA_KEY)
    if version not in (None, b"%d" % SCHEMA):
        raise _OtherSchemaError(
            f"its schema is version {version.decode('ascii', 'backslashreplace')}, "
            f"this program's is {SCHEMA}"
        )


def _warnings(client: Any) -> Iterator[str]:
    """What the server's own settings mean for dialogs."""
    if isinstance(client, RedisCluster):
        return  # each node has its own settings
    info = client.info()
    if info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction":
        yield f"maxmemory-policy {info['maxmemory_policy']} forgets dialogs when memory is short"
    if not info.get("aof_enabled"):
        yield "appendonly is off: a restart of Redis forgets what came after its last snapshot"


def _read(client: Any, keys: list[bytes]) -> Iterator[Stored]:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.execute_command("GET", key)
        pipeline.execute_command("PTTL", key)
    replies = pipeline.execute()
    for key, value, left in zip(keys, replies[::2], replies[1::2], strict=True):
        if value is not None and left > 0:
            yield Stored(key.removeprefix(_PREFIX), value, None, left / 1000)


def _reason(error: Exception) -> str:
    """One line, from the innermost cause that has a text."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."
