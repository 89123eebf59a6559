"""Pseudonyms: the same for the same name and key, of the same grammar, telling nothing of the name.

    192.168.178.27         198.18.0.0/15     (RFC 2544: benchmarks, routed nowhere)
    fd00::27               2001:db8::/32     (RFC 3849: documentation; fe80::/64 stays link-local)
    52:54:00:12:34:56      02:...            (locally administered)
    alice                  u4k2d7m1qz
    pbx.corp.example.com   h7c3n5x2ab.example
    +49 30 1234567         +999...           (a country code that nobody has)

All but IPv4 are keyed hashes, so nothing need be remembered. IPv4 addresses are handed out by hash and
by turn, as there are fewer to hand out than there may be.
"""

import re
from base64 import b32encode
from hashlib import blake2b

from inline_topo.errors import InlineTopoError
from inline_topo.masking.cache import Cache

MOST_IPV4 = 1 << 16
"""IPv4 addresses that have a pseudonym; half of those that there are to hand out."""

_IPV4_FIRST, _IPV4_COUNT = 0xC6120000, 1 << 17  # 198.18.0.0/15
_IPV4_KEPT = frozenset((b"\0\0\0\0", b"\x7f\0\0\1", b"\xff\xff\xff\xff", b"\xe0\0\1\x4b"))
_IPV6_START = bytes.fromhex("20010db8")
_LINK_LOCAL = bytes.fromhex("fe80000000000000")
_HOLDS_IPV4 = (bytes(10) + b"\xff\xff", bytes.fromhex("0064ff9b") + bytes(8))
_GROUPS = (b"\x01\x80\xc2", b"\x01\x00\x5e\x00\x00", b"\x33\x33\x00\x00\x00", b"\xff" * 6)
_REMEMBERED, _LONGEST = 1 << 16, 64
_PHONE = re.compile(rb"\+?[0-9]+(?:[.-][0-9]+)*")
_NAME = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.[A-Za-z][A-Za-z0-9-]+\.?")
_COOKIE = b"z9hG4bK"
KEPT = frozenset((b"anonymous", b"anonymous.invalid", b"restricted", b"unavailable"))
"""Names that mean nobody (RFC 3323, RFC 3325): they stay."""


class Pseudonyms:
    """Makes pseudonyms by a key of any length."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key).digest()
        self._words: Cache[bytes, bytes] = Cache(_REMEMBERED, _LONGEST)
        self._ipv4: dict[bytes, bytes] = {}
        self._taken: set[bytes] = set()

    # --- text ---------------------------------------------------------------------------------

    def word(self, text: bytes) -> bytes:
        """For a word of unknown meaning, by its form. The cookie of a branch stays (RFC 3261
        section 8.1.1.7)."""
        known = self._words.get(text)
        if known is None:
            known = self._word(text)
            self._words.remember(text, known, len(text))
        return known

    def _word(self, text: bytes) -> bytes:
        if text.startswith(_COOKIE):
            return _COOKIE + self._letters(b"u", text)
        if _NAME.fullmatch(text):
            return self.host(text)
        return self.user(text)

    def user(self, text: bytes) -> bytes:
        """For a user: digits for digits, else letters."""
        if text.lower() in KEPT:
            return text
        if _PHONE.fullmatch(text):
            number = int.from_bytes(self._hash(b"number", text), "big") % 10**12
            return b"+"[: text[:1] == b"+"] + b"999%012d" % number
        return self._letters(b"u", text)

    def host(self, name: bytes) -> bytes:
        """For a host name."""
        name = name.lower().rstrip(b".")
        return name if name in KEPT else self._letters(b"h", name) + b".example"

    def _letters(self, first: bytes, text: bytes) -> bytes:
        return first + b32encode(self._hash(first, text)[:10]).lower()[:12]

    def _hash(self, kind: bytes, text: bytes) -> bytes:
        return blake2b(text, key=self._key, person=kind, digest_size=16).digest()

    # --- addresses ----------------------------------------------------------------------------

    def address(self, packed: bytes) -> bytes:
        """For an address of 4 or 16 bytes. Those that mean nobody, this host or a well-known group
        stay. InlineTopoError beyond MOST_IPV4."""
        return self._of_ipv4(packed) if len(packed) == 4 else self._of_ipv6(packed)

    def _of_ipv4(self, packed: bytes) -> bytes:
        if packed in _IPV4_KEPT or packed[:3] == b"\xe0\0\0":
            return packed
        if packed[0] >> 4 == 14:
            return b"\xef" + self._hash(b"group", packed)[:3]  # 239.0.0.0/8, RFC 2365
        known = self._ipv4.get(packed)
        if known is None:
            if len(self._ipv4) >= MOST_IPV4:
                raise InlineTopoError(f"more than {MOST_IPV4} IPv4 addresses: cut the capture up")
            known = self._ipv4[packed] = self._hand_out(packed)
            self._taken.add(known)
        return known

    def _hand_out(self, packed: bytes) -> bytes:
        place = int.from_bytes(self._hash(b"ipv4", packed)[:8], "big")
        while True:
            place = (place + 1) % _IPV4_COUNT
            found = (_IPV4_FIRST + place).to_bytes(4, "big")
            if found not in self._taken and found not in self._ipv4 and found != packed:
                return found

    def _of_ipv6(self, packed: bytes) -> bytes:
        if not any(packed[:15]) and packed[15] < 2:
            return packed
        if packed[:12] in _HOLDS_IPV4:
            return packed[:12] + self._of_ipv4(packed[12:])
        digest = self._hash(b"ipv6", packed)
        if packed[0] == 0xFF:
            return packed if not any(packed[2:14]) else packed[:2] + _IPV6_START + digest[:10]
        if packed[:2] == b"\xfe\x80":
            return _LINK_LOCAL + b"\x02" + digest[:7]
        return _IPV6_START + digest[:12]

    def mac(self, packed: bytes) -> bytes:
        """For a MAC address; broadcast, well-known groups and all zeros stay."""
        if not any(packed) or packed.startswith(_GROUPS):
            return packed
        return (b"\x03" if packed[0] & 1 else b"\x02") + self._hash(b"mac", packed)[:5]

    def is_own(self, packed: bytes) -> bool:
        """Whether an address is kept as it is."""
        return self.address(packed) == packed
