"""Every header that can show an address: it leaks with its switch off, and does not with it on."""

import re
from itertools import chain
from typing import Any, NamedTuple

import pytest

from inline_topo.config.tables import NOT_FOR_PEERS, PROFILES
from inline_topo.masking import carriers
from tests.masking.network import PROXY, enter, gateway, leave, unmarked, wire
from tests.masking.topos_network import Node

INVITE = """
    INVITE sip:alice@198.51.100.20 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
    From: <sip:bob@example.com>;tag=b
    To: <sip:alice@carrier.example>
    Call-ID: 1
    CSeq: 1 INVITE
"""
OK = """
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
    From: <sip:alice@carrier.example>;tag=a
    To: <sip:bob@example.com>;tag=b
    Call-ID: 1
    CSeq: 1 INVITE
"""
SHOWN = re.compile(rb"10\.0\.0\.|fd00:|corp\.example|203\.0\.113\.30")


class Carrier(NamedTuple):
    """A line with a hidden host, the settings that leave it, and those that hide it."""

    line: str
    off: dict[str, Any]
    on: dict[str, Any] = {}  # noqa: RUF012 - never changed
    base: str = INVITE


def switched(switch: str, *lines: str, base: str = INVITE) -> list[Carrier]:
    off, on = {f"hide__{switch}": False}, {f"hide__{switch}": True}
    return [Carrier(line, off, on, base) for line in lines]


REFERENCES = switched(
    "references",
    "Refer-To: <sip:bob@10.0.0.5?Subject=x>",
    "r: sip:bob@pbx.corp.example",
    "Referred-By: <sip:bob@10.0.0.5>;cid=x",
    'Reply-To: "B" <sips:bob@[fd00::5]:5061>',
    "Alert-Info: <http://10.0.0.5/ring.wav>",
    "Call-Info: <https://10.0.0.5/b.png>;purpose=icon, <http://example.com/>",
    "Error-Info: <sip:busy@10.0.0.5>",
    "History-Info: <sip:bob@10.0.0.5>;index=1, <sip:b@203.0.113.30>;index=1.1",
    "Diversion: <sip:bob@10.0.0.5>;reason=no-answer",
    "Refer-Events-At: <sip:x@10.0.0.5>",
    "Policy-Contact: <sip:policy@10.0.0.5>",
)
ROUTES = [
    *switched("paths", "Path: <sip:10.0.0.5;lr>"),
    *switched("paths", "Path: <sip:10.0.0.5;lr>", "Service-Route: <sip:10.0.0.5;lr>", base=OK),
    *switched("spirals", "Route: <sip:192.0.2.10;lr>, <sip:10.0.0.5;lr>"),
    # what lies inside leaves in clear in neither
    *switched(
        "registers", "Contact: <sip:bob@203.0.113.30>", base=INVITE.replace("INVITE", "REGISTER")
    ),
    *switched(
        "registers", "Contact: <sip:bob@203.0.113.30>", base=INVITE.replace("INVITE", "PUBLISH")
    ),
]
IDENTITIES = [
    *switched(
        "identities",
        'P-Asserted-Identity: "B" <sip:bob@10.0.0.5:5062>, <tel:+12155551212>',
        "P-Preferred-Identity: <sip:bob@pbx.corp.example>",
        "Additional-Identity: <sip:bob@10.0.0.5>",
        "Remote-Party-ID: <sip:bob@10.0.0.5>;party=calling;screen=yes;privacy=off",
        "P-Called-Party-ID: <sip:bob@10.0.0.5>",
        "P-Charge-Info: <sip:bob@10.0.0.5>;npi=ISDN",
    ),
    *switched("identities", "P-Associated-URI: <sip:bob@10.0.0.5>, <sip:b@h>", base=OK),
]
TEXTS = [
    *switched("texts", 'Reason: SIP;cause=200;text="at 10.0.0.5:5060"', "s: see pbx.corp.example"),
    *switched("texts", 'Contact: "at 10.0.0.5" <sip:b@h>', "m: <sip:b@h>;x=pbx.corp.example"),
    *switched("texts", 'Contact: "at 10.0.0.5" <sip:b@h>;y="[fd00::5]"', base=OK),
    *switched("texts", 'Referred-By: "10.0.0.5" <sip:b@10.0.0.6>;x=10.0.0.7'),
    *switched("texts", 'Warning: 392 10.0.0.5:5060 "Noisy: from 10.0.0.6"', base=OK),
    *switched("texts", "X: y", base=OK.replace("200 OK", "404 No user at 10.0.0.5")),
]
OWN_NETWORK = {
    "P-Charging-Vector": "icid-value=1;icid-generated-at=10.0.0.5;orig-ioi=corp.example",
    "P-Charging-Function-Addresses": "ccf=[fd00::5]; ecf=10.0.0.5",
    "P-Access-Network-Info": 'IEEE-802.11; i-wlan-node-id=1; x="10.0.0.5"',
    "P-Visited-Network-ID": "corp.example",
    "P-Served-User": "<sip:bob@10.0.0.5>;sescase=orig",
    "P-Profile-Key": "<sip:room!.*!@corp.example>",
    "P-User-Database": "<aaa://hss.corp.example;transport=tcp>",
    "P-DCS-LAES": "10.0.0.5:7777;key=1",
    "Geolocation": "<https://lis.corp.example/x>",
    "P-Private-Network-Indication": "corp.example",
    "Cellular-Network-Info": '3GPP-E-UTRAN-FDD; x="10.0.0.5"',
    "Relayed-Charge": '"10.0.0.5"',
    "Restoration-Info": "<sip:pcscf.corp.example>",
    "Cisco-Gucid": "0001@10.0.0.5",
    "Av-Global-Session-ID": "1@10.0.0.5",
    "P-Location": 'SM;origlocsbc="10.0.0.5"',
    "Endpoint-View": "<sip:b@10.0.0.5;gr=1>;local-tag=1",
    "ms-diagnostics": '1;reason="x";source="pbx.corp.example"',
    "X-Asterisk-Host": "10.0.0.5",
    "x-real-ip": "203.0.113.30",
}
LISTED = [
    Carrier(f"{name}: {value}", {"hide__swap": []}, {f"hide__{key}": [*NOT_FOR_PEERS]})
    for key in ("swap", "strip")
    for name, value in OWN_NETWORK.items()
]
PRODUCTS = [
    Carrier(line, {"hide__user_agent": "keep"}, {"hide__user_agent": text}, base)
    for text in ("strip", "PBX")
    for base, line in (
        (INVITE, "User-Agent: PBX at 10.0.0.5"),
        (OK, "Server: pbx.corp.example"),
        (INVITE, "Organization: corp.example"),
    )
]
ENDS = [
    Carrier("X: y", {"hide__from_to": False}, {"hide__from_to": True}, base)
    for base in (
        INVITE.replace("bob@example.com", "bob@10.0.0.5:5062"),
        INVITE.replace("alice@carrier.example", "alice@pbx.corp.example;x=y"),
        INVITE.replace("<sip:bob@example.com>", "sip:bob@10.0.0.5"),
        INVITE.replace("<sip:bob@example.com>", '"at 10.0.0.5" <sip:bob@h>'),
        INVITE.replace("<sip:bob@example.com>", "<sip:bob%40pbx@h;x=10.0.0.5>"),
        OK.replace("bob@example.com", "bob@10.0.0.5"),
        OK.replace("alice@carrier.example", "alice@203.0.113.30"),
    )
]
CALL_IDS = [
    Carrier(line, {}, {"topoh__mask_callid": True}, INVITE.replace("Call-ID: 1\n", ""))
    for line in (
        "Call-ID: 1@10.0.0.5",
        "Replaces: 1@10.0.0.5;to-tag=1;from-tag=2",
        "Join: 1@10.0.0.5;to-tag=1;from-tag=2",
        "Target-Dialog: 1@10.0.0.5;local-tag=1;remote-tag=2",
        "In-Reply-To: 1@10.0.0.5, 2",
        "Event: dialog;call-id=1@10.0.0.5",
        "Refer-To: <sip:x@example.com?Replaces=1%4010.0.0.5%3Bto-tag%3D1>",
    )
]
ALL = [
    *REFERENCES,
    *ROUTES,
    *IDENTITIES,
    *TEXTS,
    *LISTED,
    *PRODUCTS,
    *ENDS,
    *CALL_IDS,
]


OPEN_ALWAYS = {"Refer-To", "r", "Path", "Service-Route", "Route"}


def without(carrier: Carrier) -> dict[str, Any]:
    """What leaves a carrier in clear: where tokens open always, no switch does, nor beside a Contact."""
    name = carrier.line.partition(":")[0]
    beside = name in ("Contact", "m") and "hide__texts" in carrier.off
    return {"rule": [{"action": "skip"}]} if name in OPEN_ALWAYS or beside else carrier.off


def message(carrier: Carrier) -> bytes:
    return wire(carrier.base.rstrip() + "\n    " + carrier.line)


@pytest.mark.parametrize("carrier", ALL, ids=lambda c: f"{c.line.partition(':')[0]} {c.on}")
def test_a_carrier_leaks_without_its_rule_and_does_not_with_it(carrier: Carrier) -> None:
    assert SHOWN.search(leave(gateway(**without(carrier)), message(carrier)))
    assert not SHOWN.search(leave(gateway(**carrier.on), message(carrier)))
    assert not SHOWN.search(leave(gateway(profile="strict", audit=0), message(carrier)))


@pytest.mark.full  # that the modes hide the same is in test_carriers_hidden.py
@pytest.mark.parametrize("carrier", ALL, ids=lambda c: f"{c.line.partition(':')[0]} {c.on}")
def test_mode_topos_has_the_same_rules(carrier: Carrier) -> None:
    assert SHOWN.search(
        Node(protected=["corp.example"], **without(carrier)).leave(message(carrier))
    )
    hidden = Node(protected=["corp.example"], **carrier.on).leave(message(carrier))
    assert not SHOWN.search(hidden)


def test_every_field_with_a_rule_has_a_carrier_here() -> None:
    ours = chain(carriers.REFERENCES, carriers.IDENTITIES, carriers.TEXTS, carriers.PRODUCTS)
    shown = {carrier.line.partition(":")[0] for carrier in ALL} | {"Subject"}
    assert {*ours, *carriers.PATHS} <= shown
    for listed in NOT_FOR_PEERS:
        assert any(carriers.is_listed(name, (listed,)) for name in OWN_NETWORK), listed


def test_topoh_touches_what_topoh_touches() -> None:
    """And where tokens open always; with codec kamailio not even that."""
    for carrier in (*REFERENCES, *IDENTITIES, *LISTED):
        text = wire(INVITE.rstrip() + "\n    " + carrier.line)
        assert leave(gateway("kamailio", profile="topoh"), text) == text, carrier.line
        left = leave(gateway(profile="topoh"), text)
        if carrier.line.partition(":")[0] in OPEN_ALWAYS:
            assert not SHOWN.search(left)
        else:
            assert left == text, carrier.line


SWAPPED = {
    'P-Asserted-Identity: "B, 10.0.0.5" <sip:bob@10.0.0.5:5062;x=y>': (
        'P-Asserted-Identity: "B, 192.0.2.10" <sip:bob@192.0.2.10;x=y>'
    ),
    "Remote-Party-ID: <sip:b@[FD00::5]:5061>;privacy=off": (
        "Remote-Party-ID: <sip:b@192.0.2.10>;privacy=off"
    ),
    "P-Asserted-Identity: <sip:b@198.51.100.20>, <tel:+1>": (
        "P-Asserted-Identity: <sip:b@198.51.100.20>, <tel:+1>"
    ),
    "Subject: 010.0.0.5 fd00::5. 1.10.0.0.5 1.203.0.113.30 12:30:45 example.com": (
        "Subject: 192.0.2.10 192.0.2.10. 1.192.0.2.10 1.203.0.113.30 12:30:45 example.com"
    ),
    "Subject: A.Corp.Example:5060, xcorp.example, corp.example.org": (
        "Subject: 192.0.2.10, xcorp.example, corp.example.org"
    ),
}


@pytest.mark.parametrize("clear", SWAPPED)
def test_what_is_swapped_is_the_host_and_its_port(clear: str) -> None:
    left = leave(gateway(), wire(INVITE.rstrip() + "\n    " + clear + "\n    X: y"))
    assert left == wire(INVITE.rstrip() + "\n    " + SWAPPED[clear] + "\n    X: y")


def test_a_stripped_header_goes_with_its_folds_and_nothing_else() -> None:
    head, tail = (
        b"INVITE sip:a@198.51.100.20 SIP/2.0\r\nX-A:\r\n\t1,\r\n 2\r\n",
        b"\r\n\r\nX-B: 3\r\n",
    )
    middle = b"x-b : 3\r\nSubject: X-B: 3\r\n y\r\nX-C:\r\nServer: z"
    left = leave(gateway(hide__strip=["X-*", "server"]), head + middle + tail)
    assert left == (
        b"INVITE sip:a@198.51.100.20 SIP/2.0\r\nSubject: X-B: 3\r\n y\r\n\r\nX-B: 3\r\n"
    )


def test_a_stripped_header_is_edited_by_no_other_rule() -> None:
    settings: dict[str, Any] = {
        "hide__strip": ["Diversion", "History-*"],
        "topoh__mask_callid": True,
    }
    lines = "Diversion: <sip:b@10.0.0.5?Replaces=1%4010.0.0.5>\n    History-Info: <sip:b@10.0.0.5>"
    left = leave(gateway(**settings), wire(INVITE.rstrip() + "\n    " + lines))
    assert left == wire(INVITE)


def test_a_longer_pattern_goes_before_a_shorter_one() -> None:
    settings: dict[str, Any] = {"hide__strip": ["X-Secret-*"], "hide__swap": ["X-*"]}
    lines = "X-Secret-A: 1\n    X-Real-IP: 10.0.0.5"
    left = leave(gateway(**settings), wire(INVITE.rstrip() + "\n    " + lines))
    assert left == wire(INVITE.rstrip() + "\n    X-Real-IP: 192.0.2.10")


def test_a_product_is_replaced() -> None:
    text = INVITE.rstrip() + "\n    {}User-Agent: {}"
    left = leave(
        gateway(hide__user_agent="PBX"), wire(text.format("Organization: x\n    ", "y 1.2"))
    )
    assert left == wire(text.format("", "PBX"))


SIGNED = """
    Identity: x;info=<https://cert.example/c>
    Date: Sat, 13 Nov 2010 23:29:00 GMT
    P-Asserted-Identity: <sip:bob@10.0.0.5>
    Remote-Party-ID: <sip:bob@10.0.0.5>
"""


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", ["Identity", "y"])
def test_an_identity_header_keeps_what_it_signs(profile: str, name: str) -> None:
    signed = INVITE.replace("bob@example.com", "bob@10.0.0.5").rstrip() + SIGNED.rstrip()
    text = wire(signed.replace("Identity:", f"{name}:", 1))
    settings: dict[str, Any] = {"profile": profile, "audit": 0}
    assert leave(gateway(**settings), text) == text


COVERED = """
    Authorization: Digest username="b",realm="10.0.0.5",uri="sip:10.0.0.5",nonce="1",response="2"
    Proxy-Authorization: Digest username="b",realm="corp.example",uri="sip:a@10.0.0.5"
    WWW-Authenticate: Digest realm="10.0.0.5",domain="sip:10.0.0.5",nonce="1"
    Proxy-Authenticate: Digest realm="10.0.0.5",nonce="1"
    Authentication-Info: nextnonce="10.0.0.5"
    Date: 10.0.0.5
"""


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("base", [INVITE, OK])
def test_what_a_digest_covers_is_left(profile: str, base: str) -> None:
    text = wire(base.rstrip() + COVERED.rstrip())
    assert leave(gateway(profile=profile, audit=0), text) == text


def test_a_policy_rule_leaves_the_carriers_too() -> None:
    rule = {"destination": ["198.51.100.20"], "action": "skip"}
    text = wire(INVITE.rstrip() + "\n    X-Real-IP: 10.0.0.5\n    User-Agent: x")
    settings: dict[str, Any] = {"profile": "strict", "audit": 0, "rule": [rule]}
    assert leave(gateway(**settings), text) == text


def test_what_enters_keeps_its_headers() -> None:
    """But for hosts of the inside's range, which are swapped for the sender's own (trust.md, rule 3)."""
    lines = "X-Real-IP: 10.0.0.5\n    User-Agent: x\n    P-Asserted-Identity: <sip:b@10.0.0.5>"
    text = wire(INVITE.rstrip() + "\n    " + lines)
    swapped = text.replace(b"X-Real-IP: 10.0.0.5", b"X-Real-IP: 198.51.100.20")
    swapped = swapped.replace(b"<sip:b@10.0.0.5>", b"<sip:b@198.51.100.20>")
    entered = enter(gateway(profile="strict", audit=0), text)
    assert unmarked(entered) == swapped


def test_the_documented_list_is_what_does_not_come_back() -> None:
    irreversible = [*IDENTITIES, *TEXTS, *PRODUCTS]
    beside = {"Contact", "m", "Referred-By", "X", "s"}
    names = {carrier.line.partition(":")[0] for carrier in irreversible}
    assert names - beside | {"Subject", "Reason-Phrase"} == set(carriers.NOT_REVERSIBLE)


def test_the_mask_address_takes_the_port_along_where_it_has_one() -> None:
    text = wire(INVITE.rstrip() + "\n    P-Asserted-Identity: <sip:bob@10.0.0.5:5062>")
    left = leave(gateway(), text, port=5080)
    assert f"P-Asserted-Identity: <sip:bob@{PROXY}:5080>".encode() in left


def test_the_mask_address_may_be_ipv6() -> None:
    ends: dict[str, Any] = {"inside": "2001:db8::10", "peer": "2001:db8:2::20"}
    masking = gateway(inside=["2001:db8::10", "10.0.0.0/8"], own=["2001:db8::10"])
    text = wire(INVITE.rstrip() + "\n    P-Asserted-Identity: <sip:bob@10.0.0.5:5062>")
    left = leave(masking, text, **ends)
    assert b"P-Asserted-Identity: <sip:bob@[2001:db8::10]>" in left
    assert leave(masking, left, **ends) == left
