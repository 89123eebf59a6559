"""The places of a message into which attackers put what they have."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import quote

from attacks.gateways import PROXY
from attacks.harvest import IDENTITIES, REFERENCES, Seen
from attacks.message import Message, tag_of
from attacks.scene import B

HERE = f"{B[0]}:{B[1]}"
URI, VIA, WORD = "uri", "via", "word"
BOTH, REQUEST, RESPONSE = "both", "request", "response"

Put = Callable[[Message, Sequence[str]], None]


class Where(NamedTuple):
    """A place. `takes`: URIs, Vias or words; `inside`: of which messages; `most`: items at once."""

    name: str
    takes: str
    put: Put
    messages: str = BOTH
    most: int = 12


def _fields(name: str, form: str, message: Message, items: Sequence[str]) -> None:
    message.put(name, *(form.format(item) for item in items))


def _more(name: str, form: str, message: Message, items: Sequence[str]) -> None:
    message.add(name, *(form.format(item) for item in items))


def _before(name: str, form: str, message: Message, items: Sequence[str]) -> None:
    message.push(name, *(form.format(item) for item in items))


def _end(name: str, form: str, message: Message, items: Sequence[str]) -> None:
    """From and To keep their tags."""
    tag = tag_of(message.first(name))
    message.put(name, form.format(items[0]) + (f";tag={tag}" if tag else ""))


def _request_uri(message: Message, items: Sequence[str]) -> None:
    message.retarget(items[0])


def _escaped(name: str, form: str, message: Message, items: Sequence[str]) -> None:
    """Into a URI's headers or parameters, with what must be escaped there."""
    message.put(name, *(form.format(quote(item, safe="")) for item in items))


def _reason_phrase(message: Message, items: Sequence[str]) -> None:
    message.start = f"SIP/2.0 {message.status} {' '.join(items)}"


def _each(kind: str, each: str, form: str, message: Message, items: Sequence[str]) -> None:
    """A body in which `each` is repeated for every item."""
    message.put("Content-Type", kind)
    lines = "".join(each.format(item).replace("\n", "\r\n") for item in items)
    message.body = form.replace("\n", "\r\n").replace("{all}", lines)


_SDP = "v=0\n{all}s=-\nc=IN IP4 198.51.100.22\nt=0 0\nm=audio 9 RTP/AVP 0\n"
_SDP_ORIGIN = _SDP.replace("{all}s=-\n", "o=- 1 1 IN IP4 198.51.100.22\ns=-\n{all}")
_PIDF = (
    '<?xml version="1.0"?>\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:b@x">\n'
    "{all}</presence>\n"
)
_MIXED = (
    "--b\nContent-Type: application/sdp\n\nv=0\no=- 1 1 IN IP4 198.51.100.22\ns=-\n"
    "c=IN IP4 198.51.100.22\nt=0 0\n--b\nContent-Type: message/sipfrag\n\nSIP/2.0 200 OK\n{all}--b--\n"
)
_SIP = (
    "INVITE sip:b@198.51.100.22 SIP/2.0\n{all}From: <sip:b@attacker.example>;tag=9\n"
    "To: <sip:a@attacker.example>\nCall-ID: inner\nCSeq: 1 INVITE\n\n"
)


def _bodies() -> Iterator[Where]:
    frag = "message/sipfrag"
    for name, takes, each in (
        ("Contact", URI, "Contact: <{}>\n"),
        ("Record-Route", URI, "Record-Route: <{}>\n"),
        ("Route", URI, "Route: <{}>\n"),
        ("From", URI, "From: <{}>;tag=5\n"),
        ("To", URI, "To: <{}>;tag=5\n"),
        ("Refer-To", URI, "Refer-To: <{}>\n"),
        ("Via", VIA, "Via: {}\n"),
        ("Call-ID", WORD, "Call-ID: {}\n"),
    ):
        yield Where(f"sipfrag {name}", takes, partial(_each, frag, each, "SIP/2.0 200 OK\n{all}"))
    start = partial(_each, frag, "INVITE {} SIP/2.0\n", "{all}Contact: <sip:b@198.51.100.22>\n")
    yield Where("sipfrag Request-URI", URI, start, most=1)
    for name, takes, each in (("Contact", URI, "Contact: <{}>\n"), ("Via", VIA, "Via: {}\n")):
        yield Where(f"message/sip {name}", takes, partial(_each, "message/sip", each, _SIP))
    yield Where(
        "multipart sipfrag Contact", URI,
        partial(_each, "multipart/mixed;boundary=b", "Contact: <{}>\n", _MIXED),
    )  # fmt: skip
    for name, each in (
        ("o= user", "o={} 1 1 IN IP4 198.51.100.22\n"),
        ("o= host", "o=- 1 1 IN IP4 {}\n"),
    ):
        yield Where(f"SDP {name}", WORD, partial(_each, "application/sdp", each, _SDP), most=1)
    for name, takes, each in (
        ("i=", WORD, "i={}\n"), ("s=", WORD, "s={}\n"), ("e=", WORD, "e={}\n"),
        ("u=", URI, "u={}\n"), ("a=tool", WORD, "a=tool:{}\n"), ("cname", WORD, "a=ssrc:1 cname:{}\n"),
    ):  # fmt: skip
        yield Where(f"SDP {name}", takes, partial(_each, "application/sdp", each, _SDP_ORIGIN))
    yield Where(
        "XML contact", URI,
        partial(_each, "application/pidf+xml", "<contact>{}</contact>\n", _PIDF),
    )  # fmt: skip
    yield Where(
        "XML entity", URI,
        partial(_each, "application/dialog-info+xml", '<dialog id="1" entity="{}"/>\n', _PIDF),
    )  # fmt: skip
    yield Where(
        "message summary", URI,
        partial(_each, "application/simple-message-summary", "Message-Account: {}\n",
                "Messages-Waiting: yes\n{all}"),
        most=1,
    )  # fmt: skip
    yield Where(
        "CPIM",
        URI,
        partial(_each, "message/cpim", "From: <{}>\n", "{all}\nContent-Type: text/plain\n\nx\n"),
    )
    yield Where(
        "quality report", URI,
        partial(_each, "application/vq-rtcpxr", "LocalID:<{}>\n", "VQSessionReport\n{all}CallID:x\n"),
    )  # fmt: skip
    yield Where("text", URI, partial(_each, "text/plain", "call {}\n", "{all}"))
    yield Where("text words", WORD, partial(_each, "text/plain", "{}\n", "{all}"))


def _routing() -> Iterator[Where]:
    yield Where("Request-URI", URI, _request_uri, REQUEST, most=1)
    yield Where(
        "Request-URI maddr", WORD, partial(_aims, "sip:a@198.51.100.21;maddr={}"), REQUEST, 1
    )
    yield Where(
        "Request-URI parameter", WORD, partial(_aims, "sip:a@198.51.100.21;x={}"), REQUEST, 1
    )
    yield Where("Route behind", URI, partial(_more, "Route", "<{};lr>"), REQUEST)
    yield Where("Record-Route", URI, partial(_fields, "Record-Route", "<{};lr>"), REQUEST)
    yield Where("Record-Route above", URI, partial(_before, "Record-Route", "<{};lr>"), RESPONSE)
    yield Where("Record-Route below", URI, partial(_more, "Record-Route", "<{};lr>"), RESPONSE)
    yield Where("Record-Route alone", URI, partial(_fields, "Record-Route", "<{};lr>"), RESPONSE)
    yield Where("Via below", VIA, partial(_more, "Via", "{}"))
    yield Where("Contact", URI, partial(_fields, "Contact", "<{}>"))
    yield Where("Contact bare", URI, partial(_fields, "Contact", "{}"), most=1)
    yield Where("Contact list", URI, partial(_list, "Contact"))
    yield Where("Contact named", URI, partial(_fields, "Contact", '"<{0}>" <{0}>;q=0.1'))
    yield Where(
        "Contact received", URI, partial(_fields, "Contact", f'<sip:b@{HERE}>;received="{{}}"')
    )
    yield Where("Contact user of ours", WORD, partial(_fields, "Contact", "<sip:{}@example.com>"))
    yield Where("Contact parameter", WORD, partial(_fields, "Contact", f"<sip:b@{HERE};hid={{}}>"))
    yield Where("Path", URI, partial(_fields, "Path", "<{};lr>"))
    yield Where("Service-Route", URI, partial(_fields, "Service-Route", "<{};lr>"))
    for name in ("From", "To"):
        yield Where(name, URI, partial(_end, name, "<{}>"), most=1)
        yield Where(f"{name} bare", URI, partial(_end, name, "{}"), most=1)
        yield Where(
            f"{name} hid", WORD, partial(_end, name, f"<sip:alice@{PROXY};hid={{}}>"), most=1
        )
        yield Where(
            f"{name} field hid", WORD, partial(_end, name, f"<sip:alice@{PROXY}>;hid={{}}"), most=1
        )


def _list(name: str, message: Message, items: Sequence[str]) -> None:
    message.put(name, ", ".join(f"<{item}>" for item in items))


def _aims(form: str, message: Message, items: Sequence[str]) -> None:
    message.retarget(form.format(items[0]))


def _references() -> Iterator[Where]:
    for name in ("Refer-To", *REFERENCES):
        yield Where(name, URI, partial(_fields, name, "<{}>"))
    to = f"<sip:a@{PROXY}?"
    yield Where("Refer-To Route", URI, partial(_escaped, "Refer-To", to + "Route={}>"))
    yield Where("Refer-To Contact", URI, partial(_escaped, "Refer-To", to + "Contact=%3C{}%3E>"))
    yield Where("Refer-To Replaces", WORD, partial(_escaped, "Refer-To", to + "Replaces={}>"))
    for name in IDENTITIES:
        yield Where(name, URI, partial(_fields, name, "<{}>"))


def _others() -> Iterator[Where]:
    for name in ("Subject", "Warning", "Reason", "User-Agent", "Server", "Organization", "X-Where",
                 "P-Charging-Vector", "Geolocation", "Accept-Contact", "Permission-Missing",
                 "Trigger-Consent", "Feature-Caps", "Info-Package", "Unheard-Of"):  # fmt: skip
        yield Where(name, URI, partial(_fields, name, "<{}>"))
        yield Where(f"{name} words", WORD, partial(_fields, name, "x;y={}"))
    for name in ("Authorization", "Proxy-Authorization"):
        form = 'Digest username="b", realm="x", nonce="1", uri="{}", response="2"'
        yield Where(name, URI, partial(_fields, name, form), REQUEST)
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        form = 'Digest realm="{0}", nonce="1", domain="{0}"'
        yield Where(name, URI, partial(_fields, name, form), RESPONSE)
    yield Where("Identity", URI, partial(_fields, "Identity", "x;info=<{}>"), REQUEST)
    for name in ("In-Reply-To", "Replaces", "Join", "Target-Dialog"):
        yield Where(name, WORD, partial(_fields, name, "{}"))
    yield Where("Call-ID", WORD, partial(_fields, "Call-ID", "{}"), REQUEST, 1)
    yield Where("Event", WORD, partial(_fields, "Event", "dialog;call-id={}"))
    yield Where("reason phrase", URI, _reason_phrase, RESPONSE)
    yield Where("reason phrase words", WORD, _reason_phrase, RESPONSE)


PLACES = [*_routing(), *_references(), *_others(), *_bodies()]


def items(seen: Seen, takes: str) -> list[str]:
    """All that attackers can put into a place of this kind, made of what they have seen."""
    if takes == URI:
        made = [f"sip:{word}@{PROXY}" for word in seen.words]
        made += [f"sip:{PROXY};line=sr-{word}" for word in _foreign(seen)]
        return list(dict.fromkeys([*seen.uris, *made]))
    if takes == VIA:
        made = [f"SIP/2.0/UDP {PROXY};branch=z9hG4bK{word}" for word in seen.words]
        made += [f"SIP/2.0/UDP {PROXY};branch=z9hG4bKsr-{word}" for word in _foreign(seen)]
        return list(dict.fromkeys([*seen.vias, *made]))
    extra = [seen.call["Call-ID"]] if takes == WORD else []
    return list(dict.fromkeys([*seen.words, *extra]))


def _foreign(seen: Seen) -> list[str]:
    """The words that topoh's tokens are made of; none where no token of topoh's was seen."""
    is_topoh = any(";line=sr-" in uri for uri in seen.uris)
    return [word for word in seen.words if is_topoh and len(word) % 4 == 0]
