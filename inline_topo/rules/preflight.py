"""What would go wrong, found before the first packet.

`findings` is called by `run` before it opens its queues and by `rules status`. A fatal finding is
one with which the gateway must not start; the others it says aloud.
"""

import re
from pathlib import Path
from typing import NamedTuple

from inline_topo.config import Config
from inline_topo.errors import RulesError
from inline_topo.rules import firewall, forwarding
from inline_topo.rules.firewall import Rule, Saved
from inline_topo.rules.forwarding import Forwarding
from inline_topo.rules.plan import Family, Plan, Shape, plan
from inline_topo.rules.status import listeners

_STATUS = Path("/proc/self/status")
_CAP_NET_ADMIN = 12  # capability.h

_APPLY = "inline-topo rules apply"
_NUMBERS = re.compile(r"--queue-(?:num|balance) (\d+)(?::(\d+))?")
_NFT_QUEUE = re.compile(r"\bqueue\b.*?\b(?:to|num) (\d+)(?:-(\d+))?")
_NFT_HELPER = re.compile(r'\btype "sip" protocol')
_DEFRAGMENTS = re.compile(
    r"-m (?:socket|conntrack|state|connmark|helper)\b|-j (?:TPROXY|CONNMARK|CT (?!--notrack))"
)
_NFT_DEFRAGMENTS = re.compile(
    r"\bct (?:state|status|mark|direction|original|reply|helper)\b|\btproxy\b"
)
_RESETS = "--reject-with tcp-reset"
_HELPER = re.compile(r"--helper sip(?:-\d+)?\b")
_PORTS = re.compile(r"--d?ports? ([\d,:]+)")
_MOVES_PORT = re.compile(r"--random|--to-ports|--to-source \S+:\d+")


class Finding(NamedTuple):
    """One line on what is wrong and what to do about it."""

    fatal: bool
    text: str


def findings(config: Config) -> list[Finding]:
    """All that is wrong for this configuration in this network namespace, the fatal first.

    Without CAP_NET_ADMIN that is the only one, for nothing else can be looked at. Rules that
    cannot be read are a finding.
    """
    if not has_capability():
        return [
            _fatal("no CAP_NET_ADMIN: run as root, or as a service with that ambient capability")
        ]
    try:
        found = rule_findings(config)
    except RulesError as error:
        found = [_warning(f"the firewall's rules cannot be read: {error}")]
    return sorted(_taken(plan(config)) + found, key=lambda finding: not finding.fatal)


def rule_findings(config: Config) -> list[Finding]:
    """What is wrong with the rules, and with the way of packets to them. RulesError if the rules
    cannot be read."""
    wanted = plan(config)
    native = _nft_ruleset()
    found = [
        finding
        for family in firewall.families()
        for finding in judge(wanted, family, firewall.read(family), _tables_of(family, native))
    ]
    return list(dict.fromkeys(found)) + _way(wanted)


def judge(plan: Plan, family: Family, saved: Saved, native: str = "") -> list[Finding]:
    """What is wrong with the rules of one family; `native`: its tables by `nft list ruleset`."""
    found = []
    if _helped(plan, saved, native):
        found.append(
            _fatal(
                f"{family}: the kernel's SIP helper (nf_conntrack_sip) would rewrite the same "
                "messages: take its rule away (CT --helper sip; nft: ct helper set)"
            )
        )
    if missing := sorted(set(plan.queues) - _queues(saved, native)):
        numbers = ", ".join(map(str, missing))
        found.append(_warning(f"{family}: no rule sends packets to queue {numbers}: {_APPLY}"))
    if plan.resets and not _resets(saved, native):
        found.append(
            _warning(
                f"{family}: no rule resets SIP over TCP, which loses its data and hangs: {_APPLY}"
            )
        )
    if not _defragments(saved, native):
        found.append(
            _warning(f"{family}: nothing puts fragments together, long messages are cut: {_APPLY}")
        )
    if family is Family.IPV4:
        found += _nat(plan, saved, native)
    return found


def judge_way(plan: Plan, machine: Forwarding) -> list[Finding]:
    """Why packets of this machine would not come to rules that are in place."""
    found = []
    for name in plan.interfaces:
        if name not in machine.interfaces:
            found.append(_warning(f"interfaces: this machine has no {name}"))
        elif bridge := machine.interfaces[name]:
            found.append(_warning(f"interfaces: {name} is a port of {bridge}, name that"))
    if machine.routes or plan.shape is Shape.HOST:
        return found  # what routes may have bridges beside the way of SIP
    meant = [machine.interfaces.get(name) or name for name in plan.interfaces]
    bridges = [name for name in machine.bridges() if name in (meant or [name])]
    if plan.shape is Shape.NAT or not bridges:
        missing = "net.ipv4.ip_forward, net.ipv6.conf.all.forwarding"
        text = f'shape "{plan.shape.value}": this machine sends nothing on ({missing})'
        return [*found, _warning(text)]
    return found + [
        _warning(
            f"{family}: what {', '.join(bridges)} sends on passes by, in clear: "
            f"sysctl {forwarding.sysctl_of(family)}=1 (module br_netfilter)"
        )
        for family in Family
        if family not in machine.judged
    ]


def has_capability(status: Path = _STATUS) -> bool:
    """Whether this process may answer for packets (CAP_NET_ADMIN in its effective set)."""
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)", status.read_text(), re.MULTILINE)
    return effective is not None and bool(int(effective[1], 16) >> _CAP_NET_ADMIN & 1)


def _fatal(text: str) -> Finding:
    return Finding(True, text)


def _warning(text: str) -> Finding:
    return Finding(False, text)


def _taken(plan: Plan) -> list[Finding]:
    listener = {queue.number: queue.listener for queue in listeners() or ()}
    return [
        _fatal(
            f"queue {number}: taken (netlink port {listener[number]}): another gateway, or another "
            "program with this number (queue.numbers)"
        )
        for number in plan.queues
        if number in listener
    ]


def _way(plan: Plan) -> list[Finding]:
    try:
        return judge_way(plan, forwarding.read())
    except RulesError:
        return []  # without iproute2 that is not known


def _nft_ruleset() -> str:
    """Native rules of nftables; empty where there is no nft."""
    try:
        return firewall.run(["nft", "--stateless", "list", "ruleset"])
    except RulesError:
        return ""


def _tables_of(family: Family, ruleset: str) -> str:
    names = "ip" if family is Family.IPV4 else "ip6"
    return "".join(
        re.findall(rf"^table (?:inet|{names}) .*?^}}", ruleset, re.MULTILINE | re.DOTALL)
    )


def _queues(saved: Saved, native: str) -> set[int]:
    numbers: set[int] = set()
    lines = [rule.line for rule in saved.rules if rule.target == "NFQUEUE"]
    found = [match for line in lines if (match := _NUMBERS.search(line))]
    found += _NFT_QUEUE.finditer(native)
    for match in found:
        first = int(match[1])
        numbers.update(range(first, int(match[2] or first) + 1))
    return numbers


def _resets(saved: Saved, native: str) -> bool:
    resets = any(rule.table == "filter" and _RESETS in rule.line for rule in saved.rules)
    return resets or "reject with tcp reset" in native


def _defragments(saved: Saved, native: str) -> bool:
    if any(rule.table == "nat" or _DEFRAGMENTS.search(rule.line) for rule in saved.rules):
        return True
    return _NFT_DEFRAGMENTS.search(native) is not None


def _helped(plan: Plan, saved: Saved, native: str) -> bool:
    if any(_HELPER.search(rule.line) and _concerns(rule, plan) for rule in saved.rules):
        return True
    return _NFT_HELPER.search(native) is not None and "ct helper set" in native


def _concerns(rule: Rule, plan: Plan) -> bool:
    ports = _PORTS.search(rule.line)
    if ports is None:
        return True
    spans = (span.split(":") for span in ports[1].split(","))
    return any(int(span[0]) <= port <= int(span[-1]) for span in spans for port in plan.ports)


def _nat(plan: Plan, saved: Saved, native: str) -> list[Finding]:
    rules = [r for r in saved.rules if r.table == "nat" and r.target in ("SNAT", "MASQUERADE")]
    translates = bool(rules) or re.search(r"\b(?:snat|masquerade)\b", native) is not None
    if plan.tracked and not translates:
        return [_warning('shape "nat": no rule translates (SNAT, MASQUERADE)')]
    if translates and not plan.tracked:
        shape = plan.shape.value
        return [
            _warning(f'shape "{shape}" keeps SIP from the NAT of this machine: is it shape "nat"?')
        ]
    return [
        _warning(f"the NAT changes source ports, and Contacts would name wrong ones: {rule.line}")
        for rule in rules
        if _MOVES_PORT.search(rule.line)
    ]
