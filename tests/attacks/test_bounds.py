"""The bounds are the same both ways: what leaves masked opens again, all of it; what cannot is refused."""

from typing import Any

import pytest

from inline_topo.bounds import MOST_IN_BODY, MOST_LINES, MOST_PARTS, MOST_VALUES
from inline_topo.gateway import Action
from tests.masking.network import PEER, PROXY, datagram, gateway, judge, payload_of

START = b"MESSAGE sip:bob@198.51.100.20 SIP/2.0"
REQUEST = START + (
    b"\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n"
    b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\n"
    b"CSeq: 1 MESSAGE\r\n"
)
NUMBERS = [65, 70, MOST_VALUES, MOST_VALUES + 1]
FIELDS = {
    "Record-Route": "<sip:10.0.0.%d;lr>",
    "History-Info": "<sip:alice@10.0.0.%d>;index=1",
    "Diversion": "<sip:alice@10.0.0.%d>;reason=unknown",
    "Contact": "<sip:alice@10.0.0.%d:5070>",
    "Path": "<sip:10.0.0.%d;lr>",
    "Call-Info": "<sip:10.0.0.%d>;purpose=icon",
    "In-Reply-To": "%d@10.0.0.5",
}
ANSWERS = {"Record-Route": b"SIP/2.0 200 OK", "Contact": b"SIP/2.0 302 Moved Temporarily"}
"""What opens in a response alone."""


def there_and_back(text: bytes, answer: bytes = b"", **settings: Any) -> tuple[str, str, bytes]:
    """The outcomes on the way out and, if it gets there, back in; and what came back. `answer`: the
    start line with which a peer returns it, where it does not as it is."""
    each = gateway(**settings)
    out = judge(each, datagram(text, PROXY, PEER))
    if out.action is Action.DROP:
        return out.outcome, "", b""
    left = payload_of(out.packet)
    assert b"10.0.0." not in left
    back = judge(each, datagram(answer + left.removeprefix(START) if answer else left, PEER, PROXY))
    came = payload_of(back.packet)
    return out.outcome, back.outcome, START + came.removeprefix(answer) if answer else came


@pytest.mark.parametrize("separator", [", ", "\r\n{}: "], ids=["in one line", "a line each"])
@pytest.mark.parametrize("field", FIELDS)
def test_what_leaves_comes_back(field: str, separator: str) -> None:
    for number in NUMBERS:
        values = [FIELDS[field] % (1 + at % 250) for at in range(number)]
        line = f"{field}: {separator.format(field).join(values)}\r\n"
        text = REQUEST + line.encode() + b"\r\n"
        out, back, came = there_and_back(text, ANSWERS.get(field, b""), topoh__mask_callid=True)
        if number > MOST_VALUES:
            assert out == "refused_too_much"
        else:
            assert (out, back) == ("masked", "unmasked")
            assert came == text


def test_a_response_brings_back_as_many_vias_as_left() -> None:
    for number in NUMBERS:
        lower = b"".join(
            b"Via: SIP/2.0/UDP 10.0.0.%d;branch=z9hG4bK%d\r\n" % (1 + at % 250, at)
            for at in range(number)
        )
        head, tail = REQUEST.split(b"From", 1)
        text = head + lower + b"From" + tail + b"\r\n"
        each = gateway()
        out = judge(each, datagram(text, PROXY, PEER))
        if number + 1 > MOST_VALUES or out.outcome == "refused_unmaskable":
            assert number + 1 >= MOST_VALUES
            assert out.outcome in ("refused_too_much", "refused_unmaskable")
            continue
        response = payload_of(out.packet).replace(
            b"MESSAGE sip:bob@198.51.100.20 SIP/2.0", b"SIP/2.0 200 OK"
        )
        back = judge(each, datagram(response, PEER, PROXY))
        assert back.outcome == "unmasked"
        assert lower in payload_of(back.packet)


@pytest.mark.parametrize(
    ("kind", "unit", "most"),
    [
        ("application/pidf+xml", b"<a>sip:u%d@10.0.0.5</a>\r\n", MOST_IN_BODY),
        ("application/pidf+xml", b"<a>10.0.0.5 %d</a>\r\n", MOST_IN_BODY),
        ("application/sdp", b"s=%d 10.0.0.5\r\n", MOST_IN_BODY // 2),
        ("message/sipfrag", b"Contact: <sip:%d@10.0.0.5>\r\n", MOST_VALUES),
        (
            "multipart/mixed;boundary=b",
            b"--b\r\nContent-Type: application/pidf+xml\r\n\r\nsip:u%d@10.0.0.5\r\n",
            MOST_PARTS,
        ),
    ],
)
def test_bodies(kind: str, unit: bytes, most: int) -> None:
    for number in (2, most // 2, most - 2, most + 1):
        body = b"".join(unit % at for at in range(number))
        if kind == "application/sdp":
            body = b"v=0\r\n" + body
        text = REQUEST + b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            kind.encode(), len(body), body,
        )  # fmt: skip
        out, back, came = there_and_back(text, profile="strict", audit=0)
        if out == "masked":
            assert number <= most
            assert (back, came) == ("unmasked", text)
        else:
            assert number > most - 2
            assert out in ("refused_too_much", "refused_too_long")


def test_lines_that_nobody_looks_at_count_too() -> None:
    text = REQUEST + b"X: y\r\n" * MOST_LINES + b"Contact: <sip:alice@10.0.0.5>\r\n\r\n"
    each = gateway()
    assert judge(each, datagram(text, PROXY, PEER)).outcome == "refused_too_much"
    entering = judge(each, datagram(text, PEER, PROXY))
    assert (entering.action, entering.outcome) == (Action.ACCEPT, "too_much")


def test_what_enters_and_is_too_much_passes_as_it_came() -> None:
    text = REQUEST + b"Route: <sip:192.0.2.10;lr>\r\n" * (MOST_VALUES + 1) + b"\r\n"
    verdict = judge(gateway(), datagram(text, PEER, PROXY))
    assert (verdict.action, verdict.outcome) == (Action.ACCEPT, "too_much")
    assert payload_of(verdict.packet) == text


STRANGERS = {
    "many values": b"Record-Route: " + b", ".join([b"<sip:10.0.0.9;lr>"] * (MOST_VALUES + 1)),
    "many lines": b"\r\n".join([b"Record-Route: <sip:10.0.0.9;lr>"] * MOST_LINES),
    "escapes": b"Via: SIP/2.0/UDP 192.0.2.1;x=" + b"%" * 3000,
}


@pytest.mark.parametrize("kind", STRANGERS)
@pytest.mark.parametrize("start", [START, b"SIP/2.0 200 OK"], ids=["request", "response"])
def test_what_strangers_say_beyond_the_bounds(kind: str, start: bytes) -> None:
    """In fields that no rule opens, too: a request passes as it came, a response does not enter."""
    text = start + REQUEST.removeprefix(START) + STRANGERS[kind] + b"\r\n\r\n"
    verdict = judge(gateway(), datagram(text, PEER, PROXY))
    assert verdict.outcome == ("too_much" if start == START else "refused_too_much")
    assert verdict.action is (Action.ACCEPT if start == START else Action.DROP)
