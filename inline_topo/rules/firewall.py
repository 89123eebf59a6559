"""What the kernel has of our rules, and how it comes to have them: iptables-save and -restore.

Where a system has iptables twice (nftables and legacy) these are the ones that its alternatives
name. RulesError says what a program said.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from inline_topo.errors import RulesError
from inline_topo.rules.iptables import OWN
from inline_topo.rules.plan import Family

_SAVE = {Family.IPV4: "iptables-save", Family.IPV6: "ip6tables-save"}
_RESTORE = {Family.IPV4: "iptables-restore", Family.IPV6: "ip6tables-restore"}
_PATHS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_SECONDS = 30  # that a program may take; it waits for another one's lock at most ten

_COUNTED = re.compile(r"\[(\d+):\d+\] (-A (\S+) .*)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_TARGET = re.compile(r" -[jg] (\S+)(?: |$)")


class Rule(NamedTuple):
    """A rule as iptables-save writes it: table, chain, the line, and the packets it matched."""

    table: str
    chain: str
    line: str
    packets: int

    @property
    def target(self) -> str:
        """The chain or target it jumps to; empty if none."""
        found = _TARGET.search(_QUOTED.sub("", self.line))
        return found[1] if found else ""

    @property
    def is_ours(self) -> bool:
        """Whether it stands in one of our chains."""
        return _is_own(self.chain)

    @property
    def is_jump(self) -> bool:
        """Whether it leads from somebody else's chain to one of ours."""
        return not self.is_ours and _is_own(self.target)


class Saved(NamedTuple):
    """All rules of a family, in order, and our own chains by table."""

    rules: tuple[Rule, ...]
    own: Mapping[str, tuple[str, ...]]


def families() -> list[Family]:
    """IPv4, and IPv6 where the kernel has it."""
    has_ipv6 = Path("/proc/net/if_inet6").exists()
    return [Family.IPV4, Family.IPV6] if has_ipv6 else [Family.IPV4]


def read(family: Family) -> Saved:
    """What the kernel has now. RulesError if it cannot be read."""
    return parse(run([_SAVE[family], "--counters"]))


def parse(saved: str) -> Saved:
    """The output of `iptables-save --counters`."""
    rules: list[Rule] = []
    own: dict[str, tuple[str, ...]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and _is_own(chain := line[1:].split()[0]):
            own[table] = (*own.get(table, ()), chain)
        elif counted := _COUNTED.fullmatch(line):
            rules.append(Rule(table, counted[3], counted[2], int(counted[1])))
    return Saved(tuple(rules), own)


def transaction(saved: Saved, wanted: str) -> str:
    """What iptables-restore --noflush needs to bring `saved` to `wanted`, a text of ours; empty:
    to nothing of ours. Each table changes at once; nothing else is named."""
    blocks = dict(_tables(wanted))
    lines: list[str] = []
    for table in sorted({*blocks, *saved.own, *(r.table for r in saved.rules if r.is_jump)}):
        new = blocks.get(table, [])
        chains = [line.split()[0][1:] for line in new if line.startswith(":")]
        old = saved.own.get(table, ())
        lines.append(f"*{table}")
        lines += [f":{chain} - [0:0]" for chain in dict.fromkeys((*chains, *old))]
        jumps = (rule for rule in saved.rules if rule.table == table and rule.is_jump)
        lines += [f"-D{jump.line[2:]}" for jump in jumps]
        lines += [line for line in new if not line.startswith(":")]
        lines += [f"-X {chain}" for chain in old if chain not in chains]
        lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)


def change(wanted: Mapping[Family, str]) -> None:
    """Bring our rules of each family to a text of ours, or with an empty one to nothing. RulesError
    if iptables-restore refuses; all families are then as before, or the error says which is not."""
    before = {family: read(family) for family in wanted}
    for family, text in wanted.items():
        try:
            _restore(family, before[family], text)
        except RulesError as error:
            left = [f"; {each} stays changed: {why}" for each, why in _put_back(before)]
            raise RulesError("".join((str(error), *left))) from None


def text_of(saved: Saved) -> str:
    """Our rules among those of a family, as a text that brings them back."""
    lines: list[str] = []
    for table, chains in saved.own.items():
        rules = [rule for rule in saved.rules if rule.table == table]
        lines.append(f"*{table}")
        lines += [f":{chain} - [0:0]" for chain in chains]
        lines += [rule.line for rule in rules if rule.is_ours]
        # each is put before the last
        lines += [f"-I{rule.line[2:]}" for rule in reversed(rules) if rule.is_jump]
        lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)


def _restore(family: Family, saved: Saved, text: str) -> None:
    if changes := transaction(saved, text):
        run([_RESTORE[family], "--noflush", "--wait", "10"], changes)


def _put_back(before: Mapping[Family, Saved]) -> Iterator[tuple[Family, RulesError]]:
    """Undo what was changed; the families where that fails, and why."""
    for family, was in before.items():
        try:
            now, text = read(family), text_of(was)
            if text_of(now) != text:
                _restore(family, now, text)
        except RulesError as error:
            yield family, error


def run(command: list[str], given: str = "") -> str:
    """The standard output of a program. RulesError if there is no such program, or it fails."""
    try:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env={"PATH": _PATHS, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise RulesError(f"{command[0]} is not installed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RulesError(f"{command[0]}: {error}") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"ended with {done.returncode}"
        raise RulesError(f"{command[0]}: {said}")
    return done.stdout


def _tables(text: str) -> Iterator[tuple[str, list[str]]]:
    block: list[str] = []
    for line in text.splitlines():
        if line.startswith("*"):
            block = []
            yield line[1:], block
        elif line.startswith((":", "-")):
            block.append(line)


def _is_own(chain: str) -> bool:
    return chain == OWN or chain.startswith(f"{OWN}-")
