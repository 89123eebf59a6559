"""Where a URI ends, what of it others must read, and what is sealed though it is no URI."""

import re
from typing import Any

import pytest

from inline_topo.assemble import Leg
from inline_topo.config import load
from inline_topo.errors import InlineTopoError
from inline_topo.gateway import Action
from tests.masking.network import PEER, PROXY, datagram, enter, gateway, judge, leave, wire
from tests.masking.topos_network import Node, contact, lines, request, sent

INSTANCE = ';+sip.instance="<urn:uuid:1>"'
RING_FIELDS = ("Contact", "Refer-To", "Referred-By", "Reply-To", "History-Info", "Diversion")
ROUTES = ("Record-Route", "Path", "Route", "Service-Route")


def invite(*fields: str, method: str = "INVITE") -> bytes:
    return wire(
        "\n".join(
            [
                f"{method} sip:200@198.51.100.20 SIP/2.0",
                f"Via: SIP/2.0/UDP {PROXY};branch=z9hG4bKp1",
                "From: <sip:100@example.com>;tag=a",
                "To: <sip:200@example.com>",
                "Call-ID: c",
                f"CSeq: 1 {method}",
                *fields,
            ]
        )
    )


def value(message: bytes, field: str) -> str:
    found = re.search(rb"(?m)^%s: (.*?)\r$" % field.encode(), message)
    assert found
    return found[1].decode()


BEHIND = [
    INSTANCE,
    ';x="1"' + INSTANCE,
    ';x="a, b; <c>"' + INSTANCE,
    " ;expires=60" + INSTANCE,
    ";x=<sip:b@example.com>",
    '?x="1"' + INSTANCE,
]


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("field", RING_FIELDS)
def test_a_bare_uri_ends_before_the_parameters_of_its_field(field: str, behind: str) -> None:
    clear = invite(f"{field}: sip:a@10.0.0.5{behind}")
    left = leave(gateway(profile="strict"), clear)
    token = value(left, field)
    assert re.fullmatch(rf"<sip:[\w-]{{24,}}@{re.escape(PROXY)}>{re.escape(behind)}", token)
    assert leave(gateway("kamailio"), clear) != clear
    # What opens is in no brackets either; a Request-URI is the URI alone.
    came = enter(gateway(profile="strict"), wire(f"INVITE sip:x@{PROXY} SIP/2.0\n{field}: {token}"))
    assert value(came, field) == f"sip:a@10.0.0.5{behind}"
    uri = token[1 : token.index(">")]
    assert enter(gateway(profile="strict"), wire(f"BYE {uri} SIP/2.0")).startswith(
        b"BYE sip:a@10.0.0.5 SIP/2.0\r\n"
    )


@pytest.mark.parametrize("behind", BEHIND)
def test_an_id_of_mode_topos_stands_for_the_bare_uri_alone(behind: str) -> None:
    node = Node()
    clear = b"Contact: sip:a@10.0.0.5" + behind.encode()
    left = node.leave(sent("INVITE", b"sip:200@198.51.100.20", clear))
    assert re.fullmatch(
        rb"<sip:btpsh-[0-9a-f]{24}@192\.0\.2\.10>%s" % re.escape(behind.encode()),
        lines(left, "Contact")[0],
    )
    bye = node.enter(request("BYE", contact(left), to_tag="1", from_tag="2"))
    assert bye.startswith(b"BYE sip:a@10.0.0.5 SIP/2.0\r\n")


@pytest.mark.parametrize("profile", ["default", "strict"])
def test_an_identity_that_is_bare_is_swapped_where_it_stands(profile: str) -> None:
    clear = invite(f"P-Asserted-Identity: sip:a@10.0.0.5{INSTANCE}", "Contact: <sip:a@10.0.0.5>")
    left = leave(gateway(profile=profile), clear)
    assert value(left, "P-Asserted-Identity") == f"sip:a@{PROXY}{INSTANCE}"


@pytest.mark.parametrize(
    "refer_to", ["sip:a@10.0.0.5?Replaces=x%3Bto-tag%3D1", "sip:a@10.0.0.5?A=b"]
)
def test_a_bare_uri_keeps_its_headers_part(refer_to: str) -> None:
    clear = invite(f"Refer-To: {refer_to}", method="REFER")
    outside, inside = gateway(leg=Leg.OUTSIDE), gateway(leg=Leg.INSIDE)
    left = leave(outside, clear)
    uri, part = refer_to.split("?")
    assert re.fullmatch(rf"<sip:[\w-]{{24,}}@{re.escape(PROXY)}\?{part}>", value(left, "Refer-To"))
    assert leave(inside, left) == clear
    # Who adds one to the token of a bare Contact gets the brackets that it then needs.
    token = value(leave(gateway(), invite(f"Contact: {uri}")), "Contact")
    came = enter(gateway(), invite(f"Refer-To: {token[:-1]}?{part}>", method="REFER"))
    assert value(came, "Refer-To") == f"<{uri}?{part}>"


# --- routes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bare", ["sip:10.0.0.9;lr;transport=udp", "sip:10.0.0.9;lr", "sip:10.0.0.9"]
)
@pytest.mark.parametrize("field", ROUTES)
def test_a_bare_route_is_the_whole_value(field: str, bare: str) -> None:
    clear = invite(f"{field}: sip:{PROXY};lr, {bare}", f"{field}: {bare}")
    left = leave(gateway(leg=Leg.OUTSIDE), clear)
    assert b"10.0.0.9" not in left
    lr = ";lr" if ";lr" in bare else ""
    token = rf"<sip:[\w-]{{24,}}@{re.escape(PROXY)}{lr}>"
    assert re.search(rf"(?m)^{field}: sip:{re.escape(PROXY)};lr, {token}\r$", left.decode())
    assert leave(gateway(leg=Leg.INSIDE), left) == clear


@pytest.mark.parametrize("behind", [INSTANCE, ';x="1, 2"' + INSTANCE, '?x="1"'])
@pytest.mark.parametrize("field", ROUTES)
def test_what_is_quoted_stands_behind_a_bare_route(field: str, behind: str) -> None:
    clear = invite(f"{field}: sip:r@10.0.0.9;lr;ob{behind}")
    left = leave(gateway(leg=Leg.OUTSIDE), clear)
    token = rf"<sip:[\w-]{{24,}}@{re.escape(PROXY)};lr;ob>"
    assert re.fullmatch(token + re.escape(behind), value(left, field))
    assert leave(gateway(leg=Leg.INSIDE), left) == clear


def test_the_record_routes_of_a_request_come_back_in_its_response() -> None:
    routes = [f"Record-Route: sip:{PROXY};lr", "Record-Route: sip:10.0.0.9;lr;transport=udp"]
    left = leave(gateway(), invite(*routes, "Contact: <sip:a@10.0.0.5>"))
    echoed = [line for line in left.decode().split("\r\n") if line.startswith(("Via", "Record"))]
    came = enter(gateway(), wire("\n".join(["SIP/2.0 200 OK", *echoed, "CSeq: 1 INVITE"])))
    assert [line for line in came.decode().split("\r\n") if line.startswith("Record")] == routes
    # In a Route they stand as the peer wrote them, but for the brackets.
    token = echoed[-1].removeprefix("Record-Route: ")
    bye = enter(gateway(), wire(f"BYE sip:a@{PROXY} SIP/2.0\nRoute: <sip:{PROXY};lr>, {token}"))
    assert value(bye, "Route") == f"<sip:{PROXY};lr>, sip:10.0.0.9;lr;transport=udp"


def test_the_token_of_a_bare_contact_keeps_its_brackets_in_a_route() -> None:
    token = value(leave(gateway(), invite("Contact: sip:a@10.0.0.5")), "Contact")
    came = enter(gateway(), wire(f"BYE sip:{PROXY} SIP/2.0\nRoute: {token}"))
    assert value(came, "Route") == "<sip:a@10.0.0.5>"


# Parameters of a route, and which of them the token shows.
SHOWN = [
    (";lr", ";lr"),
    (";lr=on;transport=udp", ";lr"),
    (";LR", ";lr"),
    ("", ""),
    (";transport=udp;x=lr", ""),
    (";lr;ob", ";lr;ob"),
    (";ob;x=1;lr", ";lr;ob"),
]


@pytest.mark.parametrize(("parameters", "shown"), SHOWN)
@pytest.mark.parametrize("field", ["Record-Route", "Path", "Service-Route"])
def test_a_route_shows_what_others_must_read(field: str, parameters: str, shown: str) -> None:
    clear = invite(f"{field}: <sip:r@10.0.0.9{parameters}>", method="REGISTER")
    left = leave(gateway(), clear)
    token = value(left, field)
    assert re.fullmatch(rf"<sip:[\w-]{{24,}}@{re.escape(PROXY)}{shown}>", token)
    came = enter(gateway(), wire(f"BYE sip:{PROXY} SIP/2.0\nRoute: {token}"))
    assert value(came, "Route") == f"<sip:r@10.0.0.9{parameters}>"


CONTACTS = [
    (";ob", (), ";ob"),
    (";lr;ob", (), ";ob"),
    (";method=INVITE;ob", (), ";ob;method=INVITE"),
    (";method=10.0.0.5", (), ""),
    (";gr=10.0.0.7", (), ";gr"),
    (";x-a=abc;rinstance=1", (), ""),
    (";x-a=abc;rinstance=1", ("x-a",), ";x-a=abc"),
    (";X-a;ob;rinstance=1", ("x-A", "rinstance"), ";X-a;ob;rinstance=1"),
    (";x-a=10.0.0.7;ob", ("x-a",), ";ob"),
    (";x-a=198.51.100.77", ("x-a",), ""),
    (";x-a=x.corp.example", ("x-a",), ""),
]


@pytest.mark.parametrize(("parameters", "clear_params", "shown"), CONTACTS)
def test_what_the_operator_lists_stays_readable(
    parameters: str, clear_params: tuple[str, ...], shown: str
) -> None:
    settings: dict[str, Any] = {"topoh__clear_params": list(clear_params)}
    clear = invite(f"Contact: <sip:a@10.0.0.5{parameters}>")
    left = leave(gateway(**settings), clear)
    token = value(left, "Contact")
    assert re.fullmatch(rf"<sip:[\w-]{{24,}}@{re.escape(PROXY)}{shown}>", token)
    came = enter(gateway(**settings), wire(f"BYE {token[1:-1]} SIP/2.0"))
    assert came.startswith(f"BYE sip:a@10.0.0.5{parameters} SIP/2.0\r\n".encode())
    kamailio = value(leave(gateway("kamailio", **settings), clear), "Contact")
    assert re.fullmatch(rf"<sip:{re.escape(PROXY)};line=sr-[\w.*-]+{shown}>", kamailio)
    node = Node(**settings)
    named = node.leave(sent("INVITE", b"sip:200@198.51.100.20", clear.split(b"\r\n")[6]))
    if "corp" not in parameters:  # which is protected in the other network alone
        assert re.fullmatch(
            rb"sip:btpsh-[0-9a-f]{24}@192\.0\.2\.10" + shown.replace(";ob", "").encode(),
            contact(named),
        )


def test_codec_kamailio_in_profile_topoh_has_topohs_bytes() -> None:
    clear = invite("Contact: <sip:a@10.0.0.5;ob;method=INVITE>")
    left = leave(gateway("kamailio", profile="topoh"), clear)
    assert re.fullmatch(rf"<sip:{re.escape(PROXY)};line=sr-[\w.*-]+>", value(left, "Contact"))


@pytest.mark.parametrize("name", ["maddr", "Transport", "a;b"])
def test_a_parameter_that_leads_elsewhere_is_never_shown(name: str) -> None:
    with pytest.raises(InlineTopoError, match=r"topoh\.clear_params"):
        load(
            None,
            env={},
            overrides={"inside": [PROXY], "topoh.clear_params": [name]},
            key_ring_given=True,
        )


# --- strict routing -------------------------------------------------------------------------------------


def test_a_strict_route_comes_back_as_its_sender_writes_it() -> None:
    """RFC 3261 section 12.2.1.1: the first Route without lr is the Request-URI, the target the last Route."""
    left = leave(
        gateway(), invite("Record-Route: <sip:sbc@10.0.0.9>", "Contact: <sip:a@10.0.0.5:5062>")
    )
    first, target = value(left, "Record-Route")[1:-1], value(left, "Contact")
    bye = enter(gateway(), wire(f"BYE {first} SIP/2.0\nRoute: {target}"))
    assert bye.startswith(b"BYE sip:sbc@10.0.0.9 SIP/2.0\r\n")
    assert value(bye, "Route") == "<sip:a@10.0.0.5:5062>"


STRICT = [
    ([b"<sip:sbc@10.0.0.9>"], b"sip:sbc@10.0.0.9", [b"<sip:a@10.0.0.5:5062>"]),
    (
        [b"<sip:sbc@10.0.0.9;x=1>", b"<sip:10.0.0.1;lr>"],
        b"sip:sbc@10.0.0.9;x=1",
        [b"<sip:10.0.0.1;lr>", b"<sip:a@10.0.0.5:5062>"],
    ),
    (
        [b"<sip:192.0.2.10;lr>", b"<sip:sbc@10.0.0.9>"],
        b"sip:a@10.0.0.5:5062",
        [b"<sip:192.0.2.10;lr>", b"<sip:sbc@10.0.0.9>"],
    ),
    ([b"sip:10.0.0.9;lr"], b"sip:a@10.0.0.5:5062", [b"sip:10.0.0.9;lr"]),
]


@pytest.mark.parametrize(("routes", "uri", "expected"), STRICT)
def test_mode_topos_builds_strict_routes_back(
    routes: list[bytes], uri: bytes, expected: list[bytes]
) -> None:
    node = Node()
    fields = [*[b"Record-Route: " + route for route in routes], b"Contact: <sip:a@10.0.0.5:5062>"]
    left = node.leave(sent("INVITE", b"sip:200@198.51.100.20", *fields))
    assert not lines(left, "Record-Route")
    bye = node.enter(request("BYE", contact(left), to_tag="1", from_tag="2"))
    assert bye.startswith(b"BYE " + uri + b" SIP/2.0\r\n")
    assert lines(bye, "Route") == expected


# --- what is no URI ---------------------------------------------------------------------------------------

NETWORKS: dict[str, Any] = {"inside": [PROXY, "10.0.0.0/8", "fd00:1::/64"]}
ODD = [
    "<ussd-1@10.0.0.5:5062>",
    '"d" <ussd-1@10.0.0.5>;q=1',
    "ussd-1@10.0.0.5:5062",
    "ussd-1@10.0.0.5;q=1",
    'ussd-1@10.0.0.5;q=1;x=<y>;z="<z>"',
    "10.0.0.5:5062",
    "10.0.0.5",
    '<sip:10.0.0.5:443;thinfo="VG8+PoIUYHSD/sWAZZw/BCEaSdGA=">',
    '<sip:a@10.0.0.5;x="a;b?c">;q=1',
    "<sip:1008@[fd00:1::5%4];transport=udp>",
    "<sip:1008@[fd00:1::5%eth0]:5062>",
    "<sip:1008@[fd00:1::5%25eth0]>",
    "< sip:a@10.0.0.5 >",
    "<sip:a@10.0.0.5:port>",
    "<sip:a@10.0.0.5:5062:5063;x=1>",
    '<sip:a@10.0.0.5;x="y>',
]
BLANKS = ["<sip:John Doe@10.0.0.5>", "<sip:a@10.0.0.5 ;x=1>;q=1"]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["Contact", "Refer-To", "Referred-By"])
def test_what_is_no_uri_is_sealed_unread_and_comes_back(field: str, odd: str) -> None:
    clear = invite(f"{field}: {odd}")
    networks = {**NETWORKS, "profile": "strict"}
    left = leave(gateway(leg=Leg.OUTSIDE, **networks), clear)
    assert not re.search(rb"10\.0\.0\.5|fd00|ussd", left)
    assert leave(gateway(leg=Leg.INSIDE, **networks), left) == clear
    # As a Request-URI it is what the phone would have got without a gateway.
    uri = re.search(r"<\s*(sip:[^\s>]*)\s*>", value(left, field))
    assert uri
    came = enter(gateway(**networks), wire(f"BYE {uri[1]} SIP/2.0"))
    bare = (
        odd.partition("<")[2].rpartition(">")[0].strip()
        if re.match('[<"]', odd)
        else odd.partition(";")[0]
    )
    assert came.split(b"\r\n")[0].decode() == f"BYE {bare} SIP/2.0"


@pytest.mark.parametrize("odd", BLANKS)
def test_blanks_come_back_but_in_a_start_line(odd: str) -> None:
    clear = invite(f"Contact: {odd}")
    left = leave(gateway(leg=Leg.OUTSIDE), clear)
    assert b"10.0.0.5" not in left
    assert leave(gateway(leg=Leg.INSIDE), left) == clear
    uri = value(left, "Contact")[1:].partition(">")[0]
    bye = wire(f"BYE {uri} SIP/2.0")
    assert enter(gateway(), bye) == bye
    # With codec kamailio anybody can write a token.
    verdict = judge(gateway("kamailio"), datagram(clear, PROXY, PEER))
    assert verdict.detail == "Contact: URI does not parse"


def test_a_swapped_host_loses_its_zone() -> None:
    clear = invite("P-Asserted-Identity: <sip:a@[fd00:1::5%eth0]:5062>", "Subject: at fd00:1::5%4")
    left = leave(gateway(profile="strict", **NETWORKS), clear)
    assert value(left, "P-Asserted-Identity") == f"<sip:a@{PROXY}>"
    assert value(left, "Subject") == f"at {PROXY}"


@pytest.mark.parametrize("route", ["<10.0.0.9;lr>", '<sip:10.0.0.9;x="a;ob";lr>', "<sbc@10.0.0.9>"])
def test_an_odd_route_is_loose_if_it_says_so(route: str) -> None:
    left = leave(gateway(leg=Leg.OUTSIDE), invite(f"Record-Route: {route}"))
    shown = ";lr" if ";lr" in route else ""
    token = rf"<sip:[\w-]{{24,}}@{re.escape(PROXY)}{shown}>"
    assert re.fullmatch(token, value(left, "Record-Route"))
    assert value(leave(gateway(leg=Leg.INSIDE), left), "Record-Route") == route


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_uri_comes_back_with_codec_kamailio(odd: str) -> None:
    clear = invite(f"Contact: {odd}")
    networks = NETWORKS
    left = leave(gateway("kamailio", leg=Leg.OUTSIDE, **networks), clear)
    assert not re.search(rb"10\.0\.0\.5|fd00", left)
    back = value(leave(gateway("kamailio", leg=Leg.INSIDE, **networks), left), "Contact")
    assert back == odd or (odd[0] not in '<"' and back == re.sub(r"^[^;]*", r"<\g<0>>", odd))


def test_a_via_with_a_zone_is_sealed() -> None:
    via = "Via: SIP/2.0/UDP [fe80::21dd:868d:b9cc:fd78%4]:5060;branch=z9hG4bKz0"
    clear = wire(
        f"OPTIONS sip:200@198.51.100.20 SIP/2.0\nVia: SIP/2.0/UDP {PROXY};branch=z9hG4bKp1\n{via}"
    )
    left = leave(gateway(leg=Leg.OUTSIDE), clear)
    assert b"fe80" not in left
    assert leave(gateway(leg=Leg.INSIDE), left) == clear


STAYS = [
    ("REGISTER", "Contact: <sip:u@198.51.100.20>;expires=60,24 May"),
    ("INVITE", "Contact: 24 May, <>, Bob"),
    ("INVITE", 'Contact: "Bob'),
    ("INVITE", "Record-Route: garbage, <sip:192.0.2.10;lr>"),
    ("INVITE", "Record-Route: <sip:192.0.2.10;lr>, <>, nonsense"),
    ("INVITE", "Refer-To: nobody"),
]


@pytest.mark.parametrize(("method", "field"), STAYS)
@pytest.mark.parametrize("profile", ["default", "strict"])
def test_what_does_not_parse_and_names_nothing_stays(method: str, field: str, profile: str) -> None:
    name = field.partition(":")[0]
    clear = wire(
        f"SIP/2.0 200 OK\nVia: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bKp1\nCSeq: 1 {method}\n{field}"
    )
    messages = [leave(gateway(profile=profile), clear)]
    if name != "Record-Route":
        messages.append(Node(profile=profile).leave(clear))
    for left in messages:
        kept = field.removeprefix("Contact: <sip:u@198.51.100.20>;expires=60")
        assert kept.partition(":")[2].encode() in left
        assert value(left, name)


REFUSED = [
    ("Contact: <sip:a@10.0.0.5", "Contact: does not parse"),
    ('Contact: "Bob <sip:a@10.0.0.5>', "Contact: does not parse"),
    ("Contact: <sip:a@10.0.0.5\t;x>", "Contact: does not parse"),
    ("Record-Route: <sip:10.0.0.9", "Record-Route: does not parse"),
    ("Refer-To: <sip:a@10.0.0.5", "Refer-To: does not parse"),
    ('Path: "10.0.0.9', "Path: does not parse"),
    ("Via: 10.0.0.9", "Via does not parse"),
    ("A b: c", "header line without a valid field name"),
]


@pytest.mark.parametrize(("field", "detail"), REFUSED)
def test_a_refusal_names_its_field(field: str, detail: str) -> None:
    verdict = judge(gateway(), datagram(invite(field), PROXY, PEER))
    assert (verdict.action, verdict.detail) == (Action.DROP, detail)
    assert "10.0.0" not in verdict.detail
