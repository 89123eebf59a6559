"""Rule 4 of trust: a token opens where it routes and where its field is sealed; what opens, closes.

Each token comes from a message that left, and is sent back in every place that a message has.
"""

import re
from typing import Any

import pytest

from inline_topo.assemble import Leg
from inline_topo.bounds import MOST_VALUES
from inline_topo.gateway import Gateway
from inline_topo.masking.opening import OPENINGS, ROUTES
from tests.masking.network import (
    CODECS,
    PEER,
    PROXY,
    RING,
    THIRD,
    datagram,
    enter,
    gateway,
    judge,
    leave,
    wire,
)
from tests.masking.topos_network import Node

ALICE = "sip:alice@10.0.0.5:40416;ob"
INSIDE = re.compile(rb"10\.0\.0\.")
STRICT: dict[str, Any] = {"profile": "strict", "audit": 0}
PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "strict": STRICT,
    "topoh": {"profile": "topoh"},
}


def left(network: Gateway, value: str = f"<{ALICE}>", field: str = "Contact") -> str:
    """The value of a field as it leaves in an INVITE."""
    message = leave(network, request(f"{field}: {value}"))
    match = re.search(rb"^%b: (.*)\r$" % field.encode(), message, re.MULTILINE)
    assert match
    return match[1].decode()


def request(*lines: str, uri: str = f"sip:bob@{PEER}", method: str = "INVITE") -> bytes:
    usual = {"From": "<sip:a@example.com>;tag=1", "To": "<sip:b@example.com>"}
    said = {line.partition(":")[0] for line in lines}
    return wire(
        "\n".join(
            (
                f"{method} {uri} SIP/2.0",
                f"Via: SIP/2.0/UDP {PROXY};branch=z9hG4bK" + "a" * 24,
                *(f"{name}: {value}" for name, value in usual.items() if name not in said),
                "Call-ID: 1",
                f"CSeq: 1 {method}",
                *lines,
            )
        )
    )


def response(*lines: str, status: str = "200 OK", method: str = "INVITE") -> bytes:
    text = request(*lines, method=method)
    return b"SIP/2.0 " + status.encode() + b"\r\n" + text.partition(b"\r\n")[2]


def places(name: str, value: str, method: str = "INVITE") -> dict[str, bytes]:
    """Messages that have a value in a field, by their kind."""
    line = f"{name}: {value}"
    if name == "Request-URI":
        return {"request": request(uri=value.strip("<>"), method=method)}
    if name == "Contact":
        return {
            "request": request(line, method=method),
            "listed" if method == "REGISTER" else "answer": response(line, method=method),
            "redirection": response(line, status="302 Moved", method=method),
            "listed": response(line, method="REGISTER"),
            "registration": request(line, method="REGISTER"),
        }
    return {"request": request(line, method=method), "response": response(line, method=method)}


def opens(name: str, kind: str, settings: dict[str, Any], *, spirals: bool = True) -> bool:
    """Written out by hand: what the design says. `spirals`: any Contact opens."""
    if name == "Contact" and kind in ("request", "answer", "registration"):
        return spirals and (kind, settings.get("profile")) != ("registration", "topoh")
    routed = {
        *(("Request-URI", "request"), ("Route", "request"), ("Record-Route", "response")),
        *(("Contact", "redirection"), ("Contact", "listed")),
        *((name, kind) for name in ("Refer-To", "Path", "Service-Route")
          for kind in ("request", "response")),
    }  # fmt: skip
    references = {
        *("Referred-By", "Reply-To", "Alert-Info", "Call-Info", "Error-Info", "History-Info"),
        *("Diversion", "Refer-Events-At", "Policy-Contact"),
    }
    return (name, kind) in routed or (name in references and settings.get("profile") != "topoh")


NEVER = (
    *("From", "To", "Contact", "P-Asserted-Identity", "Remote-Party-ID", "P-Associated-URI"),
    *("Subject", "Warning", "Reason", "X-Header", "Authorization", "Record-Route", "Route"),
    *("P-Served-User", "Via", "User-Agent", "Call-ID", "In-Reply-To", "Replaces", "Geolocation"),
)


def test_what_opens_is_sealed_to_the_same_depth() -> None:
    assert {name for name, row in OPENINGS.items() if row.opened != row.sealed} == set()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", sorted({*OPENINGS, *NEVER}))
def test_a_token_opens_nowhere_else_and_what_opens_closes(name: str, profile: str) -> None:
    settings = PROFILES[profile]
    network = gateway(**settings)
    token = left(network)
    assert not INSIDE.search(token.encode())
    for kind, message in places(name, token).items():
        entered = enter(network, message, peer=THIRD)
        assert bool(INSIDE.search(entered)) == opens(name, kind, settings), kind
        again = judge(network, datagram(entered, PROXY, PEER))
        assert again.outcome.startswith("refused") or not INSIDE.search(again.packet), kind


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", ["request", "answer", "registration", "provisional"])
def test_a_contact_comes_back_as_it_left_unless_topoh_may_have_written_it(
    codec: str, kind: str
) -> None:
    near = gateway(codec)
    token = left(near)
    if kind == "provisional":
        message = response(f"Contact: {token}", status="100 Trying", method="REGISTER")
    else:
        message = places("Contact", token)[kind]
    entered = enter(near, message)
    assert (b"10.0.0.5" in entered) is (codec == "aes-siv")
    assert codec == "aes-siv" or entered == message


def test_a_contact_of_another_with_the_same_key_does_not_open() -> None:
    """A gateway at the far end of a call may have our key: its phone is to be called by its token."""
    near = gateway()
    far = left(near).replace(PROXY, "203.0.113.77")
    for kind in ("request", "answer"):
        assert b"10.0.0.5" not in enter(near, places("Contact", far)[kind])


def values_in(text: bytes, pattern: bytes) -> int:
    return len(re.findall(pattern, text))


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        (name, profile)
        for name, row in OPENINGS.items()
        for profile in PROFILES
        if row.opened > 1
        and not (row.switch and profile == "topoh")  # several values, and they open
    ],
)
def test_the_depth(name: str, profile: str) -> None:
    """As many as open are sealed; one more, and the message does not leave."""
    settings = PROFILES[profile]
    network = gateway(**settings)
    row = OPENINGS[name]
    token = left(network)
    kinds = [kind for kind in places(name, token) if opens(name, kind, settings)]
    for number, opened in ((MOST_VALUES, row.opened), (MOST_VALUES + 1, 0)):
        message = places(name, ", ".join([token] * number))[kinds[0]]
        verdict = judge(network, datagram(message, PEER, PROXY))
        assert values_in(verdict.packet, rb"sip:alice@10\.0\.0\.5:40416") == opened
    if name == "Request-URI":
        return  # there is but one
    for number, outcome in ((MOST_VALUES, "masked"), (MOST_VALUES + 1, "refused_too_much")):
        text = places(name, ", ".join([f"<{ALICE}>"] * number))[kinds[0]]
        verdict = judge(network, datagram(text, PROXY, PEER))
        assert verdict.outcome == outcome
        assert outcome != "masked" or not INSIDE.search(verdict.packet)


# --- From and To ---------------------------------------------------------------------------------

ENDS = (
    "<sip:alice@10.0.0.5:5062;user=phone>;tag=1",
    "sip:alice@10.0.0.5;tag=1",
    "<sip:alice@10.0.0.5;maddr=10.0.0.6>;tag=1",
    "<sips:alice@10.0.0.5;maddr=10.0.0.6>;tag=1",
    '"A" <sip:10.0.0.9@example.com>;tag=1',
    "sip:10.0.0.9@example.com;tag=1",
    "<tel:+1;phone-context=10.0.0.5>;tag=1",
)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("field", ["From", "To"])
@pytest.mark.parametrize("value", ENDS)
def test_what_was_sealed_for_from_and_to_opens_there(codec: str, field: str, value: str) -> None:
    network = gateway(codec, **STRICT)
    masked = left(network, value, field)
    assert "10.0.0." not in masked
    assert ";hid=" in masked
    entered = enter(network, response(f"{field}: {masked}"))
    if codec == "kamailio" and value.startswith("sip"):
        assert value.split(";")[0].encode() in entered  # may come back with brackets
    else:
        assert f"{field}: {value}\r\n".encode() in entered
    assert leave(network, entered.replace(b"SIP/2.0 200 OK", b"SIP/2.0 180 Ringing")) != entered


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("value", ENDS)
def test_both_legs_of_from(codec: str, value: str) -> None:
    outside, inside = (gateway(codec, leg, **STRICT) for leg in (Leg.OUTSIDE, Leg.INSIDE))
    asked, answered = request(f"From: {value}"), response(f"From: {value}")
    masked, echoed = leave(outside, asked), enter(outside, answered)
    assert not INSIDE.search(masked + echoed)
    if codec != "kamailio" or value[0] in '<"':
        assert (leave(inside, masked), enter(inside, echoed)) == (asked, answered)


def test_a_signed_from_does_not_open() -> None:
    """What an Identity header covers leaves as it is (RFC 8224)."""
    network = gateway(**STRICT)
    masked = left(network, ENDS[0], "From")
    signed = request(f"From: {masked}", "Identity: abc;info=<https://x.example/c>")
    assert not INSIDE.search(enter(network, signed))


def test_a_token_for_a_host_opens_in_no_other_field() -> None:
    network = gateway(**STRICT)
    masked = left(network, ENDS[0], "From").partition(";tag")[0]
    for name in ("Refer-To", "Contact", "Request-URI", "Route", "Reply-To", "Path"):
        for message in places(name, masked).values():
            assert not INSIDE.search(enter(network, message))


# --- bodies --------------------------------------------------------------------------------------

XML = "<a>{}</a>"


@pytest.mark.parametrize(
    ("settings", "sdp", "xml"),
    [
        ({}, True, True),
        ({"hide__sdp": False}, False, True),
        ({"hide__bodies": False}, True, False),
        ({"profile": "topoh"}, False, False),
    ],
    ids=str,
)
def test_bodies_open_where_they_are_sealed(settings: dict[str, Any], sdp: bool, xml: bool) -> None:
    full = gateway()

    def entered(kind: str, body: str) -> bytes:
        head = f"Content-Type: {kind}"
        masked = leave(full, request(head).rstrip() + b"\r\n\r\n" + body.encode())
        assert not INSIDE.search(masked)
        return enter(gateway(**settings), masked)

    assert (
        bool(INSIDE.search(entered("application/sdp", "v=0\r\no=a 1 1 IN IP4 10.0.0.5\r\n"))) is sdp
    )
    assert bool(INSIDE.search(entered("application/pidf+xml", XML.format(ALICE)))) is xml


# --- where nothing is sealed ---------------------------------------------------------------------


def skipping(**rule: Any) -> dict[str, Any]:
    return {"rule": [{"action": "skip", **rule}]}


@pytest.mark.parametrize("profile", ["default", "strict"])
@pytest.mark.parametrize("name", sorted({*OPENINGS, *NEVER}))
def test_in_a_drain_and_from_skipped_peers_a_token_opens_where_it_routes(
    name: str, profile: str
) -> None:
    settings = PROFILES[profile]
    token = left(gateway(**settings))
    skipped = gateway(**settings, **skipping(destination=[PEER]))
    for network in (skipped, gateway(drain=True, **settings)):
        for kind, message in places(name, token).items():
            routed = name in OPENINGS and OPENINGS[name].switch == ROUTES
            expected = routed and opens(name, kind, settings, spirals=False)
            assert bool(INSIDE.search(enter(network, message))) is expected, kind


def test_a_body_opens_in_neither() -> None:
    message = request("Content-Type: application/pidf+xml").rstrip() + b"\r\n\r\n"
    masked = leave(gateway(), message + XML.format(ALICE).encode())
    for network in (gateway(drain=True), gateway(**skipping(destination=[PEER]))):
        assert not INSIDE.search(enter(network, masked))
    assert INSIDE.search(enter(gateway(), masked))


@pytest.mark.parametrize("method", ["REGISTER", "PUBLISH"])
@pytest.mark.parametrize("name", sorted({*OPENINGS, *NEVER}))
@pytest.mark.parametrize("mode", ["topoh", "topos"])
def test_registrations_that_leave_in_clear_close_what_they_open(
    name: str, method: str, mode: str
) -> None:
    """hide.registers = false: outsiders send these to each other through a proxy, too."""
    network = Node(hide__registers=False) if mode == "topos" else gateway(hide__registers=False)
    token = left(gateway())
    for kind, message in places(name, token, method).items():
        entered = network.enter(message) if isinstance(network, Node) else enter(network, message)
        assert bool(INSIDE.search(entered)) is opens(
            name, kind, {"profile": "topoh"}, spirals=False
        ), kind
        packet = datagram(entered, PROXY, THIRD)
        again = network.judge(packet) if isinstance(network, Node) else judge(network, packet)
        refused = again.outcome.startswith("refused")  # a token is no Via
        assert refused is (name == "Via" and kind == "request")
        assert refused or not INSIDE.search(again.packet), kind


@pytest.mark.parametrize("mode", ["topoh", "topos"])
def test_a_body_of_a_registration_that_leaves_in_clear_does_not_open(mode: str) -> None:
    message = request("Content-Type: application/pidf+xml", method="PUBLISH").rstrip()
    body = b"\r\n\r\n" + XML.format(ALICE).encode()
    masked = leave(gateway(), message + body)
    assert not INSIDE.search(masked)
    if mode == "topos":
        assert not INSIDE.search(Node(hide__registers=False).enter(masked))
    else:
        assert not INSIDE.search(enter(gateway(hide__registers=False), masked))
    assert leave(gateway(hide__registers=False), message + body) == message + body


def test_what_a_registrar_lists_opens_and_closes() -> None:
    network = gateway()
    token = left(network)
    listed = response(f"Contact: {token};expires=60", method="REGISTER")
    entered = enter(network, listed)
    assert b"<sip:alice@10.0.0.5:40416;ob>;expires=60" in entered
    assert not INSIDE.search(leave(network, entered, peer=THIRD))


def test_invite_and_cancel_agree_across_a_rotation() -> None:
    """RFC 3261 section 9.1: of a request that comes back to us too."""
    line = f"Route: <sip:{PROXY};lr>, <sip:10.0.0.6;lr>"
    left = [
        leave(gateway(ring=ring), request(line, uri="sip:bob@10.0.0.7", method=method))
        for ring, method in ((RING, "INVITE"), (RING.rotate(), "CANCEL"))
    ]
    asked, routed = (
        [re.findall(pattern, message, re.MULTILINE) for message in left]
        for pattern in (rb"^\w+ (sip:\S+) SIP/2.0", rb"^Route: (.*)\r")
    )
    assert asked[0] == asked[1]
    assert routed[0] == routed[1]
    assert not INSIDE.search(b"".join(left))


def test_where_a_registrar_saw_a_phone_opens_in_its_lists_alone() -> None:
    network = gateway()
    token = left(network).strip("<>")
    line = f'Contact: <sip:x@example.com>;received="{token}"'
    assert not INSIDE.search(enter(network, response(line, status="302 Moved")))
    entered = enter(network, response(line, method="REGISTER"))
    assert INSIDE.search(entered)
    assert not INSIDE.search(leave(network, entered, peer=THIRD))


# --- codec kamailio ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Refer-To", "Referred-By", "Path", "Service-Route", "History-Info"]
)
def test_codec_kamailio_in_profile_topoh_is_topoh(name: str) -> None:
    """Its rules know nothing of this: said in README."""
    network = gateway("kamailio", profile="topoh")
    token = left(network)
    for message in places(name, token).values():
        entered = enter(network, message)
        assert INSIDE.search(entered)
        assert leave(network, entered) == entered


@pytest.mark.parametrize("name", sorted(OPENINGS))
def test_codec_kamailio_in_profile_default_closes_too(name: str) -> None:
    network = gateway("kamailio")
    token = left(network)
    for kind, message in places(name, token).items():
        entered = enter(network, message)
        assert bool(INSIDE.search(entered)) == opens(name, kind, {}, spirals=False), kind
        assert not INSIDE.search(leave(network, entered)), kind
