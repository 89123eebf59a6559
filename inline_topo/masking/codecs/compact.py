"""URIs and via-parms packed small before they are sealed: a token is a third longer than its content.

A packed value is one head byte, the host if it is an IP literal (4 or 16 bytes), the port (2 bytes)
and the text that is left, in which frequent words are one byte each. The head byte:

    URI   bits 0-1  scheme      0 sip, 1 sips, 3 the whole value stands as text
          bits 2-3  host        0 text, 1 IPv4, 2 IPv6 in brackets
          bit 4     a port follows
          bit 5     the text begins with a userinfo (ended by "@" where more text follows)
          bits 6-7  the value stood in angle brackets (0), without (1), without, and more than one
                    that ends at its first ";" or "?" (3)
    Via   bits 0-1  transport   0 UDP, 1 TCP, 2 TLS, 3 the whole value stands as text
          bits 2-3, 4           as above; in text bit 2 says that words are single bytes
          bits 5-7  what parts this value from the one before (SEPARATORS), 0 for the first

Packing is checked by unpacking: where the short form would not give back every byte (an address in
another spelling, a port with a leading 0), the value stands as text. The words are part of the
token format: change them only with a new kind of token.
"""

import re
import socket
from functools import lru_cache
from typing import Final

from inline_topo.sip import uri as uris
from inline_topo.sip import via as vias

URI_WORDS: Final = (
    b";transport=",
    b";lr=on",
    b";lr",
    b";line=",
    b";ob",
    b";user=phone",
    b";rinstance=",
    b";ftag=",
    b";r2=on",
    b";nat=yes",
    b";received=",
    b";alias=",
    b"udp",
    b"tcp",
    b"tls",
)
VIA_WORDS: Final = (
    b";branch=z9hG4bK",
    b";rport=",
    b";rport",
    b";received=",
    b";alias",
    b"\r\n ",
    b"\r\n\t",
    b"\n ",
    b"\n\t",
    b"SIP/2.0/UDP ",
    b"SIP/2.0/TCP ",
    b"SIP/2.0/TLS ",
)
SEPARATORS: Final = (
    b"",
    b"\r\nVia: ",
    b", ",
    b",",
    b"\r\nv: ",
    b"\nVia: ",
    b"\r\nVia:",
    b"\r\nv:",
)
"""What may stand between two via-parms that become one token; by its number, never as text."""

METHOD: Final = b"\xfe"
"""In the text of a URI: here stood `;method=…`, which stays outside the token."""

_BRANCH_WORD, _BRANCH_CODE = VIA_WORDS[0], b"\x80"  # most Vias have nothing else
_RECEIVED_SENT_BY: Final = b"\xfd"  # ;received= with the host of the sent-by
_RPORT_SENT_BY: Final = b"\xfc"  # ;rport= with the port of the sent-by
_PLAIN_VIA: Final = re.compile(
    rb"SIP/2\.0/(UDP|TCP|TLS) ([0-9.]{7,15}|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?"
    rb"((?:;[A-Za-z0-9.!%*_+`'~-]+(?:=[A-Za-z0-9.!%*_+`'~:\[\]-]+)?)*)"
)
_SCHEMES: Final = (b"sip", b"sips")
_TRANSPORTS: Final = (b"UDP", b"TCP", b"TLS")
_TEXT: Final = 3
_NO_BARE: Final = 2  # of bits 6 and 7 of a URI
_LONGEST_LITERAL: Final = 64  # bytes
_WORDS_BIT: Final = 1 << 2  # of a Via that stands as text: with words as single bytes


class _Words:
    """Frequent words as single bytes from 0x80 on; text that has such bytes is refused."""

    def __init__(self, words: tuple[bytes, ...]) -> None:
        self._pairs = [(word, bytes((0x80 + i,))) for i, word in enumerate(words)]

    def pack(self, text: bytes) -> bytes:
        for word, code in self._pairs:
            text = text.replace(word, code)
        return text

    def unpack(self, text: bytes) -> bytes:
        if text.isascii():
            return text
        for word, code in self._pairs:
            text = text.replace(code, word)
        return text


_URI_WORDS: Final = _Words(URI_WORDS)
_VIA_WORDS: Final = _Words(VIA_WORDS)


def _pack_host(host: bytes) -> tuple[int, bytes]:
    """A host is in many Vias; one that is longer than any literal is none."""
    return _pack_literal(host) if len(host) <= _LONGEST_LITERAL else (0, b"")


@lru_cache(maxsize=4096)
def _pack_literal(host: bytes) -> tuple[int, bytes]:
    """The two bits and the bytes of an IP literal in its canonical spelling; (0, b"") for others."""
    try:
        if host[:1] == b"[":
            packed = socket.inet_pton(socket.AF_INET6, host[1:-1].decode())
            return (2, packed) if _unpack_host(2, packed) == host else (0, b"")
        if host[-1:].isdigit():
            packed = socket.inet_aton(host.decode())
            return (1, packed) if _unpack_host(1, packed) == host else (0, b"")
    except (OSError, UnicodeDecodeError):
        pass
    return 0, b""


def _unpack_host(kind: int, packed: bytes) -> bytes:
    if kind == 1:
        return socket.inet_ntoa(packed).encode()
    return b"[" + socket.inet_ntop(socket.AF_INET6, packed).encode() + b"]"


def _pack_port(port: bytes) -> bytes | None:
    """Two bytes; None for what would not come back the same."""
    number = int(port)
    return number.to_bytes(2, "big") if 0 < number < 65536 and port[0] != 48 else None


def pack_uri(uri: bytes, bare: int) -> bytes:
    """The packed form of a URI without headers part; METHOD may stand in it once. `bare`: bits 6 and 7."""
    bare_bit = bare << 6
    parts = uris.parse(uri.replace(METHOD, b""))
    text = uri.replace(METHOD, b"")
    if parts and parts.scheme in _SCHEMES and text.isascii():
        after_host = uri[len(uri) - len(parts.parameters) - uri.count(METHOD) :]
        head = _SCHEMES.index(parts.scheme) | bare_bit
        kind, host = _pack_host(parts.host)
        port = _pack_port(parts.port) if parts.port else b""
        if port is not None:
            head |= kind << 2 | bool(port) << 4
            rest = (b"" if kind else parts.host) + _URI_WORDS.pack(after_host)
            if parts.userinfo is not None:
                head |= 1 << 5
                rest = parts.userinfo + (b"@" + rest if rest else b"")
            packed = bytes((head,)) + host + port + rest
            if unpack_uri(packed) == (uri, bare):
                return packed
    return bytes((_TEXT | bare_bit,)) + uri


def unpack_uri(packed: bytes) -> tuple[bytes, int] | None:
    """The URI (METHOD left in) and whether it stood bare (bits 6 and 7); None where `packed` is no packed
    URI."""
    if not packed:
        return None
    head, rest = packed[0], packed[1:]
    bare = head >> 6
    if bare == _NO_BARE:
        return None
    scheme, kind = head & 3, head >> 2 & 3
    if scheme == _TEXT:
        return rest, bare
    if scheme >= len(_SCHEMES) or kind == 3:
        return None
    host, port, rest = _take_host(head, rest)
    if host is None:
        return None
    user = b""
    if head & 1 << 5:
        user, _, rest = rest.partition(b"@")
        user += b"@"
    if not kind:
        ends = [at for at in (rest.find(b";"), *_first_code(rest)) if at >= 0]
        end = min(ends, default=len(rest))
        host, rest = rest[:end], rest[end:]
    return b"".join((_SCHEMES[scheme], b":", user, host, port, _URI_WORDS.unpack(rest))), bare


def _first_code(text: bytes) -> list[int]:
    return [] if text.isascii() else [next(i for i, byte in enumerate(text) if byte & 0x80)]


def _take_host(head: int, rest: bytes) -> tuple[bytes | None, bytes, bytes]:
    """Host (empty where it is text), port with its colon, and what follows; host None if cut."""
    kind = head >> 2 & 3
    host, size = b"", (0, 4, 16, 0)[kind]
    if size:
        if len(rest) < size:
            return None, b"", b""
        host, rest = _unpack_host(kind, rest[:size]), rest[size:]
    port = b""
    if head & 1 << 4:
        if len(rest) < 2:
            return None, b"", b""
        port, rest = b":%d" % int.from_bytes(rest[:2], "big"), rest[2:]
    return host, port, rest


def pack_via(value: bytes, separator: int) -> bytes | None:
    """The packed form of one via-parm that follows SEPARATORS[separator]; None where it is none.

    A folded one that is not ASCII is refused too: its line breaks would have to be taken from the
    token.
    """
    match = _PLAIN_VIA.fullmatch(value)
    if match:
        transport, host, port_text, text = match.groups()
        kind, packed_host = _pack_host(host)
        port = _pack_port(port_text) if port_text else b""
        if kind and port is not None:
            text = text.replace(b";received=" + host, _RECEIVED_SENT_BY)
            if port_text:
                text = text.replace(b";rport=" + port_text, _RPORT_SENT_BY)
            text = text.replace(_BRANCH_WORD, _BRANCH_CODE)
            if b";" in text:
                text = _VIA_WORDS.pack(text)
            head = _TRANSPORTS.index(transport) | kind << 2 | bool(port) << 4 | separator << 5
            return b"".join((bytes((head,)), packed_host, port, text))
    if not vias.is_via_parm(unfold(value)):
        return None
    if value.isascii():
        return bytes((_TEXT | _WORDS_BIT | separator << 5,)) + _VIA_WORDS.pack(value)
    return None if b"\n" in value else bytes((_TEXT | separator << 5,)) + value


def unfold(value: bytes) -> bytes:
    """A value with its folds (RFC 3261 section 7.3.1) as blanks."""
    return value.replace(b"\r\n", b"").replace(b"\n", b"") if b"\n" in value else value


def unpack_via(packed: bytes) -> tuple[int, bytes] | None:
    """The number of the separator and the via-parm; None where `packed` is no packed via-parm."""
    if not packed:
        return None
    head, rest = packed[0], packed[1:]
    separator, transport, kind = head >> 5, head & 3, head >> 2 & 3
    if transport == _TEXT:
        if b"\n" in rest or b"\r" in rest:  # folds are words: no line break is taken from a token
            return None
        return separator, _VIA_WORDS.unpack(rest) if head & _WORDS_BIT else rest
    if kind not in (1, 2):
        return None
    host, port, rest = _take_host(head, rest)
    if host is None or b"\n" in rest or b"\r" in rest:
        return None
    if not rest.isascii():
        rest = _VIA_WORDS.unpack(
            rest.replace(_RECEIVED_SENT_BY, b";received=" + host).replace(
                _RPORT_SENT_BY, b";rport=" + port[1:]
            )
        )
    return separator, b"".join((b"SIP/2.0/", _TRANSPORTS[transport], b" ", host, port, rest))


def pack_text(text: bytes) -> bytes:
    """Any text: the IP literal that it begins with (a blank or the end after it) as 4 or 16 bytes."""
    literal, blank, rest = text.partition(b" ")
    for number, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        try:
            address = socket.inet_pton(family, literal.decode())
        except (OSError, ValueError):
            continue
        if socket.inet_ntop(family, address).encode() == literal:
            return bytes((number,)) + address + blank + rest
    return b"\0" + text


def unpack_text(packed: bytes) -> bytes | None:
    """What was packed; None where it was not packed here."""
    head, rest = packed[:1], packed[1:]
    if head == b"\0":
        return rest
    if head == b"\x04" and len(rest) >= 4:
        return socket.inet_ntop(socket.AF_INET, rest[:4]).encode() + rest[4:]
    if head == b"\x06" and len(rest) >= 16:
        return socket.inet_ntop(socket.AF_INET6, rest[:16]).encode() + rest[16:]
    return None
