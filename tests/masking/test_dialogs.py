"""Tokens on their way through what peers and clients do with them, and through time."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inline_topo.assemble import Leg
from inline_topo.gateway import Gateway
from tests.masking.network import CODECS, PROXY, RING, THIRD, enter, gateway, leave, wire

each_codec = pytest.mark.parametrize("codec", CODECS)
CALL_IDS: dict[str, Any] = {"topoh__mask_callid": True}

INVITE = wire("""
    INVITE sip:alice@198.51.100.20 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
    Via: SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bK2;rport=5062
    Via: SIP/2.0/TCP 10.0.0.6;branch=z9hG4bK3
    Record-Route: <sip:192.0.2.10;lr;ftag=1>
    Record-Route: <sip:10.0.0.1;lr>
    From: <sip:bob@example.com>;tag=1
    To: <sip:alice@example.com>
    Call-ID: abc@10.0.0.5
    CSeq: 1 INVITE
    Contact: <sip:bob@10.0.0.5:5062;ob>
""")


def lines(message: bytes, name: bytes) -> list[bytes]:
    return re.findall(rb"^(?i:%s): (.*?)\r$" % name, message, re.MULTILINE)


def uri(value: bytes) -> bytes:
    return value.partition(b"<")[2].partition(b">")[0]


@each_codec
def test_a_call_from_the_inside(codec: str) -> None:
    """RFC 3261 section 12.1.1 and 12.2: the peer answers, and calls back within the dialog."""
    network = gateway(codec, **CALL_IDS)
    sent = leave(network, INVITE)
    assert b"10.0.0." not in sent
    copied = [
        b"%s: %s" % (name, value)
        for name in (b"Via", b"Record-Route", b"From", b"Call-ID", b"CSeq")
        for value in lines(sent, name)
    ]
    answer = b"\r\n".join([b"SIP/2.0 200 OK", *copied, b"Contact: <sip:alice@198.51.100.20>", b""])
    entered = enter(network, answer)
    for name in (b"Via", b"Record-Route", b"From", b"Call-ID"):
        assert lines(entered, name) == lines(INVITE, name)
    assert lines(entered, b"Contact") == [b"<sip:alice@198.51.100.20>"]
    bye = b"\r\n".join(
        [
            b"BYE " + uri(lines(sent, b"Contact")[0]) + b" SIP/2.0",
            b"Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK9",
            *(b"Route: " + route for route in lines(sent, b"Record-Route")),
            b"To: <sip:bob@example.com>;tag=1",
            b"Call-ID: " + lines(sent, b"Call-ID")[0],
            b"",
        ]
    )
    entered = enter(network, bye)
    assert entered.startswith(b"BYE sip:bob@10.0.0.5:5062;ob SIP/2.0\r\n")
    assert lines(entered, b"Route") == lines(INVITE, b"Record-Route")
    assert lines(entered, b"Call-ID") == [b"abc@10.0.0.5"]


@each_codec
def test_a_call_to_the_inside(codec: str) -> None:
    network = gateway(codec, **CALL_IDS)
    answer = wire("""
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
        Record-Route: <sip:10.0.0.1;lr>
        Record-Route: <sip:192.0.2.10;lr>
        Record-Route: <sip:198.51.100.7;lr>
        To: <sip:bob@example.com>;tag=2
        Call-ID: xyz@10.0.0.5
        CSeq: 1 INVITE
        Contact: <sip:bob@10.0.0.5:5062>
    """)
    # The caller's Call-ID names the inside: it came in escaped, so that it goes out as it was.
    assert lines(enter(network, answer), b"Call-ID") == [b"!!!:xyz@10.0.0.5"]
    sent = leave(network, answer.replace(b"xyz@", b"!!!:xyz@"))
    assert lines(sent, b"Call-ID") == [b"xyz@10.0.0.5"]
    routes = lines(sent, b"Record-Route")
    assert routes[1:] == [b"<sip:192.0.2.10;lr>", b"<sip:198.51.100.7;lr>"]
    ack = b"\r\n".join(
        [
            b"ACK " + uri(lines(sent, b"Contact")[0]) + b" SIP/2.0",
            b"Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK3",
            *(b"Route: " + route for route in reversed(routes[:2])),
            b"To: <sip:bob@example.com>;tag=2",
        ]
    )
    entered = enter(network, ack)
    assert entered.startswith(b"ACK sip:bob@10.0.0.5:5062 SIP/2.0\r\n")
    assert lines(entered, b"Route") == [b"<sip:192.0.2.10;lr>", b"<sip:10.0.0.1;lr>"]


def contact(codec: str, value: str = "<sip:bob@10.0.0.5:5062>") -> bytes:
    sent = leave(gateway(codec), INVITE.replace(b"<sip:bob@10.0.0.5:5062;ob>", value.encode()))
    return lines(sent, b"Contact")[0]


def refer(value: bytes) -> bytes:
    """The Refer-To in which somebody outside sends this back."""
    return b"REFER sip:x@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nRefer-To: %s\r\n\r\n" % value


def referred(codec: str, value: bytes) -> bytes:
    return lines(enter(gateway(codec), refer(value)), b"Refer-To")[0]


@each_codec
def test_what_clients_append_is_dropped_on_opening(codec: str) -> None:
    token = uri(contact(codec))
    for appended in (b";user=phone", b";ob", b";transport=udp;x=1", b";lr"):
        assert referred(codec, b"<" + token + appended + b">") == b"<sip:bob@10.0.0.5:5062>"
    with_port = token.replace(b"192.0.2.10", b"192.0.2.10:5060")
    assert referred(codec, b"<" + with_port + b">") == b"<sip:bob@10.0.0.5:5062>"


@each_codec
def test_what_clients_put_around_a_token_stays(codec: str) -> None:
    token = uri(contact(codec))
    value = b'"C" <' + token + b'?Subject=x>;x="y"'
    assert referred(codec, value) == b'"C" <sip:bob@10.0.0.5:5062?Subject=x>;x="y"'


@each_codec
def test_a_bare_uri_gets_brackets_and_loses_them_again(codec: str) -> None:
    message = refer(b"sip:carol@10.0.0.8;x=1")
    sent = leave(gateway(codec), message)
    value = lines(sent, b"Refer-To")[0]
    assert re.fullmatch(rb"<sip:[^>]*>;x=1", value)
    expected = b"sip:carol@10.0.0.8;x=1" if codec == "aes-siv" else b"<sip:carol@10.0.0.8>;x=1"
    assert referred(codec, value) == expected


def test_brackets_stay_where_a_display_name_was_added() -> None:
    value = lines(leave(gateway(), refer(b"sip:carol@10.0.0.8")), b"Refer-To")[0]
    assert referred("aes-siv", b"C " + value) == b"C <sip:carol@10.0.0.8>"


def test_a_route_keeps_its_brackets_wherever_its_uri_came_from() -> None:
    """RFC 3261 section 20.34: name-addr alone. A Contact that stood bare may become a Route."""
    token = uri(contact("aes-siv", "sip:bob@10.0.0.5:5062"))
    message = b"BYE sip:x@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nRoute: <%s>\r\n\r\n" % token
    assert lines(enter(gateway(), message), b"Route") == [b"<sip:bob@10.0.0.5:5062>"]


def test_a_client_that_drops_brackets_does_not_turn_our_parameters_into_its_own() -> None:
    """RFC 3261 section 20.10: without brackets what follows a semicolon is the field's."""
    token = uri(contact("aes-siv", "<sip:bob@10.0.0.5;transport=tcp>"))
    assert referred("aes-siv", token + b";x=1") == b"<sip:bob@10.0.0.5;transport=tcp>;x=1"


@each_codec
@pytest.mark.parametrize(
    "value",
    [
        "<sip:carol@10.0.0.8?Replaces=abc%4010.0.0.5%3Bto-tag%3D1%3Bfrom-tag%3D2>",
        '"C" <sip:carol@10.0.0.8;method=INVITE?Subject=x&Replaces=abc%4010.0.0.5>;y',
        "<sip:carol@carrier.example?Replaces=abc%4010.0.0.5>",
        "<tel:+1>, <sip:carol@10.0.0.8?Join=abc%4010.0.0.5>",
    ],
)
def test_call_ids_in_the_headers_of_a_uri(codec: str, value: str) -> None:
    """The peer that gets it puts the Call-ID into a Replaces of its own, which must find the dialog."""
    message = refer(value.encode())
    masked = leave(gateway(codec, **CALL_IDS), message)
    assert b"10.0.0." not in masked
    token = re.search(rb"(?:Replaces|Join)=([^%>&]*(?:%2A[^%>&]*)*)", masked)
    assert token
    call_id = lines(leave(gateway(codec, **CALL_IDS), INVITE), b"Call-ID")[0]
    assert token[1].replace(b"%2A", b"*") == call_id
    assert leave(gateway(codec, Leg.INSIDE, **CALL_IDS), masked) == message


@each_codec
def test_call_ids_in_the_target_of_a_redirection(codec: str) -> None:
    """A 302 may name the dialog to replace (RFC 3261 section 19.1.1: headers of a Contact)."""
    message = wire("""
        SIP/2.0 302 Moved
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
        Contact: <sip:carol@10.0.0.8?Replaces=abc%4010.0.0.5%3Bto-tag%3D1>
        CSeq: 1 INVITE
    """)
    masked = leave(gateway(codec, **CALL_IDS), message)
    assert b"10.0.0." not in masked
    assert enter(gateway(codec, **CALL_IDS), masked) == message


@each_codec
@pytest.mark.parametrize("field", ["History-Info", "Diversion", "Referred-By"])
def test_call_ids_in_the_headers_of_other_uris(codec: str, field: str) -> None:
    message = wire(f"""
        INVITE sip:alice@198.51.100.20 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        {field}: <sip:carol@carrier.example?Replaces=abc%4010.0.0.5%3Bto-tag%3D1>;index=1
    """)
    masked = leave(gateway(codec, **CALL_IDS), message)
    assert b"10.0.0." not in masked
    assert enter(gateway(codec, **CALL_IDS), masked) == message


@each_codec
def test_a_telephone_number_with_an_inside_context(codec: str) -> None:
    """RFC 3966 section 3: a phone-context may be a domain, and is an address in the field."""
    hidden = b"<tel:1234;phone-context=10.0.0.5>"
    masked = lines(leave(gateway(codec), refer(hidden)), b"Refer-To")[0]
    assert b"10.0.0." not in masked
    assert referred(codec, masked) == hidden
    plain = refer(b"<tel:1234;phone-context=carrier.example>")
    assert leave(gateway(codec), plain) == plain


@each_codec
def test_a_bare_uri_with_headers(codec: str) -> None:
    """RFC 3261 section 20.10 wants brackets around it; what does without must not break us."""
    message = refer(b"sip:carol@10.0.0.8?Replaces=abc%4010.0.0.5%3Bto-tag%3D1")
    masked = leave(gateway(codec, **CALL_IDS), message)
    assert b"10.0.0." not in masked
    opened = leave(gateway(codec, Leg.INSIDE, **CALL_IDS), masked)
    bracketed = refer(b"<sip:carol@10.0.0.8?Replaces=abc%4010.0.0.5%3Bto-tag%3D1>")
    assert opened in (message, bracketed)


@each_codec
def test_a_spiral_carries_tokens_inside_tokens(codec: str) -> None:
    """Out, in by a proxy of theirs, out again: each way back opens one level."""
    network = gateway(codec)
    first = leave(network, INVITE)
    again = first.replace(
        b"Via: ",
        b"Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK7\r\nVia: SIP/2.0/UDP 198.51.100.20\r\nVia: ",
        1,
    )
    second = leave(network, again)
    assert lines(second, b"Via")[1] != lines(first, b"Via")[1]
    response = b"SIP/2.0 180 Ringing\r\n" + second.partition(b"\r\n")[2]
    once = enter(network, response)
    assert lines(once, b"Via") == lines(again, b"Via")
    passed_back = once.replace(b"Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK7\r\n", b"")
    returned = passed_back.replace(b"Via: SIP/2.0/UDP 198.51.100.20\r\n", b"")  # by their proxy
    assert lines(enter(network, returned), b"Via") == lines(INVITE, b"Via")


def forwarded(peer: str) -> bytes:
    """REGISTER as it leaves, to compare refreshes of one binding."""
    return wire("""
        REGISTER sip:carrier.example SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
        Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2
        Call-ID: abc@10.0.0.5
        CSeq: 1 REGISTER
        Contact: <sip:bob@10.0.0.5>;expires=60
        Path: <sip:10.0.0.1;lr>
    """)


def test_rotation_changes_what_may_change_alone() -> None:
    rotated = RING.rotate()
    router: dict[str, Any] = {
        "shape": "nat",
        "public": "203.0.113.5",
        "own": ["203.0.113.5"],
        "inside": ["10.0.0.0/8"],
    }
    before = gateway(ring=RING, **router, **CALL_IDS)
    after = gateway(ring=rotated, **router, **CALL_IDS)
    for message, same, other in (
        (forwarded(THIRD), [b"Contact", b"Call-ID"], [b"Path"]),
        (INVITE, [b"Call-ID"], [b"Contact", b"Record-Route"]),
    ):
        old = leave(before, message, inside="10.0.0.5")
        new = leave(after, message, inside="10.0.0.5")
        for name in same:
            assert lines(old, name) == lines(new, name)
        for name in other:
            assert lines(old, name) != lines(new, name)
        assert lines(old, b"Via")[0] == lines(new, b"Via")[0]
        assert lines(old, b"Via")[1:] != lines(new, b"Via")[1:]
        inside: Gateway = gateway(leg=Leg.INSIDE, ring=rotated, **router, **CALL_IDS)
        for sent in (old, new):  # what left before is opened after
            opened = leave(inside, sent, inside="203.0.113.5")
            assert opened == message


def test_a_registrar_inside_lists_the_same_bindings_after_rotation() -> None:
    response = wire("""
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1
        CSeq: 1 REGISTER
        Contact: <sip:bob@10.0.0.5>;expires=60
        Service-Route: <sip:10.0.0.1;lr>
    """)
    old, new = (leave(gateway(ring=ring), response) for ring in (RING, RING.rotate()))
    assert b"10.0.0." not in old
    assert lines(old, b"Contact") == lines(new, b"Contact")
    assert lines(old, b"Service-Route") != lines(new, b"Service-Route")


SCRIPT = """
import sys
from tests.masking.network import gateway, leave
from tests.masking.test_dialogs import CALL_IDS, INVITE
sys.stdout.write(leave(gateway(sys.argv[1], **CALL_IDS), INVITE).hex())
"""


@pytest.mark.parametrize(("codec", "seed"), [*zip(CODECS, ("0", "1"), strict=True)])
def test_another_process_gives_the_same_bytes(codec: str, seed: str) -> None:
    there = subprocess.run(
        [sys.executable, "-c", SCRIPT, codec],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": seed, "PATH": ""},
    )
    assert bytes.fromhex(there.stdout) == leave(gateway(codec, **CALL_IDS), INVITE)


def test_without_fast_the_same_bytes() -> None:
    from inline_topo import assemble
    from inline_topo.config import load

    values = {"inside": [PROXY, "10.0.0.0/8"], "own": [PROXY]}
    config = load(None, env={}, overrides=values, key_ring_given=True)
    plain, quick = (assemble.gateway(config, ring=RING, fast=fast) for fast in (False, True))
    masked = leave(plain, INVITE)
    assert masked == leave(quick, INVITE)
    answer = masked.replace(b"INVITE sip:alice@198.51.100.20 SIP/2.0", b"SIP/2.0 200 OK")
    assert enter(plain, answer) == enter(quick, answer) != answer
