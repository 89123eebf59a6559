"""The origin of a session description (RFC 8866 section 5.2), masked and opened.

    o=alice 2890844526 1 IN IP4 10.0.0.5      o=<token> 2890844526 1 IN IP4 <mask address>

A user name is any word, and browsers send long ones. The token stands for user name and address and
is the same in all versions of a session, across key rotation too: so a later offer has the origin
that RFC 3264 section 8 asks for, and what is masked opens again.
"""

import re
from typing import Final

from inline_topo.edits import splice
from inline_topo.masking.bodies.texts import Texts
from inline_topo.masking.cache import Cache
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_hidden
from inline_topo.masking.hosts import Hosts, address_text, pack_address
from inline_topo.sip import sdp

_Parts = tuple[bytes, bytes, bytes]  # user name, address type, address

_REMEMBERED: Final = 1 << 14
_LONGEST_REMEMBERED: Final = 256
_WORD: Final = re.compile(rb"[^\x00-\x20\x7f]+")
_TYPES: Final = {0: b"", 4: b"IP4", 16: b"IP6"}  # by the length of the packed address
_FIELD: Final = ""  # the caller names the edit


class Origins:
    """What takes the place of the value of an `o=` line; None where it stays."""

    def __init__(self, codec: Codec, hosts: Hosts, texts: Texts) -> None:
        self._codec = codec
        self._hosts = hosts
        self._texts = texts
        bounds = _REMEMBERED, _LONGEST_REMEMBERED
        self._sealed: Cache[tuple[_Parts, bytes, bytes], _Parts | None] = Cache(*bounds)
        self._opened: Cache[bytes, _Parts | None] = Cache(*bounds)

    def mask(self, value: bytes, flow: Flow) -> bytes | None:
        """The user name becomes a token and the address the mask address, if one of them names
        something hidden."""
        words = sdp.origin(value)
        if not words or not all(map(_WORD.fullmatch, words)):  # no token holds control bytes
            edits = self._texts.mask(value, (0, len(value)), flow, _FIELD, is_hidden)
            return splice(value, edits) if edits else None
        parts = words[0], words[4], words[5]
        key = parts, flow.mask_address, flow.outside
        try:
            sealed = self._sealed[key]
        except KeyError:
            sealed = self._seal(parts, flow)
            self._sealed.remember(key, sealed, sum(map(len, parts)))
        return _join(words, sealed) if sealed else None

    def _seal(self, parts: _Parts, flow: Flow) -> _Parts | None:
        username, kind, address = parts
        host = self._hosts.find(address)
        if not is_hidden(host, flow) and not self._hosts.mentions(username):
            return None
        words = [address, kind, username]
        if kind == _TYPES[len(pack_address(address))]:
            del words[1]
        mask = address_text(flow.mask_address).strip(b"[]")
        return self._codec.seal_text(b" ".join(words)), _TYPES[len(flow.mask_address)], mask

    def open(self, value: bytes) -> bytes | None:
        """What `mask` has hidden comes back."""
        words = sdp.origin(value)
        if words:
            username = words[0]
            try:
                opened = self._opened[username]
            except KeyError:
                opened = self._unseal(username)
                self._opened.remember(username, opened, len(username))
            if opened:
                return _join(words, opened)
        edits = self._texts.open(value, (0, len(value)), _FIELD)
        return splice(value, edits) if edits else None

    def _unseal(self, username: bytes) -> _Parts | None:
        for start, end, text in self._codec.open_texts(username, 0, len(username)):
            words = text.split(b" ")
            whole = end - start == len(username) and all(map(_WORD.fullmatch, words))
            if whole and len(words) == 3:
                return words[2], words[1], words[0]
            if whole and len(words) == 2:
                return words[1], _TYPES[len(pack_address(words[0]))], words[0]
        return None


def _join(words: list[bytes], parts: _Parts) -> bytes:
    """An `o=` value with other parts."""
    words[0], words[4], words[5] = parts
    return b" ".join(words)
