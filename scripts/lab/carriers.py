"""Messages in which every carrier of addresses is filled: `{NAME}` stands for an address of its own.

The texts are what a plain proxy lets out. A line with "+ " before it is the proxy's own work, one with
"- " is what it takes away. NUMBER is the message's.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

PROXY, INSIDE, PEER = "192.168.178.10", "10.77.255.1", "198.51.100.20"
"""The proxy, its neighbour inside, and the other end outside."""

NETWORK = "10.0.0.0/8"
OWN = (PROXY, "server.com")

RECEIVED = "Via received"
"""The carrier that the proxy fills itself, with its neighbour's address."""

_PLACE = re.compile(r"\{([^}]+)\}")
_COPIED = re.compile(r"(?mi)^(?:Via|Record-Route|From|To|Call-ID|CSeq):.*\n")

# --- header fields ------------------------------------------------------------------------------

_REFERENCES = """\
Refer-To: <sip:carol@{Refer-To}>
Referred-By: <sip:alice@{Referred-By}>
Reply-To: <sip:alice@{Reply-To}>
Alert-Info: <http://{Alert-Info}/ring.wav>
Call-Info: <http://{Call-Info}/photo.jpg>;purpose=icon
Error-Info: <sip:busy@{Error-Info}>
History-Info: <sip:alice@{History-Info}>;index=1
Diversion: <sip:alice@{Diversion}>;reason=no-answer
Refer-Events-At: <sip:events@{Refer-Events-At}>
Policy-Contact: <sip:policy@{Policy-Contact}>
"""
_CALL_IDS = """\
Replaces: 7@{Replaces};to-tag=1;from-tag=2
Join: 7@{Join};to-tag=1;from-tag=2
Target-Dialog: 7@{Target-Dialog};local-tag=1;remote-tag=2
In-Reply-To: 7@{In-Reply-To}
Event: dialog;call-id=7@{Event call-id}
Refer-To: <sip:carol@example.net?Replaces=7%40{Refer-To ?Replaces}%3Bto-tag%3D1%3Bfrom-tag%3D2>
"""
_IDENTITIES = """\
P-Asserted-Identity: "Alice" <sip:alice@{P-Asserted-Identity}>
P-Preferred-Identity: <sip:alice@{P-Preferred-Identity}>
Additional-Identity: <sip:alice@{Additional-Identity}>
Remote-Party-ID: <sip:alice@{Remote-Party-ID}>;party=calling
P-Associated-URI: <sip:alice@{P-Associated-URI}>
P-Called-Party-ID: <sip:alice@{P-Called-Party-ID}>
P-Charge-Info: <sip:alice@{P-Charge-Info}>
"""
_TEXTS = """\
Warning: 399 {Warning} "at home"
Reason: SIP;cause=200;text="at {Reason}"
Subject: from {Subject}
Contact: "at {Contact, display name}" <sip:x@server.com>;x="{Contact, parameters}"
Referred-By: "at {Referred-By, display name}" <sip:x@server.com>;x="{Referred-By, parameters}"
"""
_OWN_NETWORK = """\
P-Charging-Vector: icid-value=1;icid-generated-at={P-Charging-Vector}
P-Charging-Function-Addresses: ccf={P-Charging-Function-Addresses}
P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=1;x="{P-Access-Network-Info}"
P-Visited-Network-ID: "{P-Visited-Network-ID}"
P-Served-User: <sip:alice@{P-Served-User}>;sescase=orig
P-Profile-Key: <sip:room@{P-Profile-Key}>
P-User-Database: <aaa://{P-User-Database};transport=tcp>
P-Private-Network-Indication: {P-Private-Network-Indication}
P-DCS-LAES: {P-DCS-*}:7777;key=1
Cellular-Network-Info: 3GPP-E-UTRAN-FDD;x="{Cellular-Network-Info}"
Relayed-Charge: "{Relayed-Charge}"
Restoration-Info: <sip:{Restoration-Info}>
Geolocation: <https://{Geolocation}/alice>
Cisco-Guid: 1@{Cisco-*}
Av-Global-Session-ID: 1@{Av-*}
P-Location: SM;origlocsbc="{P-Location}"
Endpoint-View: <sip:alice@{Endpoint-View};gr=1>;local-tag=1
ms-diagnostics: 1;reason="x";source="{Ms-*}"
X-Real-IP: {X-*}
"""
_PRODUCTS = """\
User-Agent: PBX at {User-Agent}
Server: PBX at {Server}
Organization: {Organization}
"""
_CREDENTIALS = """\
Authorization: Digest username="alice",realm="{Authorization realm}",uri="sip:{Authorization uri}"
Proxy-Authorization: Digest username="alice",realm="x",uri="sip:{Proxy-Authorization uri}"
"""
_CHALLENGES = """\
WWW-Authenticate: Digest realm="{WWW-Authenticate}",nonce="1"
Proxy-Authenticate: Digest realm="{Proxy-Authenticate}",nonce="1"
Authentication-Info: nextnonce="{Authentication-Info}"
"""

# --- bodies -------------------------------------------------------------------------------------

_SDP = """\
v=0
o={SDP o= user} 1 1 IN IP4 {SDP o=}
s=at {SDP s=}
i=at {SDP i=}
u=http://{SDP u=}/
e=alice@{SDP e=}
c=IN IP4 {SDP c=}
t=0 0
a=tool:phone of {SDP a=tool}
m=audio 40000 RTP/AVP 0
a=rtcp:40001 IN IP4 {SDP a=rtcp}
a=candidate:1 1 UDP 1 {SDP a=candidate} 40000 typ host
a=candidate:2 1 UDP 1 192.168.178.10 40000 typ srflx raddr {SDP a=candidate raddr} rport 40000
a=remote-candidates:1 {SDP a=remote-candidates} 40000
a=source-filter: incl IN IP4 * {SDP a=source-filter}
a=ssrc:1 cname:alice@{SDP cname}
m=message 7654 TCP/MSRP *
a=path:msrp://{SDP a=path}:7654/x;tcp
"""
_SIP = """\
INVITE sip:bob@{0} SIP/2.0
Via: SIP/2.0/UDP {0};branch=z9hG4bK1
From: <sip:alice@{0}>;tag=1
To: <sip:bob@{0}>
Contact: <sip:alice@{0}>
Call-ID: 7@{1}

"""
_DESCRIBED = "v=0\no=- 1 1 IN IP4 {0}\ns=-\nt=0 0\n"
_XML = '<?xml version="1.0"?>\n'
_PIDF = f"""{_XML}<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:alice@{{0}}">
<tuple id="a"><status><basic>open</basic></status><contact>sip:alice@{{0}}</contact></tuple></presence>
"""
_BODIES = {
    "message/sipfrag": _SIP.rstrip("\n") + "\n",
    "message/sip": _SIP,
    "application/dialog-info+xml": f"""{_XML}<dialog-info \
xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@{{0}}">
<dialog id="1" call-id="7@{{1}}"><state>early</state><local><identity>sip:alice@{{0}}</identity>
<target uri="sip:alice@{{0}}:5062"/></local></dialog></dialog-info>
""",
    "application/reginfo+xml": f"""{_XML}<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" \
version="0" state="full"><registration aor="sip:alice@{{0}}" id="1" state="active">
<contact id="2" state="active" event="registered" callid="7@{{1}}"><uri>sip:alice@{{0}}</uri></contact>
</registration></reginfo>
""",
    "application/pidf+xml": _PIDF,
    "application/conference-info+xml": f"""{_XML}<conference-info \
xmlns="urn:ietf:params:xml:ns:conference-info" entity="sip:room@{{0}}" state="full" version="1">
<users><user entity="sip:alice@{{0}}"><endpoint entity="sip:alice@{{0}}:5062"/></user></users>
</conference-info>
""",
    "application/resource-lists+xml": f"""{_XML}<resource-lists \
xmlns="urn:ietf:params:xml:ns:resource-lists"><list><entry uri="sip:alice@{{0}}"/></list></resource-lists>
""",
    "application/rlmi+xml": f"""{_XML}<list xmlns="urn:ietf:params:xml:ns:rlmi" \
uri="sip:friends@{{0}}" version="1" fullState="true"><resource uri="sip:alice@{{0}}"/></list>
""",
    "application/simple-message-summary": "Messages-Waiting: yes\nMessage-Account: sip:alice@{0}\n",
    "message/cpim": "From: <im:alice@{0}>\nTo: <im:bob@example.net>\n\nContent-Type: text/plain\n\nx\n",
    "application/vq-rtcpxr": "VQSessionReport: CallTerm\nLocalAddr: IP={0} PORT=40000 SSRC=1\n",
    "multipart/mixed": f"""--b
Content-Type: application/sdp

{_DESCRIBED}
--b
Content-Type: application/pidf+xml

{_PIDF}
--b--
""",
}
_OPAQUE = {
    "text/plain": "I am at {0}\n",
    "multipart/signed": f"--b\nContent-Type: application/sdp\n\n{_DESCRIBED}\n--b--\n",
}


# --- messages -----------------------------------------------------------------------------------

_HEADERS = _REFERENCES + _CALL_IDS + _IDENTITIES + _TEXTS + _PRODUCTS + _OWN_NETWORK
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
    found = [("application/sdp", _SDP)]
    for kind, text in (_BODIES | _OPAQUE).items():
        boundary = ";boundary=b" * kind.startswith("multipart")
        named = text.replace("{0}", f"{{{kind}}}").replace("{1}", f"{{{kind} Call-ID}}")
        found.append((kind + boundary, named))
    return found


_ASK_CALL, _ASK_REGISTRAR = "INVITE sip:alice@server.com SIP/2.0", "REGISTER sip:server.com SIP/2.0"

REQUESTS = [
    Probe("INVITE", "", _INVITE + _HEADERS + _CREDENTIALS),
    Probe("INVITE", "", _SPIRAL),
    Probe("REGISTER", "", _REGISTER),
    Probe("PUBLISH", "", _PUBLISH),
    Probe("INVITE", "", _PLAIN + _SIGNED),
    *(Probe("INVITE", "", _PLAIN, kind, body) for kind, body in _bodies()),
]
RESPONSES = [
    Probe("INVITE", _ASK_CALL, _OK + _HEADERS + _CHALLENGES),
    Probe("INVITE", _ASK_CALL, _REDIRECTED),
    Probe("REGISTER", _ASK_REGISTRAR, _REGISTERED),
    Probe("INVITE", _ASK_CALL, _PLAIN_OK + _SIGNED),
    *(Probe("INVITE", _ASK_CALL, _PLAIN_OK, kind, body) for kind, body in _bodies()),
]

_MEDIA = ("SDP c=", "SDP a=rtcp", "SDP a=cand", "SDP a=remote", "SDP a=source", "SDP a=path")
_GROUPS = {
    "references": _REFERENCES,
    "Call-IDs": _CALL_IDS + "{Call-ID}",
    "who somebody is": _IDENTITIES + "{From}{To}",
    "texts": _TEXTS + "{reason phrase}",
    "products": _PRODUCTS,
    "headers of one's own network": _OWN_NETWORK,
    "what a digest or a signature covers": _CREDENTIALS + _CHALLENGES + _SIGNED,
    "bodies": "".join(f"{{{kind}}}" for kind in _BODIES),
    "bodies that are not read": "".join(f"{{{kind}}}" for kind in _OPAQUE),
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
