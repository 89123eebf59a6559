"""What stands in a Contact's place in mode topos: `sip:btpsh-<id>@<contact host>`.

The letter says in what the Contact left, `b` in a request and `a` in a response, as in Kamailio's topos
where a call comes in by one side and goes out by the other; it decides nothing. The id is the MAC in
the key of the record that holds the Contact, in hexadecimal: clients lower the case of URIs.
"""

import re
from binascii import a2b_hex, b2a_hex
from typing import Final

from inline_topo.bounds import MOST_VALUES, TooMuch
from inline_topo.masking.codecs.base import METHOD, Codec, OpenedUri
from inline_topo.masking.codecs.records import MAC_SIZE, pack, unpack
from inline_topo.sip import uri as uris

CONTACT: Final = b"c"
"""The kind of a Contact's record."""

UNKNOWN_ID: Final = "unknown_id"
"""The note on a request that names a Contact which no record has."""

_OUT_AGAIN: Final = b"out-again.invalid"

_WORD: Final = b"tpsh-"
_ID: Final = re.compile(
    rb"[ab]tpsh-([0-9a-f]{%d})(?![0-9A-Za-z_-])" % (2 * MAC_SIZE), re.IGNORECASE
)


class Target:
    """Where a Contact's record leads: its URI, and the Routes to it, in the order of a request."""

    __slots__ = ("routes", "uri")

    def __init__(self, uri: bytes, routes: tuple[bytes, ...]) -> None:
        self.uri = uri
        self.routes = routes

    def pack(self) -> bytes:
        """The record's content."""
        return pack((self.uri, *self.routes))

    @staticmethod
    def unpack(content: bytes) -> "Target":
        """What `pack` gave."""
        parts = unpack(content)
        return Target(parts[0], tuple(parts[1:]))


class Ids:
    """Writes ids and finds them. `host` is empty where the mask address stands in its place;
    `parameter`: the id is the value of this URI parameter, and the user stays (contact_mode 1)."""

    def __init__(self, host: bytes = b"", parameter: bytes = b"") -> None:
        self._host = host
        self._parameter = parameter
        self.targets: dict[bytes, Target] = {}  # of the message that is being opened

    def write(
        self, letter: bytes, key: bytes, uri: bytes, mask: bytes, shown: bytes = b""
    ) -> bytes:
        """The URI that stands in `uri`'s place; `shown`: what others must read of its parameters. `ob` is for
        who is on the way to it (RFC 5626 section 5.3), and there is nobody but us."""
        if shown:
            shown = b"".join([b";" + text for text in shown.split(b";")[1:] if text != b"ob"])
        method = METHOD.search(uri, uri.rfind(b"@") + 1)
        shown += method[0] if method else b""
        scheme = b"sips:" if uri[:5].lower() == b"sips:" else b"sip:"
        word = letter + _WORD + b2a_hex(key[1:])
        host = self._host or mask
        if not self._parameter:
            return b"".join((scheme, word, b"@", host, shown))
        parts = uris.parse(uri)
        user = (parts.userinfo or b"").partition(b":")[0] if parts else b""
        at = b"@" if user else b""
        return b"".join((scheme, user, at, host, b";", self._parameter, b"=", word, shown))

    @staticmethod
    def aside(uri: bytes) -> bytes:
        """A URI with an id as the inside gets it, in a request that passes us again before it is with
        its party. A proxy that found its own address in the Request-URI would take it for one of its
        Record-Routes, put there by a strict router (RFC 3261 section 16.4)."""
        return _at(uri, _OUT_AGAIN)

    def back(self, uri: bytes, mask: bytes) -> bytes | None:
        """Such a URI as the outside has it; None for any other."""
        is_aside = _OUT_AGAIN in uri and key_in(uri)
        return _at(uri, self._host or mask) if is_aside else None

    def opening(self, codec: Codec) -> Codec:
        """`codec`, but that it opens the ids in `targets` too."""
        return _Opening(codec, self)


def _at(uri: bytes, host: bytes) -> bytes:
    parts = uris.parse(uri)
    if not parts:
        return uri
    user = parts.userinfo + b"@" if parts.userinfo is not None else b""
    return b"".join((parts.scheme, b":", user, host, parts.parameters))


def key_in(uri: bytes) -> bytes | None:
    """The key of the record that a URI names."""
    match = _ID.search(uri) if _WORD in uri else None
    return _key(match[1]) if match else None


def keys_in(text: bytes) -> list[bytes]:
    """The keys of the records that a text names."""
    if _WORD not in text:
        return []
    keys: dict[bytes, None] = {}
    position = text.find(_WORD)
    while position >= 0:
        match = _ID.match(text, max(position - 1, 0))
        if match:
            keys[_key(match[1])] = None
            if len(keys) > MOST_VALUES:
                raise TooMuch("ids")
        position = text.find(_WORD, position + 1)
    return list(keys)


def _key(text: bytes) -> bytes:
    return CONTACT + a2b_hex(text)


class _Opening:
    """A codec that first looks for ids."""

    def __init__(self, codec: Codec, ids: Ids) -> None:
        self.wants_cookie = codec.wants_cookie
        self.seal_uri = codec.seal_uri
        self.seal_host = codec.seal_host
        self.open_host = codec.open_host
        self.seal_end = codec.seal_end
        self.open_end = codec.open_end
        self.seal_vias = codec.seal_vias
        self.open_vias = codec.open_vias
        self.seal_quoted_via = codec.seal_quoted_via
        self.open_quoted_via = codec.open_quoted_via
        self.seal_via1 = codec.seal_via1
        self.open_via1 = codec.open_via1
        self.seal_callid = codec.seal_callid
        self.open_callid = codec.open_callid
        self.seal_text = codec.seal_text
        self.open_texts = codec.open_texts
        self.seal_stranger = codec.seal_stranger
        self.open_stranger = codec.open_stranger
        self.is_host_token = codec.is_host_token
        self.is_via_token = codec.is_via_token
        self.is_callid_token = codec.is_callid_token
        self.reveal = codec.reveal
        self.key_of = codec.key_of
        self._may_open = codec.may_open
        self._open_uri = codec.open_uri
        self._is_uri_token = codec.is_uri_token
        self._ids = ids

    def may_open(self, data: bytes, start: int, end: int) -> bool:
        return data.find(_WORD, start, end) >= 0 or self._may_open(data, start, end)

    def open_uri(self, uri: bytes) -> OpenedUri | None:
        if _WORD in uri:
            target = self._ids.targets.get(key_in(uri) or b"")
            if target:
                return OpenedUri(target.uri, 0)
        return self._open_uri(uri)

    def is_uri_token(self, uri: bytes) -> bool:
        return _WORD not in uri and self._is_uri_token(uri)  # UNKNOWN_ID tells of ids
