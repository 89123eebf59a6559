"""The URI parameter `out`: what the URI of a stranger says that names the inside, sealed.

    sip:alice@192.168.178.30:5062;ob;alias=192.168.178.30~5062~1
    sip:alice@203.0.113.7:1024;out=TOKEN;ob           at `place`, where the inside will answer to it
    sip:alice@192.168.178.30:5062;out=TOKEN;ob        elsewhere

A phone outside may have an address of the range that the inside has. The token holds host and port,
and what it took out of the URI: the user, and each parameter, an `out` too, where it names the inside.
It depends on the URI alone, so a registrar finds the same Contact at each refresh, from whatever
address it comes. The headers part of a URI is no part of it.
"""

from typing import Final

from inline_topo.bounds import LONGEST_URI, TooMuch
from inline_topo.masking.cache import Cache
from inline_topo.masking.codecs import stranger
from inline_topo.masking.codecs.base import Codec, OpenedUri
from inline_topo.masking.codecs.stranger import Mark
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_named
from inline_topo.masking.hosts import Hosts
from inline_topo.sip import uri as uris

PARAMETER: Final = b"out="
"""A parameter of this name, in this case: what changes its case has changed the token, too."""

IN_URI: Final = b";" + PARAMETER
_MOST_TOKENS: Final = 4
_REMEMBERED: Final = 1 << 14
_LONGEST_REMEMBERED: Final = 512


class Outs:
    """Marks URIs and restores them. A URI here has no headers part."""

    def __init__(self, codec: Codec, hosts: Hosts) -> None:
        self._codec = codec
        self._hosts = hosts
        self._found: Cache[bytes, tuple[int, Mark] | None] = Cache(_REMEMBERED, _LONGEST_REMEMBERED)

    def mark(self, uri: bytes, flow: Flow, place: bytes, *, bare: int = 0) -> bytes | None:
        """`uri` with a mark; None where it names nothing of the inside, or is no SIP URI that could be
        restored (a control byte is in it). TooMuch where it is longer than LONGEST_URI.

        `place`: the host and port that it gets; empty where it keeps its own.
        """
        if len(uri) > LONGEST_URI:
            raise TooMuch("bytes of a URI")
        parts = uris.parse(uri)
        if not parts or not uris.is_uri(uri):
            return None
        host, user = self._hosts.find(parts.host), parts.userinfo
        takes_user = bool(user) and not host.own and self.names(user or b"", flow)
        texts = parts.parameters.split(b";")[1:]
        names = is_named(host, flow) or takes_user
        if not names and not any(self._makes_named(text, flow) for text in texts):
            return None
        taken, left = [], []
        for index, text in enumerate(texts):
            if (
                text.startswith(PARAMETER)
                or self.names(text, flow)
                or (takes_user and b"@" in text)
            ):
                taken.append((index, text))
            else:
                left.append(b";" + text)
        authority = _authority(parts)
        mark = Mark(authority, user if takes_user else None, tuple(taken), bare)
        token = self._codec.seal_stranger(mark.pack())
        before = b"" if takes_user or user is None else user + b"@"
        return b"".join((parts.scheme, b":", before, place or authority, IN_URI, token, *left))

    def find(self, uri: bytes) -> Mark | None:
        """The mark of a URI, if it has one that opens."""
        found = self._find(uri) if uri.find(IN_URI) >= 0 else None
        return found[1] if found else None

    def restore(self, uri: bytes, flow: Flow) -> OpenedUri | None:
        """What the stranger wrote, with what was added since; None where `uri` has no mark that opens,
        or names another host of the inside than the mark."""
        mark = self.find(uri)
        if not mark:
            return None
        host = uris.host(uri) or b""
        marked = uris.host(b"sip:" + mark.authority) or b""
        if marked.lower() != host.lower() and is_named(self._hosts.find(host), flow):
            return None
        return self._restored(uri)

    def open_mark(self, uri: bytes) -> bytes | None:
        """What a URI with a mark becomes, its headers part included, for an audit."""
        parts = uris.parse(uri)
        length = len(uri) - len(parts.headers) if parts else len(uri)
        opened = self._restored(uri[:length])
        return opened.uri + uri[length:] if opened else None

    def _restored(self, uri: bytes) -> OpenedUri | None:
        found = self._find(uri) if uri.find(IN_URI) >= 0 else None
        parts = uris.parse(uri) if found else None
        if not found or not parts:
            return None
        at, mark = found
        texts = parts.parameters.split(b";")[1:]
        del texts[at]
        for index, text in mark.taken:
            texts.insert(index, text)
        user = parts.userinfo if mark.user is None else mark.user
        before = b"" if user is None else user + b"@"
        after = b"".join([b";" + text for text in texts])
        new = b"".join((parts.scheme, b":", before, mark.authority, after))
        return OpenedUri(new, mark.bare) if uris.is_uri(new) else None

    def names(self, text: bytes, flow: Flow) -> bool:
        """Whether a text names something of the inside."""
        return any(is_named(host, flow) for host in self._hosts.named_in(text))

    def _find(self, uri: bytes) -> tuple[int, Mark] | None:
        try:
            return self._found[uri]
        except KeyError:
            parts = uris.parse(uri)
            found = self._search(parts.parameters.split(b";")[1:]) if parts else None
            self._found.remember(uri, found, len(uri))
            return found

    def _search(self, texts: list[bytes]) -> tuple[int, Mark] | None:
        """The first parameter that is a mark, and its index; the first few are tried."""
        tried = 0
        for index, text in enumerate(texts):
            if text.startswith(PARAMETER) and tried < _MOST_TOKENS:
                tried += 1
                content = self._codec.open_stranger(text[len(PARAMETER) :])
                mark = stranger.unpack(content) if content else None
                if mark:
                    return index, mark
        return None

    def _makes_named(self, text: bytes, flow: Flow) -> bool:
        """Whether a parameter makes its URI one that names the inside: an `out` does if it opens."""
        is_mark = text.startswith(PARAMETER) and self._search([text]) is not None
        return is_mark or self.names(text, flow)


def _authority(parts: uris.SipUri) -> bytes:
    return parts.host + b":" + parts.port if parts.port else parts.host
