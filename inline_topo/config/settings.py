"""Where settings come from: a TOML file, the environment, `--set`. Read, not yet judged.

Settings are flat: dotted key to value and source, so that one source overrides another key by key
and an error can name who said it. Lists and arrays of tables are values, replaced as a whole.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inline_topo.errors import ConfigError

PREFIX = "INLINE_TOPO_"


class Setting(NamedTuple):
    """A value, and who said so: a file, an environment variable, an option."""

    value: Any
    source: str


Settings = dict[str, Setting]
"""By dotted key: `inside`, `topoh.codec`."""


def from_file(path: Path, tables: Iterable[str]) -> Settings:
    """The settings of a TOML file; ConfigError names the file and the line."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    try:
        tree = tomllib.loads(text)
    except ValueError as error:  # tomllib lets Python's own one out where a number is too long
        raise ConfigError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not TOML: nested too deeply") from None
    return _flatten(tree, str(path), tables)


def from_environment(
    env: Mapping[str, str], tables: Iterable[str], parse: Callable[[str, str], Any]
) -> Settings:
    """`INLINE_TOPO_TOPOH__CODEC=kamailio` is `topoh.codec`; `parse` takes (key, text)."""
    settings: Settings = {}
    for name in sorted(name for name in env if name.startswith(PREFIX)):
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        settings |= _flatten({key: parse(key, env[name])}, name, tables)
    return settings


def from_options(
    sets: Iterable[str], tables: Iterable[str], parse: Callable[[str, str], Any]
) -> Settings:
    """The values of `--set KEY=VALUE`, the last one of a key counting."""
    settings: Settings = {}
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError("--set: expected KEY=VALUE")  # the text may hold a secret
        key = key.strip()
        settings |= _flatten({key: parse(key, value)}, "--set", tables)
    return settings


def parse_word(text: str) -> Any:
    """A value as TOML writes it (`5060`, `true`, `["a", "b"]`), or else the text itself."""
    try:
        tree = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return tree["value"] if tree.keys() == {"value"} else text


def nest(settings: Settings) -> dict[str, Any]:
    """The settings as a tree of tables again, for the model."""
    tree: dict[str, Any] = {}
    for key, setting in settings.items():
        table, _, name = key.rpartition(".")
        (tree.setdefault(table, {}) if table else tree)[name] = setting.value
    return tree


def _flatten(tree: Mapping[str, Any], source: str, tables: Iterable[str]) -> Settings:
    settings: Settings = {}
    for key, value in tree.items():
        if key not in tables:
            settings[key] = Setting(value, source)
        elif isinstance(value, dict):
            settings |= {f"{key}.{name}": Setting(item, source) for name, item in value.items()}
        else:
            raise ConfigError(f"{source}: {key}: not a table")
    return settings
