"""What a capture names: every address, host name and user, found by a reading of its own.

It knows the places where names stand, by patterns, and nothing of how they were replaced.
"""

import re
import socket
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from inline_topo.anonymise.pseudonyms import KEPT
from inline_topo.anonymise.vocabulary import WORDS, XML
from inline_topo.errors import InlineTopoError
from inline_topo.masking.hosts import pack_address

MOST = 1_000_000
"""Names of one sort that are kept in memory."""

_LITERAL4 = re.compile(rb"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.]*[0-9])")
_LITERAL6 = re.compile(
    rb"(?<![0-9A-Fa-f:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{0,40}:[0-9A-Fa-f.]{0,15}(?![0-9A-Za-z:])"
)
_USERS = (
    re.compile(rb"(?i:sips?|pres|im|xmpp|h323|mailto):([^\s@<>\":;?,]{1,128})[^\s@<>\"?,]{0,128}@"),
    re.compile(rb"(?i:tel):(\+?[0-9A-Za-z.()-]{1,64})"),
    re.compile(rb"(?i:username)[ \t]*=[ \t]*\"?([^\"\s,@]{1,128})"),
    re.compile(rb"(?:\A|\n)o=([^\s@]{1,128}) "),
    re.compile(
        rb"\n(?i:From|To|Contact|P-Asserted-Identity|P-Preferred-Identity|Remote-Party-ID|f|t|m)"
        rb"[ \t]*:[ \t]*([^<>\"\r\n@:;]{1,128})<"
    ),
)
_QUOTED = re.compile(rb'"([^"\\\r\n]*(?:\\.[^"\\\r\n]*)*)"([ \t]*<)?')
_LONGEST_DISPLAY_NAME = 128
_NAME = rb"([A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*)\.?"
_HOSTS = (
    re.compile(rb"@" + _NAME + rb"(?=[\s:;>?,\"&<]|\Z)"),
    re.compile(rb"(?i:sips?|https?|h323):(?://)?" + _NAME + rb"(?=[\s;>?,\"/&]|:[0-9]|\Z)"),
    re.compile(rb"SIP/2\.0/[A-Za-z]{2,10}[ \t]{1,9}" + _NAME, re.IGNORECASE),
    re.compile(rb"\nc=IN IP[46] " + _NAME),
    re.compile(rb"\no=\S+ \S+ \S+ IN IP[46] " + _NAME),
    re.compile(rb"(?i:realm|maddr|received)[ \t]*=[ \t]*\"?" + _NAME + rb"(?=[\s\";,>])"),
)
_NOBODY = frozenset(
    map(socket.inet_aton, ("0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.1.75"))
)
_WORDS = re.compile(rb"[A-Za-z0-9\x80-\xff]+")
_HAS_LETTER = re.compile(rb"[A-Za-z]")


class Originals:
    """The names, in lower case. `loud` ones are looked for in any text; quiet ones (short, short
    numbers, words of SIP itself) only where names stand, as they mean other things elsewhere."""

    def __init__(self) -> None:
        self.addresses: set[bytes] = set()
        self.macs: set[bytes] = set()
        self.hosts: set[bytes] = set()
        self.users: set[bytes] = set()

    def packet(self, packet: bytes) -> None:
        """Note the ends of an IP packet."""
        if len(packet) >= 20 and packet[0] >> 4 == 4:
            self.addresses |= {packet[12:16], packet[16:20]}
        elif len(packet) >= 40 and packet[0] >> 4 == 6:
            self.addresses |= {packet[8:24], packet[24:40]}
        self._check()

    def text(self, data: bytes) -> None:
        """Note what a message names."""
        self.addresses.update(literals(data))
        self.users.update(users(data))
        self.hosts.update(hosts(data))
        self._check()

    def knows(self, word: bytes) -> bool:
        """Whether a word that may stand anywhere is a loud name."""
        return (word in self.users or word in self.hosts) and is_loud(word)

    def _check(self) -> None:
        for names in (self.addresses, self.hosts, self.users):
            if len(names) > MOST:
                raise InlineTopoError(f"more than {MOST} names: cut the capture up")


def literals(data: bytes) -> Iterator[bytes]:
    """The packed addresses that stand in a text; those that mean nobody left out."""
    found = [match[0] for match in _LITERAL4.finditer(data)]
    if data.count(b":") > 1:
        found += (match[0] for match in _LITERAL6.finditer(data))
    for text in found:
        packed = pack_address(text) or pack_address(text.rpartition(b":")[0])
        if packed:
            yield packed


def users(data: bytes) -> Iterator[bytes]:
    """The users and display names of a text, in lower case, escapes undone: whole and each word."""
    found = [match[1] for pattern in _USERS for match in pattern.finditer(data)]
    for text in (*found, *_display_names(data)):
        whole = unquote_to_bytes(text).strip().lower()
        for name in {whole, *whole.split()}:
            if name not in KEPT and not _is_of_sip(name):
                yield name


def _display_names(data: bytes) -> Iterator[bytes]:
    """What stands in quotes before a `<`. Quotes are read from the start of a line: what stands between two
    quoted texts is in none."""
    for match in _QUOTED.finditer(data):
        name = match[1]
        if match[2] and 0 < len(name) <= _LONGEST_DISPLAY_NAME and b"@" not in name:
            yield name


def _is_of_sip(name: bytes) -> bool:
    """Whether a text is signs alone, or several words of SIP between signs."""
    words = _WORDS.findall(name)
    return not words or (words != [name] and all(word in WORDS for word in words))


def hosts(data: bytes) -> Iterator[bytes]:
    """The host names of a text, in lower case; no addresses."""
    for pattern in _HOSTS:
        for match in pattern.finditer(data):
            name = match[1].lower()
            if name not in KEPT and not pack_address(name) and _HAS_LETTER.search(name):
                yield name


def is_nobody(packed: bytes) -> bool:
    """Whether an address means nobody, this host, everybody or a well-known group."""
    if len(packed) == 4:
        return packed in _NOBODY or packed[:3] == b"\xe0\0\0"
    if packed[:1] == b"\xff":
        return not any(packed[2:14])
    return not any(packed[:15]) and packed[15] < 2


def is_loud(name: bytes) -> bool:
    """Whether a name can be told from what else stands in messages."""
    if len(name) < 3 or name in WORDS or name in XML:
        return False
    return not name.isdigit() or len(name) > 6
