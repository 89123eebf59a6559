"""The configuration: one model for the file, the environment, the command line and the manual.

A key has its type, its default and its help here and nowhere else. The command `check`, the
README's table and the errors are made from them.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    SecretStr,
    StrictBool,
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
from inline_topo.errors import ConfigError

_NOT_YET = ("topos",)
_HIDDEN = "********"


@dataclass(frozen=True)
class _Kind:
    """How the type of a key is called, where Python's own name would not help a reader."""

    name: str


class _Misfit(ValueError):
    """A key that does not go with another one."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def _not_topos(value: object) -> object:
    if value == "topos":
        raise ValueError('"topos" is not in this version')
    return value


Address = Annotated[IPv4Address | IPv6Address, PlainValidator(values.address), _Kind("address")]
Network = Annotated[
    IPv4Network | IPv6Network, PlainValidator(values.network), _Kind("address or network")
]
Host = Annotated[
    IPv4Address | IPv6Address | str, PlainValidator(values.host), _Kind("address or host name")
]
Place = Annotated[
    IPv4Network | IPv6Network | str,
    PlainValidator(values.place),
    _Kind("address, network or host name"),
]
MaskIp = Annotated[
    IPv4Address | IPv6Address | str, PlainValidator(values.mask_ip), _Kind("`auto` or address")
]
Port = Annotated[int, PlainValidator(values.port), _Kind("port")]
QueueNumbers = Annotated[str, PlainValidator(values.queue_numbers), _Kind("`N` or `FIRST:LAST`")]
QueueLength = Annotated[
    int, PlainValidator(partial(values.whole, least=1, most=65535)), _Kind("number")
]
Mtu = Annotated[int, PlainValidator(partial(values.whole, least=576, most=65535)), _Kind("bytes")]
MetricsPort = Annotated[
    int, PlainValidator(partial(values.whole, least=0, most=65535)), _Kind("port or `0`")
]
Bit = Annotated[int, PlainValidator(values.bit), _Kind("`0`, `1`")]
Interface = Annotated[str, AfterValidator(values.interface), _Kind("interface")]
Method = Annotated[str, AfterValidator(values.method), _Kind("method")]
User = Annotated[str, AfterValidator(values.user), _Kind("user part")]
Token = Annotated[str, AfterValidator(values.token), _Kind("token")]
Word = Annotated[str, AfterValidator(values.word), _Kind("characters of a Call-ID")]
Branch = Annotated[str, AfterValidator(values.branch), _Kind("token that begins with `z9hG4bK`")]
File = Annotated[Path, PlainValidator(values.file_name), _Kind("file name")]
Some = AfterValidator(values.some)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Topoh(_Table):
    """[topoh]: what a token looks like and what opens it."""

    codec: Literal["aes-siv", "kamailio"] = Field(
        default="aes-siv",
        description="how tokens are made; kamailio is obfuscation, for mixed fleets",
    )
    mask_ip: MaskIp = Field(
        default="auto",
        description="the address in masked fields; auto: the packet's own one, or the first of own",
    )
    mask_key: SecretStr | None = Field(
        default=None, description="kamailio: the key, as topoh has it"
    )
    mask_key_file: File | None = Field(
        default=None,
        description="aes-siv: the key ring (`keygen`); from the folder of the file that says so",
    )
    mask_callid: StrictBool = Field(
        default=False, description="mask Call-IDs that name something inside or protected"
    )
    uparam_name: Token = Field(default="line", description="kamailio: the URI parameter of a token")
    uparam_prefix: Token = Field(
        default="sr-", description="kamailio: what a URI's token begins with"
    )
    vparam_name: Token = Field(
        default="branch", description="kamailio: the Via parameter of a token"
    )
    vparam_prefix: Branch = Field(
        default="z9hG4bKsr-", description="kamailio: what a Via's token begins with"
    )
    callid_prefix: Word = Field(default="!!:", description="what a masked Call-ID begins with")
    mask_mode: Bit = Field(default=0, description="1: leave the Contacts of a 3xx clear")


class Rule(_Table):
    """[[rule]]: which messages are masked. Every key that is given must match."""

    source: Annotated[tuple[Network, ...], Some] = Field(
        default=(), description="where the packet comes from"
    )
    destination: Annotated[tuple[Network, ...], Some] = Field(
        default=(), description="where the packet goes"
    )
    method: Annotated[tuple[Method, ...], Some] = Field(
        default=(), description="the request's method; in a response, the CSeq's"
    )
    from_user: Annotated[tuple[User, ...], Some] = Field(default=(), description="the user in From")
    to_user: Annotated[tuple[User, ...], Some] = Field(default=(), description="the user in To")
    request_uri_user: Annotated[tuple[User, ...], Some] = Field(
        default=(), description="the user in the Request-URI"
    )
    message: Literal["request", "response"] | None = Field(default=None, description="only these")
    action: Literal["skip", "mask"] = Field(
        description="skip: leave the message clear; mask: what happens without a rule"
    )


class Queue(_Table):
    """[queue]: where packets come from, and what happens to one that is in trouble."""

    numbers: QueueNumbers = Field(
        default="0", description="live: the kernel's queues, one process each: `0`, or `0:3`"
    )
    max_len: QueueLength = Field(
        default=4096, description="live: packets that wait in one queue; more are dropped"
    )
    on_error: Literal["drop", "accept"] = Field(
        default="drop",
        description="a message that leaves and cannot be masked; accept lets it out in clear",
    )
    refused_folder: File | None = Field(
        default=None,
        description="live: where packets that were not let out are kept, 32 MiB a queue at most",
    )
    on_tcp: Literal["accept", "drop"] = Field(
        default="accept",
        description="live: SIP over TCP, which is not rewritten; accept lets it pass in clear",
    )
    fail_open: StrictBool = Field(
        default=False,
        description="live: let packets pass in clear while nobody listens to the queue",
    )

    def range(self) -> range:
        """The numbers of the queues."""
        first, _, last = self.numbers.partition(":")
        return range(int(first), int(last or first) + 1)


class Metrics(_Table):
    """[metrics]: what the live gateway says about itself."""

    listen_port: MetricsPort = Field(
        default=9469,
        description="live: the loopback port of `status` and of Prometheus; 0: none",
    )


def _own(given: dict[str, Any]) -> tuple[IPv4Address | IPv6Address | str, ...]:
    if given["shape"] == "nat":
        return (given["public"],) if given["public"] else ()
    return tuple(net.network_address for net in given["inside"] if net.num_addresses == 1)


class Config(_Table):
    """The whole configuration, checked: what it holds can be used as it is."""

    shape: Literal["router", "host", "nat"] = Field(
        default="router",
        description="where the gateway stands: before a proxy, on its host, on a NAT router",
    )
    mode: Annotated[Literal["topoh"], BeforeValidator(_not_topos)] = Field(
        default="topoh", description="topoh: stateless masking (topos: not in this version)"
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
    topoh: Topoh = Topoh()
    rule: tuple[Rule, ...] = Field(
        default=(), description="which messages are masked: the first that matches decides"
    )
    queue: Queue = Queue()
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
        context = info.context or {}
        _check_codec(self.topoh, key_ring_given=context.get("key_ring_given", False))
        return self

    def warnings(self) -> list[str]:
        """What is allowed and yet must be said aloud."""
        warnings = []
        if self.topoh.codec == "kamailio":
            warnings.append('the codec "kamailio" is obfuscation: whoever wants to can open it')
        if self.queue.on_error == "accept":
            warnings.append('queue.on_error "accept": what cannot be masked leaves in clear')
        if self.queue.fail_open:
            warnings.append("queue.fail_open: while nobody listens, SIP passes in clear")
        return warnings

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
                source = self._sources.get(key, "default")
                blocks[-1] += [f"# {field.description}", _line(name, value, source)]
        source = self._sources.get("rule", "default")
        for rule in self.rule:
            lines = [_line(name, value, source) for name, value in rule if value]
            blocks.append(["[[rule]]", *lines])
        return "\n\n".join("\n".join(block) for block in blocks) + "\n"


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
    tables: dict[str, type[BaseModel]] = {"topoh": Topoh, "queue": Queue, "metrics": Metrics}
    for name, field in Config.model_fields.items():
        if name not in (*tables, "rule"):
            yield name, field
    for table, model in tables.items():
        yield from ((f"{table}.{name}", field) for name, field in model.model_fields.items())


_FIELDS = dict(_fields())
_TABLES = {key.partition(".")[0] for key in _FIELDS if "." in key}
_KNOWN = {*_FIELDS, "rule"}
_FOREIGN = {
    "aes-siv": {"topoh.mask_key"} | {key for key in _FIELDS if "param_" in key},
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
    return value if isinstance(value, str) or field.annotation in (bool, int) else text


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
    if any(key == late or key.startswith(f"{late}.") for late in _NOT_YET):
        raise ConfigError(f"{source}: {key}: not in this version")
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
        case bool() | int():
            return json.dumps(value)
        case tuple():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case IPv4Network() | IPv6Network() if value.num_addresses == 1:
            return json.dumps(str(value.network_address))
        case _:
            return json.dumps(str(value))


def _type(field: FieldInfo) -> str:
    for mark in field.metadata:
        if isinstance(mark, _Kind):
            return mark.name
    return _type_name(field.annotation)


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, _Kind):
        return annotation.name
    args = [arg for arg in get_args(annotation) if arg is not type(None)]
    for mark in args:
        if isinstance(mark, _Kind):
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
