"""The tables of the configuration file, and the types of their keys."""

from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    StrictBool,
)

from inline_topo.config import values


@dataclass(frozen=True)
class Kind:
    """How the type of a key is called, where Python's own name would not help a reader."""

    name: str


Address = Annotated[IPv4Address | IPv6Address, PlainValidator(values.address), Kind("address")]
Network = Annotated[
    IPv4Network | IPv6Network, PlainValidator(values.network), Kind("address or network")
]
Host = Annotated[
    IPv4Address | IPv6Address | str, PlainValidator(values.host), Kind("address or host name")
]
Place = Annotated[
    IPv4Network | IPv6Network | str,
    PlainValidator(values.place),
    Kind("address, network or host name"),
]
MaskIp = Annotated[
    IPv4Address | IPv6Address | str, PlainValidator(values.mask_ip), Kind("`auto` or address")
]
Port = Annotated[int, PlainValidator(values.port), Kind("port")]
QueueNumbers = Annotated[str, PlainValidator(values.queue_numbers), Kind("`N` or `FIRST:LAST`")]
QueueLength = Annotated[
    int, PlainValidator(partial(values.whole, least=1, most=65535)), Kind("number")
]
Mtu = Annotated[int, PlainValidator(partial(values.whole, least=576, most=65535)), Kind("bytes")]
MetricsPort = Annotated[
    int, PlainValidator(partial(values.whole, least=0, most=65535)), Kind("port or `0`")
]
Share = Annotated[float | str, PlainValidator(values.share), Kind("`0` to `1`, or `enforce`")]
StoreUrl = Annotated[values.StoreUrl | None, PlainValidator(values.store_url), Kind("URL")]
Timeout = Annotated[float, PlainValidator(values.seconds), Kind("seconds")]
Lifetime = Annotated[
    int, PlainValidator(partial(values.whole, least=1, most=10**9)), Kind("seconds")
]
Endpoint = Annotated[values.Endpoint, PlainValidator(values.endpoint), Kind("address and port")]
InterfaceName = Annotated[str, AfterValidator(values.token), Kind("name")]
ContactHost = Annotated[str, PlainValidator(values.contact_host), Kind("host, or host and port")]
Bit = Annotated[int, PlainValidator(values.bit), Kind("`0`, `1`")]
Interface = Annotated[str, AfterValidator(values.interface), Kind("interface")]
Method = Annotated[str, AfterValidator(values.method), Kind("method")]
User = Annotated[str, AfterValidator(values.user), Kind("user part")]
Token = Annotated[str, AfterValidator(values.token), Kind("token")]
Word = Annotated[str, AfterValidator(values.word), Kind("characters of a Call-ID")]
Branch = Annotated[str, AfterValidator(values.branch), Kind("token that begins with `z9hG4bK`")]
ClearParam = Annotated[str, AfterValidator(values.clear_param), Kind("URI parameter")]
File = Annotated[Path, PlainValidator(values.file_name), Kind("file name")]
HeaderName = Annotated[str, AfterValidator(values.header_name), Kind("header, `*` at its end")]
ProductText = Annotated[str, AfterValidator(values.product_text), Kind("`keep`, `strip` or text")]
Some = AfterValidator(values.some)


class Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Topoh(Table):
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
        default=False,
        description="mask Call-IDs that name something inside or protected",
        json_schema_extra={"default": "`false`; strict `true`"},
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
    mask_mode: Bit = Field(
        default=0, description="1: of the Contacts of a 3xx mask only what lies inside"
    )
    clear_params: tuple[ClearParam, ...] = Field(
        default=(),
        description="more URI parameters that stay readable beside a token, as `lr`, `ob`, `gr` and"
        " `method` do",
    )


NOT_FOR_PEERS = (
    "P-Charging-Vector",
    "P-Charging-Function-Addresses",
    "P-Access-Network-Info",
    "P-Visited-Network-ID",
    "P-Served-User",
    "P-Profile-Key",
    "P-User-Database",
    "P-Private-Network-Indication",
    "P-DCS-*",
    "Cellular-Network-Info",
    "Relayed-Charge",
    "Restoration-Info",
    "Geolocation",
    "Cisco-*",
    "Av-*",
    "P-Location",
    "Endpoint-View",
    "Ms-*",
    "X-*",
)
"""Headers of one's own network, which no peer needs: RFC 7315 section 6, RFC 5502, RFC 7316, RFC 3603,
3GPP TS 24.229; and what vendors add."""

PROFILES: dict[str, dict[str, dict[str, object]]] = {
    "default": {
        "hide": {
            "references": True,
            "paths": True,
            "spirals": True,
            "registers": True,
            "identities": True,
            "texts": True,
            "swap": NOT_FOR_PEERS,
            "strip": (),
            "user_agent": "keep",
            "from_to": False,
            "claims": "accept",
            "sdp": True,
            "bodies": True,
        },
    },
    "strict": {
        "hide": {
            "references": True,
            "paths": True,
            "spirals": True,
            "registers": True,
            "identities": True,
            "texts": True,
            "swap": (),
            "strip": NOT_FOR_PEERS,
            "user_agent": "strip",
            "from_to": True,
            "claims": "refuse",
            "sdp": True,
            "bodies": True,
        },
        "topoh": {"mask_callid": True},
        "queue": {"on_tcp": "reset"},
    },
    "topoh": {
        "hide": {
            "references": False,
            "paths": False,
            "spirals": False,
            "registers": False,
            "identities": False,
            "texts": False,
            "swap": (),
            "strip": (),
            "user_agent": "keep",
            "from_to": False,
            "claims": "accept",
            "sdp": False,
            "bodies": False,
        },
    },
}
"""What a key is where nobody says otherwise, by profile and table."""


def _by_profile(default: str, strict: str, topoh: str) -> Any:
    return {"default": f"`{default}`; strict `{strict}`; topoh `{topoh}`"}


_ON = _by_profile("true", "true", "false")


class Hide(Table):
    """[hide]: which carriers of addresses are hidden, beside Via, Record-Route and Contact."""

    references: StrictBool = Field(
        description="mask Refer-To, Referred-By, Reply-To, Alert-, Call- and Error-Info, "
        "History-Info, Diversion",
        json_schema_extra=_ON,
    )
    paths: StrictBool = Field(description="mask Path and Service-Route", json_schema_extra=_ON)
    spirals: StrictBool = Field(
        description="mask Route and Request-URI of a request that comes back to the inside",
        json_schema_extra=_ON,
    )
    registers: StrictBool = Field(
        description="mask REGISTER and PUBLISH, too; false: only what names the inside where something "
        "routes",
        json_schema_extra=_ON,
    )
    claims: Literal["accept", "refuse"] = Field(
        description="what enters and names the inside in clear where proxies route (Request-URI, Route, "
        "Refer-To, the Contacts of a 3xx, `maddr`); refuse: it does not enter",
        json_schema_extra=_by_profile('"accept"', '"refuse"', '"accept"'),
    )
    strangers: StrictBool = Field(
        default=True,
        description="mark what outsiders say that names the inside (`;out=`), and give it back to them; "
        "false: their own address takes the place of such a host, for good",
    )
    identities: StrictBool = Field(
        description="P-Asserted-Identity and its kin, Remote-Party-ID: the mask address for a hidden "
        "host, unless an Identity header signs the message",
        json_schema_extra=_ON,
    )
    texts: StrictBool = Field(
        description="Warning, Reason, Subject, the reason phrase, what stands beside a URI that is masked: "
        "the mask address for a hidden host",
        json_schema_extra=_ON,
    )
    swap: tuple[HeaderName, ...] = Field(
        description="more headers in which the mask address takes the place of a hidden host",
        json_schema_extra={"default": "headers of one's own network; strict, topoh `[]`"},
    )
    strip: tuple[HeaderName, ...] = Field(
        description="headers that are removed from what leaves",
        json_schema_extra={"default": "`[]`; strict: headers of one's own network; topoh `[]`"},
    )
    user_agent: ProductText = Field(
        description="User-Agent, Server and Organization: as they are, none, or this text",
        json_schema_extra=_by_profile('"keep"', '"strip"', '"keep"'),
    )
    from_to: StrictBool = Field(
        description="the hosts in From and To (the user stays readable)",
        json_schema_extra=_by_profile("false", "true", "false"),
    )
    sdp: StrictBool = Field(
        description="what SDP says of its origin: `o=`, `s=`, `i=`, `u=`, `e=`, cname",
        json_schema_extra=_ON,
    )
    bodies: StrictBool = Field(
        description="URIs, hosts and Call-IDs in SIP fragments and XML bodies",
        json_schema_extra=_ON,
    )


class Topos(Table):
    """[topos]: where mode topos keeps what it removes, and what stands in its place."""

    store: StoreUrl = Field(
        default=None,
        description="where it is kept: `sqlite:///FILE`, `redis://HOST:PORT/N`, `memory:`; in mode "
        "topoh what mode topos removed before comes back from there",
    )
    store_timeout: Timeout = Field(
        default=0.5, description="how long a message waits for the store"
    )
    on_store_error: Literal["drop", "mask"] = Field(
        default="drop",
        description="a message that leaves and the store fails: drop, whatever `queue.on_error` says; "
        "mask: by tokens, as mode topoh does",
    )
    dialog_expire: Lifetime = Field(
        default=10800,
        description="how long a dialog is kept after its last message from outside, or with a Contact",
    )
    branch_expire: Lifetime = Field(
        default=180, description="how long a transaction, and a call that is not answered, is kept"
    )
    clean_interval: Lifetime = Field(
        default=60, description="live: how often the store is rid of what has expired"
    )
    contact_host: ContactHost = Field(
        default="", description="the host in Contacts; empty: the mask address"
    )
    contact_mode: Bit = Field(
        default=0,
        description="where a Contact's key stands: 0: in place of the user, 1: in a URI parameter, "
        "and the user stays",
    )
    cparam_name: Token = Field(
        default="tps", description="contact_mode 1: the URI parameter of a Contact's key"
    )
    methods_nocontact: tuple[Method, ...] = Field(
        default=("BYE", "CANCEL", "PRACK"),
        description="methods whose messages leave without their Contact",
    )


class Media(Table):
    """[media]: who takes the media of calls over, so that SDP does not show where a party is."""

    relay: Literal["none", "rtpengine"] = Field(
        default="none",
        description="none: media goes between the parties, and SDP shows where they are",
    )
    rtpengine: Endpoint = Field(
        default=values.Endpoint("127.0.0.1:2223"),
        description="where rtpengine listens for its ng protocol over UDP (`listen-ng`)",
    )
    timeout: Timeout = Field(
        default=1.0, description="how long a message waits for the relay's answer"
    )
    on_error: Literal["drop", "accept"] = Field(
        default="drop",
        description="a message whose relay fails: drop, whatever `queue.on_error` says; accept: it goes "
        "on, masked, with the SDP that it has",
    )
    interfaces: Annotated[tuple[InterfaceName, ...], AfterValidator(values.none_or_two)] = Field(
        default=(),
        description="rtpengine's names for its interfaces to the inside and to the outside, if it has two",
    )
    flags: tuple[InterfaceName, ...] = Field(
        default=(), description="more flags of rtpengine for each offer and answer"
    )


class Rule(Table):
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

    @property
    def is_for_all_to_choose(self) -> bool:
        """Whether it leaves messages clear to whoever, by conditions that outsiders can meet."""
        asks = (
            self.method or self.from_user or self.to_user or self.request_uri_user or self.message
        )
        return self.action == "skip" and bool(asks) and not self.destination


def _as_on_error(given: dict[str, Any]) -> Literal["drop", "accept"]:
    policy: Literal["drop", "accept"] = given["on_error"]
    return policy


class Queue(Table):
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
    on_fragment: Literal["drop", "accept"] = Field(
        default_factory=_as_on_error,
        description="a fragment that leaves without the rest of its datagram, where it may be SIP",
        json_schema_extra={"default": "as `on_error`"},
    )
    on_cut: Literal["drop", "accept"] = Field(
        default_factory=_as_on_error,
        description="SIP that leaves with a length that does not fit its headers",
        json_schema_extra={"default": "as `on_error`"},
    )
    on_corrupt: Literal["rewrite", "drop", "accept"] = Field(
        default="rewrite",
        description="a message to rewrite whose UDP checksum is wrong; rewrite: it goes out as wrong "
        "as it came, and its receiver drops it; accept: as it is, in clear",
    )
    refused_folder: File | None = Field(
        default=None,
        description="live: where packets that were not let out are kept, 32 MiB a queue at most",
    )
    on_tcp: Literal["accept", "drop", "reset"] = Field(
        default="accept",
        description="live: SIP over TCP, which is not rewritten; accept lets it pass in clear; reset (by a "
        "rule of `rules`) answers with a TCP RST, so that a phone takes UDP at once; drop lets it wait",
        json_schema_extra={"default": '`"accept"`; strict `"reset"`'},
    )
    fail_open: StrictBool = Field(
        default=False,
        description="live: let packets pass in clear while nobody listens to the queue",
    )

    def range(self) -> range:
        """The numbers of the queues."""
        first, _, last = self.numbers.partition(":")
        return range(int(first), int(last or first) + 1)


class Metrics(Table):
    """[metrics]: what the live gateway says about itself."""

    listen_port: MetricsPort = Field(
        default=9469,
        description="live: the loopback port of `status` and of Prometheus; 0: none",
    )
