"""Whether the kernel's rules are those of the configuration."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from inline_topo.rules import firewall, iptables
from inline_topo.rules.firewall import Saved
from inline_topo.rules.plan import Family, Plan

QUEUES = Path("/proc/net/netfilter/nfnetlink_queue")
_MARK = re.compile(rf'"{iptables.OWN} ([0-9a-f]{{8}})"')


class FamilyStatus(NamedTuple):
    """What there is of one family. `differences`: why it is not what the configuration gives;
    `queued`: packets that went to the queue since the rules were applied; `renumbered`: packets
    of SIP whose port the NAT had changed."""

    family: Family
    present: bool
    differences: tuple[str, ...]
    queued: int
    renumbered: int

    @property
    def as_configured(self) -> bool:
        return not self.differences


class Queue(NamedTuple):
    """A queue that somebody listens to: who (a netlink port, in general the process id), packets
    waiting, and packets lost because the queue or the listener's socket was full."""

    number: int
    listener: int
    waiting: int
    queue_dropped: int
    user_dropped: int


def status(plan: Plan) -> list[FamilyStatus]:
    """All families that the kernel has. RulesError if the rules cannot be read."""
    return [
        compare(family, firewall.read(family), iptables.text(plan, family))
        for family in firewall.families()
    ]


def compare(family: Family, saved: Saved, wanted: str) -> FamilyStatus:
    """The kernel's rules beside the text that the configuration gives."""
    present = bool(saved.own) or any(rule.is_jump for rule in saved.rules)
    differences = tuple(_differences(saved, wanted)) if present else ("no rules",)
    ours = [rule for rule in saved.rules if rule.is_ours]
    return FamilyStatus(
        family,
        present,
        differences,
        queued=sum(rule.packets for rule in ours if rule.target == "NFQUEUE"),
        renumbered=sum(rule.packets for rule in ours if "--ctrepldstport" in rule.line),
    )


def listeners(path: Path = QUEUES) -> list[Queue] | None:
    """All queues that somebody listens to; None where the kernel does not say (root is told, and
    the group of the file), or has no NFQUEUE."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    fields = (list(map(int, line.split())) for line in lines)
    return [Queue(f[0], f[1], f[2], f[5], f[6]) for f in fields]


def _differences(saved: Saved, wanted: str) -> list[str]:
    has = {(table, chain): 0 for table, chains in saved.own.items() for chain in chains}
    for rule in saved.rules:
        if rule.is_ours:
            has[rule.table, rule.chain] += 1
    wants = iptables.chain_lengths(wanted)
    differences = [
        f"no chain {chain} in {table}" for table, chain in wants if (table, chain) not in has
    ]
    differences += [
        f"chain {chain} in {table} is too much"
        for table, chain in has
        if (table, chain) not in wants
    ]
    differences += [
        f"chain {chain} in {table} has {has[table, chain]} rules, not {count}"
        for (table, chain), count in wants.items()
        if has.get((table, chain), count) != count
    ]
    return differences + _jump_differences(saved, wanted)


def _jump_differences(saved: Saved, wanted: str) -> list[str]:
    differences = []
    wants = _jumps(wanted)
    has = [rule for rule in saved.rules if rule.is_jump]
    places = {(rule.table, rule.chain) for rule in has} | set(wants)
    for table, chain in sorted(places):
        count = sum((rule.table, rule.chain) == (table, chain) for rule in has)
        if count != (should := wants.count((table, chain))):
            differences.append(f"{table} {chain} has {count} jumps to our chains, not {should}")
        elif not _stand_first(saved, table, chain, count):
            differences.append(f"{table} {chain}: other rules stand before ours")
    marks = {mark[1] for rule in has if (mark := _MARK.search(rule.line))}
    if marks != set(_MARK.findall(wanted)):
        differences.append("they were made from another configuration")
    return differences


def _jumps(wanted: str) -> list[tuple[str, str]]:
    jumps = []
    table = ""
    for line in wanted.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-I "):
            jumps.append((table, line.split()[1]))
    return jumps


def _stand_first(saved: Saved, table: str, chain: str, count: int) -> bool:
    rules: Sequence[firewall.Rule] = [
        r for r in saved.rules if (r.table, r.chain) == (table, chain)
    ]
    return all(rule.is_jump for rule in rules[:count])
