"""Every kind of body: it leaks without the rule and does not with it, and opens again."""

import re
from email import message_from_bytes
from typing import Any
from xml.etree import ElementTree

import pytest

from inline_topo.assemble import Leg
from tests.masking.bodies.documents import (
    DIALOG_INFO,
    DOCUMENTS,
    MIXED,
    PIDF,
    SDP,
    SIPFRAG,
    XML,
    mixed,
    multipart,
    notify,
    part,
)
from tests.masking.network import PEER, PROXY, datagram, enter, gateway, judge, leave, payload_of

ON: dict[str, Any] = {"topoh__mask_callid": True}
OFF: dict[str, Any] = {"hide__sdp": False, "hide__bodies": False}
SHOWN = re.compile(rb"10\.\d+\.\d+\.\d+|corp\.example", re.IGNORECASE)
each_document = pytest.mark.parametrize(
    ("kind", "document"), [*DOCUMENTS.items(), (MIXED, mixed())], ids=lambda value: str(value)[2:40]
)


def body_of(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[2]


def counted(message: bytes) -> int:
    """What Content-Length says."""
    found = re.search(
        rb"(?mi)^(?:content-length|l)[ \t]*:\s*([0-9]+)", message.partition(b"\r\n\r\n")[0]
    )
    assert found
    return int(found[1])


@each_document
def test_leaks_without_the_rule(kind: bytes, document: bytes) -> None:
    assert SHOWN.search(document)
    message = notify(kind, document)
    assert leave(gateway(**OFF), message) == message


@each_document
def test_shows_nothing_hidden(kind: bytes, document: bytes) -> None:
    left = leave(gateway(**ON), notify(kind, document))
    assert not SHOWN.search(left)
    assert counted(left) == len(body_of(left))


@each_document
def test_opens_again(kind: bytes, document: bytes) -> None:
    message = notify(kind, document)
    left = leave(gateway(**ON), message)
    assert enter(gateway(**ON), left) == message
    assert leave(gateway(leg=Leg.INSIDE, **ON), left) == message


@each_document
def test_opens_again_without_masked_call_ids(kind: bytes, document: bytes) -> None:
    message = notify(kind, document)
    left = leave(gateway(), message)
    assert not re.search(rb"(?<!Replaces=a84%40)(?<![0-9a-z]@)10\.0\.0\.[0-9]+", left)
    assert enter(gateway(), left) == message


@each_document
def test_codec_kamailio(kind: bytes, document: bytes) -> None:
    """Its tokens do not remember that a URI stood without `<>`."""
    document = document.replace(
        b": sip:alice@pc33.corp.example;", b": <sip:alice@pc33.corp.example>;"
    )
    if kind == MIXED:
        document = multipart(
            b"b(1)", part(b"application/sdp", SDP, length=True), part(b"x/x+xml", PIDF)
        )
    message = notify(kind, document)
    left = leave(gateway("kamailio", **ON), message)
    assert not SHOWN.search(left)
    assert counted(left) == len(body_of(left))
    assert enter(gateway("kamailio", **ON), left) == message


@pytest.mark.parametrize("document", XML.values(), ids=lambda value: str(value)[60:90])
def test_xml_keeps_its_form(document: bytes) -> None:
    left = leave(gateway(**ON), notify(b"application/x+xml", document))
    before, after = ElementTree.fromstring(document), ElementTree.fromstring(body_of(left))
    pairs = list(zip(before.iter(), after.iter(), strict=True))
    assert any(old.attrib != new.attrib or old.text != new.text for old, new in pairs)
    for old, new in pairs:
        assert (old.tag, list(old.attrib)) == (new.tag, list(new.attrib))
        texts = [(old.text, new.text), *((old.attrib[key], new.attrib[key]) for key in old.attrib)]
        for clear, seen in texts:
            if clear != seen:
                assert clear
                assert seen
                assert SHOWN.search(clear.encode())
                assert (
                    clear.split(":")[0] == seen.split(":")[0] or ":" not in clear or "!!:" in seen
                )


def test_a_part_counts_its_own_bytes() -> None:
    left = leave(gateway(**ON), notify(MIXED, mixed()))
    parsed = message_from_bytes(left.partition(b"\r\n")[2])
    parts = [each for each in parsed.walk() if not each.is_multipart() and each["Content-Length"]]
    assert len(parts) == 3
    for each in parts:
        assert len(each.get_payload(decode=True)) == int(each["Content-Length"])
    inner = re.search(rb"boundary=i\r\nContent-Length: ([0-9]+)\r\n\r\n", left)
    assert inner
    end = left.index(b"\r\n--b(1)--")
    assert end - inner.end() == int(inner[1])


def test_the_target_of_a_dialog_reaches_the_inside() -> None:
    """A peer that picks a call up sends an INVITE with Replaces to what dialog-info says."""
    network = gateway(**ON)
    seen = body_of(leave(network, notify(b"application/dialog-info+xml", DIALOG_INFO)))
    dialog = ElementTree.fromstring(seen)[0]
    target = dialog.findall("*/{*}target")[0].attrib["uri"].encode()
    call_id = dialog.attrib["call-id"].encode()
    entered = enter(
        network,
        b"INVITE " + target + b" SIP/2.0\r\nReplaces: " + call_id + b";to-tag=1;from-tag=2\r\n\r\n",
    )
    assert entered.startswith(b"INVITE sip:alice@pc.corp.example SIP/2.0\r\n")
    assert b"Replaces: a84b4c76e66710@10.0.0.5;to-tag=1" in entered


def test_a_watcher_sees_the_same_uri_whatever_key_is_active() -> None:
    from tests.masking.network import RING

    rotated = type(RING)(RING.keys, active=1, stable=RING.stable)
    message = notify(b"application/pidf+xml", PIDF)
    assert leave(gateway(ring=RING), message) == leave(gateway(ring=rotated), message)


@pytest.mark.parametrize("scheme", [b"pres:", b"im:", b"sips:", b"sip:"])
def test_a_uri_keeps_its_scheme(scheme: bytes) -> None:
    message = notify(b"a/x+xml", b'<a uri="' + scheme + b'bob@10.0.0.5"/>')
    left = leave(gateway(), message)
    assert body_of(left).startswith(b'<a uri="' + scheme)
    assert enter(gateway(), left) == message


SEEN_NOT = {
    b"multipart/signed;boundary=b": multipart(b"b", part(b"application/sdp", SDP)),
    b"multipart/mixed": multipart(b"b", part(b"application/sdp", SDP)),
    b"application/pkcs7-mime": b"10.0.0.5",
    b"text/plain": b"my address is 10.0.0.5",
}


@pytest.mark.parametrize(("kind", "body"), SEEN_NOT.items())
def test_what_cannot_be_seen_is_left_and_noted(kind: bytes, body: bytes) -> None:
    message = notify(kind, body)
    verdict = judge(gateway(**ON), datagram(message, PROXY, PEER))
    assert payload_of(verdict.packet) == message
    assert verdict.notes == ("unseen_body",)


@pytest.mark.parametrize("field", [b"Content-Encoding: gzip", b"e:deflate"])
def test_an_encoded_body_is_left_and_noted(field: bytes) -> None:
    message = notify(b"application/sdp", SDP, field, b"Content-Length: %d" % len(SDP))
    verdict = judge(gateway(), datagram(message, PROXY, PEER))
    assert (payload_of(verdict.packet), verdict.notes) == (message, ("unseen_body",))


def test_utf_16_is_left_and_noted() -> None:
    message = notify(b"application/pidf+xml", PIDF.decode().encode("utf-16"))
    verdict = judge(gateway(), datagram(message, PROXY, PEER))
    assert (payload_of(verdict.packet), verdict.notes) == (message, ("unseen_body",))


def test_bodies_nest_no_deeper_than_four() -> None:
    body = part(b"application/sdp", SDP)
    for boundary in (b"a", b"b", b"c", b"d", b"e"):
        body = part(b"multipart/mixed;boundary=" + boundary, multipart(boundary, body))
    kind, _, body = body.removeprefix(b"Content-Type: ").partition(b"\r\n\r\n")
    verdict = judge(gateway(), datagram(notify(kind, body), PROXY, PEER))
    assert (verdict.outcome, verdict.notes) == ("unchanged", ("unseen_body",))


def test_policy_decides_over_bodies_as_over_fields() -> None:
    rule = {"method": ["NOTIFY"], "action": "skip"}
    network = gateway(rule=[rule], **ON)
    left = leave(network, notify(b"application/dialog-info+xml", DIALOG_INFO))
    assert b"sip:alice@pc.corp.example" in left
    # as in the header: a dialog's Call-ID must be the same in each message
    assert b"a84b4c76e66710@10.0.0.5" not in left
    fragment = leave(network, notify(b"message/sipfrag", SIPFRAG))
    assert b"sip:bob@corp.example" in fragment
    assert b"Call-ID: !!:" in fragment


def test_what_drains_is_left_and_does_not_open() -> None:
    """Nobody routes by a body, and what opens would leave in clear."""
    from inline_topo import assemble
    from inline_topo.config import load
    from tests.masking.network import RING

    values = {"inside": [PROXY, "10.0.0.0/8"], "own": [PROXY], "protected": ["corp.example"]}
    config = load(None, env={}, overrides=values, key_ring_given=True)
    draining = assemble.gateway(config, ring=RING, drain=True)
    message = notify(b"application/pidf+xml", PIDF)
    assert leave(draining, message) == message
    masked = leave(gateway(), message)
    assert enter(draining, masked) == masked != message
