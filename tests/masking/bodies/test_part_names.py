"""Names of parts (RFC 2392): all spellings of one change alike, or none, and all come back."""

import base64
import re
from typing import Any

import pytest

from tests.masking.network import PEER, PROXY, datagram, enter, gateway, judge, leave

NETWORK = gateway()
PIDF = b'<presence xmlns:x="urn:x"><x:data uri="cid:p@10.0.0.5"/></presence>'


def message(fields: bytes, body: bytes) -> bytes:
    """A request from the proxy, with these header fields and this body."""
    head = (
        b"INVITE sip:sos@198.51.100.20 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n"
        b"From: <sip:100@192.0.2.10>;tag=a\r\nTo: <sip:112@198.51.100.20>\r\n"
        b"Call-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:100@192.0.2.10>\r\n"
    )
    return b"%s%sContent-Length: %d\r\n\r\n%s" % (head, fields, len(body), body)


MULTIPART = b"Content-Type: multipart/mixed;boundary=b\r\n"
RELATED = b'Content-Type: multipart/related;boundary=b;start="<p@10.0.0.5>"\r\n'


def parts(*pieces: bytes) -> bytes:
    return b"--b\r\n" + b"\r\n--b\r\n".join(pieces) + b"\r\n--b--\r\n"


PART = b"Content-Type: application/pidf+xml\r\nContent-ID: <p@10.0.0.5>\r\n\r\n<presence/>"
XML = b"Content-Type: application/rlmi+xml\r\n\r\n"
LIST = XML + b'<list><instance id="1" state="active" cid="p@10.0.0.5"/></list>'

ALIKE = {
    "Geolocation": (b"Geolocation: <cid:p@10.0.0.5>\r\n" + MULTIPART, parts(PART), 2),
    "compact and lower case": (
        b"geolocation: <CID:p@10.0.0.5>\r\nc: multipart/mixed;boundary=b\r\n",
        parts(PART.replace(b"Content-ID", b"content-id")),
        2,
    ),
    "Call-Info, of the whole body": (
        b"Call-Info: <cid:p@10.0.0.5>;purpose=x\r\nContent-ID: <p@10.0.0.5>\r\n"
        b"Content-Type: application/x+xml\r\n",
        b"<x/>",
        2,
    ),
    "Refer-To": (b"Refer-To: <cid:p@10.0.0.5>\r\n" + MULTIPART, parts(PART), 2),
    "Referred-By": (
        b'Referred-By: sip:a@192.0.2.10;cid="p@10.0.0.5"\r\n' + MULTIPART,
        parts(PART),
        2,
    ),
    "start": (RELATED, parts(PART), 2),
    "start without quotes": (RELATED.replace(b'"', b""), parts(PART), 2),
    "in XML": (MULTIPART, parts(PART, XML + PIDF), 2),
    "in a resource list": (RELATED, parts(PART, LIST), 3),
    "mid": (
        b"Alert-Info: <mid:m@10.0.0.5/p@10.0.0.5>\r\n" + MULTIPART,
        parts(PART.replace(b"Content-ID", b"Message-ID: <m@10.0.0.5>\r\nContent-ID")),
        4,
    ),
    "folded": (
        b"Geolocation:\r\n <cid:p@10.0.0.5>\r\n" + MULTIPART,
        parts(PART.replace(b"ID: <", b"ID:\r\n  <")),
        2,
    ),
    "a field that no rule is for": (b"X-Own: <cid:p@10.0.0.5>\r\n" + MULTIPART, parts(PART), 2),
    "in a part of a part": (
        b"Geolocation: <cid:p@10.0.0.5>\r\n" + MULTIPART,
        parts(b"Content-Type: multipart/mixed;boundary=i\r\n\r\n--i\r\n" + PART + b"\r\n--i--"),
        2,
    ),
    "in a message within": (
        b"Content-Type: message/sip\r\n",
        message(b"Geolocation: <cid:p@10.0.0.5>\r\n" + MULTIPART, parts(PART)),
        2,
    ),
    "beside a description": (
        b"Geolocation: <cid:p@10.0.0.5>\r\n" + MULTIPART,
        parts(b"Content-Type: application/sdp\r\n\r\nv=0\r\na=file-icon:cid:p@10.0.0.5\r\n", PART),
        3,
    ),
}


@pytest.mark.parametrize("settings", [{}, {"profile": "strict"}], ids=["default", "strict"])
@pytest.mark.parametrize("name", ALIKE)
def test_all_spellings_change_alike_and_come_back(name: str, settings: dict[str, Any]) -> None:
    fields, body, count = ALIKE[name]
    network = gateway(**settings, hide__strip=[], hide__swap=["Geolocation", "X-*"])
    clear = message(fields, body)
    verdict = judge(network, datagram(clear, PROXY, PEER))
    assert not verdict.outcome.startswith("refused"), verdict
    left = leave(network, clear)
    assert b"10.0.0.5" not in left
    before = re.findall(rb"p@[^>\"/\r]+", left)
    assert len(set(before)) == 1
    assert clear.count(b"10.0.0.5") == count == len(re.findall(re.escape(before[0][2:]), left))
    assert int(left.rpartition(b"Content-Length: ")[2].split()[0]) > 0
    assert enter(network, left) == clear


@pytest.mark.parametrize("name", [b"10.0.0.5@h", b"a-10.0.0.5@10.0.0.5", b"[2001:db8::1]@10.0.0.5"])
def test_what_stands_before_the_at(name: bytes) -> None:
    body = parts(PART, XML + PIDF).replace(b"p@10.0.0.5", name)
    clear = message(b"Geolocation: <cid:%b>\r\n" % name + MULTIPART, body)
    left = leave(NETWORK, clear)
    assert len(set(re.findall(rb"(?:cid:|-ID: <)([^>\"\r]+)", left))) == 1
    assert b"10.0.0.5" not in left
    assert enter(NETWORK, left) == clear


NONE: dict[str, tuple[bytes, bytes, dict[str, Any]]] = {
    "the configuration leaves bodies": (
        b"Geolocation: <cid:p@10.0.0.5>\r\n" + MULTIPART,
        parts(PART),
        {"hide__bodies": False},
    ),
    "in a signed body": (
        b"Geolocation: <cid:p@10.0.0.5>\r\nContent-Type: multipart/signed;boundary=b\r\n",
        parts(PART),
        {},
    ),
    "in a body of another type": (
        b"Geolocation: <cid:p@10.0.0.5>\r\n" + MULTIPART,
        parts(PART, b'Content-Type: text/html\r\n\r\n<img src="cid:p@10.0.0.5">', XML + PIDF),
        {},
    ),
    "spelled with escapes": (
        b"Geolocation: <cid:p@10.0%2E0.5>\r\n" + MULTIPART,
        parts(PART),
        {},
    ),
}


@pytest.mark.parametrize("name", NONE)
def test_else_none_changes(name: str) -> None:
    fields, body, settings = NONE[name]
    clear = message(fields, body)
    assert leave(gateway(hide__swap=["Geolocation"], **settings), clear) == clear


def test_who_names_nothing_of_the_inside_is_left() -> None:
    fields, body, _ = ALIKE["Geolocation"]
    clear = message(fields, body).replace(b"10.0.0.5", b"h.example")
    assert leave(NETWORK, clear) == clear


@pytest.mark.parametrize("profile", ["default", "strict", "topoh"])
@pytest.mark.parametrize("field", [b"Call-Info", b"Geolocation", b"Alert-Info"])
def test_a_name_that_no_part_has_stops_no_call(profile: str, field: bytes) -> None:
    clear = message(field + b": <cid:p@10.0.0.5>\r\n", b"")
    left = leave(gateway(profile=profile), clear)
    assert (b"10.0.0.5" in left) is (profile == "topoh")


def test_a_stranger_s_names_are_swapped_alike() -> None:
    fields, body, _ = ALIKE["in XML"]
    clear = message(b"Geolocation: <cid:p@10.0.0.5>\r\n" + fields, body)
    clear = clear.replace(b"192.0.2.10", b"198.51.100.20")
    entered = enter(NETWORK, clear)
    assert entered.count(b"p@198.51.100.20") == 3
    assert b"10.0.0.5" not in entered
    assert leave(NETWORK, entered).count(b"p@198.51.100.20") == 3


def test_a_guess_is_not_equal_to_what_the_inside_says() -> None:
    fields, body, _ = ALIKE["Geolocation"]
    ours = leave(NETWORK, message(fields, body))
    guess = message(fields, body).replace(b"192.0.2.10", b"198.51.100.20")
    theirs = leave(NETWORK, enter(NETWORK, guess))
    assert not set(re.findall(rb"p@([^>]+)>", ours)) & set(re.findall(rb"p@([^>]+)>", theirs))


@pytest.mark.parametrize("guess", [b"<img src='cid:x@10.0.0.5'>", b"<img src='cid:x%40@h'>"])
@pytest.mark.parametrize("kind", [b"text/html", b"application/x+xml"])
def test_what_opened_never_leaves_in_clear(guess: bytes, kind: bytes) -> None:
    """A stranger sends a token back, with what keeps names as they are."""
    fields, body, _ = ALIKE["Geolocation"]
    ours = leave(NETWORK, message(fields, body))
    token = re.findall(rb"cid:p@([^>]+)>", ours)[0]
    part = PART.replace(b"10.0.0.5", token)
    body = parts(part, b"Content-Type: %b\r\n\r\n%b" % (kind, guess))
    sent = message(b"Geolocation: <cid:p@%b>\r\n" % token + MULTIPART, body)
    sent = sent.replace(b"192.0.2.10", b"198.51.100.20")
    left = leave(NETWORK, enter(NETWORK, sent))
    assert b"p@10.0.0.5" not in left
    assert left.count(token) == 2


def test_dialog_and_routing_fields_name_no_part() -> None:
    fields, body, _ = ALIKE["Geolocation"]
    clear = message(fields, body).replace(b"Call-ID: c\r", b"Call-ID: cid:c@10.0.0.5\r")
    left = leave(NETWORK, clear)
    assert b"Call-ID: cid:c@10.0.0.5\r\n" in left
    assert enter(NETWORK, left) == clear


def test_the_names_in_a_part_that_is_encoded() -> None:
    """The name of an encoded part stands in clear."""
    inner = b"Content-Transfer-Encoding: base64\r\nContent-ID: <p@10.0.0.5>\r\n\r\n"
    inner += base64.b64encode(b"hello")
    clear = message(b"Geolocation: <cid:p@10.0.0.5>\r\n" + MULTIPART, parts(inner))
    left = leave(NETWORK, clear)
    assert b"10.0.0.5" not in left
    assert enter(NETWORK, left) == clear
