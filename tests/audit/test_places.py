"""Every spelling of a host inside, in every place, in messages written by hand; and what explains it."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from inline_topo.audit import left
from inline_topo.audit.left import ROWS, Row
from inline_topo.audit.said import Said
from inline_topo.audit.scan import Context
from tests.audit.messages import (
    DEFAULT,
    HOSTS,
    PEER,
    PHONE,
    PROXY,
    STRICT,
    Ends,
    found,
    request,
    response,
    scanner,
    told,
)

LATER = "abcdefghijklmnop"

SPELLINGS = {  # how a host inside is spelled, and what the search says it read
    "dotted": (PHONE, PHONE),
    "zeros": ("010.001.001.030", "010.001.001.030"),
    "IPv6": ("[2001:db8:1::30]", "2001:db8:1::30"),
    "IPv6, capitals": ("[2001:DB8:1:0:0:0:0:30]", "2001:DB8:1:0:0:0:0:30"),
    "IPv6, with a zone": ("[2001:db8:1::30%25eth0]", "2001:db8:1::30"),
    "IPv6, no brackets": ("2001:db8:1::30", "2001:db8:1::30"),
    "IPv4 in IPv6": ("[::ffff:10.1.1.30]", "::ffff:10.1.1.30"),
    "IPv4 in IPv6, hexadecimal": ("[::ffff:a01:11e]", "::ffff:a01:11e"),
    "translated": ("[64:ff9b::a01:11e]", "64:ff9b::a01:11e"),
    "a name": ("gw.EXAMPLE.com", "gw.EXAMPLE.com"),
    "a name with a dot": ("gw.example.com.", "gw.example.com"),
    "a name made of it": ("10-1-1-30.region.carrier.test", "10-1-1-30"),
    "a name made of it, dotted": ("10.1.1.30.nip.test", "10.1.1.30"),
    "a name made of it, backwards": ("30.1.1.10.in-addr.arpa", "30.1.1.10.in-addr.arpa"),
    "percent": ("10%2E1%2e1.30", "10.1.1.30"),
    "percent, twice": ("10%252E1.1.30", "10.1.1.30"),
    "references": ("10&#46;1.1&#x2E;30", "10.1.1.30"),
    "references behind percent": ("10%26%2346%3B1.1.30", "10.1.1.30"),
    "percent behind references": ("10&#37;2E1.1.30", "10.1.1.30"),
    "backslashes": ("10\\.1\\.1\\.30", "10.1.1.30"),
}  # fmt: skip

PLACES: dict[str, Callable[[str], bytes]] = {
    "Contact": lambda host: request(f"Contact: <sip:alice@{host}>"),
    "Contact ": lambda host: request(f"m: sip:alice@{host};expires=3"),
    "Contact  ": lambda host: response(f"Contact:\r\n <sip:alice@{host};ob>"),
    "Via": lambda host: request(f"Via: SIP/2.0/UDP {host};branch=z9hG4bK2"),
    "Record-Route": lambda host: request(f"Record-Route: <sip:{host};lr>"),
    "Path": lambda host: request(f"Path: <sip:{host};lr>", method="REGISTER"),
    "Refer-To": lambda host: request(f'Refer-To: "c" <sip:c@{host}>', method="REFER"),
    "Reason": lambda host: request(f"Reason: Q.850;text=\"at {host} now\""),
    "SDP o=": lambda host: request(
        "Content-Type: application/sdp", body=f"v=0\r\no=- 1 1 IN IP4 {host} \r\ns=-\r\n"
    ),
    "body application/dialog-info+xml": lambda host: request(
        "Content-Type: application/dialog-info+xml", body=f"<a>sip:alice@{host} </a>"
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_host_inside_is_a_leak_however_it_is_spelled(spelling: str, place: str) -> None:
    host, shown = SPELLINGS[spelling]
    seen = found(PLACES[place](host))
    assert ("leak", place.strip(), shown) in seen
    assert {field for _, field, _ in seen} == {place.strip()}
    if "backwards" not in spelling:  # where four numbers are a third party's address too
        assert {cause for cause, *_ in seen} == {"leak"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("host", [PROXY, "[2001:db8:1::10]", "SIP.example.com", PEER, "y.test"])
def test_what_outsiders_are_meant_to_see_is_none(host: str, place: str) -> None:
    assert found(PLACES[place](host)) == []


@pytest.mark.parametrize(
    "number", ["167837982", "0x0a01011e", "0xa.1.1.0x1e", "10.65822", "10.1.286"]
)
def test_what_inet_aton_takes_for_an_address_counts_where_a_host_may_stand(number: str) -> None:
    for line in (
        f"Contact: <sip:a@{number}>",
        f"Contact: <sip:a@{number}:5070;lr>",
        f"Contact: <sip:{number};lr>",
        f"Contact: <sip:x.test;maddr={number}>",
    ):
        assert found(request(line)) == [("leak", "Contact", number)], line
    assert found(request(f"Via: SIP/2.0/UDP {number}:5070")) == [("leak", "Via", number)]
    as_user = found(request(f"Contact: <sip:{number}@x.test>"))
    assert as_user == ([] if "." in number else [("leak", "Contact", number)])


WRAPPED: dict[str, Callable[[bytes], bytes]] = {
    "base64": lambda text: base64.b64encode(text),
    "base64url": lambda text: base64.urlsafe_b64encode(text).rstrip(b"="),
    "base64, twice": lambda text: base64.b64encode(base64.b64encode(text)),
    "base64, three times": lambda t: base64.b64encode(base64.b64encode(base64.b64encode(t))),
    "base64 of UTF-16": lambda text: base64.b64encode(text.decode().encode("utf-16-le")),
    "percent in base64": lambda text: base64.b64encode(text.replace(b".", b"%2E")),
    "percent of base64": lambda text: base64.b64encode(text).replace(b"M", b"%4D"),
    "UTF-16": lambda text: text.decode().encode("utf-16-be"),
    "UTF-32": lambda text: text.decode().encode("utf-32-le"),
}


@pytest.mark.parametrize("wrapping", WRAPPED)
@pytest.mark.parametrize("lead", [b"", b"a", b"ab"])
@pytest.mark.parametrize("host", [b"10.1.1.30", b"[2001:db8:1::30]", b"phone.example.com"])
def test_texts_within_texts(host: bytes, lead: bytes, wrapping: str) -> None:
    text = WRAPPED[wrapping](lead + b"<sip:alice@" + host + b">")
    data = request("Content-Type: application/pidf+xml") + b"<x>" + text + b"</x>"
    [(cause, field, shown)] = found(data)
    assert (cause, field) == ("leak", "body application/pidf+xml")
    assert shown == host.decode().strip("[]")


@pytest.mark.parametrize(
    "line",
    [
        'Contact: sip:a@10.1.1.30;x="1";+sip.instance="<urn:uuid:1>"',
        'Contact: sip:a@10.1.1.30;+sip.instance="<urn:uuid:1>";q=1',
        'Contact: sip:a@10.1.1.30;x="<sip:b@y.test>"',
        'Contact: "a" b <sip:a@10.1.1.30>',
        'Contact: "a <sip:a@10.1.1.30>',
        "Contact: <sip:a@10.1.1.30",
        "Contact: <sip:y.test> <sip:a@10.1.1.30>",
        "Contact: sip:a@10.1.1.30, <sip:b@y.test>",
        'Contact: "x, y" <sip:y.test>, <sip:a@10.1.1.30>',
        "Contact: <sip:y.test;x=10.1.1.30>",
        "Contact: <sip:10.1.1.30@y.test>",
    ],
)
def test_an_odd_contact_is_no_excuse(line: str) -> None:
    """The first left in clear, and the audit said that nothing leaked (version 0.1.0)."""
    assert found(request(line)) == [("leak", "Contact", PHONE)]


def test_a_lone_cr_is_a_line_break_for_some() -> None:
    """What it hides in a field that is left open is no part of that field there."""
    assert found(request(f"X-Any: {PHONE}")) == [("open", "X-Any", PHONE)]
    assert found(request(f"X-Any: a\r\n {PHONE}")) == [("open", "X-Any", PHONE)]
    assert found(request(f"X-Any: a\rContact: <sip:{PHONE}>")) == [("leak", "X-Any", PHONE)]


def test_the_topmost_via_of_a_request_shows_who_sends_it() -> None:
    top = request().replace(f"UDP {PROXY}".encode(), b"UDP 10.1.1.30;x=10.1.1.31")
    ends = Ends(inside=bytes((10, 1, 1, 30)))
    assert told(scanner().scan(top, ends)) == [("open", "Via, topmost", "10.1.1.31")]
    assert told(scanner((*DEFAULT, "nat")).scan(top, ends))[0] == ("leak", "Via", PHONE)
    assert found(top) == [("open", "Via, topmost", PHONE), ("open", "Via, topmost", "10.1.1.31")]
    assert {cause for cause, *_ in found(top, STRICT)} == {"leak"}


def test_the_vias_of_a_response_are_counted_apart() -> None:
    data = response("Via: SIP/2.0/UDP 10.1.1.30;received=10.1.1.31", "Contact: <sip:a@10.1.1.32>")
    for switches in (DEFAULT, STRICT):
        assert found(data, switches) == [
            ("vias", "Via", PHONE),
            ("vias", "Via", "10.1.1.31"),
            ("leak", "Contact", "10.1.1.32"),
        ]


def test_credentials_are_left_but_in_strict() -> None:
    for line in (
        'Authorization: Digest realm="10.1.1.30",uri="sip:y.test"',
        'Proxy-Authorization: Digest uri="sip:10.1.1.30"',
        'WWW-Authenticate: Digest realm="10.1.1.30"',
    ):
        name = line.partition(":")[0]
        assert found(request(line)) == [("open", name, PHONE)]
        assert found(request(line), STRICT) == [("leak", name, PHONE)]


def test_call_ids_that_came_escaped() -> None:
    data = request().replace(b"Call-ID: 1", b"Call-ID: 7@10.1.1.30")
    audits = scanner((*DEFAULT, "call_ids"), escape=b"!!!:")
    assert told(audits.scan(data, Ends())) == [("leak", "Call-ID", PHONE)]
    for before, cause in (
        (data.replace(b"7@", b"!!!:7@"), "echoed"),
        (data, "leak"),
        (data.replace(b"7@", b"!!!:8@"), "leak"),
        (b"", "leak"),
    ):
        context = Context(before=before)
        assert told(audits.scan(data, Ends(), context)) == [(cause, "Call-ID", PHONE)]


# --- the receiver's own words, and marks ------------------------------------------------------------

OWN_WORDS = {
    "Request-URI": request(uri=f"sip:bob@{PHONE}:5062;ob"),
    "Route": request(f"Route: <sip:carrier.test;lr>, <sip:bob@{PHONE}:5062;ob>"),
    "Record-Route": response(f"Record-Route: <sip:{PROXY};lr>, <sip:bob@{PHONE}:5062;ob>"),
    "Contact": response(f"Contact: <sip:bob@{PHONE}:5062;ob>", method="REGISTER").replace(
        f"UDP {PEER}".encode(), f"UDP {PHONE};received={PEER}".encode()
    ),
}


class Marks:
    """Opens one mark."""

    def open_mark(self, uri: bytes) -> bytes | None:
        marked = f"sip:bob@{PEER}:1;ob;out={LATER}".encode()
        return f"sip:bob@{PHONE}:5062;ob".encode() if uri == marked else None


def before(data: bytes, mark: str = LATER) -> bytes:
    return data.replace(f"{PHONE}:5062;ob".encode(), f"{PEER}:1;ob;out={mark}".encode())


AS_TOPOH = tuple(switch for switch in DEFAULT if switch != "routed")


@pytest.mark.parametrize("field", OWN_WORDS)
def test_own_words_are_counted_where_nobody_marks_them(field: str) -> None:
    seen = found(OWN_WORDS[field], AS_TOPOH)
    assert ("echoed", field, PHONE) in seen
    assert not any(cause == "leak" for cause, *_ in seen)


@pytest.mark.parametrize("field", OWN_WORDS)
def test_own_words_need_a_mark(field: str) -> None:
    """Whoever receives a name of the inside may have it from somebody else's message."""
    data = OWN_WORDS[field]
    audits = scanner(marks=Marks())

    def cause(context: Context) -> str:
        causes = [c for c, f, _ in told(audits.scan(data, Ends(), context)) if f == field]
        [one] = causes
        return one

    assert cause(Context(before=before(data))) == "echoed"
    assert cause(Context(before=before(data, "forged"))) == "leak"
    assert cause(Context(before=data)) == "leak"
    assert cause(Context()) == "leak"
    # the mark stood in another field
    other = before(request(f"Reply-To: <sip:bob@{PHONE}:5062;ob>", uri=f"sip:{PEER}"))
    assert cause(Context(before=other)) == "leak"
    # and a third party's address is none of this
    foreign = data.replace(PHONE.encode(), b"198.51.100.7")
    assert [f for _, f, _ in told(audits.scan(foreign, Ends())) if f == field] == []


BESIDE = {
    "Route": ["Route, display name", "Route ?headers", "Route, parameters"],
    "Record-Route": ["Record-Route, display name", "Record-Route ?headers", "Record-Route, parameters"],
    "Path": ["Path, display name", "Path ?headers", "Path, parameters"],
    "Contact": ["Contact, display name", "Contact ?headers", "Contact, parameters"],
    "Refer-To": ["Refer-To, display name", "Refer-To ?headers", "Refer-To, parameters"],
}  # fmt: skip
BARE = f"sip:b@y.test;maddr={PHONE}"
WHOLE = ("Route",)
"""Fields that are one place."""


@pytest.mark.parametrize("field", BESIDE)
@pytest.mark.parametrize("switches", [DEFAULT, ("routed",)], ids=["default", "none"])
def test_what_routes_shows_nothing_beside_its_uri(field: str, switches: tuple[str, ...]) -> None:
    """No switch leaves it: a display name, a headers part, the parameters of the field, or of a bare URI."""
    values = (
        f'"{PHONE}" <sip:b@y.test>',
        f"<sip:b@y.test?Route=%3Csip:{PHONE}%3E>",
        f"<sip:b@y.test>;received={PHONE}",
    )
    for value, place in zip(values, BESIDE[field], strict=True):
        named = field if field in WHOLE else place
        assert found(request(f"{field}: {value}"), switches) == [("leak", named, PHONE)]
    named = field if field in WHOLE else BESIDE[field][2]
    assert found(request(f"{field}: {BARE}"), switches) == [("leak", named, PHONE)]
    assert found(request(f"{field}: <sip:b@{PHONE}>"), switches) == [("leak", field, PHONE)]


def test_a_request_uri_shows_nothing_of_the_inside_in_any_part() -> None:
    for uri, shown in (
        (f"sip:b@y.test?Route=%3Csip:{PHONE}%3E", PHONE),
        (f"sip:b@y.test;x={PHONE}", PHONE),
        ("sip:b@y.test?x=10%2e1.1.30", PHONE),
        ("sip:b@y.test?x=%3C2001:db8:1::30%3E", "2001:db8:1::30"),
        ("&#49;0.1.1.30", PHONE),
        ("sip:b@y.test;maddr=0xa01011e", "0xa01011e"),
    ):
        assert found(request(uri=uri)) == [("leak", "Request-URI", shown)], uri


def test_offline_who_said_it_before_may_hear_it() -> None:
    data = OWN_WORDS["Request-URI"]
    said = Said(HOSTS)
    context = Context(said=said)
    assert told(scanner().scan(data, Ends(), context)) == [("unexplained", "Request-URI", PHONE)]
    said.hear(request(f"Contact: <sip:bob@{PHONE}>"), bytes((203, 0, 113, 77)))
    assert told(scanner().scan(data, Ends(), context)) == [("unexplained", "Request-URI", PHONE)]
    said.hear(request("Contact: <sip:bob@10%2e1.1.30>"), Ends().outside)
    assert told(scanner().scan(data, Ends(), context)) == [("echoed", "Request-URI", PHONE)]
    # what is no word of his stays a leak, whoever said it
    lower = request(f"Contact: <sip:a@{PHONE}>")
    assert told(scanner().scan(lower, Ends(), context)) == [("leak", "Contact", PHONE)]


# --- the table ----------------------------------------------------------------------------------------


def test_a_wrong_row_makes_nothing_vanish() -> None:
    """Each row turned off: the host is found as before, and only what it is called changes."""
    data = request(
        *(f"{name}: <sip:x@{PHONE}>" for name in ("Contact", "Record-Route", "Refer-To", "Path")),
        f"Via: SIP/2.0/UDP {PHONE}",
        f"P-Asserted-Identity: <sip:x@{PHONE}>",
        f"Subject: {PHONE}",
        "Content-Type: application/sdp",
        body=f"v=0\r\no=- 1 1 IN IP4 {PHONE}\r\n",
    )
    right = set(told(scanner(AS_TOPOH).scan(data, Ends())))
    assert {cause for cause, *_ in right} == {"leak"}
    assert len(right) == 8
    for number, row in enumerate(ROWS):
        wrong: list[Any] = list(ROWS)
        wrong[number] = Row(row.places, left.NEVER, row.hosts)
        seen = set(told(scanner(AS_TOPOH, rows=tuple(wrong)).scan(data, Ends())))
        assert {one[1:] for one in seen} == {one[1:] for one in right}
        changed = {field for cause, field, _ in seen if cause == "open"}
        assert changed == {field for _, field, _ in right if field in row.places}


def test_without_any_row_all_is_found() -> None:
    data = request(f"Contact: <sip:x@{PHONE}>", f"Via: SIP/2.0/UDP {PHONE}")
    assert {cause for cause, *_ in told(scanner(AS_TOPOH, ()).scan(data, Ends()))} == {"open"}
    routed = told(scanner(rows=()).scan(data, Ends()))  # rule 1 of trust needs no row
    assert routed == [("leak", "Contact", PHONE), ("open", "Via", PHONE)]
    strict = told(scanner(STRICT, rows=()).scan(data, Ends()))
    assert {cause for cause, *_ in strict} == {"leak"}
