"""From a configuration to the gateway that it describes."""

from collections.abc import Callable
from enum import Enum
from functools import partial

from inline_topo.audit import hosts as audit_hosts
from inline_topo.audit.judge import Judge
from inline_topo.audit.scan import Scanner
from inline_topo.audited import Audit, AuditedGateway, left_unread
from inline_topo.config import Config, values
from inline_topo.config import Rule as ConfiguredRule
from inline_topo.edges.relay import rtpengine
from inline_topo.errors import ConfigError, KeyRingError
from inline_topo.gateway import Action, Gateway, Strategy
from inline_topo.masking.callid import CallIds
from inline_topo.masking.carriers import Switches
from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.codecs.kamailio import Kamailio
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.codecs.records import Seal
from inline_topo.masking.drain import Draining
from inline_topo.masking.effects import Exchange, Performer, Performers
from inline_topo.masking.flow import Flows
from inline_topo.masking.hosts import Address, Hosts, Networks
from inline_topo.masking.legs import InsideLeg, OutsideLeg
from inline_topo.masking.marks import CallMarks
from inline_topo.masking.media import MediaAnswer, MediaDelete, MediaOffer
from inline_topo.masking.out import Outs
from inline_topo.masking.policy import Policy, Rule
from inline_topo.masking.relayed import Relayed
from inline_topo.masking.rest import FILL, SEAL
from inline_topo.masking.strangers import LEAVE, MARK, RESTORE, SWAP
from inline_topo.masking.topoh import Options, Topoh
from inline_topo.masking.topos.entering import Entering
from inline_topo.masking.topos.ids import Ids
from inline_topo.masking.topos.keys import Lives
from inline_topo.masking.topos.leaving import Leaving
from inline_topo.masking.topos.legs import Outside, StrippedOutside
from inline_topo.masking.topos.shelf import Shelf
from inline_topo.masking.topos.strategy import Stripped, Topos
from inline_topo.masking.topos.way_back import FOR_GOOD, going, keeping
from inline_topo.stores.base import Store
from inline_topo.stores.urls import open_store
from inline_topo.wire.ip import CUT, FRAGMENT, MAX_PACKET

_ON_CORRUPT = {"rewrite": Action.REPLACE, "drop": Action.DROP, "accept": Action.ACCEPT}


class Leg(Enum):
    """What a replay shows: each packet as the gateway would send it on, or one side's whole view.

    A view goes back to the bytes that it was made of, so nothing but SIP changes in it.
    """

    GATEWAY = "gateway"
    OUTSIDE = "outside"
    INSIDE = "inside"


def gateway(
    config: Config,
    leg: Leg = Leg.GATEWAY,
    *,
    ring: KeyRing | None = None,
    fast: bool = True,
    drain: bool = False,
    relayed: bool = False,
    refuses_unread: bool = False,
    dry_run: bool = False,
    fill: bool = False,
    is_veiled: bool = False,
) -> Gateway:
    """The gateway for a configuration. `ring` stands in for `topoh.mask_key_file`; with fast=False
    AES-SIV is pycryptodome's; `drain`: it opens, and masks no more; `relayed`: it asks the media
    relay that is configured; `refuses_unread`: what leaves and no audit can read is refused;
    `dry_run`: what it judges goes on as it came, so it marks nothing; `fill`: one registration period
    after the start, in which strangers are known without marks yet; `is_veiled`: addresses get pseudonyms
    behind it.
    KeyRingError where the key ring cannot be used."""
    known_hosts, rules, queue = hosts(config), policy(config), config.queue
    sealer = codec(config, ring, fast=fast)
    records = seal(config, ring, fast=fast) if config.topos.store is not None else None
    make: Callable[..., Gateway] = Gateway
    if (config.audit or refuses_unread) and not drain and leg is not Leg.INSIDE:
        audits = audit(config, sealer, relayed=relayed, fill=fill, refuses_unread=refuses_unread)
        make = partial(AuditedGateway, audits)
    return make(
        flows(config, known_hosts, rules, is_veiled=is_veiled),
        strategy(
            config,
            leg,
            sealer,
            known_hosts,
            rules,
            records,
            drain=drain,
            relayed=relayed,
            dry_run=dry_run,
            fill=fill,
        ),
        accept_refused=queue.on_error == "accept",
        on_flaw={FRAGMENT: Action(queue.on_fragment), CUT: Action(queue.on_cut)},
        on_corrupt=_ON_CORRUPT[queue.on_corrupt],
        mtu=config.mtu if leg is Leg.GATEWAY else MAX_PACKET,
        cut_errors=leg is Leg.GATEWAY,
    )


def audit(
    config: Config,
    codec: Codec,
    *,
    relayed: bool = False,
    fill: bool = False,
    refuses_unread: bool = False,
) -> Audit:
    """What is audited of the messages that leave. `refuses_unread`: what cannot be read is refused,
    enforced or not."""
    queue, enforce = config.queue, config.audit == "enforce"
    return Audit(
        scanner(config, codec, relayed=relayed, fill=fill),
        1.0 if enforce else float(config.audit),
        enforce,
        refuses_unread,
        passes_tcp=queue.on_tcp == "accept" and "on_tcp" in queue.model_fields_set,
        ports=frozenset(config.ports),
    )


def call_marks(config: Config, ring: KeyRing | None = None) -> CallMarks:
    """What logs call calls."""
    sealer = codec(config, ring)
    prefix = config.topoh.callid_prefix.encode()
    masks = config.topoh.mask_callid
    return CallMarks(sealer, CallIds(sealer, hosts(config), prefix) if masks else None)


def performers(config: Config) -> Performers:
    """Who performs the effects that the configuration's gateway asks for; the caller closes them.

    The live edge calls this in each worker (nothing is shared with a process that is forked from
    here), so whatever can be down is opened when it is first used, and tried again.
    """
    found: dict[type, Performer] = {}
    if config.topos.store is not None:
        found[Exchange] = store(config)
    if config.media.relay != "none":
        exchanges = rtpengine.Exchanges(relay(config))
        found |= {MediaOffer: exchanges, MediaAnswer: exchanges}
        found[MediaDelete] = rtpengine.Ends(relay(config))
    return found


def relay(config: Config) -> rtpengine.Relay:
    """The media relay of the configuration."""
    media = config.media
    return rtpengine.Relay(media.rtpengine.address, media.timeout, media.interfaces, media.flags)


def store(config: Config) -> Store:
    """The dialog store; nothing of it is opened yet. ConfigError where there is none, or its URL
    cannot be read."""
    topos = config.topos
    if topos.store is None:
        raise ConfigError("topos.store: needed: where the dialogs are kept")
    try:
        return open_store(topos.store, topos.store_timeout, topos.clean_interval)
    except ConfigError as error:
        raise ConfigError(f"topos.store: {error}") from None


def seal(config: Config, ring: KeyRing | None = None, *, fast: bool = True) -> Seal:
    """What seals the store's records, by the key of the codec. Raises as `codec` does."""
    if config.topoh.codec == "aes-siv":
        return Seal.of_ring(ring or _key_ring(config), fast=fast)
    return Seal.of_word(_mask_key(config), fast=fast)


def unread(config: Config) -> Callable[[bytes, str], str]:
    """What tells which packets stay in a replay's output unread (edges.replay.Unread)."""
    found = flows(config, hosts(config), policy(config))
    return partial(left_unread, found.find, frozenset(config.ports))


def hosts(config: Config, *more: Address | str) -> Hosts:
    """The sets of hosts; `more` are own too."""
    own = *config.own, *more
    return Hosts(config.inside, own, config.protected, own_is_inside=config.shape == "nat")


def shown_hosts(config: Config) -> Hosts:
    """The same; what Contacts are given in place of their own (`topos.contact_host`) is own too, in either
    mode, where there are ids."""
    if config.topos.store is None or not config.topos.contact_host:
        return hosts(config)
    shown = config.topos.contact_host
    shown = shown[1 : shown.index("]")] if shown[0] == "[" else shown.partition(":")[0]
    return hosts(config, values.host(shown))


def policy(config: Config) -> Policy:
    """The policy rules."""
    return Policy([_rule(rule) for rule in config.rule])


def flows(config: Config, hosts: Hosts, policy: Policy, *, is_veiled: bool = False) -> Flows:
    """Directions and mask addresses. `is_veiled`: addresses get pseudonyms afterwards."""
    mask_ip = config.topoh.mask_ip
    public = (config.public.packed,) if config.public else ()
    packed = b"" if isinstance(mask_ip, str) else mask_ip.packed
    return Flows(hosts, policy, packed, public, is_veiled=is_veiled)


def codec(config: Config, ring: KeyRing | None = None, *, fast: bool = True) -> Codec:
    """The codec, with its key read."""
    topoh = config.topoh
    if topoh.codec == "aes-siv":
        return AesSiv(ring or _key_ring(config), topoh.callid_prefix.encode(), fast=fast)
    return Kamailio(
        _mask_key(config),
        uparam_name=topoh.uparam_name.encode(),
        uparam_prefix=topoh.uparam_prefix.encode(),
        vparam_name=topoh.vparam_name.encode(),
        vparam_prefix=topoh.vparam_prefix.encode(),
        callid_prefix=topoh.callid_prefix.encode(),
        exact=is_topoh(config),
    )


def _key_ring(config: Config) -> KeyRing:
    if config.topoh.mask_key_file is None:
        raise ConfigError("topoh.mask_key_file: needed with the codec aes-siv")
    try:
        return KeyRing.load(config.topoh.mask_key_file)
    except KeyRingError as error:
        raise KeyRingError(f"topoh.mask_key_file: {error}") from None


def _mask_key(config: Config) -> bytes:
    if config.topoh.mask_key is None:
        raise ConfigError("topoh.mask_key: needed with the codec kamailio")
    return config.topoh.mask_key.get_secret_value().encode()


def strategy(
    config: Config,
    leg: Leg,
    codec: Codec,
    hosts: Hosts,
    policy: Policy,
    seal: Seal | None = None,
    *,
    drain: bool = False,
    relayed: bool = False,
    dry_run: bool = False,
    fill: bool = False,
) -> Strategy:
    """The strategy for a leg. `seal` makes and opens the records of the store, where there is one."""
    ids = _ids(config)
    has_records = seal is not None and (leg is not Leg.OUTSIDE or config.mode == "topos")
    known = ids.opening(codec) if has_records else codec
    made: Topoh | Topos
    made = by_tokens = tokens(
        config, leg, known, hosts, policy, drain=drain, dry_run=dry_run, fill=fill
    )
    if seal is not None and has_records:
        made = _topos(config, leg, by_tokens, Shelf(seal), ids)
    if relayed and config.media.relay != "none":
        return Relayed(made, by_tokens, falls_back=config.media.on_error == "accept")
    return made


def tokens(
    config: Config,
    leg: Leg,
    codec: Codec,
    hosts: Hosts,
    policy: Policy,
    *,
    drain: bool = False,
    dry_run: bool = False,
    fill: bool = False,
) -> Topoh:
    """What masks by tokens and opens them: all in mode topoh, in mode topos what is not taken out."""
    options = Options(
        mask_callid=config.topoh.mask_callid,
        mask_mode=config.topoh.mask_mode,
        nat=config.shape == "nat",
        callid_prefix=config.topoh.callid_prefix.encode(),
        hide=switches(config),
        sdp=config.hide.sdp,
        bodies=config.hide.bodies,
        strangers=_strangers(config, leg, marks=not drain and not dry_run),
        shown=shown_hosts(config),
        rest=_rest(config, leg, fills=fill or dry_run, drain=drain),
        as_topoh=is_topoh(config),
        # An id stands for Routes too, and nobody can tell a token of codec kamailio from that of a topoh
        # at the far end.
        opens_contacts=config.mode == "topoh" and config.topoh.codec == "aes-siv",
        guards=not dry_run and not fill,
        clear_params=frozenset([name.encode() for name in config.topoh.clear_params]),
        nowhere=config.hide.claims == "refuse",
        refuses=_refuses(config, leg, steady=not drain and not dry_run and not fill),
    )
    strips = config.mode == "topos"
    if drain:
        return Draining(codec, hosts, policy, options)
    if leg is Leg.OUTSIDE:
        public = (config.public.packed,) if config.public else ()
        outside = StrippedOutside if strips else OutsideLeg
        return outside(codec, hosts, policy, options, public)
    if leg is Leg.INSIDE:
        inside = [network for network in config.inside if network.num_addresses == 1]
        sole = [network.network_address.packed for network in inside if len(config.inside) == 1]
        return InsideLeg(codec, hosts, policy, options, translate=options.nat, sole=sole)
    return (Stripped if strips else Topoh)(codec, hosts, policy, options)


def is_topoh(config: Config) -> bool:
    """Whether everything is as topoh has it, its bytes and its holes."""
    return config.topoh.codec == "kamailio" and config.profile == "topoh"


def _strangers(config: Config, leg: Leg, *, marks: bool) -> str:
    """What becomes of strangers' words. topoh knows nothing of them, and the legs have none that the
    other side would not have seen."""
    if is_topoh(config) or leg is Leg.INSIDE:
        return LEAVE
    if leg is Leg.OUTSIDE or not marks:
        return RESTORE
    return MARK if config.hide.strangers else SWAP


def _refuses(config: Config, leg: Leg, *, steady: bool) -> bool:
    """Whether a message that enters must not name the inside where proxies route."""
    refuses = config.hide.claims == "refuse" and not is_topoh(config)
    return refuses and steady and leg is Leg.GATEWAY


def _rest(config: Config, leg: Leg, *, fills: bool, drain: bool) -> str:
    """What becomes of what still names the inside in a message that leaves."""
    if is_topoh(config) or leg is Leg.INSIDE or drain:
        return LEAVE
    return FILL if fills else SEAL


def _topos(config: Config, leg: Leg, tokens: Topoh, shelf: Shelf, ids: Ids) -> Topos:
    """What takes out and brings back; in mode topoh, and on the way out, it but brings back."""
    topos = config.topos
    lives = Lives(topos.branch_expire, topos.dialog_expire) if leg is not Leg.OUTSIDE else FOR_GOOD
    leaving = Leaving(
        tokens,
        shelf,
        ids,
        lives,
        strips=isinstance(tokens, Stripped),
        falls_back=topos.on_store_error == "mask",
        no_contact=frozenset(method.upper().encode() for method in topos.methods_nocontact),
    )
    entering = Entering(tokens, shelf, ids, lives)
    if isinstance(tokens, StrippedOutside):
        rules = Outside(tokens, shelf, ids, leaving)
        return Topos(tokens, keeping(rules.leave, shelf), keeping(rules.enter, shelf))
    if leg is Leg.INSIDE:
        return Topos(tokens, going(entering.undo, shelf), going(entering.steps, shelf))
    return Topos(tokens, leaving.steps, entering.steps)


def _ids(config: Config) -> Ids:
    """How Contacts are called in mode topos."""
    topos = config.topos
    parameter = topos.cparam_name.encode() if topos.contact_mode == 1 else b""
    return Ids(topos.contact_host.encode(), parameter)


def switches(config: Config) -> Switches:
    """Which header carriers are hidden."""
    hide = config.hide
    return Switches(
        references=hide.references,
        paths=hide.paths,
        spirals=hide.spirals,
        registers=hide.registers,
        identities=hide.identities,
        texts=hide.texts,
        swap=hide.swap,
        strip=hide.strip,
        user_agent=hide.user_agent,
        from_to=hide.from_to,
    )


def scanner(config: Config, codec: Codec, *, relayed: bool = True, fill: bool = False) -> Scanner:
    """What audits messages that leave; `relayed`: the media relay that is configured has seen them;
    `fill`: a clear Request-URI and Routes leave."""
    hide, call_ids = config.hide, config.topoh.mask_callid
    states = {
        "references": hide.references,
        "paths": hide.paths,
        "spirals": hide.spirals,
        "registers": hide.registers,
        "identities": hide.identities,
        "texts": hide.texts,
        "from_to": hide.from_to,
        "products": hide.user_agent != "keep",
        "call_ids": call_ids,
        "redirections": not config.topoh.mask_mode & 1,
        "sdp": hide.sdp,
        "bodies": hide.bodies,
        "relay": relayed and config.media.relay != "none",
        "nat": config.shape == "nat",
        "routed": not is_topoh(config),
        "fills": fill,
        "strict": config.profile == "strict",
    }
    judge = Judge([name for name, is_on in states.items() if is_on], (*hide.swap, *hide.strip))
    own = [*config.own]
    if config.topos.store is not None and config.topos.contact_host:  # in either mode there are ids
        shown = config.topos.contact_host
        shown = shown[1 : shown.index("]")] if shown[0] == "[" else shown.partition(":")[0]
        own.append(values.host(shown))
    known = audit_hosts.Hosts(config.inside, own, config.protected)
    escape = b"!" + config.topoh.callid_prefix.encode() if call_ids else b""
    return Scanner(known, judge, codec, Outs(codec, hosts(config)), escape)


def _rule(rule: ConfiguredRule) -> Rule:
    return Rule(
        mask=rule.action == "mask",
        source=Networks(rule.source),
        destination=Networks(rule.destination),
        method=frozenset(method.upper().encode() for method in rule.method),
        from_user=frozenset(user.encode() for user in rule.from_user),
        to_user=frozenset(user.encode() for user in rule.to_user),
        request_uri_user=frozenset(user.encode() for user in rule.request_uri_user),
        requests=rule.message != "response",
        responses=rule.message != "request",
    )
