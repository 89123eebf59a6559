"""Codec aes-siv, the default: short tokens that only the holder of the key ring can make or open.

A token is base64url without padding of

    key id (1 byte) | synthetic IV (16 bytes) | ciphertext (as long as the packed content)

sealed by AES-SIV (RFC 5297) with the kind of the token as associated data, so that a token of one
kind does not open as another. A Via below the topmost has more of it: the transaction that it left in
(masking.vias), its place among the Vias and their number. So it opens in a response to that request,
with all of the others, and nowhere else. A token stands where clients preserve text best:

    URI     sip:<token>@<mask address>            (sips: stays sips:, `;lr` where that routes by it)
    Host    a parameter of a URI whose host is the mask address
    Via     SIP/2.0/UDP <mask address>;branch=z9hG4bK<token>
    Via[1]  its own protocol and parameters, sent-by <mask address>, branch z9hG4bK<token>
    Call-ID <callid_prefix><token>
    text    <token>                               (a word of a body)

The active key of the ring seals; the stable one seals what must not change within a dialog or a
registration; any key of the ring opens.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from inline_topo.masking.cache import Cache
from inline_topo.masking.codecs import compact, siv, stranger, via1
from inline_topo.masking.codecs.base import (
    METHOD,
    MOST_TEXTS,
    OpenedUri,
    Revealed,
    SealError,
)
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.sip import uri as uris
from inline_topo.sip import via as vias
from inline_topo.sip.message import Span

KIND_URI: Final = b"inline-topo uri 1"
KIND_HOST: Final = b"inline-topo host 1"
KIND_END: Final = b"inline-topo end 1"
KIND_VIA: Final = b"inline-topo via 2"
KIND_QUOTED_VIA: Final = b"inline-topo quoted via 1"
KIND_VIA1: Final = b"inline-topo via1 1"
KIND_CALLID: Final = b"inline-topo callid 1"
KIND_TEXT: Final = b"inline-topo text 1"
KIND_STRANGER: Final = b"inline-topo stranger 1"

_MIN_TOKEN: Final = 24  # characters: key id, IV and at least one byte of content
_MAX_OPENINGS: Final = 4  # per value: what an attacker can make us try
_TOKEN_CHARACTER: Final = re.compile(rb"[A-Za-z0-9_-]")
_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{%d,}" % _MIN_TOKEN)
_SHAPE: Final = bytes(120 if _TOKEN_CHARACTER.match(bytes((c,))) else 32 for c in range(256))
_A_TOKEN: Final = (
    b"x" * _MIN_TOKEN
)  # in what _SHAPE makes of a text: many times quicker than _TOKEN
_BRANCH_TOKEN: Final = re.compile(
    rb";[ \t]*branch[ \t]*=[ \t]*z9hG4bK([A-Za-z0-9_-]{%d,})" % _MIN_TOKEN, re.IGNORECASE
)
_URI_TOKEN: Final = re.compile(rb"sips?:[A-Za-z0-9_-]{%d,}@" % _MIN_TOKEN, re.IGNORECASE)
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_TO_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")
_REMEMBERED: Final = 1 << 15
_LONGEST_REMEMBERED: Final = 1024
_MAGIC: Final = b"z9hG4bK"
_ALONE: Final = KIND_VIA + b"\0\1"  # what `_bound` begins with for the one Via of most requests
_MOST_VIAS: Final = 255  # tokens below one topmost Via, and Via values in one token


class AesSiv:
    """The codec `aes-siv` (see codecs.base.Codec for what its methods take and give)."""

    wants_cookie = False

    def __init__(self, ring: KeyRing, callid_prefix: bytes = b"!!:", *, fast: bool = True) -> None:
        self._keys = {number: siv.make(key, fast=fast) for number, key in ring.keys.items()}
        self._active = ring.active
        self._stable = ring.stable
        self._callid_prefix = callid_prefix
        # Contacts and routes repeat, and a Via comes back in each response.
        bounds = _REMEMBERED, _LONGEST_REMEMBERED
        self._sealed_uris: Cache[tuple[bytes, bool, int], tuple[bytes, bytes]] = Cache(*bounds)
        self._sealed_hosts: Cache[tuple[bytes, bool], bytes] = Cache(*bounds)
        self._sealed_strangers: Cache[bytes, bytes] = Cache(*bounds)
        self._opened_uris: Cache[bytes, OpenedUri | None] = Cache(*bounds)
        self._opened_via1s: Cache[bytes, bytes | None] = Cache(*bounds)
        self._opened_vias: Cache[tuple[bytes, bytes], bytes | None] = Cache(*bounds)

    # --- tokens -------------------------------------------------------------------------------

    def _seal(self, kind: bytes, content: bytes, stable: bool = False) -> bytes:
        number = self._stable if stable else self._active
        sealed = bytes((number,)) + self._keys[number].seal(kind, content)
        return b2a_base64(sealed, newline=False).rstrip(b"=").translate(_TO_URLSAFE)

    def _open(self, kind: bytes, token: bytes) -> bytes | None:
        """The content of a token in its canonical spelling; None for anything else."""
        try:
            sealed = a2b_base64(token.translate(_TO_STANDARD) + b"=" * (-len(token) % 4))
        except Base64Error:
            return None
        # Several spellings decode to the same bytes (RFC 4648 section 3.5): only ours opens.
        if b2a_base64(sealed, newline=False).rstrip(b"=").translate(_TO_URLSAFE) != token:
            return None
        key = self._keys.get(sealed[0]) if len(sealed) > siv.TAG_SIZE else None
        return key.open(kind, sealed[1:]) if key else None

    def may_open(self, data: bytes, start: int, end: int) -> bool:
        return data[start:end].translate(_SHAPE).find(_A_TOKEN) >= 0  # `in` makes an error first

    # --- URIs ---------------------------------------------------------------------------------

    def seal_uri(
        self, uri: bytes, mask: bytes, *, stable: bool, bare: int, shown: bytes = b""
    ) -> bytes:
        known = self._sealed_uris.get((uri, stable, bare))
        if known is None:
            known = self._seal_uri(uri, stable, bare)
            self._sealed_uris.remember((uri, stable, bare), known, len(uri))
        token, method = known
        return b"".join((token, b"@", mask, shown, method))

    def _seal_uri(self, uri: bytes, stable: bool, bare: int) -> tuple[bytes, bytes]:
        if not uris.may_stand(uri) or compact.METHOD in uri:
            raise SealError("URI does not parse")
        method = METHOD.search(uri, uri.rfind(b"@") + 1)
        content = uri[: method.start()] + compact.METHOD + uri[method.end() :] if method else uri
        token = self._seal(KIND_URI, compact.pack_uri(content, bare), stable)
        scheme = b"sips:" if uri[:5].lower() == b"sips:" else b"sip:"
        return scheme + token, method[0] if method else b""

    def open_uri(self, uri: bytes) -> OpenedUri | None:
        try:
            return self._opened_uris[uri]
        except KeyError:
            opened = self._open_uri(uri)
            self._opened_uris.remember(uri, opened, len(uri))
            return opened

    def _open_uri(self, uri: bytes) -> OpenedUri | None:
        for match in list(_TOKEN.finditer(uri))[:_MAX_OPENINGS]:
            content = self._open(KIND_URI, match[0])
            unpacked = compact.unpack_uri(content) if content else None
            if unpacked:
                original, bare = unpacked
                method = METHOD.search(uri, uri.rfind(b"@") + 1)
                outside = method[0] if method else b""
                if compact.METHOD in original:
                    original = original.replace(compact.METHOD, outside)
                else:
                    original += outside
                return OpenedUri(original, bare) if uris.may_stand(original) else None
        return None

    def seal_host(self, host: bytes, *, bare: bool) -> bytes:
        token = self._sealed_hosts.get((host, bare))
        if token is None:
            if not uris.is_authority(host):
                raise SealError("host does not parse")
            token = self._seal(KIND_HOST, compact.pack_uri(b"sip:" + host, bare), stable=True)
            self._sealed_hosts.remember((host, bare), token, len(host))
        return token

    def open_host(self, token: bytes) -> OpenedUri | None:
        content = self._open(KIND_HOST, token)
        unpacked = compact.unpack_uri(content) if content else None
        if not unpacked or not uris.is_authority(unpacked[0][4:]):
            return None
        return OpenedUri(unpacked[0][4:], unpacked[1])

    def seal_end(self, uri: bytes, *, bare: bool) -> bytes:
        if not uris.may_stand(uri) or compact.METHOD in uri:
            raise SealError("URI does not parse")
        return self._seal(KIND_END, compact.pack_uri(uri, bare), stable=True)

    def open_end(self, token: bytes) -> OpenedUri | None:
        content = self._open(KIND_END, token)
        unpacked = compact.unpack_uri(content) if content else None
        return OpenedUri(*unpacked) if unpacked and uris.may_stand(unpacked[0]) else None

    # --- Vias ---------------------------------------------------------------------------------

    def seal_vias(
        self, data: bytes, spans: Sequence[Span], mask: bytes, cookie: bytes, context: bytes
    ) -> list[tuple[int, int, bytes]]:
        del cookie
        if len(spans) == 1:
            return [self._seal_group(data, [(0, spans[0])], mask, _ALONE + context)]
        groups = _groups(data, spans)
        count = len(groups)
        if count > _MOST_VIAS:
            raise SealError(f"more than {_MOST_VIAS} Via values")
        return [
            self._seal_group(data, group, mask, _bound(context, index, count))
            for index, group in enumerate(groups)
        ]

    def _seal_group(
        self, data: bytes, group: list[tuple[int, Span]], mask: bytes, bound: bytes
    ) -> tuple[int, int, bytes]:
        packed = []
        for separator, (start, end) in group:
            content = compact.pack_via(data[start:end], separator)
            if content is None:
                raise SealError("Via does not parse")
            packed.append(content)
        start, end = group[0][1][0], group[-1][1][1]
        if len(packed) == 1:
            content = b"\x01" + packed[0]
        elif len(packed) <= _MOST_VIAS:  # all but the last carry their length, in one or two bytes
            parts = [part for each in packed[:-1] for part in (_length(len(each)), each)]
            content = b"".join((bytes((len(packed),)), *parts, packed[-1]))
        else:
            raise SealError(f"more than {_MOST_VIAS} Via values")
        token = self._seal(bound, content)
        masked = b"SIP/2.0/UDP " + mask + b";branch=z9hG4bK" + token
        self._opened_vias.remember((masked, bound), data[start:end], len(masked) + len(bound))
        return start, end, masked

    def open_vias(self, vias: Sequence[bytes], context: bytes) -> list[bytes] | None:
        count = len(vias)
        if count == 1:
            alone = self._open_via(vias[0], _ALONE + context)
            return None if alone is None else [alone]
        if not count or count > _MOST_VIAS:
            return None
        opened: list[bytes] = []
        for index, value in enumerate(vias):
            content = self._open_via(value, _bound(context, index, count))
            if content is None:
                return None
            opened.append(content)
        return opened

    def _open_via(self, value: bytes, bound: bytes) -> bytes | None:
        key = value, bound
        try:
            return self._opened_vias[key]
        except KeyError:
            match = _BRANCH_TOKEN.search(value)
            content = self._open(bound, match[1]) if match else None
            opened = _unpack_vias(content) if content else None
            self._opened_vias.remember(key, opened, len(value) + len(bound))
            return opened

    def seal_quoted_via(self, value: bytes, mask: bytes) -> bytes:
        return self._seal_group(value, [(0, (0, len(value)))], mask, KIND_QUOTED_VIA)[2]

    def open_quoted_via(self, value: bytes) -> bytes | None:
        return self._open_via(value, KIND_QUOTED_VIA)

    def seal_via1(self, value: bytes, mask: bytes) -> bytes:
        return via1.seal(value, mask, self._branch_of_via1)

    def _branch_of_via1(self, hidden: bytes) -> bytes:
        content = compact.pack_via(hidden, 0)
        if content is None:
            raise SealError("Via does not parse")
        return b"z9hG4bK" + self._seal(KIND_VIA1, content, stable=True)

    def open_via1(self, value: bytes) -> bytes | None:
        try:
            return self._opened_via1s[value]
        except KeyError:
            opened = self._open_via1(value)
            self._opened_via1s.remember(value, opened, len(value))
            return opened

    def _open_via1(self, value: bytes) -> bytes | None:
        match = _BRANCH_TOKEN.search(value)
        content = self._open(KIND_VIA1, match[1]) if match else None
        unpacked = compact.unpack_via(content) if content else None
        return via1.restore(value, unpacked[1]) if unpacked else None

    # --- Call-IDs -----------------------------------------------------------------------------

    def seal_callid(self, callid: bytes) -> bytes:
        return self._callid_prefix + self._seal(KIND_CALLID, callid, stable=True)

    def open_callid(self, token: bytes) -> bytes | None:
        if not token.startswith(self._callid_prefix):
            return None
        return self._open(KIND_CALLID, token[len(self._callid_prefix) :])

    # --- texts --------------------------------------------------------------------------------

    def seal_text(self, text: bytes) -> bytes:
        return self._seal(KIND_TEXT, compact.pack_text(text), stable=True)

    def open_texts(self, data: bytes, start: int, end: int) -> list[tuple[int, int, bytes]]:
        found = []
        for match in islice(_TOKEN.finditer(data, start, end), MOST_TEXTS):
            content = self._open(KIND_TEXT, match[0])
            text = compact.unpack_text(content) if content else None
            if text:
                found.append((*match.span(), text))
        return found

    # --- strangers ----------------------------------------------------------------------------

    def seal_stranger(self, content: bytes) -> bytes:
        token = self._sealed_strangers.get(content)
        if token is None:
            token = self._seal(KIND_STRANGER, content, stable=True)
            self._sealed_strangers.remember(content, token, len(content))
        return token

    def open_stranger(self, token: bytes) -> bytes | None:
        return self._open(KIND_STRANGER, token)

    # --- what does not open -------------------------------------------------------------------

    def is_uri_token(self, uri: bytes) -> bool:
        return len(uri) > _MIN_TOKEN and _URI_TOKEN.match(uri) is not None

    def is_host_token(self, token: bytes) -> bool:
        return _TOKEN.fullmatch(token) is not None

    def is_via_token(self, value: bytes) -> bool:
        return _BRANCH_TOKEN.search(value) is not None

    def is_callid_token(self, token: bytes) -> bool:
        prefix = self._callid_prefix
        return token.startswith(prefix) and _TOKEN.fullmatch(token, len(prefix)) is not None

    # --- for people ---------------------------------------------------------------------------

    def reveal(self, text: bytes) -> list[Revealed]:
        found = []
        for match in _TOKEN.finditer(text):
            start = match.start() + (len(_MAGIC) if match[0].startswith(_MAGIC) else 0)
            token = text[start : match.end()]
            for kind, (label, unpack) in _KINDS.items():
                content = self._open(kind, token)
                clear = unpack(content) if content else None
                if clear:
                    key = a2b_base64(token[:4].translate(_TO_STANDARD))[0]
                    found.append(Revealed(start, match.end(), label, key, clear))
        return found

    def key_of(self, via: bytes) -> int | None:
        match = _BRANCH_TOKEN.search(via)
        return a2b_base64(match[1][:4].translate(_TO_STANDARD))[0] if match else None


def _bound(context: bytes, index: int, count: int) -> bytes:
    """The associated data of the Via token at `index` of `count`."""
    return b"".join((KIND_VIA, bytes((index, count)), context))


def _groups(data: bytes, spans: Sequence[Span]) -> list[list[tuple[int, Span]]]:
    """The Via values that become one token each, with the number of what parts them."""
    groups: list[list[tuple[int, Span]]] = []
    group: list[tuple[int, Span]] = []
    for span in spans:
        separator = 0
        if group:
            last = group[-1][1]
            folded = b"\n" in data[span[0] : span[1]] or b"\n" in data[last[0] : last[1]]
            between = data[last[1] : span[0]]
            if between in compact.SEPARATORS and not folded:
                separator = compact.SEPARATORS.index(between)
        if not separator:
            groups.append(group := [])
        group.append((separator, span))
    return groups


def _length(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    if number < 0x8000:
        return (0x8000 | number).to_bytes(2, "big")
    raise SealError("Via of more than 32,767 bytes")


def _unpack_vias(content: bytes) -> bytes | None:
    """The Via values of a token with what parts them; None where the content is not of our making."""
    count, rest = content[0], content[1:]
    pieces = []
    for index in range(count):
        part, rest = (rest, b"") if index == count - 1 else _take(rest)
        unpacked = compact.unpack_via(part)
        if not unpacked or not vias.is_via_parm(compact.unfold(unpacked[1])):
            return None
        separator, value = unpacked
        if bool(separator) != bool(index):
            return None
        pieces += [compact.SEPARATORS[separator], value]
    return b"".join(pieces) or None


def _take(data: bytes) -> tuple[bytes, bytes]:
    """What a length counts off at the front of `data`, and the rest."""
    if data[:1] < b"\x80":
        length, start = int.from_bytes(data[:1], "big"), 1
    else:
        length, start = int.from_bytes(data[:2], "big") & 0x7FFF, 2
    return data[start : start + length], data[start + length :]


def _clear_uri(content: bytes) -> bytes | None:
    unpacked = compact.unpack_uri(content)
    return unpacked[0].replace(compact.METHOD, b"") if unpacked else None


def _clear_via1(content: bytes) -> bytes | None:
    unpacked = compact.unpack_via(content)
    return unpacked[1] if unpacked else None


_KINDS: Final[dict[bytes, tuple[str, Callable[[bytes], bytes | None]]]] = {
    KIND_URI: ("uri", _clear_uri),
    KIND_HOST: ("host", _clear_uri),
    KIND_END: ("uri", _clear_uri),
    KIND_QUOTED_VIA: ("quoted_via", _unpack_vias),
    KIND_VIA1: ("via1", _clear_via1),
    KIND_CALLID: ("callid", bytes),
    KIND_TEXT: ("text", compact.unpack_text),
    KIND_STRANGER: ("stranger", stranger.clear),
}
