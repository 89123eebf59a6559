"""What commands share: the configuration as the command line gives it, and how they speak."""

import functools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inline_topo.errors import ConfigError, InlineTopoError

if TYPE_CHECKING:
    from inline_topo.config import Config
    from inline_topo.masking.codecs.base import Codec
    from inline_topo.masking.codecs.keyring import KeyRing

FILE = click.Path(path_type=Path)
CAPTURE = click.Path(allow_dash=True, readable=False)  # who reads it says what is wrong


@dataclass(frozen=True)
class Given:
    """What the command line says about the configuration."""

    path: Path | None
    sets: tuple[str, ...]
    inside: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said at all, in the environment neither."""
        from inline_topo.config.settings import PREFIX

        said = self.path or self.sets or self.inside
        return not said and not any(name.startswith(PREFIX) for name in os.environ)

    def load(self, *, key_ring_given: bool = False, profile: str = "") -> "Config":
        """The configuration, its warnings said; ConfigError as `inline_topo.config.load`. `profile`:
        the one where none is said."""
        from inline_topo.config import load

        def read(more: dict[str, object]) -> "Config":
            inside: dict[str, object] = {"inside": self.inside} if self.inside else {}
            return load(
                self.path,
                env=os.environ,
                sets=self.sets,
                overrides=inside | more,
                key_ring_given=key_ring_given,
            )

        config = read({})
        if profile and "profile" not in config.model_fields_set:
            config = read({"profile": profile})
        for warning in config.warnings():
            say(f"warning: {warning}")
        return config

    def load_with_ring(
        self, leg: str, *, for_sharing: bool = False
    ) -> "tuple[Config, KeyRing | None]":
        """The configuration for a replay; without a file that names a key, with a key ring made for
        this run. `for_sharing`: profile strict where none is said, and nobody will open anything.
        ConfigError where the leg has nothing to open without the right key."""
        from inline_topo.masking.codecs.keyring import KeyRing

        profile = "strict" if for_sharing else ""
        config = self.load(key_ring_given=self.path is None, profile=profile)
        if config.mode == "topos" and leg == "inside" and _is_memory(config):
            raise ConfigError(
                "topos.store: memory: has forgotten: --leg inside needs the store of --leg outside"
            )
        if config.topoh.codec != "aes-siv" or config.topoh.mask_key_file is not None:
            return config, None
        if leg == "inside":
            raise ConfigError(
                "topoh.mask_key_file: --leg inside needs the key that masked (-c, --set)"
            )
        if not for_sharing:
            say(
                "a key made for this run masks: no other run opens it (-c or --set name a key ring)"
            )
        return config, KeyRing.generate()

    def load_to_read(self) -> "tuple[Config, Codec]":
        """The configuration for a report, and a codec to tell tokens by: without a file that names
        a key, one that opens none (tokens of aes-siv never read as addresses)."""
        from inline_topo import assemble
        from inline_topo.masking.codecs.keyring import KeyRing

        config = self.load(key_ring_given=self.path is None)
        has_key = config.topoh.codec != "aes-siv" or config.topoh.mask_key_file is not None
        return config, assemble.codec(config, None if has_key else KeyRing.generate())

    def spare(self, config: "Config", target: str, *more: Path | None) -> None:
        """InlineTopoError where an output would take the place of the configuration, of what it
        needs (key ring, dialog store), or of one of `more`."""
        from inline_topo.stores.sqlite_file import options

        needed = [self.path, config.topoh.mask_key_file, *more]
        if (url := config.topos.store or "").startswith("sqlite:"):
            needed.append(options(url).path)
        for path in filter(None, needed):
            if os.path.exists(target) and path.exists() and path.samefile(target):
                raise InlineTopoError(
                    f"{target}: the configuration needs this file, give the output another name"
                )


@contextmanager
def heard_store(config: "Config") -> Iterator[None]:
    """Around a replay: say what should be known of the dialog store before it, and what its log says
    meanwhile. ConfigError where it cannot be used."""
    if config.topos.store is None or _is_memory(config):
        yield
        return
    from inline_topo import assemble

    for warning in assemble.store(config).check():
        say(f"warning: {warning}")
    logger, said = logging.getLogger("inline_topo"), _Said(logging.WARNING)
    logger.addHandler(said)
    try:
        yield
    finally:
        logger.removeHandler(said)


def refuse_live_store(config: "Config") -> None:
    """Before a replay that keeps its records for good: ConfigError where a gateway's dialogs, which
    end, are in the store."""
    import time

    from inline_topo import assemble
    from inline_topo.masking.topos.way_back import FOR_GOOD
    from inline_topo.stores.base import StoreError

    if _is_memory(config):
        return
    least = FOR_GOOD.dialog_expire / 2
    try:
        records = assemble.store(config).records(time.time())
        is_live = any(record.left + (record.age or 0) < least for record in records)
    except (StoreError, ConfigError):
        return  # there is none yet, or `heard_store` says what is wrong
    if is_live:
        raise ConfigError(
            "topos.store: dialogs of a gateway are in it: --leg outside keeps its records for good, and "
            "needs a store of its own (--set topos.store=sqlite:////FILE)"
        )


class _Said(logging.Handler):
    """A line of the log as a warning for the person."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "fields", {})
        told = ", ".join(f"{name} {value}" for name, value in fields.items())
        say(f"warning: {record.getMessage()}{': ' if told else ''}{told}")


def _is_memory(config: "Config") -> bool:
    return (config.topos.store or "").startswith("memory:")


def config_options(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """-c, --set and --inside; the command gets them as its first argument, a `Given`."""

    @click.option("-c", "--config", "path", type=FILE, metavar="FILE", help="The configuration.")
    @click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Overrides one key (several)."
    )
    @click.option(
        "--inside", multiple=True, metavar="NET", help="An address or network inside (several)."
    )
    @functools.wraps(command)
    def with_given(
        path: Path | None, sets: tuple[str, ...], inside: tuple[str, ...], **options: object
    ) -> int | None:
        return command(Given(path, sets, inside), **options)

    return with_given


def say(text: str) -> None:
    """A line for the person, beside the results; line breaks in a file's name don't break it."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    click.echo(f"inline-topo: {line}", err=True)


def print_json(tree: object) -> None:
    """A result for programs."""
    import json

    click.echo(json.dumps(tree, indent=2, ensure_ascii=False))
