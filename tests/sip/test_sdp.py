"""RFC 8866: where a description can name a host."""

from hypothesis import given
from hypothesis import strategies as st

from inline_topo.sip import sdp

# RFC 8866 section 5, with lines of RFC 5576, 8839, 3605, 4570 and 4975 added
EXAMPLE = b"""v=0\r
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r
s=Call to John Smith\r
i=SDP Offer #1\r
u=http://www.jdoe.example.com/home.html\r
e=Jane Doe <jane@jdoe.example.com>\r
p=+1 617 555-6011\r
c=IN IP4 198.51.100.1\r
t=0 0\r
m=audio 49170 RTP/AVP 0\r
a=rtpmap:99 h263-1998/90000\r
a=ssrc:314159 cname:user@example.com\r
a=candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host\r
a=rtcp:53020 IN IP4 126.16.64.4\r
a=source-filter: incl IN IP4 232.3.4.5 192.0.2.10\r
a=path:msrp://atlanta.example.com:7654/jshA7weztas;tcp\r
a=tool:foo 1.0\r
"""


def found(text: bytes) -> list[tuple[bytes, bytes]]:
    return [(m[1] or m[2], m[3]) for m in sdp.lines(text, 0, len(text))]


def test_every_line_that_can_name_a_host() -> None:
    kinds = [kind for kind, _ in found(EXAMPLE)]
    assert kinds == [
        *(b"o", b"s", b"i", b"u", b"e", b"p", b"c"),
        *(b"ssrc", b"candidate", b"rtcp", b"source-filter", b"path", b"tool"),
    ]
    values = dict(found(EXAMPLE))
    assert values[b"c"] == b"IN IP4 198.51.100.1"
    assert values[b"rtcp"] == b"53020 IN IP4 126.16.64.4"


def test_lines_may_end_without_a_carriage_return() -> None:
    assert found(EXAMPLE.replace(b"\r\n", b"\n")) == found(EXAMPLE)


def test_a_session_without_a_name_is_no_line_to_look_at() -> None:
    assert found(b"v=0\r\ns=-\r\ni=\r\nc=IN IP4 192.0.2.1\r\n") == [(b"c", b"IN IP4 192.0.2.1")]


def test_no_line_outside_of_the_description() -> None:
    text = b"s=before\r\nv=0\r\ns=it\r\ns=after\r\n"
    assert [m[3] for m in sdp.lines(text, 10, 21)] == [b"it"]


def test_an_origin_has_six_words() -> None:
    words = sdp.origin(b"jdoe 3724394400 3724394405 IN IP4 198.51.100.1")
    assert words == [b"jdoe", b"3724394400", b"3724394405", b"IN", b"IP4", b"198.51.100.1"]
    for odd in (
        b"",
        b"jdoe 1 1 IN IP4",
        b"jdoe  1 IN IP4 x",
        b"jdoe 1 1 ATM NSAP 47",
        b"a b c d e f g",
    ):
        assert sdp.origin(odd) is None


def test_offers_and_answers() -> None:
    """RFC 6337 section 2, table 1: the messages in which they may stand."""
    exchanged = {
        (method, status)
        for method in (b"INVITE", b"ACK", b"PRACK", b"UPDATE", b"OPTIONS", b"BYE", b"MESSAGE")
        for status in (0, 100, 180, 183, 200, 302, 486, 488)
        if sdp.is_exchanged(method, status)
    }
    assert exchanged == {
        *((b"INVITE", 0), (b"INVITE", 180), (b"INVITE", 183), (b"INVITE", 200)),
        *((b"ACK", 0), (b"PRACK", 0), (b"PRACK", 200), (b"UPDATE", 0), (b"UPDATE", 200)),
    }


@given(st.binary(max_size=200), st.integers(0, 50), st.integers(0, 250))
def test_any_bytes(text: bytes, start: int, end: int) -> None:
    for match in sdp.lines(text, start, end):
        assert match.end() <= end
        assert b"\n" not in match[3]
    sdp.origin(text)
