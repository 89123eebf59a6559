"""What one packet costs, whatever its bytes: a grid of patterns, directions and settings, by size.

A pattern is a place in a message and something that fills it up. Each is given to a gateway that has
not seen it, in four sizes; the exponent is that of a power law fitted to the four times. Times are
processor times of this process. Where the packet path asks a store, that store is in memory, and its
time counts.
"""

import hashlib
import ipaddress
import math
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.masking.codecs.keyring import KeyRing

SIZES = (8_000, 16_000, 32_000, 64_000)
"""Bytes of payload; the last one is near the longest that UDP carries (65,507)."""

PROXY, INSIDER, PEER = "192.0.2.10", "10.0.0.9", "198.51.100.20"
DIRECTIONS = ("leaving request", "leaving response", "entering request", "entering response")
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "strict": {"profile": "strict", "audit": 0},
    "topoh": {"profile": "topoh"},
    "callid": {"profile": "strict", "audit": 0, "topoh.mask_callid": True},
    "nat": {"shape": "nat", "public": PROXY, "inside": ["10.0.0.0/8"]},
    "kamailio": {"topoh.codec": "kamailio", "topoh.mask_key": "my secret here"},
    "topos": {"mode": "topos", "topos.store": "memory:"},
    "audit": {"profile": "strict", "audit": "enforce"},
}
"""Configurations by name; the audit's own cost is the last one's."""

MOST_MS, MOST_EXPONENT, MOST_RATIO = 20.0, 1.2, 2200
"""What a packet may cost at most, compiled: milliseconds, the exponent, times a packet of a call."""

_RING = KeyRing({n: hashlib.sha512(bytes((n,))).digest() for n in (1, 2)}, active=2, stable=1)
_TOO_SHORT = 1.0  # milliseconds under which the times of the four sizes say nothing of a power law


class Pattern(NamedTuple):
    """`name`; what makes the payload of a size for a direction: from `direction`, `size` and a salt that
    makes it another one of the same form."""

    name: str
    payload: Callable[[str, int, int], bytes]


class Row(NamedTuple):
    """What a pattern cost: milliseconds by size, the exponent, and the outcome of the longest."""

    pattern: str
    direction: str
    setting: str
    milliseconds: tuple[float, ...]
    exponent: float
    outcome: str

    @property
    def most(self) -> float:
        """Milliseconds at the greatest size."""
        return self.milliseconds[-1]

    @property
    def is_steep(self) -> bool:
        """Whether the time grows faster than the size (told of what takes a millisecond or more)."""
        return self.most >= _TOO_SHORT and self.exponent >= MOST_EXPONENT


# --- what fills ---------------------------------------------------------------------------------


def _fixed(unit: bytes) -> Callable[[int, int], bytes]:
    return lambda length, salt: (unit * (length // len(unit) + 1))[:length]


def _numbered(template: bytes) -> Callable[[int, int], bytes]:
    """A template whose `#` is another number each time, `@@` another token, `$$` another address inside."""

    def fill(length: int, salt: int) -> bytes:
        pieces: list[bytes] = []
        size, number = 0, salt * 1_000_003
        while size < length:
            number += 1
            piece = template.replace(b"#", b"%d" % number)
            if b"@@" in piece:
                piece = piece.replace(b"@@", b"AQ" + b"%032d" % (number * 7919))
            if b"$$" in piece:
                host = b"10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)
                piece = piece.replace(b"$$", host)
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)[:length]

    return fill


UNITS: Sequence[bytes] = (
    *(b"<", b",", b";", b":", b'"', b"=", b"@", b"[", b"]", b"\\", b"?", b"&", b"%", b"%41", b"."),
    *(
        b"\r\n ",
        b" ",
        b"a=",
        b"A",
        b"1.",
        b"1::",
        b"sip:",
        b"a@",
        b"&#65;",
        b"\\x",
        b"!!:",
        b"tpsh-",
    ),
)
"""Single things that a parser looks for."""

PAIRS: Sequence[bytes] = (
    *(
        b"<,",
        b'",',
        b'<"',
        b'"<',
        b"<>",
        b'"",',
        b"<:>,",
        b"a:,",
        b";,",
        b'\\"',
        b";=",
        b';a="',
        b":;",
    ),
    *(
        b"[:",
        b"1.1.1.1,",
        b"%4",
        b",\r\n ",
        b"sip:a,",
        b"<sip:a>,",
        b";branch=",
        b";lr,",
        b"?a=",
        b"x;",
    ),
    *(b";received=", b";tag=", b"Replaces=a&", b";method=", b";hid=", b"bAtpsh-"),
)
NUMBERED: Sequence[bytes] = (
    *(b"<sip:#@$$>,", b"sip:#@$$,", b"<sip:#@host.corp.example;lr>,", b"<sip:@@@192.0.2.10>,"),
    *(
        b"sip:@@@192.0.2.10,",
        b"#@$$,",
        b"SIP/2.0/UDP $$;branch=z9hG4bK#,",
        b"!!:@@,",
        b"@@ ",
        b"$$ ",
    ),
    *(
        b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK@@,",
        b"<sip:a@x;hid=@@>,",
        b"<sip:#@x?Replaces=#@$$>,",
    ),
    b"<sip:btpsh-00000000@@@x>,",
    b"<sip:#@$$;x=" + b"y" * 220 + b">,",  # as many values as the bounds allow
    b"SIP/2.0/UDP $$;branch=z9hG4bK#;x=" + b"y" * 210 + b",",
)
FILLS: Mapping[str, Callable[[int, int], bytes]] = {
    **{unit.decode(): _fixed(unit) for unit in (*UNITS, *PAIRS)},
    **{template.decode(): _numbered(template) for template in NUMBERED},
}

# --- where it stands ----------------------------------------------------------------------------

FIELDS: Sequence[str] = (
    *("Via", "Route", "Record-Route", "Path", "Service-Route", "Contact", "From", "To", "Call-ID"),
    *("In-Reply-To", "Replaces", "Event", "Refer-To", "Referred-By", "History-Info", "Diversion"),
    *(
        "Call-Info",
        "P-Asserted-Identity",
        "Warning",
        "Subject",
        "User-Agent",
        "CSeq",
        "Content-Type",
    ),
    *("Content-Length", "Expires", "Authorization", "X-Other"),
)
LINES: Sequence[str] = (
    *(
        "Contact: <sip:#@$$>",
        "Record-Route: <sip:#@$$;lr>",
        "Route: <sip:@@@192.0.2.10;lr>",
        "X#: y",
    ),
    *("Via: SIP/2.0/UDP $$;branch=z9hG4bK#", "Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK@@"),
    *(
        "From: <sip:#@$$>",
        "To: <sip:a@x;hid=@@>",
        "Content-Length: 9",
        "Content-Type: a/#",
        "Call-ID: #",
    ),
    *("CSeq: # INVITE", "History-Info: <sip:#@$$>", "Replaces: #", "Warning: 399 $$ x", "i:", "X:"),
    *(
        "P-Asserted-Identity: <sip:#@$$>",
        "Content-Encoding: #",
        "Refer-To: <sip:@@@192.0.2.10>",
        " #",
    ),
    *("Contact: <sip:btpsh-00000000@@@x>", "Identity: #", "Path: <sip:#@$$>", "Event: a;call-id=#"),
    "\r\n".join(
        f"{field}: <sip:#@$$;x={'y' * 40}>"
        for field in (
            "Contact",
            "Record-Route",
            "History-Info",
            "Diversion",
            "Path",
            "Call-Info",
            "Route",
        )
    ),
)
"""Lines that stand in a message thousands of times."""

BODIES: Mapping[str, tuple[str, str]] = {
    "SDP, lines": ("application/sdp", "a=#\r\n"),
    "SDP, media": ("application/sdp", "c=IN IP4 $$\r\n"),
    "SDP, origins": ("application/sdp", "o=# 1 1 IN IP4 $$\r\n"),
    "SDP, origins that may open": ("application/sdp", "o=@@ 1 1 IN IP4 192.0.2.10\r\n"),
    "SDP, texts": ("application/sdp", "s=$$ $$ $$\r\n"),
    "SDP, one text": ("application/sdp", "$$ "),
    "SDP, one text that may open": ("application/sdp", "@@ "),
    "SDP, candidates": ("application/sdp", "a=candidate:# 1 UDP 1 $$ 1 typ host\r\n"),
    "XML, URIs": ("application/pidf+xml", "<a>sip:#@$$</a>"),
    "XML, tokens": ("application/pidf+xml", "<a>sip:@@@192.0.2.10</a>"),
    "XML, words": ("application/pidf+xml", "<a>$$</a>"),
    "XML, references": ("application/pidf+xml", "sip:a&amp;"),
    "XML, one URI of references": ("application/pidf+xml", "&amp;"),
    "XML, long URIs": ("application/pidf+xml", f"<a>sip:#@$$;x={'y' * 60}</a>"),
    "XML, long words": ("application/pidf+xml", f"<a>$$ {'y ' * 35}</a>"),
    "SDP, long lines": ("application/sdp", f"s=$$ {'y ' * 70}\r\n"),
    "XML, call-ids": ("application/dialog-info+xml", ' call-id="#@$$"'),
    "XML, open": ("application/pidf+xml", "<"),
    "XML, blanks": ("application/pidf+xml", " call-id "),
    "text, words that may open": ("message/cpim", "@@ "),
    "text, addresses": ("message/cpim", "$$ "),
    "fragment, Contacts": ("message/sipfrag", "Contact: <sip:#@$$>\r\n"),
    "fragment, Contacts in one": ("message/sipfrag", "<sip:#@$$>,"),
    "fragment, Vias": ("message/sipfrag", "Via: SIP/2.0/UDP $$;branch=z9hG4bK#\r\n"),
    "fragment, tokens": ("message/sipfrag", "Refer-To: <sip:@@@192.0.2.10>\r\n"),
    "fragment, Call-IDs": ("message/sipfrag", "In-Reply-To: #@$$\r\n"),
    "fragment, lengths": ("message/sipfrag", "Content-Length: 9\r\n"),
    "fragment, names": ("message/sipfrag", "X#: y\r\n"),
    "multipart, empty": ("multipart/mixed;boundary=b", "--b\r\n"),
    "multipart, SDP": (
        "multipart/mixed;boundary=b",
        "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=# 1 1 IN IP4 $$\r\ns=-\r\n",
    ),
    "multipart, URIs": (
        "multipart/mixed;boundary=b",
        "--b\r\nContent-Type: text/xml\r\n\r\n<a>sip:#@$$</a>\r\n",
    ),
    "multipart, lengths": (
        "multipart/mixed;boundary=b",
        "--b\r\nContent-Type: text/xml\r\nContent-Length: 99\r\n\r\n<a>sip:#@$$</a>\r\n",
    ),
    "multipart, no delimiters": ("multipart/mixed;boundary=b", "--b--b"),
    "multipart in itself": (
        "multipart/mixed;boundary=b",
        "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n",
    ),
    "unknown": ("application/octet-stream", "sip:#@$$ "),
}
BODY_FILLED: Sequence[str] = (
    "application/sdp",
    "application/pidf+xml",
    "message/sipfrag",
    "message/cpim",
    "multipart/mixed;boundary=-",
)


def patterns(every: int = 1) -> list[Pattern]:
    """All patterns; `every`: one of so many, spread evenly."""
    found = [
        Pattern(f"{field}: {name}", _in_field(field, fill))
        for field, (name, fill) in product(FIELDS, FILLS.items())
    ]
    found += [Pattern(f"lines {line}", _in_lines(line)) for line in LINES]
    found += [Pattern(f"name {name}", _in_name(fill)) for name, fill in FILLS.items()]
    found += [Pattern(f"start {name}", _in_start(fill)) for name, fill in FILLS.items()]
    found += [
        Pattern(f"body {name}", _in_body(kind, _numbered(unit.encode())))
        for name, (kind, unit) in BODIES.items()
    ]
    found += [
        Pattern(f"body {kind}: {name}", _in_body(kind, fill))
        for kind, (name, fill) in product(BODY_FILLED, FILLS.items())
    ]
    found += [
        Pattern(f"lengths of a body of {name}", _lengths(kind, _numbered(unit.encode())))
        for name, (kind, unit) in BODIES.items()
    ]
    return found[::every]


_Payload = Callable[[str, int, int], bytes]


def _head(direction: str, salt: int) -> tuple[bytes, bytes]:
    """Start line and usual fields of a message, in two pieces."""
    if direction.endswith("request"):
        start = b"INVITE sip:bob@198.51.100.20 SIP/2.0\r\n"
        if direction.startswith("entering"):
            start = b"INVITE sip:bob@192.0.2.10 SIP/2.0\r\n"
    else:
        start = b"SIP/2.0 200 OK\r\n"
    usual = (
        b"Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK%d.0123456789abcdef\r\n"
        b"From: <sip:alice@example.com>;tag=%d\r\nTo: <sip:bob@example.com>;tag=x\r\n"
        b"Call-ID: %d\r\nCSeq: 1 INVITE\r\n" % (salt, salt, salt)
    )
    return start, usual


def _in_field(field: str, fill: Callable[[int, int], bytes]) -> _Payload:
    def payload(direction: str, size: int, salt: int) -> bytes:
        start, usual = _head(direction, salt)
        before = start + field.encode() + b": "
        after = b"x\r\n" + usual + b"Content-Length: 0\r\n\r\n"
        if field in ("Via", "Record-Route", "Contact"):  # an entry of the other kind before it
            before += {"Via": b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK%d," % salt}.get(
                field, b"<sip:192.0.2.10;lr>,"
            )
        return before + fill(size - len(before) - len(after), salt) + after

    return payload


def _in_lines(line: str) -> _Payload:
    fill = _numbered(line.encode() + b"\r\n")

    def payload(direction: str, size: int, salt: int) -> bytes:
        start, usual = _head(direction, salt)
        before = start + usual
        after = b"\r\nX: y\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\n"
        return before + fill(size - len(before) - len(after), salt) + after

    return payload


def _in_name(fill: Callable[[int, int], bytes]) -> _Payload:
    def payload(direction: str, size: int, salt: int) -> bytes:
        start, usual = _head(direction, salt)
        after = b": y\r\n\r\n"
        length = size - len(start) - len(usual) - len(after)
        return start + usual + fill(length, salt) + after

    return payload


def _in_start(fill: Callable[[int, int], bytes]) -> _Payload:
    def payload(direction: str, size: int, salt: int) -> bytes:
        _, usual = _head(direction, salt)
        before, after = b"INVITE sip:", b" SIP/2.0\r\n"
        if direction.endswith("response"):
            before, after = b"SIP/2.0 200 ", b"\r\n"
        after += usual + b"\r\n"
        return before + fill(size - len(before) - len(after), salt) + after

    return payload


def _in_body(kind: str, fill: Callable[[int, int], bytes]) -> _Payload:
    begins = {"application/sdp": b"v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns="}.get(kind, b"")

    def payload(direction: str, size: int, salt: int) -> bytes:
        start, usual = _head(direction, salt)
        before = start + usual + b"Content-Type: " + kind.encode() + b"\r\n"
        length = size - len(before) - 30
        before += b"Content-Length: %d\r\n\r\n" % length
        return before + (begins + fill(length, salt))[:length]

    return payload


def _lengths(kind: str, fill: Callable[[int, int], bytes]) -> _Payload:
    """A body of one half, and lines in the other that say how long it is."""

    def payload(direction: str, size: int, salt: int) -> bytes:
        start, usual = _head(direction, salt)
        before = start + usual + b"Content-Type: " + kind.encode() + b"\r\n"
        line = b"Content-Length: %d\r\n" % size
        before += line * ((size // 2 - len(before)) // len(line)) + b"\r\n"
        return before + fill(size - len(before), salt)

    return payload


# --- what is measured -----------------------------------------------------------------------------


class Gateway:
    """A gateway of a setting, with its store in memory."""

    def __init__(self, setting: str, more: Mapping[str, Any] | None = None) -> None:
        self.setting = setting
        keys: dict[str, Any] = {
            "inside": ["10.0.0.0/8", PROXY],
            "own": [PROXY, "example.com"],
            "protected": ["corp.example"],
            **SETTINGS[setting],
            **(more or {}),
        }
        config = load(None, env={}, overrides=keys, key_ring_given=True)
        self._is_nat = config.shape == "nat"
        self._handle = assemble.gateway(config, ring=_RING).handle
        self._performers = assemble.performers(config)

    def packet(self, direction: str, payload: bytes) -> bytes:
        """A datagram that goes this way."""
        inside, outside = (INSIDER if self._is_nat else PROXY), PEER
        ends = (inside, outside) if direction.startswith("leaving") else (outside, inside)
        return datagram(payload, *ends)

    def judge(self, packet: bytes) -> Any:
        """The verdict."""
        verdict: Any = self._handle(packet, 1000.0)
        while hasattr(verdict, "resume"):
            performer = self._performers[type(verdict.effect)]
            verdict = verdict.resume(performer.perform([verdict.effect])[0])
        return verdict


def datagram(payload: bytes, source: str, target: str) -> bytes:
    """An IPv4 packet (RFC 791, RFC 768) without a UDP checksum."""
    ends = b"".join(ipaddress.IPv4Address(host).packed for host in (source, target))
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0) + ends
    total = sum(struct.unpack("!10H", header))
    total = (total >> 16) + (total & 0xFFFF)
    check = ~((total >> 16) + total) & 0xFFFF
    header = header[:10] + struct.pack("!H", check) + header[12:]
    return header + struct.pack("!HHHH", 5060, 5060, 8 + len(payload), 0) + payload


def cost(
    gateway: Gateway, pattern: Pattern, direction: str, size: int, runs: int = 1
) -> tuple[float, str]:
    """Milliseconds that a packet of this pattern takes, the best of `runs` packets, and its outcome."""
    best, outcome = math.inf, ""
    for salt in range(runs):
        packet = gateway.packet(direction, pattern.payload(direction, size, salt + size))
        started = time.process_time()
        outcome = gateway.judge(packet).outcome
        best = min(best, time.process_time() - started)
    return best * 1e3, outcome


def measure(
    gateway: Gateway, pattern: Pattern, direction: str, sizes: Sequence[int] = SIZES, runs: int = 2
) -> Row:
    """One row of the grid. Where it looks too dear, it is measured again: others use the machine too."""
    for more in (1, 4):
        costs = [cost(gateway, pattern, direction, size, runs * more) for size in sizes]
        times = tuple(milliseconds for milliseconds, _ in costs)
        row = Row(
            pattern.name, direction, gateway.setting, times, exponent(sizes, times), costs[-1][1]
        )
        if not row.is_steep and row.most < MOST_MS:
            break
    return row


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """The exponent of the power law that fits the times best (least squares of the logarithms)."""
    xs = [math.log(size) for size in sizes]
    ys = [math.log(max(milliseconds, 1e-6)) for milliseconds in times]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum(
        (a - x) ** 2 for a in xs
    )


def grid(
    settings: Iterable[str] = tuple(SETTINGS),
    directions: Sequence[str] = DIRECTIONS,
    every: int = 1,
    sizes: Sequence[int] = SIZES,
    runs: int = 2,
) -> Iterator[Row]:
    """A row for each pattern (one of `every`), direction and setting."""
    for setting in settings:
        gateway = Gateway(setting)
        for pattern, direction in product(patterns(every), directions):
            yield measure(gateway, pattern, direction, sizes, runs)


def call_packet(setting: str = "default", calls: int = 300) -> float:
    """Milliseconds that a packet of a new call takes, by the mean of INVITE, 180, 200, ACK and BYE."""
    gateway = Gateway(setting)
    best = math.inf
    for attempt in range(3):
        packets = [
            gateway.packet(direction, text)
            for number in range(calls)
            for direction, text in _call(attempt * calls + number)
        ]
        started = time.process_time()
        for packet in packets:
            gateway.judge(packet)
        best = min(best, (time.process_time() - started) / len(packets))
    return best * 1e3


def _call(number: int) -> Iterator[tuple[str, bytes]]:
    """The messages of a call from inside, as they pass."""
    sdp = b"v=0\r\no=- %d 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n" % number
    sdp += b"m=audio 9000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    top = b"Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKcf3b.%020d.0\r\n" % number
    names = (
        b"From: <sip:alice@example.com>;tag=%020d\r\nTo: <sip:bob@example.com>%b\r\n"
        b"Call-ID: %020d@example.com\r\nCSeq: 1 %b\r\nMax-Forwards: 69\r\n"
    )
    lower = b"Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK%020d;rport=5060\r\n" % number
    contact = b"Contact: <sip:alice@10.0.0.5:5060>\r\n"
    route = b"Record-Route: <sip:192.0.2.10;lr>\r\n"
    for method, status in ((b"INVITE", b""), (b"INVITE", b"180 Ringing"), (b"INVITE", b"200 OK"),
                           (b"ACK", b""), (b"BYE", b"")):  # fmt: skip
        body = sdp if method == b"INVITE" and not status.startswith(b"180") else b""
        type_ = b"Content-Type: application/sdp\r\n" if body else b""
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        tag = b"" if method == b"INVITE" and not status else b";tag=b"
        common = names % (number, tag, number, method)
        if status:
            theirs = b"Contact: <sip:bob@198.51.100.20>\r\n"
            yield (
                "entering response",
                b"".join(
                    (b"SIP/2.0 ", status, b"\r\n", top, route, common, theirs, type_, length, body)
                ),
            )
        else:
            start = method + b" sip:bob@198.51.100.20 SIP/2.0\r\n"
            yield (
                "leaving request",
                b"".join((start, route, top, lower, common, contact, type_, length, body)),
            )
