"""Session descriptions (RFC 8866) with pseudonyms: addresses of media too, so no audio would flow."""

import re

from inline_topo.anonymise.pseudonyms import Pseudonyms
from inline_topo.anonymise.vocabulary import ATTRIBUTES
from inline_topo.anonymise.words import Words
from inline_topo.sip import sdp

_LINE = re.compile(rb"(?m)^([A-Za-z])=([^\r\n]*)(\r?\n|\Z)")
_PLAIN_LETTERS = frozenset(
    (b"v", b"t", b"r", b"z", b"b", b"m", b"c")
)  # lines of words that are known, and numbers
# attributes of which the same is true; the values of all others are names, keys and free text
_PLAIN_ATTRIBUTES = frozenset(
    b"""rtpmap fmtp ptime maxptime minptime rtcp rtcp-fb candidate remote-candidates setup mid group bundle
    msid-semantic framerate framesize direction connection sctp-port max-message-size sctpmap
    accept-types content curr des conf silencesupp rtcp-xr source-filter orient quality lang
    t38faxversion t38maxbitrate t38faxratemanagement t38faxmaxbuffer t38faxmaxdatagram t38faxudpec
    t38udpredundancy t38udpfec t38faxfillbitremoval t38faxtranscodingmmr t38faxtranscodingjbig
    """.split()
)
_NUMBER = re.compile(rb"[0-9]{1,20}")
_KEY_WORD = re.compile(
    rb"[0-9]{1,9}|(?:AES_(?:192_|256_)?CM_(?:128_)?HMAC_SHA1_(?:80|32)|F8_128_HMAC_SHA1_80"
    rb"|AEAD_AES_(?:128|256)_GCM(?:_8)?)|sha-(?:1|224|256|384|512)|md5",
    re.IGNORECASE,
)
_SMALL = 1 << 16  # a version that counts, and is no time


class Descriptions:
    """Rewrites descriptions."""

    def __init__(self, pseudonyms: Pseudonyms, words: Words, *, times: bool) -> None:
        self._pseudonyms = pseudonyms
        self._words = words
        self._times = times

    def rewrite(self, text: bytes) -> bytes:
        """The description; lines that are none of SDP are left out."""
        return b"".join(
            b"%b=%b%b" % (match[1], self._value(match[1], match[2]), match[3])
            for match in _LINE.finditer(text)
        )

    def _value(self, letter: bytes, value: bytes) -> bytes:
        if letter == b"a":
            return self._attribute(value)
        if letter == sdp.ORIGIN:
            return self._origin(value)
        if letter == b"t" and not self._times:
            return b"0 0"
        if letter in _PLAIN_LETTERS:
            return self._words.rewrite(value, known=True, numbers=True)
        return self._words.names(value)

    def _attribute(self, value: bytes) -> bytes:
        name, colon, rest = value.partition(b":")
        lower = name.lower()
        kept = name if lower in ATTRIBUTES else self._words.names(name)
        if lower in _PLAIN_ATTRIBUTES:
            return kept + colon + self._words.rewrite(rest, known=True, numbers=True)
        if lower in (b"crypto", b"fingerprint"):
            return kept + colon + self._key(rest)
        if lower == b"ssrc":
            source, blank, rest = rest.partition(b" ")
            attribute, inner, name = rest.partition(b":")
            attribute = self._words.rewrite(attribute, known=True)
            source = self._words.names(source)
            return kept + colon + source + blank + attribute + inner + self._words.names(name)
        return kept + colon + self._words.names(rest)

    def _key(self, value: bytes) -> bytes:
        """`1 AES_CM_128_HMAC_SHA1_80 inline:KEY|...` (RFC 4568), `sha-256 12:AB:...` (RFC 8122): as
        long as it was, without a key."""
        *before, key = value.split(b" ")
        kept = [word if _KEY_WORD.fullmatch(word) else self._words.names(word) for word in before]
        prefix = b"inline:" if key.startswith(b"inline:") else b""
        key = key[len(prefix) :].partition(b"|")[0]
        blank = b"A" if prefix else b"0"
        return b" ".join([*kept, prefix + re.sub(rb"[^:=]", blank, key)])

    def _origin(self, value: bytes) -> bytes:
        parts = sdp.origin(value)
        if not parts:
            return self._words.names(value)
        user, session, version, *where = parts
        new = [user if user == b"-" else self._pseudonyms.user(user)]
        new += self._session(session, version)
        return b" ".join((*new, self._words.rewrite(b" ".join(where), known=True)))

    def _session(self, session: bytes, version: bytes) -> tuple[bytes, bytes]:
        """A version is a count, or counts on from the session's number."""
        if not (_NUMBER.fullmatch(session) and _NUMBER.fullmatch(version)):
            return self._words.names(session), self._words.names(version)
        new = self._pseudonyms.user(session)
        if int(version) < _SMALL:
            return new, version
        return new, b"%d" % max(int(new) + int(version) - int(session), 0)
