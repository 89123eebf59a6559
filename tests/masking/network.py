"""A small network to mask, a notation for what must become of a message, and topoh's own encoding.

    10.0.0.0/8, corp.example    inside and protected      PROXY, example.com   own
    PEER                        the other end outside     THIRD                another outsider

In the notation «…» is a value that is masked outside and clear inside, ⟪…⟫ a token that stays a token
on both sides, ⟦…⟧ what topoh puts into a token and nobody sees in clear (its cookie), and «|…» a URI
that stands bare inside.
"""
# mypy: allow-untyped-calls

import base64
import hashlib
import itertools
import re
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import load
from inline_topo.gateway import Gateway, Verdict
from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.keyring import KeyRing

PROXY, PEER, THIRD = "192.0.2.10", "198.51.100.20", "203.0.113.30"
RING = KeyRing({n: hashlib.sha512(bytes((n,))).digest() for n in (1, 2)}, active=2, stable=1)
CODECS = ["aes-siv", "kamailio"]

# topoh-wire-format: the alphabet of the key "my secret here".
ALPHABET = b"S2t6vrwqeD7iCTIhmubXJ48dNsU3OQGF5LkH1y-VWoajKYnAl.ZMfgRPc0B9xpEz*"
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

_MARK = re.compile("«(.*?)»", re.DOTALL)
_TOKEN = re.compile("[«⟪](.*?)[»⟫]", re.DOTALL)
_ROUTING = re.compile(r"^(?:Record-Route|Route|Path|Service-Route)\s*:", re.IGNORECASE)


def gateway(
    codec: str = "aes-siv",
    leg: Leg = Leg.GATEWAY,
    *,
    ring: KeyRing = RING,
    drain: bool = False,
    fill: bool = False,
    dry_run: bool = False,
    **settings: Any,
) -> Gateway:
    """The gateway of the small network. `settings`: keys of the configuration, `__` for a dot."""
    values: dict[str, Any] = {
        "inside": [PROXY, "10.0.0.0/8"],
        "own": [PROXY, "example.com"],
        "protected": ["corp.example"],
        "topoh.codec": codec,
    }
    if codec == "kamailio":
        values["topoh.mask_key"] = "my secret here"
    values |= {key.replace("__", "."): value for key, value in settings.items()}
    config = load(None, env={}, overrides=values, key_ring_given=True)
    return assemble.gateway(config, leg, ring=ring, drain=drain, fill=fill, dry_run=dry_run)


def datagram(
    payload: bytes, source: str, target: str, sport: int = 5060, dport: int = 5060
) -> bytes:
    """An IP packet with right checksums, as scapy builds it."""
    layer = IPv6 if ":" in source else IP
    return bytes(layer(src=source, dst=target) / UDP(sport=sport, dport=dport) / Raw(payload))


def payload_of(packet: bytes) -> bytes:
    """What scapy finds in a packet."""
    layer = IPv6(packet) if packet[0] >> 4 == 6 else IP(packet)
    return bytes(layer[UDP].payload)


def judge(gateway: Gateway, packet: bytes) -> Verdict:
    """The verdict, where the strategy asks nothing."""
    verdict = gateway.handle(packet, 0.0)
    assert isinstance(verdict, Verdict)
    return verdict


def leave(
    gateway: Gateway, payload: bytes, *, inside: str = PROXY, peer: str = PEER, port: int = 5060
) -> bytes:
    """The payload that leaves; it must not be refused."""
    verdict = judge(gateway, datagram(payload, inside, peer, port))
    assert verdict.outcome in ("masked", "unchanged"), verdict.outcome
    return payload_of(verdict.packet)


def enter(
    gateway: Gateway, payload: bytes, *, inside: str = PROXY, peer: str = PEER, port: int = 5060
) -> bytes:
    """The payload that enters."""
    verdict = judge(gateway, datagram(payload, peer, inside, 5060, port))
    assert verdict.outcome in ("unmasked", "unchanged"), verdict.outcome
    return payload_of(verdict.packet)


def wire(text: str) -> bytes:
    """A message as bytes: the lines of `text`, stripped, ended by CR LF, and an empty one."""
    lines = [line.strip(" ") if line.strip() else "" for line in text.strip("\n").split("\n")]
    return ("\r\n".join(lines).rstrip() + "\r\n\r\n").encode()


def topoh_token(content: str) -> str:
    """Base64 with topoh's alphabet."""
    return base64.b64encode(content.encode()).translate(bytes.maketrans(BASE64, ALPHABET)).decode()


def inside_view(text: str) -> bytes:
    """What the inside sees of a message in the notation, with topoh's tokens for ⟪…⟫."""
    return wire(_MARK.sub(lambda match: _plain(match[1]), text))


def outside_view(text: str, codec: str, mask: str = PROXY) -> bytes:
    """What the outside sees: topoh's tokens made here, those of aes-siv by its own codec."""
    clear = wire(_TOKEN.sub(lambda match: _plain(match[1]), text)).decode()
    sealed = [match[1].startswith("SIP/2.0/") for match in _TOKEN.finditer(text)]
    places, count = iter(range(sum(sealed))), sum(sealed)

    def token(match: re.Match[str]) -> str:
        bare = match[1].startswith("|")
        content = match[1].removeprefix("|")
        if codec == "kamailio":
            content = re.sub("[⟦⟧]", "", content)
            new = _topoh(content, mask)
        else:
            line = match.string[
                match.string.rfind("\n", 0, match.start()) + 1 : match.start()
            ].strip()
            if content.startswith("SIP/2.0/"):
                return _sealed_via(_plain(content), mask, clear, next(places), count)
            new = _aes_siv(_plain(content), mask, bare, bool(_ROUTING.match(line)))
        return f"<{new}>" if bare else new

    return wire(_TOKEN.sub(token, text))


def outside_pattern(text: str, mask: str = PROXY) -> re.Pattern[bytes]:
    """What the outside sees with aes-siv, by the layout of its tokens alone. Adjacent Vias are one."""
    text = re.sub("»(\r?\n *Via: |, |,)«(?=SIP/2.0)", r"\1", text)
    pieces, last = [], 0
    source = wire(text).decode()
    for match in _TOKEN.finditer(source):
        pieces.append(re.escape(source[last : match.start()]))
        line = source[source.rfind("\n", 0, match.start()) + 1 : match.start()]
        pieces.append(_pattern(match[1], mask, routed=bool(_ROUTING.match(line))))
        last = match.end()
    pieces.append(re.escape(source[last:]))
    return re.compile("".join(pieces).encode())


def unmarked(message: bytes) -> bytes:
    """A message without the marks of strangers' URIs."""
    return re.sub(rb";out=[^;>\s]+", b"", message)


def _plain(content: str) -> str:
    return re.sub("⟦.*?⟧", "", content.removeprefix("|"))


def _pattern(content: str, mask: str, *, routed: bool) -> str:
    token, bare = "[A-Za-z0-9_-]{24,}", content.startswith("|")
    content = content.removeprefix("|")
    if content.startswith("SIP/2.0/"):
        return f"SIP/2\\.0/UDP {re.escape(mask)};branch=z9hG4bK{token}"
    if re.match("[a-z]+:", content):
        scheme = "sips" if content.startswith("sips:") else "sip"
        uri = f"{scheme}:{token}@{re.escape(mask)}{_shown(content, routed=routed)}"
        return f"<{uri}>" if bare else uri
    return f"!!:{token}"


def _shown(content: str, *, routed: bool) -> str:
    """What of a URI's parameters others must read."""
    loose = routed and re.search(r";lr\b", content)
    outbound = re.search(r";ob\b", content)
    return (";lr" if loose else "") + (";ob" if outbound else "")


def _topoh(content: str, mask: str) -> str:
    if content.startswith("SIP/2.0/"):
        return f"SIP/2.0/UDP {mask};branch=z9hG4bKsr-{topoh_token(content)}"
    if re.match("[a-z]+:", content):
        return f"sip:{mask};line=sr-{topoh_token(content)}{_shown(content, routed=False)}"
    return f"!!:{topoh_token(content)}"


def _sealed_via(content: str, mask: str, clear: str, index: int, count: int) -> str:
    """A Via token at `index` of the `count` below the topmost Via of a message that is `clear`."""
    values = [b"SIP/2.0/UDP another"] * count
    values[index] = content.encode()
    ends = list(itertools.accumulate(len(value) + 1 for value in values))  # apart: a token each
    spans = [(end - 1 - len(value), end - 1) for end, value in zip(ends, values, strict=True)]
    data, context = b"|".join(values), via_context(clear)
    sealed = AesSiv(RING).seal_vias(data, spans, mask.encode(), b"", context)
    return sealed[index][2].decode()


def via_context(clear: str) -> bytes:
    """What the Vias below the topmost of a message are bound to, read here by simple patterns."""

    def find(pattern: str) -> bytes:
        match = re.search(pattern, clear, re.IGNORECASE | re.MULTILINE)
        return match[1].encode() if match else b""

    topmost = find("^(?:via|v)[ \t]*:[ \t]*([^,\r\n]*)")
    branch = topmost.partition(b"branch=")[2].partition(b";")[0]
    if re.match(rb"z9hG4bK.{20}", branch):
        return b"=" + branch
    number = find("^CSeq:[ \t]*0*([0-9]*)")
    parts = (
        branch,
        find("^(?:Call-ID|i):[ \t]*(\\S*)"),
        number,
        find("^(?:From|f):.*;tag=([^;\\s]*)"),
    )
    return b"+" + b" ".join(parts)


def _aes_siv(content: str, mask: str, bare: bool, routed: bool) -> str:
    codec = AesSiv(RING)
    data = content.encode()
    if re.match("[a-z]+:", content):
        shown = _shown(content, routed=routed).encode()
        new = codec.seal_uri(data, mask.encode(), stable=False, bare=bare, shown=shown)
    else:
        new = codec.seal_callid(data)
    return new.decode()
