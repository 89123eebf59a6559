"""Content-Length after a body was edited: what counted right still does, what was wrong is wrong by as
much, and nothing outside the edits changes."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.assemble import Leg
from tests.masking.bodies.documents import DOCUMENTS, MIXED, PIDF, SDP, mixed, notify
from tests.masking.network import PEER, PROXY, datagram, enter, gateway, judge, leave, payload_of

NETWORK = gateway(topoh__mask_callid=True)
OPENER = gateway(leg=Leg.INSIDE, topoh__mask_callid=True)
KIND = b"application/pidf+xml"
SIZE = len(PIDF)


def grown() -> int:
    """How much longer the body is when masked."""
    return len(leave(NETWORK, notify(KIND, PIDF, b"X: y"))) - len(notify(KIND, PIDF, b"X: y"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([b"Content-Length: %d" % SIZE], [b"Content-Length: %d"]),
        ([b"l:%d" % SIZE], [b"l:%d"]),
        ([b"CONTENT-LENGTH :\t%d  " % SIZE], [b"CONTENT-LENGTH :\t%d  "]),
        ([b"Content-Length:\r\n %d" % SIZE], [b"Content-Length:\r\n %d"]),
        ([b"Content-Length: 00%d" % SIZE], [b"Content-Length: 00%d"]),
        ([b"Content-Length: %d" % SIZE, b"l: %d" % SIZE], [b"Content-Length: %d", b"l: %d"]),
    ],
)
def test_it_counts_the_body_however_it_is_spelled(
    fields: list[bytes], expected: list[bytes]
) -> None:
    message = notify(KIND, PIDF, *fields)
    left = leave(NETWORK, message)
    size = len(left.partition(b"\r\n\r\n")[2])
    assert size == SIZE + grown()
    for line in expected:
        assert b"\r\n" + line % size + b"\r\n" in left
    assert enter(NETWORK, left) == message


def test_none_is_added() -> None:
    left = leave(NETWORK, notify(KIND, PIDF, b"X: y"))
    assert b"ength" not in left


def test_one_that_is_too_long_stays_too_long_by_as_much() -> None:
    message = notify(KIND, PIDF, b"Content-Length: %d" % (SIZE + 7))
    left = leave(NETWORK, message)
    assert b"Content-Length: %d\r\n" % (SIZE + grown() + 7) in left
    assert enter(NETWORK, left) == message


@pytest.mark.parametrize("settings", [{}, {"hide__sdp": False, "hide__bodies": False}])
@pytest.mark.parametrize("behind", [b"sip:a@10.0.0.5", b"\r\n\0x", b"x" * 3000])
def test_what_it_does_not_count_is_cut_off(behind: bytes, settings: dict[str, Any]) -> None:
    """RFC 3261 section 18.3; on its way in it stays."""
    network = gateway(**settings)
    message = notify(KIND, PIDF + behind, b"Content-Length: %d" % SIZE)
    verdict = judge(network, datagram(message, PROXY, PEER))
    left = payload_of(verdict.packet)
    assert behind not in left
    size = SIZE + (0 if settings else grown())
    assert b"Content-Length: %d\r\n" % size in left
    assert len(left.partition(b"\r\n\r\n")[2]) == size
    assert [e.field for e in verdict.edits if e.action == "stripped"] == ["behind body"]
    assert verdict.notes == ()
    assert enter(network, left) == message.removesuffix(behind)
    entering = notify(
        b"text/plain", b"hello" + behind.replace(b"10.0.0.5", b"h"), b"Content-Length: 5"
    )
    assert enter(network, entering) == entering


@pytest.mark.parametrize("behind", [b"\r\n", b"\r\n\r\n \0\0"])
def test_blanks_and_zeros_behind_a_body_stay(behind: bytes) -> None:
    message = notify(KIND, PIDF + behind, b"Content-Length: %d" % SIZE)
    left = leave(NETWORK, message)
    assert left.endswith(behind)
    assert enter(NETWORK, left) == message


@pytest.mark.parametrize("number", [b"x", b"-1", b"", b"12345678901", b"1 2"])
def test_what_is_no_number_stays(number: bytes) -> None:
    message = notify(KIND, PIDF, b"Content-Length: " + number)
    left = leave(NETWORK, message)
    assert b"Content-Length: " + number + b"\r\n" in left
    assert b"10.0.0.5" not in left
    assert enter(NETWORK, left) == message


KINDS = st.sampled_from([*DOCUMENTS, MIXED, b"multipart/x;boundary=a", b"", b"text/plain"])
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                b"\r\n",
                b"\n",
                b"--a",
                b"--a--",
                b"--b(1)",
                b"o=",
                b"a=ssrc:1 cname:",
                b"s=",
                b"v=0",
            ),
            *(b"sip:", b"pres:", b"a@", b"10.0.0.5", b"pc.corp.example", b"[fd00::5]", b"sips:x@y"),
            *(
                b'"',
                b"'",
                b"<",
                b">",
                b"&amp;",
                b" ",
                b";",
                b"?",
                b"Replaces=",
                b"x%40",
                b"call-id=",
            ),
            *(
                b"<call-id>",
                b"</",
                b"Content-Length: 5",
                b"Content-Type: message/sipfrag",
                b"Via: ",
            ),
            *(
                b"SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKx",
                b"SIP/2.0 200 OK\r\n",
                b"Call-ID: x@10.0.0.5",
            ),
            *(b"Contact: <sip:a@10.0.0.5>", b"\0", b"\xff", b"1 1 IN IP4 ", b"!!!:", b"!!:"),
        ]
    ),
    max_size=25,
).map(b"".join)
BODIES = st.one_of(PIECES, PIECES, st.binary(max_size=80), st.sampled_from([SDP, PIDF, mixed()]))


@given(KINDS, BODIES, st.sampled_from([b"Content-Length: %d", b"l: 0%d", b"X: %d"]))
def test_any_body(kind: bytes, body: bytes, length: bytes) -> None:
    message = notify(kind, body, length % len(body))
    verdict = judge(NETWORK, datagram(message, PROXY, PEER))
    assert "error" not in verdict.outcome
    if verdict.outcome.startswith("refused"):
        return
    left, at, position = payload_of(verdict.packet), 0, 0
    for edit in sorted(verdict.edits):
        size = edit.start - position
        assert left[at : at + size] == message[position : edit.start]
        at, position = at + size + len(edit.new), edit.end
    assert left[at:] == message[position:]
    if length != b"X: %d":
        found = re.search(rb"\r\n(?:Content-Length|l): ([0-9]+)\r\n\r\n", left)
        assert found
        assert int(found[1]) == len(left) - found.end()
    opened = judge(OPENER, verdict.packet)
    assert payload_of(opened.packet) == message


@given(KINDS, BODIES, st.booleans(), st.sampled_from(list(Leg)))
def test_any_body_gives_a_verdict(kind: bytes, body: bytes, leaves: bool, leg: Leg) -> None:
    ends = (PROXY, PEER) if leaves else (PEER, PROXY)
    for codec in ("aes-siv", "kamailio"):
        each = LEGS[codec, leg]
        verdict = judge(each, datagram(notify(kind, body), *ends))
        assert "error" not in verdict.outcome


LEGS = {
    (codec, leg): gateway(codec, leg, topoh__mask_callid=True)
    for codec in ("aes-siv", "kamailio")
    for leg in Leg
}
