"""The rules as iptables-restore --noflush reads them; pure.

All that belongs to us lies in chains whose names begin with `inline-topo`; of the chains that are
there already only jumps to ours are added, as their first rules, so that no rule of somebody else
lets SIP pass before. What is judged goes on with the next table: later rules of mangle do not see
it, those of filter do.

raw (not in shape nat): `CT --notrack` keeps SIP out of conntrack. Datagrams must arrive whole all
the same: the match `socket` turns the kernel's defragmentation on by being loaded, in a chain that
no packet enters. (A conntrack match would do so too, and turn conntrack on for all other traffic.)

mangle: SIP over UDP and TCP, fragments (none while defragmentation works; what is not the first
one shows no port) and ICMP errors that quote SIP go to the queue. Several queues are chosen by
`--queue-balance`, a hash of the two addresses that is the same in both directions: messages
between two hosts keep their order (`statistic --mode nth` would spread one trunk over all queues,
and let an ACK overtake its INVITE).

filter (queue.on_tcp = "reset"): SIP over TCP, whose data the gateway has taken away, is rejected with a
RST. REJECT is not to be had in mangle.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from inline_topo.rules.plan import Family, Plan, Shape

OWN = "inline-topo"
"""What the names of our chains begin with, and the name of the one that selects."""
QUEUE = f"{OWN}-queue"
ERRORS = f"{OWN}-icmp"
DEFRAGMENT = f"{OWN}-defrag"
RESET = f"{OWN}-tcp"

PORTS = 10  # in one rule: u32 takes ten values, multiport fifteen


def text(plan: Plan, family: Family) -> str:
    """The whole file for one family, its comments included."""
    bare = "".join(_lines(plan, family, ""))
    return "".join(_lines(plan, family, digest(bare)))


def digest(bare: str) -> str:
    """The mark in the comment of our jumps, by which the kernel's rules are known again."""
    return hashlib.sha256(bare.encode()).hexdigest()[:8]


def chain_lengths(file: str) -> dict[tuple[str, str], int]:
    """How many rules each of our chains has, by table and chain."""
    lengths: dict[tuple[str, str], int] = {}
    table = ""
    for line in file.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            lengths[table, line[1:].split()[0]] = 0
        elif line.startswith("-A"):
            lengths[table, line.split()[1]] += 1
    return lengths


def _lines(plan: Plan, family: Family, mark: str) -> Iterator[str]:
    restore = "iptables-restore" if family is Family.IPV4 else "ip6tables-restore"
    yield f"# inline_topo, shape {plan.shape.value}, {family}: made by `inline-topo rules show`.\n"
    yield f"# Load it once: {restore} --noflush FILE. Again, and away: inline-topo rules apply, remove.\n"
    if not plan.tracked:
        yield "*raw\n"
        yield from _table(_raw(plan, family), _raw_jumps(plan), mark)
    yield "*mangle\n"
    yield from _table(_mangle(plan, family), _mangle_jumps(plan, family), mark)
    if plan.resets:
        yield "*filter\n"
        yield from _table(_filter(plan), _filter_jumps(plan), mark)


def _table(chains: dict[str, list[str]], jumps: Iterable[str], mark: str) -> Iterator[str]:
    yield from (f":{chain} - [0:0]\n" for chain in chains)
    for chain, rules in chains.items():
        for rule in rules:
            yield f"# {rule[2:]}\n" if rule.startswith("# ") else f"-A {chain} {rule}\n"
    for jump in jumps:
        selector, _, chain = jump.rpartition(" -j ")
        yield f'-I {selector} -m comment --comment "{OWN} {mark}" -j {chain}\n'
    yield "COMMIT\n"


def _raw(plan: Plan, family: Family) -> dict[str, list[str]]:
    rules = [
        f"{where}-p udp -m multiport --ports {ports} -j CT --notrack"
        for where in _untracked(plan, family)
        for ports in map(_commas, _chunks(plan.ports))
    ]
    return {
        OWN: ["# SIP leaves no conntrack entries.", *rules],
        DEFRAGMENT: ["# No packet comes here; the match turns defragmentation on.", "-m socket"],
    }


def _untracked(plan: Plan, family: Family) -> list[str]:
    """Which SIP is not tracked: in a router with `interfaces` what enters there and what comes from
    inside, for where a packet leaves is not known yet."""
    if plan.shape is Shape.HOST or not plan.interfaces:
        return [""]
    networks = [net for net in plan.inside if net.version == family.value]
    return [f"-i {name} " for name in plan.interfaces] + [f"-s {net} " for net in networks]


def _raw_jumps(plan: Plan) -> Iterator[str]:
    if plan.shape is Shape.ROUTER:
        yield f"PREROUTING -p udp -j {OWN}"
    else:
        yield from (f"PREROUTING {where}-p udp -j {OWN}" for where in _entering(plan))
        yield from (f"OUTPUT {where}-p udp -j {OWN}" for where in _leaving(plan))


def _mangle(plan: Plan, family: Family) -> dict[str, list[str]]:
    ports = [_commas(chunk) for chunk in _chunks(plan.ports)]
    select = ["# SIP over UDP; over TCP, which cannot be rewritten packet by packet."]
    for protocol in ("udp", "tcp"):
        select += [f"-p {protocol} -m multiport --ports {some} -j {QUEUE}" for some in ports]
    later = "-f" if family is Family.IPV4 else "-m frag"
    select += ["# Fragments, where defragmentation does not work.", f"-p udp {later} -j {QUEUE}"]
    icmp = "icmp" if family is Family.IPV4 else "ipv6-icmp"
    select += [f"-p {icmp} -j {ERRORS}"]
    if plan.shape is Shape.NAT:
        select[:0] = ["# Counts SIP whose port the NAT has changed: Contacts would be wrong."]
        select[1:1] = [
            f"-p udp -m conntrack --ctdir ORIGINAL --ctorigsrcport {port} ! --ctrepldstport {port}"
            for port in plan.ports
        ]
    quoting = _quoting_ipv4(ports) if family is Family.IPV4 else _quoting_ipv6(ports)
    errors = [f'-m u32 --u32 "{tests}" -j {QUEUE}' for tests in quoting]
    return {
        OWN: select,
        ERRORS: ["# ICMP errors that quote SIP: by the quoted ports, or a fragment.", *errors],
        QUEUE: _nfqueue(plan),
    }


def _nfqueue(plan: Plan) -> list[str]:
    first, last = plan.queues[0], plan.queues[-1]
    rule = "-j NFQUEUE " + (
        f"--queue-num {first}" if first == last else f"--queue-balance {first}:{last}"
    )
    if plan.bypass:
        return [
            "# WARNING: queue.fail_open lets SIP pass in clear while nobody listens.",
            f"{rule} --queue-bypass",
        ]
    return ["# While nobody listens SIP is dropped, so that nothing passes in clear.", rule]


def _filter(plan: Plan) -> dict[str, list[str]]:
    rules = [
        f"-p tcp ! --tcp-flags RST RST -m multiport --ports {_commas(ports)} "
        "-j REJECT --reject-with tcp-reset"
        for ports in _chunks(plan.ports)
    ]
    return {RESET: ["# SIP over TCP: whoever tries is told so, and takes UDP.", *rules]}


def _filter_jumps(plan: Plan) -> Iterator[str]:
    yield from (f"{chain} {where}-p tcp -j {RESET}" for chain, where in _ways(plan))


def _mangle_jumps(plan: Plan, family: Family) -> Iterator[str]:
    yield from (f"{chain} {where}-j {OWN}" for chain, where in _ways(plan))
    if plan.shape is Shape.HOST:
        return
    # the router's own errors quote what it could not send on, after it was judged; one about a
    # packet of this interface may leave by another
    icmp = "icmp" if family is Family.IPV4 else "ipv6-icmp"
    yield f"OUTPUT ! -o lo -p {icmp} -j {ERRORS}"


def _ways(plan: Plan) -> Iterator[tuple[str, str]]:
    """The chains that packets pass, and which of them: all that enters and leaves here."""
    if plan.shape is Shape.HOST:
        yield from (("INPUT", where) for where in _entering(plan))
        yield from (("OUTPUT", where) for where in _leaving(plan))
    elif plan.interfaces:
        yield from (("FORWARD", where) for where in (*_entering(plan), *_leaving(plan)))
    else:
        yield "FORWARD", ""


def _entering(plan: Plan) -> list[str]:
    return [f"-i {name} " for name in plan.interfaces] or ["! -i lo "]


def _leaving(plan: Plan) -> list[str]:
    return [f"-o {name} " for name in plan.interfaces] or ["! -o lo "]


def _quoting_ipv4(ports: Iterable[str]) -> Iterator[str]:
    """u32: after the outer header an error of ICMP, 8 bytes on the quoted packet (RFC 792)."""
    outer = "0>>22&0x3C@"
    error = f"{outer}0>>24=3:5,11:12&&{outer}14&0xFF=17"
    for some in ports:
        yield f"{error}&&{outer}8>>22&0x3C@8>>16={some}"
        yield f"{error}&&{outer}8>>22&0x3C@8&0xFFFF={some}"
    yield f"{error}&&{outer}12&0x1FFF=1:0x1FFF"


def _quoting_ipv6(ports: Iterable[str]) -> Iterator[str]:
    """The same for ICMPv6 (RFC 4443, 3), where a quoted fragment has a header of its own."""
    error = "3&0xFF=58&&40>>24=1:4"
    for some in ports:
        yield f"{error}&&51&0xFF=17&&88>>16={some}"
        yield f"{error}&&51&0xFF=17&&88&0xFFFF={some}"
    yield f"{error}&&51&0xFF=44&&88>>24=17"


def _chunks(ports: Sequence[int]) -> list[Sequence[int]]:
    return [ports[start : start + PORTS] for start in range(0, len(ports), PORTS)]


def _commas(ports: Iterable[int]) -> str:
    return ",".join(map(str, ports))
