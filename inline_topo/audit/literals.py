"""Hosts that stand in a text as it is: addresses and protected names.

No fields and no grammar are known here. An IPv4 or IPv6 literal counts wherever it stands (leading
zeros read as decimal and as octal; IPv6 long, short, mapped, in any case, with a zone or a port). What
else inet_aton(3) reads as an address (one number, hexadecimal) counts where a host may stand alone, or
every telephone number would be one. Names that spell an address count too (10-0-0-5.region.example).
"""

import re
from typing import Final, NamedTuple

from inline_topo.audit import readings
from inline_topo.audit.hosts import Host, Hosts
from inline_topo.audit.work import Work

IPV4: Final = "ipv4"
IPV6: Final = "ipv6"
NAME: Final = "name"

_REMEMBERED: Final = 8192
_LONGEST_REMEMBERED: Final = 64
_LONGEST_RUN: Final = 56  # an IPv6 address, a port, and a little
_LONGEST_NAME: Final = 253  # RFC 1035 section 2.3.4
_GROUPS: Final = 8

# Each begins with one character that re finds quickly; what stands before it is looked at then.
_DOTS: Final = re.compile(rb"\.(?=([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})(?![0-9]))")
_COLONS: Final = re.compile(rb":[0-9A-Fa-f]{0,4}:")
_RUN: Final = re.compile(rb"[0-9A-Fa-f:.]*")
_DASHES: Final = re.compile(rb"([-_])(?=([0-9]{1,3}\1[0-9]{1,3}\1[0-9]{1,3})(?![0-9_-]))")
_NUMBERS: Final = re.compile(
    rb"[@/=: ](?![0-9]{1,4}(?:\.[0-9]{1,4}){3}(?![0-9A-Za-z.]))(?![0-9]{1,7}(?![0-9.xX]))"
    rb"(?=((?:0[xX][0-9A-Fa-f]{1,10}|[0-9]{1,12})(?:\.(?:0[xX][0-9A-Fa-f]{1,10}|[0-9]{1,12})){0,3})"
    rb"(?![\w.@-]))"
)
_HOST_FOLLOWS: Final = re.compile(
    rb"(?:@|//|sips?:|SIP/2\.0/[A-Za-z-]+ |IP4 |[;?&](?:maddr|received|alias|host)=)\Z",
    re.IGNORECASE,
)
_FIRST: Final = re.compile(rb"[0-9]+\Z")
_VERSION: Final = re.compile(rb"(?:[\w)]/|[vV]|[0-9]\.)\Z")
_REVERSED: Final = b".in-addr.arpa"
_QUAD_BEFORE: Final = re.compile(rb"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\Z")
_WORD: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_HOSTNAME: Final = _WORD | {46}
_HEX: Final = frozenset(b"0123456789ABCDEFabcdef")


class Literal(NamedTuple):
    """A host at text[start:end] that outsiders are not meant to see.

    `kind` is IPV4, IPV6 or NAME. `named`: it lies in `inside` or `protected`; else it is an address
    of some third party. `part`: a protected name within a longer word. `address` is packed, empty
    for a name.
    """

    start: int
    end: int
    kind: str
    named: bool
    part: bool = False
    address: bytes = b""


class Literals:
    """Finds hosts by the definitions of own, inside and protected."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._names = hosts.protected_names
        self._first_groups = hosts.first_groups
        # by the bytes from five before the first dot on: where the number begins, and what it may be
        self._windows: dict[bytes, tuple[int, tuple[Host, ...]]] = {}
        self._loose_windows: dict[bytes, tuple[int, tuple[Host, ...]]] = {}
        self._runs: dict[bytes, tuple[Host, ...]] = {}

    def find(
        self, text: bytes, exempt: tuple[bytes, ...], work: Work, *, is_guess: bool = False
    ) -> list[Literal]:
        """The hosts in `text`, each kind in order. `exempt`: packed addresses that are known anyway.
        `is_guess`: what stands before a number may be there by chance.

        Five numbers with dots, a number behind a product's name and a slash, and one that runs into
        digits before it are no third party's address.
        """
        found: list[Literal] = []
        inner: set[int] = set()  # where IPv4 addresses end that are part of an IPv6 one
        position = 0
        while match := _COLONS.search(text, position):
            if not work.look():
                break
            position = self._colons(text, match.start(), found, inner, exempt, work)
        windows = self._loose_windows if is_guess else self._windows
        for match in _DOTS.finditer(text):
            if not work.look():
                break
            dot, end = match.start(), match.end(1)
            window = text[dot - 5 if dot > 5 else 0 : end]
            known = windows.get(window)
            if known is None:
                known = self._look(window, dot if dot < 5 else 5, is_guess)
                if len(windows) >= _REMEMBERED:
                    windows.clear()
                windows[window] = known
            if known[1] and end not in inner:
                self._dots(text, end - len(window) + known[0], end, known[1], found, exempt)
        for match in _NUMBERS.finditer(text):
            if not work.look():
                break
            self._number(text, match.start(1), match.end(1), found, exempt)
        for match in _DASHES.finditer(text):
            if not work.look():
                break
            self._dashes(text, match.start(), match.end(2), found, exempt)
        lower = text.lower()
        if self._names:
            self._protected(text, lower, found, work)
        if _REVERSED in lower:
            self._reversed(text, lower, found, exempt, work)
        return found

    # --- IPv4 ----------------------------------------------------------------------------------

    def _dots(
        self,
        text: bytes,
        start: int,
        end: int,
        hosts: tuple[Host, ...],
        found: list[Literal],
        exempt: tuple[bytes, ...],
    ) -> None:
        shown = [host for host in hosts if _shows(host, exempt)]
        if not shown:
            return
        named = [host for host in shown if host.named]
        if not named:
            goes_on = text[end : end + 1] == b"." and text[end + 1 : end + 2].isdigit()
            is_version = _VERSION.search(text, start - 2 if start > 2 else 0, start)
            if len(shown) < len(hosts) or is_version or goes_on:
                return
        address = named[0].address if named else shown[0].address
        found.append(Literal(start, end, IPV4, bool(named), False, address))

    def _look(self, window: bytes, dot: int, is_guess: bool) -> tuple[int, tuple[Host, ...]]:
        """Four numbers with dots, the first before `dot`: where in the window they begin, and what
        they may be. With more digits before it than a number has, and in a guess, what lies inside
        alone counts, whatever digits stand before it."""
        first = _FIRST.search(window, 0, dot)
        if first is None:
            return 0, ()
        start = first.start()
        if dot - start <= 4:
            hosts = self._known(readings.dotted(window[start:]))
            if hosts and (not is_guess or any(host.named for host in hosts)):
                return start, () if all(host.own for host in hosts) else hosts
        for begin in range(dot - 1, max(dot - 4, start, -1), -1):
            hosts = self._known(readings.dotted(window[begin:]))
            if any(host.named for host in hosts):
                return begin, hosts
        return 0, ()

    def _known(self, addresses: list[bytes]) -> tuple[Host, ...]:
        return tuple([self._hosts.find(address) for address in addresses])

    def _number(
        self, text: bytes, start: int, end: int, found: list[Literal], exempt: tuple[bytes, ...]
    ) -> None:
        """What inet_aton(3) takes, where a host may stand."""
        if _HOST_FOLLOWS.search(text, start - 24 if start > 24 else 0, start):
            address = readings.number(text[start:end])
            if address:
                host = self._hosts.find(address)
                if host.named and _shows(host, exempt):
                    found.append(Literal(start, end, IPV4, True, False, address))

    def _dashes(
        self, text: bytes, dash: int, end: int, found: list[Literal], exempt: tuple[bytes, ...]
    ) -> None:
        """Names that are made of addresses: ip-10-0-0-5.region.example."""
        first = _FIRST.search(text, dash - 4 if dash > 4 else 0, dash)
        if first is None or dash - first.start() > 3:
            return
        start = first.start()
        is_label = text[end : end + 1] == b"." and text[end + 1 : end + 2].isalpha()
        if not is_label and (start < 3 or text[start - 3 : start - 1].lower() != b"ip"):
            return
        mark = text[dash : dash + 1]
        for host in self._known(readings.dotted(text[start:end].replace(mark, b"."))):
            if host.named and _shows(host, exempt):
                found.append(Literal(start, end, IPV4, True, False, host.address))
                return

    def _reversed(
        self,
        text: bytes,
        lower: bytes,
        found: list[Literal],
        exempt: tuple[bytes, ...],
        work: Work,
    ) -> None:
        """5.0.0.10.in-addr.arpa (RFC 1035 section 3.5)."""
        at = lower.find(_REVERSED)
        while at >= 0 and work.look():
            quad = _QUAD_BEFORE.search(text, at - 15 if at > 15 else 0, at)
            if quad:
                backwards = b".".join((quad[4], quad[3], quad[2], quad[1]))
                for host in self._known(readings.dotted(backwards)):
                    if host.named and _shows(host, exempt):
                        end = at + len(_REVERSED)
                        found.append(Literal(quad.start(), end, NAME, True, False, host.address))
            at = lower.find(_REVERSED, at + 1)

    # --- IPv6 ----------------------------------------------------------------------------------

    def _colons(
        self,
        text: bytes,
        colon: int,
        found: list[Literal],
        inner: set[int],
        exempt: tuple[bytes, ...],
        work: Work,
    ) -> int:
        """The run of hex digits, colons and dots around a colon; where it ends."""
        start = colon
        while start and colon - start < 4 and text[start - 1] in _HEX:
            start -= 1
        match = _RUN.match(text, colon)
        end = match.end() if match else colon + 1
        if end - start <= _LONGEST_RUN and not text[end : end + 1].isalnum():
            before = text[start - 1 : start] if start else b""
            firsts: tuple[int, ...] = (start,)
            if before.isalnum() or before == b"_" or before == b".":
                firsts = (colon + 1,)  # a word, and a colon of its own: sip:fd00::1
            elif start == colon:
                firsts = (colon, colon + 1)
            for first in firsts:
                hosts = self._run(text[first:end])
                if hosts:
                    if self._whole(text, first, end, hosts, found, inner, exempt):
                        return end
                    break
        self._within(text, start, end, found, inner, exempt, work)
        return end

    def _run(self, text: bytes) -> tuple[Host, ...]:
        hosts = self._runs.get(text)
        if hosts is None:
            hosts = self._known(readings.run(text))
            if len(self._runs) >= _REMEMBERED:
                self._runs.clear()
            self._runs[text] = hosts
        return hosts

    def _whole(
        self,
        text: bytes,
        start: int,
        end: int,
        hosts: tuple[Host, ...],
        found: list[Literal],
        inner: set[int],
        exempt: tuple[bytes, ...],
    ) -> bool:
        """A run that is an address, or several readings of one; whether that settles it."""
        shown = text[start:end]
        if not shown.endswith(b"::"):
            end = start + len(shown.rstrip(b".:"))
        inner.add(end)
        if any(not _shows(host, exempt) for host in hosts):
            return True  # an own one, perhaps with a port
        named = [host for host in hosts if host.named]
        address = named[0].address if named else hosts[0].address
        found.append(Literal(start, end, IPV6, bool(named), False, address))
        return bool(named)

    def _within(
        self,
        text: bytes,
        start: int,
        end: int,
        found: list[Literal],
        inner: set[int],
        exempt: tuple[bytes, ...],
        work: Work,
    ) -> None:
        """Addresses inside that are part of a longer run: behind other groups, or before them."""
        groups = text[start:end].split(b":")
        position, settled = start, start
        for index, group in enumerate(groups):
            if position >= settled and self._may_begin(groups, index, group):
                begin = position + len(group) - min(len(group[group.rfind(b".") + 1 :]), 4)
                stop = self._address_at(
                    text, begin, groups[index + 1 : index + 1 + _GROUPS], exempt, work
                )
                if work.is_spent:
                    return
                if stop:
                    address = readings.colons(text[begin:stop])
                    found.append(Literal(begin, stop, IPV6, True, False, address))
                    inner.add(stop)
                    settled = stop
            position += len(group) + 1

    def _may_begin(self, groups: list[bytes], index: int, group: bytes) -> bool:
        """Whether an address inside may begin with this group."""
        if not group:
            return index + 1 < len(groups) and not groups[index + 1]
        if b"." in group:
            group = group[group.rindex(b".") + 1 :]
            if not group:
                return False
        value = int(group[-4:], 16)
        if value == 0 or value == 0x64:
            return True
        return self._first_groups is None or value in self._first_groups

    def _address_at(
        self,
        text: bytes,
        begin: int,
        following: list[bytes],
        exempt: tuple[bytes, ...],
        work: Work,
    ) -> int:
        """Where the longest address inside ends that begins here; 0 where none does."""
        stop = text.find(b":", begin)
        ends: list[int] = []
        for group in following:
            stop += 1 + (len(group) if len(group) <= 4 or b"." in group else 4)
            ends.append(stop)
            if len(group) > 4:
                break
        for stop in reversed(ends):
            if not work.look():
                return 0
            address = readings.colons(text[begin:stop])
            if address:
                host = self._hosts.find(address)
                if host.named and _shows(host, exempt):
                    return stop
        return 0

    # --- names ---------------------------------------------------------------------------------

    def _protected(self, text: bytes, lower: bytes, found: list[Literal], work: Work) -> None:
        for name in self._names:
            size, at, done = len(name), lower.find(name), 0
            while at >= 0 and work.look():
                end = at + size
                start = at
                while start > done and end - start < _LONGEST_NAME and text[start - 1] in _HOSTNAME:
                    start -= 1
                behind = text[end : end + 1]
                goes_on = behind and behind[0] in _WORD
                if not goes_on and behind == b"." and text[end + 1 : end + 2].isalnum():
                    goes_on = True
                is_host = start == at or text[at - 1 : at] == b"."
                if is_host and not goes_on:
                    if not self._hosts.is_own_name(text[start:end]):
                        found.append(Literal(start, end, NAME, True))
                else:
                    found.append(Literal(at, end, NAME, True, True))
                done = end
                at = lower.find(name, end)


def _shows(host: Host, exempt: tuple[bytes, ...]) -> bool:
    """Whether an address is neither own, nor known anyway, nor nobody's (0.0.0.0 and ::)."""
    if host.own or host.address in exempt:
        return False
    return host.named or any(host.address)
