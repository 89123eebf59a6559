"""XML with pseudonyms: the elements and attributes that bodies of SIP are made of stay, no text does."""

import re
from html import unescape
from xml.sax.saxutils import escape

from inline_topo.anonymise.vocabulary import XML
from inline_topo.anonymise.words import Words

_NAME = rb"[^\s\"'<>/=&?!]+"
_PIECE = re.compile(
    rb"(?P<comment><!--(?:[^-]|-(?!->))*-->)"
    rb"|(?P<declaration><\?xml[^<>?]{0,200}\?>)"
    rb"|<(?P<close>/?)(?P<tag>%b)(?P<attributes>(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*?)(?P<empty>/?)>"
    rb"|(?P<text>[^<]+)" % _NAME
)
_ATTRIBUTE = re.compile(rb"(\s+)(%b)(\s*=\s*)(?:\"([^\"]*)\"|'([^']*)')" % _NAME)
_DECLARATION = re.compile(
    rb"<\?xml(?:\s+(?:version=[\"']1\.[01][\"']|encoding=[\"'](?:utf-8|us-ascii|iso-8859-1)[\"']"
    rb"|standalone=[\"'](?:yes|no)[\"']))*\s*\?>",
    re.IGNORECASE,
)
_NAMESPACE = re.compile(
    rb"urn:ietf:params:xml:ns:[a-z0-9:.-]{1,60}|http://www\.w3\.org/[A-Za-z0-9/.-]{1,60}"
)
_NUMERIC = frozenset(
    b"version cseq priority q expires retry-after duration-registered duration maximum-user-count "
    b"user-count".split()
)
_VERSION = re.compile(rb"[0-9]{1,10}")


class Documents:
    """Rewrites documents."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def rewrite(self, text: bytes) -> bytes | None:
        """The document without its comments; None where it is more than elements and text."""
        pieces: list[bytes] = []
        position = 0
        names: list[bytes] = []
        while position < len(text):
            piece = _PIECE.match(text, position)
            if not piece:
                return None
            position = piece.end()
            if piece["declaration"] is not None:
                pieces.append(piece[0] if _DECLARATION.fullmatch(piece[0]) else b"")
            elif piece["text"] is not None:
                pieces.append(self._value(piece["text"], names[-1] if names else b""))
            elif piece["tag"] is not None:
                name = piece["tag"].lower()
                if piece["close"]:
                    del names[-1:]
                elif not piece["empty"]:
                    names.append(name)
                inner = self._attributes(piece["attributes"])
                tag = self._name(piece["tag"])
                pieces.append(b"<%b%b%b%b>" % (piece["close"], tag, inner, piece["empty"]))
        return b"".join(pieces)

    def _attributes(self, text: bytes) -> bytes:
        pieces: list[bytes] = []
        for match in _ATTRIBUTE.finditer(text):
            blank, name, equals = match.group(1, 2, 3)
            value = match[4] if match[4] is not None else match[5]
            if not (name.startswith(b"xmlns") and _NAMESPACE.fullmatch(value)):
                value = self._value(value, name.lower())
            pieces.append(b'%b%b%b"%b"' % (blank, self._name(name), equals, value))
        return b"".join(pieces)

    def _name(self, name: bytes) -> bytes:
        return b":".join(
            part if part.lower() in XML or not part else self._words.names(part)
            for part in name.split(b":")
        )

    def _value(self, raw: bytes, name: bytes) -> bytes:
        """Text, or the value of an attribute; blanks around it stay."""
        clear = unescape(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        word = clear.strip()
        if not word or word.lower() in XML or (_VERSION.fullmatch(word) and name in _NUMERIC):
            return raw
        new = self._words.names(clear).decode("utf-8", "surrogateescape")
        return escape(new, {'"': "&quot;"}).encode("utf-8", "surrogateescape")
