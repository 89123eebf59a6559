"""Any text of SIP, SDP or XML, word by word: what is not known to name nobody becomes a pseudonym.

The separators stay, and so do words of the vocabulary and numbers where no name can stand. All else is
replaced, whatever it is and wherever it stands, so nothing has to be understood to be safe.
"""

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

from inline_topo.anonymise.pseudonyms import Pseudonyms
from inline_topo.anonymise.vocabulary import NUMERIC, WORDS
from inline_topo.masking import hosts
from inline_topo.masking.hosts import pack_address

_SEPARATORS = rb"\s,;=<>\"@()/:?&\[\]{}\\|'"
_ITEM = re.compile(
    rb'(?P<quoted>"[^"\\]*(?:\\.[^"\\]*)*")'
    rb"|(?P<version>SIP\s{0,9}/\s{0,9}2\.0(?:\s{0,9}/\s{0,9}(?:UDP|TCP|TLS|SCTP|WSS?))?(?![^%(s)s]))"
    rb"|(?P<scheme>urn:service:sos(?:\.[a-z]{1,20})?(?![^%(s)s])"
    rb"|(?:sips?|tel|pres|im|mailto|https?|xmpp|h323|cid|urn:uuid|urn):(?=[^\s\"<>:]))"
    rb"|(?P<user>[^%(s)s]+)(?P<more>[:;][^\s@<>\"?&,]{0,256})?@"
    rb"|(?P<address>\[[0-9A-Fa-f:.]{2,45}\]"
    rb"|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*(?![^%(s)s]))"
    rb"(?P<port6>:[0-9]{1,5}(?![^%(s)s]))?"
    rb"|(?P<word>[^%(s)s]+)(?:(?P<equals>[ \t]{0,9}=)|(?P<port>:[0-9]{1,5}(?![^%(s)s])))?"
    % {b"s": _SEPARATORS},
    re.IGNORECASE | re.DOTALL,
)
_SIGNS = re.compile(rb"[!#$%*+.^_`~-]+")
_NUMBER = re.compile(rb"-?[0-9]{1,10}(?:[.-][0-9]{1,10}){0,2}")
_ESCAPED = re.compile(rb"%[0-9A-Fa-f]{2}")
_CLEAR = "!$'()*-._~"  # beside letters and digits: what a URI's headers hold unescaped
_SPACED = re.compile(rb"[^\s()/,;]+")
_PRODUCT = re.compile(rb"(?!.*[0-9]{7})[A-Za-z0-9_-]*(?:[0-9]+(?:\.[0-9]+){0,2}[A-Za-z0-9_-]*)?")
_BEFORE_NAMES = ("scheme", "user", "more")
_LISTED = frozenset((b"qop", b"algorithm", b"stale"))
_DEEPEST = 3  # quotes in escapes in quotes


class Words:
    """Rewrites text. `known`: words of the vocabulary stay wherever they stand, not only as and in
    parameters. `numbers`: so do numbers."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms

    def rewrite(self, text: bytes, *, known: bool = False, numbers: bool = False) -> bytes:
        """The text with pseudonyms."""
        return self._rewrite(text, known, numbers, False, 0)

    def names(self, text: bytes) -> bytes:
        """The same for text that holds nothing but names: no word stays, no number."""
        return self._rewrite(text, False, False, True, 0)

    def product(self, text: bytes) -> bytes:
        """The same for what a program is: words and versions stay, hosts and addresses do not."""
        return _SPACED.sub(self._product, text)

    def _product(self, match: re.Match[bytes]) -> bytes:
        word = match[0]
        return word if _PRODUCT.fullmatch(word) else self.names(word)

    def _rewrite(self, text: bytes, known: bool, numbers: bool, bare: bool, depth: int) -> bytes:
        pieces: list[bytes] = []
        position = 0
        parameter: bytes | None = None
        kind: str | None = None
        for item in _ITEM.finditer(text):
            gap = text[position : item.start()]
            pieces.append(gap)
            position = item.end()
            # behind a scheme and an @ stands a user or a host, whatever it looks like
            named = gap[-1:] == b"@" or (kind in _BEFORE_NAMES and not gap)
            kind = item.lastgroup
            if kind == "quoted":
                listed = parameter in _LISTED
                inner = item["quoted"][1:-1]
                digits = parameter in NUMERIC
                inner = self._rewrite(inner, listed, digits, not (listed or digits), depth + 1)
                pieces.append(b'"%b"' % inner)
            elif kind in ("version", "scheme"):
                end = b":" if kind == "scheme" else b""
                new = self._pseudonyms.word(item[0].removesuffix(b":")) + end
                pieces.append(new if named else item[0])
            elif item["user"] is not None:
                pieces.append(self._user(item["user"], item["more"] or b""))
            elif item["address"] is not None:
                pieces.append(self._address(item["address"], numbers) + (item["port6"] or b""))
            else:
                word, equals = item["word"], item["equals"]
                beside = bool(equals) or gap.rstrip()[-1:] == b";" or parameter is not None
                digits = numbers or parameter in NUMERIC
                free = not bare and not named
                pieces.append(self._word(word, free and (known or beside), free and digits, depth))
                pieces.append(equals or item["port"] or b"")
                if equals:
                    parameter = word.lower()
                    continue
            parameter = None
        pieces.append(text[position:])
        return b"".join(pieces)

    def _user(self, user: bytes, more: bytes) -> bytes:
        """What stands before an @: user parameters go, a password stays one."""
        new = self._pseudonyms.user(unquote_to_bytes(user))
        if more.startswith(b":"):
            new += b":" + self._pseudonyms.word(more)
        return new + b"@"

    def _address(self, text: bytes, numbers: bool) -> bytes:
        packed = pack_address(text)
        if packed:
            new = self.address(packed)
            return b"[%b]" % new if text[:1] == b"[" else new
        is_time = numbers and not text.translate(None, b"0123456789:")
        return text if is_time else self._pseudonyms.word(text)

    def address(self, packed: bytes) -> bytes:
        """The pseudonym of a packed address as text, without brackets."""
        return address_text(self._pseudonyms.address(packed))

    def _word(self, word: bytes, allowed: bool, numbers: bool, depth: int) -> bytes:
        packed = pack_address(word)
        if packed:
            return self.address(packed)
        if _SIGNS.fullmatch(word) or (numbers and _NUMBER.fullmatch(word)):
            return word
        if allowed and word.lower() in WORDS:
            return word
        if depth < _DEEPEST and _ESCAPED.search(word):
            clear = unquote_to_bytes(word)
            new = self._rewrite(clear, False, False, not allowed, depth + 1)
            return quote_from_bytes(new, _CLEAR).encode()
        return self._pseudonyms.word(word)


def address_text(packed: bytes) -> bytes:
    """An address as text, without brackets."""
    return hosts.address_text(packed).strip(b"[]")
