"""What outsiders come to see of honest traffic: alice's calls, and every token in them.

Each place of her messages names a host of its own, so that a search tells which place showed.
"""

import re
from dataclasses import dataclass
from itertools import zip_longest

from attacks.gateways import PROTECTED, PROXY
from attacks.message import Message
from attacks.scene import ALICE, ALICE_URI, INNER, B, Left, Scene
from attacks.search import Secrets

HIDDEN_HOST = f"pbx1.{PROTECTED}"

REFERENCES = (
    "Referred-By", "Reply-To", "Alert-Info", "Call-Info", "Error-Info", "History-Info", "Diversion",
    "Refer-Events-At", "Policy-Contact",
)  # fmt: skip
IDENTITIES = (
    "P-Asserted-Identity", "P-Preferred-Identity", "Additional-Identity", "Remote-Party-ID",
    "P-Associated-URI", "P-Called-Party-ID", "P-Charge-Info",
)  # fmt: skip
TEXTS = ("Warning", "Reason", "Subject", "P-Charging-Vector", "Geolocation", "X-Where")
_PLACES = (
    *("Contact", "Via", "From", "To", "Call-ID", "Refer-To", "Contact in 3xx", "Path", "Service-Route"),
    *("Contact in REGISTER", "Path in 2xx", "o=", "i=", "sipfrag", "xml", "Contact in PUBLISH"),
    *("Via in REGISTER", "Record-Route in REGISTER"),
    *REFERENCES, *IDENTITIES, *TEXTS,
)  # fmt: skip
NAMES = {place: f"10.0.37.{100 + i}" for i, place in enumerate(_PLACES)} | {
    "Contact": ALICE[0],
    "Record-Route": INNER[0],
    "Contact user": "kx7secret",
    "Contact in 3xx user": "kx6moved",
    "Contact in REGISTER user": "kx5phone",
    "Refer-To user": "kx8carol",
    "sipfrag user": "kx9frag",
    "o= user": "kxorigin",
    "Reply-To host": HIDDEN_HOST,
}
"""What is inside in alice's messages, by place."""

_ENDS = {"From", "To", "Call-ID"}
LEFT_CLEAR = {
    "default": _ENDS,
    "strict": set[str](),
    "topoh": _ENDS
    | {*REFERENCES, *IDENTITIES, *TEXTS}
    | {"Path", "Service-Route", "Contact in REGISTER", "Path in 2xx", "Contact in PUBLISH"}
    | {"o=", "i=", "o= user", "sipfrag", "xml", "Refer-To", "Refer-To user", "Reply-To host"}
    | {"sipfrag user", "Contact in REGISTER user", "Via in REGISTER", "Record-Route in REGISTER"},
}
"""The places that a profile leaves clear, by the README's table of profiles."""

_WORD = re.compile(r"[A-Za-z0-9_.*~-]{18,}")
_URI = re.compile(r"""sips?:[^\s<>",']+""")
SDP = """v=0\r
o=kxorigin 1 1 IN IP4 {origin}\r
s=-\r
i=from {info}\r
c=IN IP4 192.0.2.10\r
t=0 0\r
m=audio 4000 RTP/AVP 0\r
"""


@dataclass
class Seen:
    """What outsiders keep of alice's traffic. `uris`, `vias` and `words` are tokens, as they stood;
    `secrets` is what they must never read; `shown` the places that were clear."""

    uris: list[str]
    vias: list[str]
    words: list[str]
    secrets: Secrets
    shown: set[str]
    branch: str
    call: dict[str, str]
    """Call-ID, CSeq, From and To of alice's INVITE as they left."""
    top: str
    """The topmost Via of alice's INVITE as it left."""


def harvest(scene: Scene) -> Seen:
    """Let alice's traffic through the gateway, and keep what its receivers see."""
    scene.forget()
    invite = _first(scene.inside(_invite(), INNER))
    for message in (_refer(), *_notifies(), _register(), _publish()):
        scene.inside(message, (NAMES["Record-Route in REGISTER"], 5060))
    _answers(scene)
    left = list(scene.left)
    scene.forget()
    fresh = _Fresh()
    for one in left:
        fresh.take(one)
    shown = Secrets(NAMES.values()).shown(b"\r\n".join(one.data for one in left))
    by_name = {name: place for place, name in NAMES.items()}
    return Seen(
        uris=_in_turn(fresh.uris),
        vias=_in_turn(fresh.vias),
        words=_in_turn(fresh.words),
        secrets=Secrets(NAMES.values()).without(shown),
        shown={by_name[name] for name in shown},
        branch=re.findall(r"branch=([^;\s]+)", invite.first("Via"))[0],
        call={name: invite.first(name) for name in ("Call-ID", "CSeq", "From", "To")},
        top=invite.first("Via"),
    )


class _Fresh:
    """Gathers what a message has after the gateway and had not before, with where it stood."""

    def __init__(self) -> None:
        self.uris: dict[str, str] = {}
        self.vias: dict[str, str] = {}
        self.words: dict[str, str] = {}

    def take(self, left: Left) -> None:
        clear = left.clear.decode("latin-1")
        message = Message.parse(left.data)
        for name, text in (*message.fields, ("body", message.body), ("start", message.start)):
            origin = f"{message.method} {name}"
            for uri in _URI.findall(text):
                self._keep(self.uris, uri, clear, origin)
            for word in _WORD.findall(text):
                if not self._keep(self.words, word, clear, origin):
                    continue
                for prefix in ("z9hG4bKsr-", "z9hG4bK", "sr-"):
                    if word.startswith(prefix):
                        self._keep(self.words, word.removeprefix(prefix), clear, origin)
                        break
        for via in message.values("Via"):
            self._keep(self.vias, via, clear, "Via")

    def _keep(self, kept: dict[str, str], item: str, clear: str, origin: str) -> bool:
        if item in clear:
            return False
        kept.setdefault(item, origin)
        return True


_FIRST = ("Contact", "Via", "From", "Record-Route", "body", "Refer-To", "Call-ID", "Path")


def _in_turn(kept: dict[str, str]) -> list[str]:
    """One of each origin first, the chief origins before the others; then a second of each, and so on."""
    by_origin: dict[str, list[str]] = {}
    for item, origin in kept.items():
        by_origin.setdefault(origin, []).append(item)

    def rank(origin: str) -> int:
        name = origin.rpartition(" ")[2]
        return _FIRST.index(name) if name in _FIRST else len(_FIRST)

    lists = [by_origin[origin] for origin in sorted(by_origin, key=rank)]
    return [item for turn in zip_longest(*lists) for item in turn if item is not None]


def _first(left: list[Left]) -> Message:
    if not left:
        raise AssertionError("alice's own INVITE did not leave")
    return Message.parse(left[0].data)


def _head(method: str, branch: str, *fields: tuple[str, str]) -> Message:
    uri = f"sip:bob@{B[0]}:{B[1]}"
    where = " in REGISTER" if method in ("REGISTER", "PUBLISH") else ""
    inner, phone = NAMES[f"Record-Route{where}"], NAMES[f"Via{where}"]
    return Message(
        f"{method} {uri} SIP/2.0",
        [
            ("Via", f"SIP/2.0/UDP {inner};branch=z9hG4bKinner{branch}"),
            ("Via", f"SIP/2.0/UDP {phone}:5062;branch=z9hG4bKkxphone{branch};rport"),
            ("From", f"<sip:alice@{NAMES['From']}>;tag=alicetag"),
            ("To", f"<sip:bob@{NAMES['To']}>"),
            ("Call-ID", f"{branch}kxcall@{NAMES['Call-ID']}"),
            ("CSeq", f"7 {method}"),
            ("Max-Forwards", "68"),
            *fields,
        ],
    )


def _invite() -> Message:
    message = _head(
        "INVITE",
        "1",
        ("Record-Route", f"<sip:{INNER[0]};lr>"),
        ("Contact", f'"Kx" <{ALICE_URI};ob>'),
        *((name, f"<sip:ref@{NAMES[name]}>") for name in REFERENCES if name != "Reply-To"),
        ("Reply-To", f"<sip:ref@{HIDDEN_HOST}>, <sip:{NAMES['Reply-To']}>"),
        *((name, f"<sip:id@{NAMES[name]}>") for name in IDENTITIES),
        ("Warning", f'399 {NAMES["Warning"]} "no"'),
        *((name, f"x;at={NAMES[name]}") for name in TEXTS if name != "Warning"),
        ("Content-Type", "application/sdp"),
    )
    message.body = SDP.format(origin=NAMES["o="], info=NAMES["i="])
    return message


def _refer() -> Message:
    contact = ("Contact", f"<{ALICE_URI}>")
    refer_to = ("Refer-To", f"<sip:kx8carol@{NAMES['Refer-To']}:5064?Replaces=1kxcall>")
    return _head("REFER", "2", ("Record-Route", f"<sip:{INNER[0]};lr>"), contact, refer_to)


def _notifies() -> list[Message]:
    frag = _head("NOTIFY", "3", ("Contact", f"<{ALICE_URI}>"), ("Content-Type", "message/sipfrag"))
    frag.body = f"SIP/2.0 200 OK\r\nContact: <sip:kx9frag@{NAMES['sipfrag']}:5062>\r\n"
    xml = _head("NOTIFY", "4", ("Contact", f"<{ALICE_URI}>"),
                ("Content-Type", "application/pidf+xml"))  # fmt: skip
    xml.body = (
        '<?xml version="1.0"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" '
        f'entity="sip:kx9frag@{NAMES["xml"]}"><tuple id="a"><contact>'
        f"sip:kx9frag@{NAMES['xml']}:5062</contact></tuple></presence>\r\n"
    )
    return [frag, xml]


def _register() -> Message:
    contact = f"<sip:kx5phone@{NAMES['Contact in REGISTER']}:5062>"
    message = _head("REGISTER", "5", ("Path", f"<sip:{NAMES['Path']};lr>"), ("Contact", contact))
    message.retarget(f"sip:{B[0]}:{B[1]}")
    return message


def _publish() -> Message:
    contact = f"<sip:kx5phone@{NAMES['Contact in PUBLISH']}:5062>"
    return _head("PUBLISH", "6", ("Contact", contact))


def _answers(scene: Scene) -> None:
    """B calls alice, who answers; asks again, and is redirected; a phone of B's registers."""
    for number, (method, status, fields) in enumerate(
        (
            ("INVITE", "200 OK", [("Contact", f"<{ALICE_URI}>")]),
            ("INVITE", "302 Moved", [("Contact", f"<sip:kx6moved@{NAMES['Contact in 3xx']}:5064>")]),
            ("REGISTER", "200 OK", [
                ("Path", f"<sip:{NAMES['Path in 2xx']};lr>"),
                ("Service-Route", f"<sip:{NAMES['Service-Route']};lr>"),
                ("Contact", f"<sip:kx5phone@{NAMES['Contact in REGISTER']}:5062>;expires=60"),
            ]),
        )
    ):  # fmt: skip
        request = asks(method, f"h{number}")
        if method == "REGISTER":
            request.retarget(f"sip:{INNER[0]}")  # the proxy hands it on to a registrar inside
            request.put("Route", f"<sip:{PROXY};lr>", f"<sip:{INNER[0]};lr>")
        scene.outside(request, B)
        if not scene.reached:
            continue
        reached = scene.reached.pop().message
        answer = Message(f"SIP/2.0 {status}", [])
        routes = reached.values("Record-Route")
        if routes:
            routes.insert(0, f"<sip:{INNER[0]};lr>")
        for name in ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq"):
            values = routes if name == "Record-Route" else reached.values(name)
            if name == "To":
                values = [f"{values[0]};tag=alicetag2"]
            answer.put(name, *values)
        answer.fields += fields
        scene.inside(answer, INNER)


def asks(method: str, branch: str) -> Message:
    """A request of B's to alice, as an honest phone makes it."""
    here = f"{B[0]}:{B[1]}"
    return Message(
        f"{method} sip:alice@example.com SIP/2.0",
        [
            ("Via", f"SIP/2.0/UDP {here};branch=z9hG4bKb{branch}"),
            ("From", "<sip:b@attacker.example>;tag=btag"),
            ("To", "<sip:alice@example.com>"),
            ("Call-ID", f"b-{branch}"),
            ("CSeq", f"3 {method}"),
            ("Max-Forwards", "70"),
            ("Contact", f"<sip:b@{here}>"),
        ],
    )
