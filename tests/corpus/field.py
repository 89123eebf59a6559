"""Messages out of public bug reports (`../shared/field`), and what has to become of each.

`CASES` is the table: one row a capture, by the name of its file. A row says only where something else is
right than what holds by itself: every message leaves, comes back byte for byte, and names nothing of
the inside on its way. The configuration of a capture stands beside it. What is no message over UDP, and
what a capture shows beside this, has tests of its own.
"""

import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from inline_topo.config import Config, load

PROFILES = ("default", "strict", "topoh")
CODECS = ("aes-siv", "kamailio")
MODES = ("topoh", "topos")


class Setting(NamedTuple):
    """How a gateway is configured, beside what a capture's own file says."""

    profile: str
    codec: str
    mode: str

    def config(self, path: Path) -> Config:
        """The configuration of a capture, in this setting."""
        settings: dict[str, Any] = tomllib.loads(path.read_text())
        del settings["topoh"]  # the key's file
        settings |= {"profile": self.profile, "mode": self.mode, "topoh.codec": self.codec}
        settings |= {"audit": "enforce", "mtu": 65535}
        if self.mode == "topos":
            settings["topos.store"] = "memory:"
        if self.codec == "kamailio":
            settings["topoh.mask_key"] = "a key of the tests"
        return load(None, env={}, overrides=settings, key_ring_given=self.codec == "aes-siv")


SETTINGS = tuple(Setting(*words) for words in product(PROFILES, CODECS, MODES))


class Where(NamedTuple):
    """Fields of a message, as `passed.hidden_lines` names them, in some settings: all that are not named."""

    fields: tuple[str, ...]
    profiles: tuple[str, ...] = PROFILES
    codecs: tuple[str, ...] = CODECS
    modes: tuple[str, ...] = MODES

    def applies(self, setting: Setting) -> bool:
        return (
            setting.profile in self.profiles
            and setting.codec in self.codecs
            and setting.mode in self.modes
        )


class Case(NamedTuple):
    """A capture. `shows`: where the inside is named outside, as the profile leaves it. `changes`: what does
    not come back as it was (swapped, stripped, or with brackets, by codec kamailio). `refused`: messages
    that do not leave: the number of the packet, the outcome, the settings (its fields say nothing).

    A row must be exact: what it lists and does not happen is an error, too.
    """

    name: str
    shows: tuple[Where, ...] = ()
    changes: tuple[Where, ...] = ()
    refused: tuple[tuple[int, str, Where], ...] = ()

    def shown(self, setting: Setting) -> set[str]:
        return set(_fields(self.shows, setting))

    def changed(self, setting: Setting) -> set[str]:
        return set(_fields(self.changes, setting))

    def outcomes(self, setting: Setting) -> dict[int, str]:
        return {n: outcome for n, outcome, where in self.refused if where.applies(setting)}


def _fields(rows: tuple[Where, ...], setting: Setting) -> Iterator[str]:
    for row in rows:
        if row.applies(setting):
            yield from row.fields


NO_WORD = "kamailio"
"""The codec that has no word for brackets that it adds: they stay."""

_AS_TOPOH = {"profiles": ("topoh",), "codecs": ("kamailio",)}
_TOKENS = {"modes": ("topoh",)}
"""The mode in which what is swapped does not come back by `--leg inside`."""

CASES: tuple[Case, ...] = (
    Case("min_bare_contact", changes=(Where(("contact",), codecs=(NO_WORD,), **_TOKENS),)),
    Case("min_anonymise_instance"),
    Case(
        "min_bare_record_route",
        changes=(Where(("record-route",), codecs=(NO_WORD,), **_TOKENS),),
    ),
    Case("min_strict_route"),
    # topoh leaves a REGISTER alone
    Case("min_path_ob", shows=(Where(("contact", "path"), **_AS_TOPOH),)),
    Case("min_garbage_contact"),
    Case("min_display_comma"),
    Case(
        "ipv6_zone",
        shows=(Where(("referred-by",), profiles=("topoh",)),),
    ),
    Case("quoted_uri_param", shows=(Where(("body",), profiles=("topoh",)),)),
    Case(
        "no_scheme",
        shows=(Where(("body", "p-asserted-identity", "referred-by"), profiles=("topoh",)),),
        changes=(Where(("p-asserted-identity",), profiles=("default", "strict"), **_TOKENS),),
    ),
    Case("min_many_routes"),
    # strict strips Geolocation
    Case(
        "min_cid_geolocation",
        shows=(Where(("body", "geolocation"), profiles=("topoh",)),),
        changes=(Where(("geolocation",), profiles=("strict",), **_TOKENS),),
    ),
    Case("min_cid_call_info", shows=(Where(("call-info", "content-id"), profiles=("topoh",)),)),
    Case("min_length_zero"),
    Case("min_after_body", changes=(Where(("body",), **_TOKENS),)),
    Case(
        "protected_no_dot",
        shows=(
            Where(("body", "p-asserted-identity"), profiles=("topoh",)),
            Where(("refer-to",), **_AS_TOPOH),
        ),
        changes=(Where(("p-asserted-identity",), profiles=("default", "strict"), **_TOKENS),),
    ),
    Case("min_cloud_name", shows=(Where(("refer-to",), **_AS_TOPOH),)),
    Case("min_gruu_own_binding", shows=(Where(("contact",), **_AS_TOPOH),)),
    Case(
        "min_xml_call_id",
        shows=(Where(("call-id", "body"), profiles=("default", "topoh")),),
    ),
    Case("min_via_register_topoh", shows=(Where(("via",), **_AS_TOPOH),)),
)
