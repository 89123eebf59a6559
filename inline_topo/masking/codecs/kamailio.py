"""Codec kamailio: the bytes of Kamailio's module topoh, for mixed fleets and for migration.

Base64 over an alphabet that the key shuffles: obfuscation, not encryption. One known Contact gives
most of the alphabet away, and nothing authenticates a token; what opens is only checked against the
grammar of its place. Nothing binds a Via to its transaction either: any that has been seen opens below
any topmost one, as long as nothing but tokens stands there.

    URI     sip:<mask_ip>;line=sr-<token>                    the whole URI less its headers part
    Via     SIP/2.0/UDP <mask_ip>;branch=z9hG4bKsr-<token>   the whole value, with the cookie
    Call-ID !!:<token>

Two things topoh has no word for: the topmost Via (shape nat) takes the Via form over sent-by and
branch, and a folded Via comes back unfolded. It cannot remember that a URI stood without `<>`.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from hashlib import md5
from itertools import islice
from typing import Final

from inline_topo.masking.cache import Cache
from inline_topo.masking.codecs import via1
from inline_topo.masking.codecs.base import (
    LOOSE,
    METHOD,
    MOST_TEXTS,
    OpenedUri,
    Revealed,
    SealError,
)
from inline_topo.masking.codecs.compact import unfold
from inline_topo.sip import uri as uris
from inline_topo.sip import via as vias
from inline_topo.sip.message import Span

ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_COOKIE: Final = re.compile(rb";TH=[du][ic]v(?=[;\s]|\Z)")
_RECEIVED: Final = re.compile(rb";[ \t]*received[ \t]*=[^;]*", re.IGNORECASE)
_CALLID: Final = re.compile(rb"[^\x00-\x20\x7f,;]+")
_REMEMBERED: Final = 1 << 15
_LONGEST_REMEMBERED: Final = 1024


def crc16_x25(data: bytes) -> int:
    """CRC-16/X-25: reflected polynomial 0x8408, initial value and final XOR 0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc ^ 0xFFFF


def shuffled_alphabet(key: bytes) -> bytes:
    """The alphabet of 64 characters that topoh makes of a key (not empty)."""
    digest = md5(key + key, usedforsecurity=False).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    offset = crc16_x25(key) + len(key)
    alphabet = bytearray(ALPHABET)
    for last in range(64, 1, -1):
        step = words[(offset + last) % 4] + key[(offset + last) % len(key)]
        chosen = (step & 0xFFFFFFFF) % last
        alphabet[chosen], alphabet[last - 1] = alphabet[last - 1], alphabet[chosen]
    return bytes(alphabet)


def _may_stand(text: bytes) -> bool:
    """As uris.may_stand, but that nobody's token brings a blank: what follows it would begin anew."""
    return uris.may_stand(text) and b" " not in text


class Kamailio:
    """The codec `kamailio` (see codecs.base.Codec); the parameters are topoh's. `exact`: so is every
    byte; else `;ob`, `;method=` and what the configuration lists stand behind a token, too, where topoh
    skips them."""

    wants_cookie = True

    def __init__(
        self,
        mask_key: bytes,
        *,
        uparam_name: bytes = b"line",
        uparam_prefix: bytes = b"sr-",
        vparam_name: bytes = b"branch",
        vparam_prefix: bytes = b"z9hG4bKsr-",
        callid_prefix: bytes = b"!!:",
        exact: bool = True,
    ) -> None:
        self._exact = exact
        alphabet = shuffled_alphabet(mask_key) + b"*"
        self._to_token = bytes.maketrans(_BASE64 + b"=", alphabet)
        self._from_token = bytes.maketrans(alphabet, _BASE64 + b"=")
        self._token = re.compile(rb"[%s]+[*]{0,2}" % re.escape(alphabet[:-1]))
        self._uri_parameter = b";" + uparam_name + b"=" + uparam_prefix
        self._via_parameter = b";" + vparam_name + b"=" + vparam_prefix
        self._find_uri_token = self._finder(uparam_name, uparam_prefix)
        self._find_via_token = self._finder(vparam_name, vparam_prefix)
        self._callid_prefix = callid_prefix
        self._text_prefix = uparam_prefix
        self._find_text_token = re.compile(
            rb"%s(%s)" % (re.escape(uparam_prefix), self._token.pattern)
        )
        self._opened: Cache[bytes, OpenedUri | None] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)

    @staticmethod
    def _finder(name: bytes, prefix: bytes) -> re.Pattern[bytes]:
        pattern = rb";[ \t]*(?i:%s)[ \t]*=[ \t]*%s([^\s;?>,]*)" % (
            re.escape(name),
            re.escape(prefix),
        )
        return re.compile(pattern)

    def _encode(self, content: bytes) -> bytes:
        return b2a_base64(content, newline=False).translate(self._to_token)

    def _decode(self, token: bytes) -> bytes | None:
        if len(token) % 4 or not self._token.fullmatch(token):
            return None
        try:
            content = a2b_base64(token.translate(self._from_token))
        except Base64Error:
            return None
        return content if self._encode(content) == token else None

    def may_open(self, data: bytes, start: int, end: int) -> bool:
        return bool(
            data.find(self._text_prefix, start, end) >= 0
            or self._find_uri_token.search(data, start, end)
            or self._find_via_token.search(data, start, end)
        )

    def seal_uri(
        self, uri: bytes, mask: bytes, *, stable: bool, bare: int, shown: bytes = b""
    ) -> bytes:
        del stable, bare
        if not _may_stand(uri):
            raise SealError("URI does not parse")
        token = b"sip:" + mask + self._uri_parameter + self._encode(uri)
        if self._exact:
            return token
        method = METHOD.search(uri, uri.rfind(b"@") + 1)
        # Topoh routes show no `lr` either: who runs both must find them equal.
        return b"".join((token, shown.removeprefix(LOOSE), method[0] if method else b""))

    def open_uri(self, uri: bytes) -> OpenedUri | None:
        try:
            return self._opened[uri]
        except KeyError:
            match = self._find_uri_token.search(uri)
            original = self._decode(match[1]) if match else None
            opened = OpenedUri(original, 0) if original and _may_stand(original) else None
            self._opened.remember(uri, opened, len(uri))
            return opened

    def seal_host(self, host: bytes, *, bare: bool) -> bytes:
        if not uris.is_authority(host):
            raise SealError("host does not parse")
        return self._encode(b"<" + host if bare else host)  # no format of topoh's

    def open_host(self, token: bytes) -> OpenedUri | None:
        content = self._decode(token)
        host = content.removeprefix(b"<") if content else b""
        return OpenedUri(host, host != content) if uris.is_authority(host) else None

    def seal_end(self, uri: bytes, *, bare: bool) -> bytes:
        if not _may_stand(uri):
            raise SealError("URI does not parse")
        return self._encode((b"!<" if bare else b"!") + uri)  # no host begins so

    def open_end(self, token: bytes) -> OpenedUri | None:
        content = self._decode(token)
        if not content or content[:1] != b"!":
            return None
        uri = content[1:].removeprefix(b"<")
        return OpenedUri(uri, len(uri) < len(content) - 1) if _may_stand(uri) else None

    def seal_vias(
        self, data: bytes, spans: Sequence[Span], mask: bytes, cookie: bytes, context: bytes
    ) -> list[tuple[int, int, bytes]]:
        del context  # topoh's bytes bind nothing
        edits = []
        prefix = b"SIP/2.0/UDP " + mask + self._via_parameter
        for start, end in spans:
            value = unfold(data[start:end])
            parts = vias.parse(value, 0, len(value))
            if not parts or not vias.is_via_parm(value):
                raise SealError("Via does not parse")
            if cookie:
                received = _RECEIVED.match(value, parts.sent_by_end)
                at = received.end() if received else parts.sent_by_end
                value = b"".join((value[:at], b";TH=", cookie, value[at:]))
                cookie = b""  # topoh marks the Via that was topmost when the request came in
            edits.append((start, end, prefix + self._encode(value)))
        return edits

    def open_vias(self, vias: Sequence[bytes], context: bytes) -> list[bytes] | None:
        del context
        opened: list[bytes] = []
        for value in vias:
            content = self.open_quoted_via(value)
            if content is None:
                return None
            opened.append(content)
        return opened or None

    def seal_quoted_via(self, value: bytes, mask: bytes) -> bytes:
        return self.seal_vias(value, [(0, len(value))], mask, b"", b"")[0][2]

    def open_quoted_via(self, value: bytes) -> bytes | None:
        match = self._find_via_token.search(value)
        original = self._decode(match[1]) if match else None
        if not original:
            return None
        original = _COOKIE.sub(b"", original, count=1)
        return original if vias.is_via_parm(original) else None

    def seal_via1(self, value: bytes, mask: bytes) -> bytes:
        sealed = via1.seal(value, mask, self._branch_of_via1)
        opened = self.open_via1(sealed)
        if opened is None or unfold(opened) != unfold(value):
            raise SealError("Via would not open again")  # branch=z9hG4bK1"
        return sealed

    def _branch_of_via1(self, hidden: bytes) -> bytes:
        return self._via_parameter.partition(b"=")[2] + self._encode(hidden)

    def open_via1(self, value: bytes) -> bytes | None:
        match = self._find_via_token.search(value)
        return via1.restore(value, self._decode(match[1])) if match else None

    def seal_callid(self, callid: bytes) -> bytes:
        return self._callid_prefix + self._encode(callid)

    def open_callid(self, token: bytes) -> bytes | None:
        if not token.startswith(self._callid_prefix):
            return None
        callid = self._decode(token[len(self._callid_prefix) :])
        return callid if callid and _CALLID.fullmatch(callid) else None

    def seal_text(self, text: bytes) -> bytes:
        return self._text_prefix + self._encode(text)

    def open_texts(self, data: bytes, start: int, end: int) -> list[tuple[int, int, bytes]]:
        found = []
        for match in islice(self._find_text_token.finditer(data, start, end), MOST_TEXTS):
            content = self._decode(match[1])
            if content:
                found.append((*match.span(), content))
        return found

    def seal_stranger(self, content: bytes) -> bytes:
        return self._encode(content)  # no format of topoh's

    def open_stranger(self, token: bytes) -> bytes | None:
        return self._decode(token)

    def is_uri_token(self, uri: bytes) -> bool:
        return self._find_uri_token.search(uri) is not None

    def is_host_token(self, token: bytes) -> bool:
        return len(token) % 4 == 0 and self._token.fullmatch(token) is not None

    def is_via_token(self, value: bytes) -> bool:
        return self._find_via_token.search(value) is not None

    def is_callid_token(self, token: bytes) -> bool:
        return token.startswith(self._callid_prefix)

    def reveal(self, text: bytes) -> list[Revealed]:
        """Tokens after their parameter's name or prefix; or the whole text, if that is one."""
        found = []
        callid = re.compile(re.escape(self._callid_prefix) + rb"([^\s;,>]*)")
        finders = {"uri": self._find_uri_token, "via": self._find_via_token, "callid": callid}
        for kind, finder in finders.items():
            for match in finder.finditer(text):
                content = self._clear(kind, match[1])
                if content:
                    found.append(Revealed(*match.span(1), kind, None, content))
        return sorted(found) or self._reveal_bare(text)

    def key_of(self, via: bytes) -> int | None:
        return None

    def _reveal_bare(self, text: bytes) -> list[Revealed]:
        prefixes = [name.partition(b"=")[2] for name in (self._uri_parameter, self._via_parameter)]
        for prefix in (*prefixes, b""):
            for kind in ("uri", "via"):
                content = self._clear(kind, text[len(prefix) :])
                if content and text.startswith(prefix):
                    return [Revealed(len(prefix), len(text), kind, None, content)]
        return []

    def _clear(self, kind: str, token: bytes) -> bytes | None:
        content = self._decode(token)
        if not content:
            return None
        if kind == "uri":
            return content if _may_stand(content) else None
        if kind == "via":
            content = _COOKIE.sub(b"", content, count=1)
            return content if vias.is_via_parm(content) else None
        return content if _CALLID.fullmatch(content) else None
