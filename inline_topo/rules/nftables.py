"""The rules as nft -f reads them, for systems without iptables; pure.

The same choices as `iptables`, but a table of its own, which is all that has to be taken away, and
conntrack's match for defragmentation: nft's `socket` does not turn it on.
"""

from collections.abc import Iterable, Iterator

from inline_topo.rules.plan import Plan, Shape

TABLE = "inline-topo"


def text(plan: Plan) -> str:
    """The whole file, for both families."""
    return "".join(f"{line}\n" for line in _lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    yield f"# inline_topo, shape {plan.shape.value}: made by `inline-topo rules show --nft`."
    yield "# UNTESTED as a whole: the kernel it was written on has no native `queue` statement."
    yield "# Everything but that statement was loaded and tried there."
    yield f"# Load it, also again: nft -f FILE. Away: nft delete table inet {TABLE}"
    if plan.bypass:
        yield "# WARNING: queue.fail_open lets SIP pass in clear while nobody listens."
    yield f"table inet {TABLE}"
    yield f"delete table inet {TABLE}"
    yield f"table inet {TABLE} {{"
    yield f"\tset ports {{ type inet_service; elements = {{ {_ports(plan)} }}; }}"
    if not plan.tracked:
        yield from _raw(plan)
    yield from _judge(plan)
    for name, hook, where in _hooks(plan):
        yield from _chain(name, hook, -150, (f"{some}jump judge" for some in where))
    if plan.resets:
        yield from _reset(plan)
    if plan.shape is not Shape.HOST:
        yield "\t# The router's own errors quote what it could not send on, after it was judged."
        yield from _chain("errors", "output", -150, ['oifname != "lo" jump quotes'])
    yield "}"


def _raw(plan: Plan) -> Iterator[str]:
    yield "\t# SIP leaves no conntrack entries (the match on `ct state` below makes whole datagrams)."
    entering = _untracked(plan) if plan.shape is Shape.ROUTER else _entering(plan)
    yield from _chain("untracked", "prerouting", -300, _notrack(entering))
    if plan.shape is Shape.HOST:
        yield from _chain("untracked-output", "output", -300, _notrack(_leaving(plan)))


def _notrack(where: Iterable[str]) -> Iterator[str]:
    for some in where:
        for side in ("sport", "dport"):
            yield f"{some}udp {side} @ports notrack"


def _untracked(plan: Plan) -> list[str]:
    if not plan.interfaces:
        return [""]
    networks = [f"{'ip' if net.version == 4 else 'ip6'} saddr {net} " for net in plan.inside]
    return [*(f'iifname "{name}" ' for name in plan.interfaces), *networks]


def _judge(plan: Plan) -> Iterator[str]:
    yield "\tchain judge {"
    ports = _ports(plan)
    if plan.tracked:
        yield "\t\t# Counts SIP whose port the NAT has changed: Contacts would be wrong."
        for port in plan.ports:
            yield (
                f"\t\tmeta l4proto udp ct direction original ct original proto-src {port} "
                f"ct reply proto-dst != {port} counter"
            )
    else:
        yield "\t\t# Counts SIP that is tracked after all; being there, it turns defragmentation on."
        yield "\t\tudp dport @ports ct state != untracked counter"
    yield "\t\t# SIP over UDP; over TCP, which cannot be rewritten packet by packet."
    yield "\t\tmeta l4proto { tcp, udp } th sport @ports goto queued"
    yield "\t\tmeta l4proto { tcp, udp } th dport @ports goto queued"
    yield "\t\t# Fragments, where defragmentation does not work."
    yield "\t\tip protocol udp ip frag-off & 0x1fff != 0 goto queued"
    yield "\t\tmeta l4proto udp exthdr frag exists goto queued"
    yield "\t\tmeta l4proto { icmp, ipv6-icmp } jump quotes"
    yield "\t}"
    yield "\t# ICMP errors that quote SIP: by the quoted ports, behind options, or a fragment."
    yield "\tchain quotes {"
    kinds = "destination-unreachable, source-quench, redirect, time-exceeded, parameter-problem"
    ipv4 = f"\t\ticmp type {{ {kinds} }} @th,136,8 17"
    kinds = "destination-unreachable, packet-too-big, time-exceeded, parameter-problem"
    ipv6 = f"\t\ticmpv6 type {{ {kinds} }} @th,112,8"
    yield f"{ipv4} @th,68,4 != 5 goto queued"
    yield f"{ipv4} @th,115,13 != 0 goto queued"
    for start, error in ((224, ipv4), (384, f"{ipv6} 17")):
        yield f"{error} @th,{start},16 {{ {ports} }} goto queued"
        yield f"{error} @th,{start + 16},16 {{ {ports} }} goto queued"
    yield f"{ipv6} 44 @th,384,8 17 goto queued"
    yield "\t}"
    first, last = plan.queues[0], plan.queues[-1]
    numbers = str(first) if first == last else f"{first}-{last}"
    yield "\tchain queued {"
    yield f"\t\tcounter queue num {numbers}{' bypass' if plan.bypass else ''}"
    yield "\t}"


def _reset(plan: Plan) -> Iterator[str]:
    yield "\t# SIP over TCP, whose data the gateway has taken away: whoever tries is told so, and takes UDP."
    yield "\tchain rejected {"
    for side in ("sport", "dport"):
        yield f"\t\ttcp flags & rst == 0 tcp {side} @ports counter reject with tcp reset"
    yield "\t}"
    for name, hook, where in _hooks(plan):
        yield from _chain(f"{name}-tcp", hook, 0, (f"{some}jump rejected" for some in where))


def _ports(plan: Plan) -> str:
    return ", ".join(map(str, plan.ports))


def _hooks(plan: Plan) -> Iterator[tuple[str, str, list[str]]]:
    if plan.shape is Shape.HOST:
        yield "entering", "input", _entering(plan)
        yield "leaving", "output", _leaving(plan)
    elif plan.interfaces:
        yield "passing", "forward", [*_entering(plan), *_leaving(plan)]
    else:
        yield "passing", "forward", [""]


def _entering(plan: Plan) -> list[str]:
    return [f'iifname "{name}" ' for name in plan.interfaces] or ['iifname != "lo" ']


def _leaving(plan: Plan) -> list[str]:
    return [f'oifname "{name}" ' for name in plan.interfaces] or ['oifname != "lo" ']


def _chain(name: str, hook: str, priority: int, rules: Iterable[str]) -> Iterator[str]:
    yield f"\tchain {name} {{"
    yield f"\t\ttype filter hook {hook} priority {priority}; policy accept;"
    yield from (f"\t\t{rule}" for rule in rules)
    yield "\t}"
