"""The URL of a store: what is taken, what is refused, and what is shown of it."""

import subprocess
import sys

import pytest

from inline_topo.config.values import StoreUrl
from inline_topo.errors import ConfigError
from inline_topo.stores.redis_url import Nodes, nodes
from inline_topo.stores.urls import open_store, shown


@pytest.mark.parametrize(
    "url",
    [
        "memory:",
        "memory://",
        "sqlite:////var/lib/inline-topo/dialogs.db",
        "sqlite:////var/lib/inline-topo/dialogs.db?synchronous=full&max_mib=64",
        "redis://127.0.0.1",
        "redis://user:password@[::1]:6380/2",
        "rediss://redis.example.com:6380/0?ssl_ca_certs=/etc/ca.pem",
        "unix:///run/redis/redis.sock?db=2",
        "redis+sentinel://127.0.0.1,127.0.0.2:26380/main/1",
        "redis+sentinel://:password@127.0.0.1/main?sentinel_password=x&ssl=true",
        "redis+cluster://127.0.0.1:7000,127.0.0.1:7001",
    ],
)
def test_a_url_is_taken_and_nothing_is_opened(url: str) -> None:
    store = open_store(url, 0.75)
    assert store.outcome == "store"
    store.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not one of memory:, sqlite"),
        ("dialogs.db", "not one of"),
        ("mysql://localhost/kamailio", "not one of"),
        ("memory:dialogs", "takes nothing more"),
        ("sqlite:///dialogs.db", "whole path"),
        ("sqlite://var/lib/dialogs.db", "whole path"),
        ("sqlite:////a.db?synchronous=off", "synchronous=off: not one of"),
        ("sqlite:////a.db?max_mib=0", "max_mib=0: not one of"),
        ("sqlite:////a.db?max_mib=many", "max_mib=many: not one of"),
        ("sqlite:////a.db?mode=ro", "mode=ro: not one of"),
        ("redis://host:port", "not one of|[Pp]ort"),
        ("redis://127.0.0.1/one", "'one' is not the number of a database"),
        ("rediss://127.0.0.1/1/2", "'1/2' is not the number of a database"),
        ("redis+sentinel://127.0.0.1", "/service"),
        ("redis+sentinel://127.0.0.1/main/one", "/service"),
        ("redis+sentinel:///main", "not a host"),
        ("redis+sentinel://127.0.0.1:0/main", "not a host and a port"),
        ("redis+sentinel://127.0.0.1/main?colour=red", "colour is not an option"),
        ("redis+cluster://127.0.0.1/3", "no databases"),
        ("redis+cluster://127.0.0.1:70000", "not a host and a port"),
        ("redis+cluster://127.0.0.1?sentinel_password=x", "sentinel_password is not an option"),
        ("redis://127.0.0.1?decode_responses=true", "decode_responses is not an option"),
    ],
)
def test_a_url_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as error:
        open_store(url, 1.0).close()
    assert error.value.exit_code == 78


def test_the_parts_of_a_sentinels_url() -> None:
    url = (
        "redis+sentinel://a%40b:p%3Aq@10.0.0.1,[::1]:1234,host/main/3?sentinel_username=s&ssl=true"
    )
    assert nodes(url, url) == Nodes(
        hosts=(("10.0.0.1", 26379), ("::1", 1234), ("host", 26379)),
        service="main",
        database=3,
        options={"username": "a@b", "password": "p:q", "ssl": True},
        sentinel_options={"username": "s"},
    )


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://user:secret@host:1/2", "redis://user@host:1/2"),
        ("redis://:secret@host", "redis://@host"),
        (
            "unix:///run/redis.sock?db=2&password=secret",
            "unix:///run/redis.sock?db=2&password=********",
        ),
        (
            "redis+sentinel://:secret@a,b/main?sentinel_password=secret",
            "redis+sentinel://@a,b/main?sentinel_password=********",
        ),
        ("sqlite:////var/lib/dialogs.db", "sqlite:////var/lib/dialogs.db"),
        ("redis://user:sec/re:t@host/2", "redis://user@host/2"),
        ("redis://user:sec?ret@host/2", "redis://********"),
        ("redis://host?password=sec@ret", "redis://host?password=********"),
    ],
)
def test_no_secret_is_shown(url: str, text: str) -> None:
    assert shown(url) == text


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@host:port",
        "redis+sentinel://:secret@host",
        "redis+cluster://:secret@host:0",
        "sqlite://:secret@host/file",
        "mysql://:secret@host",
        "redis://[:secret@host",
        "redis://:x/secret@host/0",
        "redis://:secret/x@host/0",
        "redis://:secret?x@host/0",
        "redis://:x?secret@host/0",
        "redis://:secret#x@host/0",
        "redis+sentinel://:secret?secret@host/main",
    ],
)
def test_no_error_shows_a_secret(url: str) -> None:
    assert "secret" not in StoreUrl(url).shown
    with pytest.raises(ConfigError) as error:
        open_store(url, 1.0).close()
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("missing", ["redis", "hiredis"])
def test_the_package_redis_is_asked_for_by_name(missing: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules['{missing}'] = None\n"
        "from inline_topo.errors import ConfigError\n"
        "from inline_topo.stores.urls import open_store\n"
        "open_store('memory:', 1.0)\n"
        "open_store('sqlite:////a.db', 1.0)\n"
        "try:\n"
        "    open_store('redis://127.0.0.1', 1.0)\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, text=True, stdout=subprocess.PIPE
    )
    assert "needs the Python package redis (pip install 'inline-topo[redis]')" in done.stdout
