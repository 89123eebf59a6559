"""Messages made of the bytes that a fuzzer gives: half grammar, half nonsense."""

from collections.abc import Sequence

from attacks.gateways import PROXY
from attacks.harvest import IDENTITIES, REFERENCES, TEXTS
from attacks.message import long
from attacks.scene import A, B

_NAMES = (
    "Via", "Via", "v", "Record-Route", "Route", "Contact", "m", "From", "f", "To", "t", "Call-ID", "i",
    "CSeq", "Refer-To", "r", "Path", "Service-Route", "Replaces", "In-Reply-To", "Join", "Event",
    "Content-Type", "c", "Content-Length", "Identity", "Authorization", "WWW-Authenticate", "User-Agent",
    "Server", "X-Any", "Max-Forwards", "Content-Encoding", *REFERENCES, *IDENTITIES, *TEXTS,
)  # fmt: skip
KNOWN = frozenset(map(long, _NAMES))
"""The header fields that messages are made of."""
_STARTS = (
    "INVITE {} SIP/2.0", "REGISTER {} SIP/2.0", "BYE {} SIP/2.0", "CANCEL {} SIP/2.0", "ACK {} SIP/2.0",
    "REFER {} SIP/2.0", "NOTIFY {} SIP/2.0", "PUBLISH {} SIP/2.0", "SIP/2.0 200 OK", "SIP/2.0 180 {}",
    "SIP/2.0 302 Moved", "SIP/2.0 401 No", "sip/2.0 200 ok", "INVITE  {} SIP/2.0", "{}",
)  # fmt: skip
_GLUE = (
    "<{}>", "<{}>;tag=1", "<{};lr>", '"x" <{}>', '"<sip:a@b>, " <{}>', "{}", "{}, {}", "<{}>,<{}>",
    "{},\r\n {}",
    "\r\n <{}>", "<{}>;received=\"{}\"", "sip:a@b;maddr={}", "sip:{}@{}", "<sip:{}@{};lr>", "{};branch={}",
    "<{}?Route=%3C{}%3E>", "x {} y", "{} INVITE", "{};to-tag=1;from-tag=2", '"{}', "<{}", "{}>", "a@{}",
    "SIP/2.0/UDP {};branch=z9hG4bK{}", "SIP / 2.0 / UDP {};branch={};branch={}", "SIP/2.0/UDP {};received={}",
    'Digest username="{}", realm="{}", uri="{}"', "1 {}", "dialog;call-id={}", "{}\t", "application/sdp",
    "message/sipfrag", "application/pidf+xml", "multipart/mixed;boundary=b", "text/plain",
)  # fmt: skip
_BODIES = (
    "",
    "",
    "v=0\r\no={} 1 1 IN IP4 {}\r\ns={}\r\nc=IN IP4 198.51.100.9\r\n",
    "SIP/2.0 200 OK\r\nContact: <{}>\r\n",
    "INVITE {} SIP/2.0\r\nVia: {}\r\nContact: {}\r\n",
    '<presence entity="{}"><contact>{}</contact></presence>',
    "--b\r\nContent-Type: message/sipfrag\r\n\r\nVia: {}\r\n--b--\r\n",
    "{}",
)
_HOSTS = (f"{A[0]}", f"{B[0]}:{B[1]}", PROXY, "example.com", "carrier.example", "[2001:db8::1]")
_LINE_ENDS = ("\r\n", "\r\n", "\r\n", "\n")
_COLONS = (":", ": ", ": ", " : ", ":\r\n ")


class Bytes:
    """Decisions, taken from bytes one after another; zeros when they are at an end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, most: int) -> int:
        """A number below `most` (at most 65,536)."""
        size = 1 if most <= 256 else 2
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece, "big") % most

    def one(self, of: Sequence[str]) -> str:
        return of[self.number(len(of))]

    def raw(self, most: int) -> str:
        """Some bytes as they are."""
        size = self.number(most)
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece.decode("latin-1")


def message(bits: Bytes, pieces: Sequence[str]) -> bytes:
    """A message. `pieces`: what stands in its values beside hosts of outsiders and raw bytes."""
    end = bits.one(_LINE_ENDS)
    start = _filled(bits, bits.one(_STARTS), pieces)
    lines = [start]
    for _ in range(bits.number(15)):
        value = _filled(bits, bits.one(_GLUE), pieces)
        lines.append(f"{bits.one(_NAMES)}{bits.one(_COLONS)}{value}")
    if bits.number(4):  # a response or a request that the proxy would take
        lines[1:1] = [f"Via: SIP/2.0/UDP {PROXY};branch=z9hG4bKfuzzed0000000000000{bits.number(3)}"]
        lines += [
            "Call-ID: fuzzed",
            "CSeq: 1 INVITE",
            "From: <sip:a@x>;tag=1",
            "To: <sip:b@y>;tag=2",
        ]
    body = _filled(bits, bits.one(_BODIES), pieces)
    if bits.number(3):
        lines.append(f"Content-Length: {len(body)}")
    return (end.join(lines) + end + end + body).encode("latin-1", "replace")


def _filled(bits: Bytes, form: str, pieces: Sequence[str]) -> str:
    parts = form.split("{}")
    text = parts[0]
    for part in parts[1:]:
        kind = bits.number(8)
        if kind == 0:
            text += bits.raw(12)
        elif kind < 3:
            text += bits.one(_HOSTS)
        else:
            text += bits.one(pieces)
        text += part
    return text
