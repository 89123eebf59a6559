"""Messages in which every carrier of addresses is filled: `{NAME}` stands for an address of its own.

The texts are what a plain proxy lets out. A line with "+ " before it is the proxy's own work, one with
"- " is what it takes away. NUMBER is the message's.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from lab import filled_in

PROXY, INSIDE, PEER = "192.168.178.10", "10.77.255.1", "198.51.100.20"
"""The proxy, its neighbour inside, and the other end outside."""

NETWORK = "10.0.0.0/8"
OWN = (PROXY, "server.com")

RECEIVED = "Via received"
"""The carrier that the proxy fills itself, with its neighbour's address."""

_PLACE = re.compile(r"\{([^}]+)\}")
_COPIED = re.compile(r"(?mi)^(?:Via|Record-Route|From|To|Call-ID|CSeq):.*\n")

# --- messages -----------------------------------------------------------------------------------

_HEADERS = (
    filled_in.REFERENCES
    + filled_in.CALL_IDS
    + filled_in.IDENTITIES
    + filled_in.TEXTS
    + filled_in.PRODUCTS
    + filled_in.OWN_NETWORK
    + filled_in.UNHEARD_OF
)
_REQUEST = """\
+ Via: SIP/2.0/UDP 192.168.178.10;branch=z9hG4bKproxyNUMBER
Via: SIP/2.0/UDP 192.168.178.10;branch=z9hG4bKphoneNUMBER
From: <sip:alice@server.com>;tag=1
To: <sip:bob@server.com>
Call-ID: NUMBER
"""
_INVITE = """\
INVITE sip:bob@198.51.100.20 SIP/2.0
+ Via: SIP/2.0/UDP 192.168.178.10;branch=z9hG4bKproxyNUMBER
- Via: SIP/2.0/UDP {Via};branch=z9hG4bKphoneNUMBER;rport
+ Via: SIP/2.0/UDP {Via};branch=z9hG4bKphoneNUMBER;rport=5060;received={Via received}
Via: SIP/2.0/TCP {Via below};branch=z9hG4bKbelowNUMBER
+ Record-Route: <sip:192.168.178.10;lr>
Record-Route: <sip:{Record-Route};lr>
Contact: <sip:alice@{Contact}:5062>
From: <sip:alice@{From}>;tag=1
To: <sip:bob@{To}>
Call-ID: NUMBER@{Call-ID}
"""
_SPIRAL = f"""\
INVITE sip:carol@{{Request-URI, back to us}} SIP/2.0
- Route: <sip:192.168.178.10;lr>
Route: <sip:198.51.100.20;lr>, <sip:192.168.178.10;lr>, <sip:{{Route, back to us}};lr>
{_REQUEST}"""
_REGISTER = f"""\
REGISTER sip:198.51.100.20 SIP/2.0
+ Path: <sip:192.168.178.10;lr>
Path: <sip:{{Path}};lr>
{_REQUEST}Contact: <sip:alice@{{Contact in REGISTER}}:5062>
"""
_PUBLISH = f"""\
PUBLISH sip:alice@198.51.100.20 SIP/2.0
{_REQUEST}Contact: <sip:alice@{{Contact in PUBLISH}}:5062>
"""
_PLAIN = f"INVITE sip:bob@198.51.100.20 SIP/2.0\n{_REQUEST}Contact: <sip:alice@server.com>\n"
_SIGNED = """\
Identity: x;info=<https://{Identity}/certificate>
P-Asserted-Identity: <sip:alice@{P-Asserted-Identity, signed}>
"""
_ASKED = """\
Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bKpeerNUMBER
From: <sip:bob@example.net>;tag=1
To: <sip:alice@server.com>{tag}
Call-ID: NUMBER
"""
_ANSWER = _ASKED.replace("{tag}", ";tag=2")
_OK = f"""\
SIP/2.0 200 OK from {{reason phrase}}
{_ANSWER}Record-Route: <sip:{{Record-Route}};lr>
+ Record-Route: <sip:192.168.178.10;lr>
Contact: <sip:alice@{{Contact}}:5062>
"""
_REGISTERED = f"""\
SIP/2.0 200 OK
{_ANSWER}Path: <sip:{{Path}};lr>, <sip:192.168.178.10;lr>
Service-Route: <sip:{{Service-Route}};lr>
Contact: <sip:alice@{{Contact in REGISTER}}:5062>;expires=60
"""
_REDIRECTED = f"""\
SIP/2.0 302 Moved
{_ANSWER}Contact: <sip:alice@{{Contact in 3xx}}:5062>
"""
_PLAIN_OK = f"SIP/2.0 200 OK\n{_ANSWER}Contact: <sip:alice@server.com>\n"


class Probe(NamedTuple):
    """A message that leaves. `asked`: the start line of the request that a response answers, else
    empty; `head` ends before CSeq, Content-Type and Content-Length."""

    method: str
    asked: str
    head: str
    kind: str = ""
    body: str = ""

    @property
    def carriers(self) -> list[str]:
        """The names of what is filled, in order."""
        return list(dict.fromkeys(_PLACE.findall(proxied(self.head) + self.body)))

    def leaving(self, number: int, filled: Mapping[str, str]) -> bytes:
        """The message as a plain proxy lets it out. `filled`: addresses by carrier; one that is not
        named has the proxy's own."""
        return self._wire(proxied(self.head), number, filled)

    def given(self, number: int, filled: Mapping[str, str], request: bytes = b"") -> bytes:
        """The message as the proxy gets it; `request`: as it reached who answers it."""
        head = "\n".join(
            line.removeprefix("- ") for line in self.head.split("\n") if not line.startswith("+ ")
        )
        if request:
            lines = request.decode().replace("\r\n", "\n").partition("\n\n")[0] + "\n"
            copied = "".join(_COPIED.findall(lines))
            copied = re.sub(r"(?m)^(To:.*)$", r"\1;tag=2", re.sub(r"(?mi)^CSeq:.*\n", "", copied))
            routes = "".join(re.findall(r"(?m)^Record-Route:.*\n", head))
            start, _, rest = head.partition("\n")
            head = f"{start}\n{routes}{copied}{_COPIED.sub('', rest)}"
        return self._wire(head, number, filled)

    def question(self, number: int) -> bytes:
        """The request of the peer that a response answers."""
        contact = "Contact: <sip:bob@198.51.100.20>\nMax-Forwards: 70\n"
        head = f"{self.asked}\n{_ASKED.replace('{tag}', '')}{contact}"
        return Probe(self.method, "", head)._wire(head, number, {})

    def _wire(self, head: str, number: int, filled: Mapping[str, str]) -> bytes:
        body = _fill(self.body, filled).replace("\n", "\r\n")
        kind = f"Content-Type: {self.kind}\n" if self.kind else ""
        counted = f"CSeq: {number} {self.method}\n{kind}Content-Length: {len(body)}\n\n"
        text = _fill(head.replace("NUMBER", str(number)) + counted, filled)
        return text.replace("\n", "\r\n").encode() + body.encode()


def proxied(head: str) -> str:
    """A text as the proxy lets it out."""
    return "\n".join(
        line.removeprefix("+ ") for line in head.split("\n") if not line.startswith("- ")
    )


def _fill(text: str, filled: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: filled.get(place[1], PROXY), text)


def _bodies() -> list[tuple[str, str]]:
    """Content-Types and bodies; the carriers in one are called as its type is."""
    found = [("application/sdp", filled_in.SDP)]
    for kind, text in (filled_in.BODIES | filled_in.OPAQUE).items():
        boundary = ";boundary=b" * kind.startswith("multipart")
        named = text.replace("{0}", f"{{{kind}}}").replace("{1}", f"{{{kind} Call-ID}}")
        found.append((kind + boundary, named))
    return found


_ASK_CALL, _ASK_REGISTRAR = "INVITE sip:alice@server.com SIP/2.0", "REGISTER sip:server.com SIP/2.0"

REQUESTS = [
    Probe("INVITE", "", _INVITE + _HEADERS + filled_in.CREDENTIALS),
    Probe("INVITE", "", _SPIRAL),
    Probe("REGISTER", "", _REGISTER),
    Probe("PUBLISH", "", _PUBLISH),
    Probe("INVITE", "", _PLAIN + _SIGNED),
    *(Probe("INVITE", "", _PLAIN, kind, body) for kind, body in _bodies()),
]
RESPONSES = [
    Probe("INVITE", _ASK_CALL, _OK + _HEADERS + filled_in.CHALLENGES),
    Probe("INVITE", _ASK_CALL, _REDIRECTED),
    Probe("REGISTER", _ASK_REGISTRAR, _REGISTERED),
    Probe("INVITE", _ASK_CALL, _PLAIN_OK + _SIGNED),
    *(Probe("INVITE", _ASK_CALL, _PLAIN_OK, kind, body) for kind, body in _bodies()),
]

_MEDIA = ("SDP c=", "SDP a=rtcp", "SDP a=cand", "SDP a=remote", "SDP a=source", "SDP a=path")
_GROUPS = {
    "references": filled_in.REFERENCES,
    "Call-IDs": filled_in.CALL_IDS + "{Call-ID}",
    "who somebody is": filled_in.IDENTITIES + "{From}{To}",
    "texts": filled_in.TEXTS + "{reason phrase}",
    "products": filled_in.PRODUCTS,
    "headers of one's own network": filled_in.OWN_NETWORK,
    "other headers": filled_in.UNHEARD_OF,
    "what a digest or a signature covers": filled_in.CREDENTIALS + filled_in.CHALLENGES + _SIGNED,
    "bodies": "".join(f"{{{kind}}}" for kind in filled_in.BODIES),
    "bodies that are not read": "".join(f"{{{kind}}}" for kind in filled_in.OPAQUE),
}


def groups() -> dict[str, list[str]]:
    """The names of all carriers, by what they are for."""
    of = {name: group for group, text in _GROUPS.items() for name in _PLACE.findall(text)}
    found: dict[str, list[str]] = {"routing": []}
    for probe in (*REQUESTS, *RESPONSES):
        for name in probe.carriers:
            group = of.get(name, "routing")
            if name.endswith(" Call-ID"):
                group = "Call-IDs"
            if name.startswith("SDP "):
                group = "SDP: where media goes" if name.startswith(_MEDIA) else "SDP: all else"
            named = found.setdefault(group, [])
            if name not in named:
                named.append(name)
    return found


def addresses() -> dict[str, str]:
    """An address inside for every carrier."""
    names = [name for named in groups().values() for name in named]
    filled = {name: f"10.77.{n // 100}.{n % 100 + 100}" for n, name in enumerate(names)}
    return filled | {RECEIVED: INSIDE}
