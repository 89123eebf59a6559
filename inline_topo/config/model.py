"""The configuration: one model for the file, the environment, the command line and the manual.

A key has its type, its default and its help here and nowhere else. The command `check`, the
README's table and the errors are made from them.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args, get_origin

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from inline_topo.config import values
from inline_topo.config.settings import (
    Setting,
    Settings,
    from_environment,
    from_file,
    from_options,
    nest,
    parse_word,
)
from inline_topo.config.tables import (
    PROFILES,
    Address,
    Hide,
    Host,
    Interface,
    Kind,
    Media,
    Metrics,
    Mtu,
    Network,
    Place,
    Port,
    Queue,
    Rule,
    Share,
    Some,
    Table,
    Topoh,
    Topos,
)
from inline_topo.errors import ConfigError

_HIDDEN = "********"
_SIPS_PORT = 5061

_CHOSEN: Final = (
    "skips by conditions that outsiders can meet, and names no destination: whoever keeps a token can "
    "have it sent back to him in clear"
)
_SKIPPED: Final = (
    "who gets messages in clear can have tokens read out that he keeps or is given, where requests and "
    "redirections are routed by them"
)


class _Misfit(ValueError):
    """A key that does not go with another one."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def _own(given: dict[str, Any]) -> tuple[IPv4Address | IPv6Address | str, ...]:
    if given["shape"] == "nat":
        return (given["public"],) if given["public"] else ()
    return tuple(net.network_address for net in given["inside"] if net.num_addresses == 1)


def _as_profile(table: str) -> Any:
    """The keys of a table that are not given come from the profile; with none given at all, too."""

    def fill(value: object, info: ValidationInfo) -> object:
        profile = PROFILES.get(info.data.get("profile", ""), {})
        keys = profile.get(table, {})
        return {**keys, **value} if isinstance(value, dict) else value

    return BeforeValidator(fill)


def _audit(given: dict[str, Any]) -> float | str:
    return "enforce" if given["profile"] == "strict" else 0.0


class Config(Table):
    """The whole configuration, checked: what it holds can be used as it is."""

    shape: Literal["router", "host", "nat"] = Field(
        default="router",
        description="where the gateway stands: before a proxy, on its host, on a NAT router",
    )
    mode: Literal["topoh", "topos"] = Field(
        default="topoh", description="topoh: stateless masking; topos: stripping, with a store"
    )
    profile: Literal["default", "strict", "topoh"] = Field(
        default="default",
        description="what is hidden: all that breaks nothing; all, else refused; what topoh hides",
    )
    audit: Share = Field(
        default_factory=_audit,
        description="the share of calls whose messages are searched for what is hidden as they leave; "
        "enforce: all, and one that leaks is refused",
        json_schema_extra={"default": '`0`; profile strict `"enforce"`'},
    )
    inside: tuple[Network, ...] = Field(
        default=(), description="the addresses and networks behind the gateway"
    )
    public: Address | None = Field(
        default=None, description="shape nat: the router's public address"
    )
    own: tuple[Host, ...] = Field(
        default_factory=_own,
        description="hosts that outsiders are meant to see",
        json_schema_extra={"default": "the single addresses of `inside`; in shape nat `public`"},
    )
    protected: tuple[Place, ...] = Field(
        default=(), description="more that must never be seen outside"
    )
    ports: Annotated[tuple[Port, ...], Some] = Field(
        default=(5060,),
        description="live: the ports that carry SIP (a replay finds SIP on any port)",
    )
    interfaces: tuple[Interface, ...] = Field(
        default=(), description="live: only packets that leave or enter here; empty: any"
    )
    mtu: Mtu = Field(
        default=1500,
        description="what fits the link behind the gateway; beyond it a packet may be fragmented",
    )
    hide: Annotated[Hide, _as_profile("hide")] = Field(default_factory=dict, validate_default=True)
    topoh: Annotated[Topoh, _as_profile("topoh")] = Field(
        default_factory=dict, validate_default=True
    )
    topos: Topos = Topos()
    media: Media = Media()
    rule: tuple[Rule, ...] = Field(
        default=(), description="which messages are masked: the first that matches decides"
    )
    queue: Annotated[Queue, _as_profile("queue")] = Field(
        default_factory=dict, validate_default=True
    )
    metrics: Metrics = Metrics()

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _goes_together(self, info: ValidationInfo) -> Self:
        if not self.inside:
            raise _Misfit("inside", f"needed: {Config.model_fields['inside'].description}")
        if self.shape == "nat" and self.public is None:
            raise _Misfit("public", 'needed with shape "nat": the router\'s public address')
        if self.shape != "nat" and self.public is not None:
            raise _Misfit("public", f'goes with shape "nat" only, and shape is "{self.shape}"')
        if self.public is not None and self.public not in self.own:
            raise _Misfit("own", f"must name the public address {self.public} too")
        if self.profile == "strict":
            _check_strict(self.queue, self.media)
            _check_rules(self.rule)
        if self.mode == "topos" and self.topos.store is None:
            raise _Misfit("topos.store", 'needed with mode "topos": where what is removed is kept')
        if not self.hide.strangers and self.hide.claims != "refuse":
            raise _Misfit("hide.strangers", 'false needs hide.claims = "refuse"')
        context = info.context or {}
        _check_codec(self.topoh, key_ring_given=context.get("key_ring_given", False))
        return self

    def warnings(self) -> list[str]:
        """What is allowed and yet must be said aloud."""
        warnings = self._without_own()
        if self.topoh.codec == "kamailio":
            warnings.append(
                'the codec "kamailio" is obfuscation: whoever wants to can open it, in any call'
            )
        for number, rule in enumerate(self.rule, 1):
            if rule.is_for_all_to_choose:
                warnings.append(f"rule {number}: {_CHOSEN}")
            elif rule.action == "skip":
                warnings.append(f"rule {number}: {_SKIPPED}")
        if self.queue.on_error == "accept":
            warnings.append('queue.on_error "accept": what cannot be masked leaves in clear')
        flawed = {"on_fragment": "a fragment that may be SIP leaves", "on_cut": "cut SIP leaves",
                  "on_corrupt": "SIP with a wrong checksum leaves"}  # fmt: skip
        for key, text in flawed.items():
            if getattr(self.queue, key) == "accept" and key in self.queue.model_fields_set:
                warnings.append(f'queue.{key} "accept": {text} in clear')
        if self.media.relay != "none" and self.media.on_error == "accept":
            warnings.append('media.on_error "accept": SDP shows the inside while the relay fails')
        if self.queue.fail_open:
            warnings.append("queue.fail_open: while nobody listens, SIP passes in clear")
        if self.profile == "strict" and self.audit != "enforce":
            warnings.append(
                f'audit {json.dumps(self.audit)}: profile "strict" refuses what shows the inside only '
                'with "enforce"'
            )
        if self.profile == "strict" and self.queue.on_tcp == "accept":
            warnings.append('queue.on_tcp "accept": SIP over TCP leaves in clear, profile or not')
        return warnings

    def _without_own(self) -> list[str]:
        """The families of IP in which nothing can be masked."""
        if not isinstance(self.topoh.mask_ip, str):
            return []
        shown = [one for one in (*self.own, self.public) if not isinstance(one, str | None)]
        families = {network.version for network in self.inside} - {one.version for one in shown}
        return [
            f"no own address of IPv{version} (own, topoh.mask_ip): what leaves over it and would have to be "
            "masked is refused, and little else is masked"
            for version in sorted(families)
        ]

    def live_warnings(self) -> list[str]:
        """What a live gateway lets pass unread, if it is not said by `warnings`."""
        warnings = []
        if self.queue.on_tcp == "accept" and self.profile != "strict":
            warnings.append('queue.on_tcp "accept": SIP over TCP passes in clear')
        if self.profile == "strict" and _SIPS_PORT not in self.ports:
            warnings.append(
                f"SIP over TLS (port {_SIPS_PORT}) passes, unread and uncounted, whatever it holds: with "
                f"{_SIPS_PORT} among `ports` queue.on_tcp decides over it"
            )
        return warnings

    def audited_unless_told(self) -> Self:
        """This configuration; where it does not say what is audited, every message is."""
        if "audit" in self.model_fields_set or self.audit:
            return self
        return self.model_copy(update={"audit": 1.0})

    def check_live(self) -> None:
        """Raise ConfigError where a live gateway would not keep what the configuration promises."""
        if self.profile == "strict" and self.media.relay == "none":
            source = self._sources.get("profile", "configuration")
            raise ConfigError(
                f'{source}: profile: "strict" needs a media relay when live (media.relay): SDP would '
                "show the inside"
            )

    def to_toml(self) -> str:
        """The effective configuration with the help and the source of each key, secrets hidden.

        Keys that mean nothing to the codec are left out.
        """
        blocks: list[list[str]] = [[]]
        for key, field in _FIELDS.items():
            table, _, name = key.rpartition(".")
            if table and f"[{table}]" not in (block[0] for block in blocks):
                blocks.append([f"[{table}]"])
            if key not in _FOREIGN[self.topoh.codec]:
                value = getattr(getattr(self, table) if table else self, name)
                source = self._sources.get(key, self._otherwise(table, name))
                blocks[-1] += [f"# {field.description}", _line(name, value, source)]
        source = self._sources.get("rule", "default")
        for rule in self.rule:
            lines = [_line(name, value, source) for name, value in rule if value]
            blocks.append(["[[rule]]", *lines])
        return "\n\n".join("\n".join(block) for block in blocks) + "\n"

    def _otherwise(self, table: str, name: str) -> str:
        """What says the value of a key that nobody gave."""
        by_profile = self.profile != "default" and name in PROFILES[self.profile].get(table, {})
        return f"profile {self.profile}" if by_profile else "default"


def load(
    path: Path | None,
    *,
    env: Mapping[str, str],
    sets: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
    key_ring_given: bool = False,
) -> Config:
    """The configuration: defaults < file < environment < `--set` < `overrides`.

    `overrides` are values of options, by dotted key (`--inside`: "inside"). `key_ring_given`: the
    caller has a key ring, so `topoh.mask_key_file` need not be there. ConfigError names source,
    key and reason in one line.
    """
    settings: Settings = {}
    if path is not None:
        settings |= _beside(path, from_file(path, _TABLES))
    settings |= from_environment(env, _TABLES, _parse)
    settings |= from_options(sets, _TABLES, _parse)
    settings |= {key: Setting(value, f"--{key}") for key, value in (overrides or {}).items()}
    for key, setting in settings.items():
        _check_known(key, setting.source)
    try:
        config = Config.model_validate(nest(settings), context={"key_ring_given": key_ring_given})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        origin = str(path) if path else "configuration"
        raise ConfigError(_explain(first, settings, origin)) from None
    config._sources.update({key: setting.source for key, setting in settings.items()})
    return config


def markdown_table() -> str:
    """All keys with type, default and help, for the README."""
    rows = ["| key | type | default | what it says |", "|---|---|---|---|"]
    fields = list(_FIELDS.items())
    fields += [(f"rule.{name}", field) for name, field in Rule.model_fields.items()]
    for key, field in fields:
        rows.append(f"| `{key}` | {_type(field)} | {_default(field)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _check_strict(queue: Queue, media: Media) -> None:
    reason = 'does not go with profile "strict": what cannot be masked would leave in clear'
    for key in ("on_error", "on_fragment", "on_cut", "on_corrupt"):
        if getattr(queue, key) == "accept":
            raise _Misfit(f"queue.{key}", f'"accept" {reason}')
    if queue.fail_open:
        raise _Misfit("queue.fail_open", reason)
    if media.on_error == "accept":
        raise _Misfit("media.on_error", '"accept" does not go with profile "strict"')


def _check_rules(rules: tuple[Rule, ...]) -> None:
    for number, rule in enumerate(rules, 1):
        if rule.is_for_all_to_choose:
            raise _Misfit("rule", f'does not go with profile "strict": rule {number} {_CHOSEN}')


def _check_codec(topoh: Topoh, *, key_ring_given: bool) -> None:
    for name in topoh.model_fields_set:
        if (key := f"topoh.{name}") in _FOREIGN[topoh.codec]:
            raise _Misfit(key, f'means nothing to the codec "{topoh.codec}"')
    if topoh.codec == "kamailio":
        if topoh.mask_key is None or not topoh.mask_key.get_secret_value():
            raise _Misfit("topoh.mask_key", 'needed with the codec "kamailio", and has no default')
    elif topoh.mask_key_file is None and not key_ring_given:
        raise _Misfit(
            "topoh.mask_key_file", "needed: a key ring; `inline-topo keygen -o FILE` makes one"
        )


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    """All keys that hold a value, dotted; those without a table first, as TOML wants them."""
    tables = {
        name: field.annotation
        for name, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Table)
    }
    for name, field in Config.model_fields.items():
        if name not in (*tables, "rule"):
            yield name, field
    for table, model in tables.items():
        yield from ((f"{table}.{name}", field) for name, field in model.model_fields.items())


_FIELDS = dict(_fields())
_TABLES = {key.partition(".")[0] for key in _FIELDS if "." in key}
_KNOWN = {*_FIELDS, "rule"}
_FOREIGN = {
    "aes-siv": {"topoh.mask_key"} | {key for key in _FIELDS if "topoh" in key and "param_" in key},
    "kamailio": {"topoh.mask_key_file"},
}
_SECRET = {key for key, field in _FIELDS.items() if SecretStr in get_args(field.annotation)}


def _parse(key: str, text: str) -> Any:
    """The value of one word from the environment or `--set`, read as its key's type wants it."""
    value = parse_word(text)
    field = _FIELDS.get(key)
    if field is None:  # a table, the rules, or unknown
        return value
    if get_origin(field.annotation) is tuple:
        return value if isinstance(value, list) else [value]
    return value if isinstance(value, str) or field.annotation in (bool, int, float) else text


def _beside(path: Path, settings: Settings) -> Settings:
    """A relative name in a file is meant from that file's folder."""
    for key in ("topoh.mask_key_file", "queue.refused_folder"):
        name = settings[key].value if key in settings else None
        if isinstance(name, str) and name:
            settings = settings | {key: Setting(str(path.parent / name), str(path))}
    return settings


def _check_known(key: str, source: str) -> None:
    if key in _KNOWN:
        return
    raise ConfigError(f"{source}: {_bare(key)}: unknown key{_suggest(key, _KNOWN)}")


def _suggest(key: str, known: Iterable[str]) -> str:
    name = key.rpartition(".")[2]
    near = [other for other in sorted(known) if other.rpartition(".")[2] == name]
    near += difflib.get_close_matches(key, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _explain(error: ErrorDetails, settings: Settings, origin: str) -> str:
    cause = error.get("ctx", {}).get("error")
    loc = ".".join(str(part) for part in error["loc"])
    key = re.sub(r"\.(\d+)", lambda match: f"[{int(match[1]) + 1}]", loc)
    if isinstance(cause, _Misfit):
        key = cause.key
    setting = settings.get(key.partition("[")[0])
    source = setting.source if setting else origin
    where = source if source == f"--{key.partition('[')[0]}" else f"{source}: {_bare(key)}"
    return f"{where}: {_reason(error, key, cause)}"


def _reason(error: ErrorDetails, key: str, cause: object) -> str:
    if cause is not None:
        return str(cause)
    value = _HIDDEN if key in _SECRET else values.show(error["input"])
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key{_suggest(str(error['loc'][-1]), Rule.model_fields)}"
        case "missing":
            name = str(error["loc"][-1])
            return f"needed: {Rule.model_fields[name].description}"
        case "literal_error":
            options = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            return f"{value} is not one of {options}"
        case "tuple_type" if key == "rule":
            return "not an array of tables; write [[rule]]"
        case "tuple_type":
            return f"{value} is not a list"
        case "model_type":
            return f"{value} is not a table"
        case "string_type":
            return f"{value} is not a string"
        case "bool_type":
            return f"{value} is neither true nor false"
        case _:
            return error["msg"]


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[\w.\[\]-]+", key, re.ASCII) else values.show(key)


def _line(name: str, value: object, source: str) -> str:
    text = f"# {name} is not set" if value is None else f"{name} = {_toml(value)}"
    return f"{text:<40} # {source}"


def _toml(value: object) -> str:
    match value:
        case SecretStr():
            return f'"{_HIDDEN}"'
        case values.StoreUrl():
            return json.dumps(value.shown)
        case bool() | int() | float():
            return json.dumps(value)
        case tuple():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case IPv4Network() | IPv6Network() if value.num_addresses == 1:
            return json.dumps(str(value.network_address))
        case _:
            return json.dumps(str(value))


def _type(field: FieldInfo) -> str:
    for mark in field.metadata:
        if isinstance(mark, Kind):
            return mark.name
    return _type_name(field.annotation)


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, Kind):
        return annotation.name
    args = [arg for arg in get_args(annotation) if arg is not type(None)]
    for mark in args:
        if isinstance(mark, Kind):
            return mark.name
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{arg}`" for arg in args)
    if get_origin(annotation) is tuple:
        return f"list of {_type_name(args[0])}"
    if args:  # Optional, or Annotated without a kind
        return _type_name(args[0])
    return {bool: "`true`, `false`", SecretStr: "secret string"}[annotation]


def _default(field: FieldInfo) -> str:
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["default"])
    if field.is_required():
        return "needed"
    if field.default is None:
        return "none"
    return f"`{_toml(field.default)}`"
