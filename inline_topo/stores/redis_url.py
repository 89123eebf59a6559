"""The URL of a Redis with Sentinels, and of a Redis Cluster; the others redis-py reads itself."""

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from inline_topo.errors import ConfigError

SENTINEL, CLUSTER = "redis+sentinel", "redis+cluster"

_PORTS = {SENTINEL: 26379, CLUSTER: 6379}
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_PLAIN = ("db", "username", "password", *_FILES)
_PATH = re.compile(r"[^/]*//[^/]*(.*)")
_WORDS = ("sentinel_username", "sentinel_password")


class Nodes(NamedTuple):
    """`service` and `database` are a Sentinel's; `options` are named as redis-py names them."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int
    options: dict[str, Any]
    sentinel_options: dict[str, str]


def check_options(url: str, shown: str) -> None:
    """ConfigError where the URL of a single Redis has an option that would change more than where
    it is, or is not known, or a database that is no number (redis-py takes them all, and that for 0)."""
    scheme, path = url.partition(":")[0], _PATH.fullmatch(url.partition("?")[0])
    if scheme != "unix" and path and not re.fullmatch(r"/?|/[0-9]{1,9}", path[1], re.ASCII):
        raise ConfigError(f"store {shown}: {path[1][1:]!r} is not the number of a database")
    for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if name not in _PLAIN:
            raise ConfigError(f"store {shown}: {name} is not an option of such a store")


def nodes(url: str, shown: str) -> Nodes:
    """`redis+sentinel://[user:password@]host:port,.../service[/db]` and
    `redis+cluster://[user:password@]host:port,...`, with `?ssl=true`, `ssl_ca_certs`,
    `ssl_certfile`, `ssl_keyfile` and a Sentinel's `sentinel_username` and `sentinel_password`.

    ConfigError says what is wrong with the URL, by the name `shown`.
    """
    parts = urlsplit(url)
    login, _, places = parts.netloc.rpartition("@")
    hosts = tuple(_host(place, _PORTS[parts.scheme], shown) for place in places.split(","))
    path = [unquote(step) for step in parts.path.split("/")[1:] if step]
    service, database = "", 0
    if parts.scheme == SENTINEL:
        if not 1 <= len(path) <= 2 or not all(
            step.isascii() and step.isdigit() for step in path[1:]
        ):
            raise ConfigError(f"store {shown}: after the hosts come /service or /service/db")
        service, database = path[0], int(path[1]) if path[1:] else 0
    elif path and path != ["0"]:
        raise ConfigError(f"store {shown}: a cluster has no databases")
    options: dict[str, Any] = {}
    sentinel: dict[str, str] = {}
    user, has_password, password = login.partition(":")
    if user:
        options["username"] = unquote(user)
    if has_password:
        options["password"] = unquote(password)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "ssl" and value in ("true", "false"):
            options["ssl"] = value == "true"
        elif name in _FILES:
            options[name] = value
        elif name in _WORDS and parts.scheme == SENTINEL:
            sentinel[name.removeprefix("sentinel_")] = value
        else:
            raise ConfigError(f"store {shown}: {name} is not an option of such a store")
    return Nodes(hosts, service, database, options, sentinel)


def _host(place: str, port: int, shown: str) -> tuple[str, int]:
    """`host`, `host:port` or `[address]:port`."""
    host, colon, number = place.rpartition(":")
    if not colon or place.endswith("]"):
        host, number = place, str(port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (number.isascii() and number.isdigit()) or not 0 < int(number) < 65536:
        raise ConfigError(f"store {shown}: {place!r} is not a host and a port")
    return host, int(number)
