"""The URL of a store: which one it is, and how it may be shown."""

import re

from inline_topo.errors import ConfigError
from inline_topo.stores.base import Store

REDIS = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
"""The schemes of a Redis."""

_OPTION = re.compile(r"(?<=password=)[^&]*")
_BEHIND_HOST = re.compile(r"//[^/?#]*[/?#].*@", re.DOTALL)  # the end of a password


def open_store(url: str, timeout: float, clean_interval: float = 60.0) -> Store:
    """The store of a URL; nothing is opened yet (see `Store.check`).

    `timeout` bounds one `perform`, in seconds. `clean_interval`: how often what has expired is
    removed, in seconds, where the store does not do that by itself. ConfigError says what is wrong
    with the URL, without its password.

    - `memory:`: lost with its process, and not shared: for replays and tests
    - `sqlite:////var/lib/inline-topo/dialogs.db`, with `?synchronous=full` and `?max_mib=N`
    - `redis://[user:password@]host[:port][/db]`, `rediss://` (TLS), `unix:///path?db=N`
    - `redis+sentinel://[user:password@]host:port,host:port/service[/db]`
    - `redis+cluster://[user:password@]host:port,host:port`
    """
    scheme = url.partition(":")[0]
    if scheme == "memory":
        if url not in ("memory:", "memory://"):
            raise ConfigError(f"store {shown(url)}: memory: takes nothing more")
        from inline_topo.stores.memory import MemoryStore

        return MemoryStore(clean_interval)
    if scheme == "sqlite":
        from inline_topo.stores.sqlite import SqliteStore

        return SqliteStore(url, timeout, clean_interval)
    if scheme in REDIS:
        if scheme != "unix" and _BEHIND_HOST.search(_OPTION.sub("", url)):
            raise ConfigError(
                f"store {shown(url)}: in a password, / ? # and @ are written %2F %3F %23 %40"
            )
        try:
            from inline_topo.stores.redis import RedisStore
        except ModuleNotFoundError as error:
            if error.name not in ("redis", "hiredis"):
                raise
            reason = "needs the Python package redis (pip install 'inline-topo[redis]')"
            raise ConfigError(f"store {shown(url)}: {reason}") from None
        return RedisStore(url, timeout)
    raise ConfigError(
        f"store {shown(url)}: not one of memory:, sqlite:////FILE, {'://, '.join(REDIS)}://"
    )


def shown(url: str) -> str:
    """The URL without its secrets, for a log or an error."""
    place, mark, query = url.partition("?")
    if login := re.fullmatch(r"([a-z+]*://)(.*)@(.*)", place, re.DOTALL):
        scheme, user, host = login.groups()
        place = f"{scheme}{user.partition(':')[0]}@{host}"
    query = "&".join(map(_shown_option, query.split("&")))
    if "@" in query:  # the end of a password with a `?` in it
        return f"{url.partition(':')[0]}://********"
    return f"{place}{mark}{query}"


def _shown_option(option: str) -> str:
    name, equals, _ = option.partition("=")
    return f"{name}{equals}********" if "password" in name else option
