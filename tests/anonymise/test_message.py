"""Messages with pseudonyms: who says what is equal stays equal, and no name is left, whatever the bytes."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inline_topo.anonymise.message import Messages
from inline_topo.anonymise.originals import Originals
from inline_topo.anonymise.pseudonyms import Pseudonyms
from inline_topo.anonymise.search import Search
from inline_topo.sip import message as sip
from inline_topo.sip.names import FieldNames

INVITE = b"""\
INVITE sip:bob@10.0.0.7:5061;transport=udp SIP/2.0
Via: SIP/2.0/UDP pbx.corp.test:5060;branch=z9hG4bKabc;rport
Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKdef;received=192.0.2.77
Record-Route: <sip:10.0.0.5;lr>
Max-Forwards: 69
From: "Alice Liddell" <sip:alice@corp.test>;tag=tagalice1
To: Bob Dodgson <sip:bob@corp.test>
Call-ID: qwertz@pbx.corp.test
CSeq: 314159 INVITE
Contact: <sip:alice@10.0.0.5:5070;transport=tcp;ob>;expires=60;q=0.5
Refer-To: <sip:bob@10.0.0.7?Replaces=qwertz%40pbx.corp.test%3Bto-tag%3Dtagbob1%3Bfrom-tag%3Dtagalice1>
P-Asserted-Identity: "Liddell" <tel:+4930123456>
Proxy-Authorization: Digest username="alice", realm="corp.test", nonce="bm9uY2U=",
 uri="sip:bob@10.0.0.7", response="0123456789abcdef0123456789abcdef", algorithm=MD5, qop=auth, nc=00000001
Subject: lunch with Carroll
User-Agent: Asterisk PBX 18
Supported: replaces, timer
Allow: INVITE, ACK, BYE
X-Acme-Site: berlin-7
Content-Type: application/sdp
Content-Length: 0

v=0
o=alice 123 124 IN IP4 10.0.0.5
s=Carroll's call
c=IN IP4 10.0.0.5
t=0 0
m=audio 4000 RTP/AVP 0 8 101
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=candidate:1 1 UDP 2130706431 10.0.0.5 4000 typ host
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4
a=ssrc:12345 cname:alice@pbx.corp.test
a=sendrecv
""".replace(b"\n", b"\r\n").replace(b"Content-Length: 0", b"Content-Length: 400")
NAMES = (
    rb"(?i)alice|bob|liddell|dodgson|corp\.test|corp|carroll|lunch|qwertz|acme|berlin|asterisk|"
    rb"10\.0\.0|192\.0\.2|4930123|tagalice|tagbob|WVNfX|bm9uY2U|cdef"
)


@pytest.fixture
def messages() -> Messages:
    return Messages(Pseudonyms(b"key"))


def header(message: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?m)^%b: (.*)\r$" % name, message)
    assert found, name
    return found[1]


def test_no_name_is_left(messages: Messages) -> None:
    new = messages.rewrite(INVITE)
    assert new is not None
    assert not re.findall(NAMES, new)


def test_what_says_how_the_call_went_stays(messages: Messages) -> None:
    new = messages.rewrite(INVITE)
    assert new is not None
    for name in (b"Max-Forwards", b"CSeq", b"Supported", b"Allow", b"Content-Type"):
        assert header(new, name) == header(INVITE, name)
    for line in (
        *(b"m=audio 4000 RTP/AVP 0 8 101", b"a=rtpmap:101 telephone-event/8000", b"a=sendrecv"),
        *(b"a=fmtp:101 0-16", b"t=0 0", b"v=0"),
    ):
        assert b"\n" + line + b"\r\n" in new
    assert re.search(rb"\na=candidate:1 1 UDP 2130706431 198\.1[89]\.[0-9.]+ 4000 typ host\r", new)
    before, after = (re.findall(rb"(?m)^([A-Za-z-]+):", text) for text in (INVITE, new))
    known = [name for name in before if name not in (b"User-Agent", b"X-Acme-Site")]
    assert [name for name in after if not name.startswith(b"X-")] == known


def test_equal_stays_equal(messages: Messages) -> None:
    new = messages.rewrite(INVITE)
    assert new is not None
    call_id = header(new, b"Call-ID")
    replaces = header(new, b"Refer-To").partition(b"Replaces=")[2].rstrip(b">")
    assert replaces.startswith(call_id.replace(b"@", b"%40") + b"%3Bto-tag%3D")
    tag = header(new, b"From").partition(b";tag=")[2]
    assert replaces.endswith(b"%3Bfrom-tag%3D" + tag)
    user = re.search(rb"<sip:([^@]+)@", header(new, b"From"))
    assert user
    assert b'username="%b"' % user[1] in header(new, b"Proxy-Authorization")
    assert b"\no=%b " % user[1] in new
    assert header(new, b"Contact").startswith(b"<sip:%b@198.1" % user[1])
    host = call_id.partition(b"@")[2]
    assert header(new, b"Via").startswith(b"SIP/2.0/UDP %b:5060;branch=z9hG4bK" % host)
    assert re.search(rb"\nc=IN IP4 (\S+)\r\n", new)
    assert len(set(re.findall(rb"(?:IP4|431) (198\.[0-9.]+)", new))) == 1


def test_lengths_are_right(messages: Messages) -> None:
    new = messages.rewrite(INVITE)
    assert new is not None
    assert int(header(new, b"Content-Length")) == len(new.partition(b"\r\n\r\n")[2])


def test_a_version_counts_on_from_the_session(messages: Messages) -> None:
    text = INVITE.replace(b"o=alice 123 124", b"o=- 3789000001 3789000003")
    new = messages.rewrite(text)
    assert new is not None
    found = re.search(rb"\no=- ([0-9]+) ([0-9]+) IN", new)
    assert found
    assert found[1] != b"3789000001"
    assert int(found[2]) - int(found[1]) == 2


@pytest.mark.parametrize(("zero", "body"), [(False, b""), (True, bytes(11))])
def test_a_body_of_unknown_type_goes(zero: bool, body: bytes) -> None:
    messages = Messages(Pseudonyms(b"key"), zero=zero)
    text = b"MESSAGE sip:bob@corp.test SIP/2.0\r\nContent-Type: text/plain\r\n"
    text += b"Content-Length: 11\r\n\r\nmeet at 10!"
    new = messages.rewrite(text)
    assert new is not None
    assert new.partition(b"\r\n\r\n")[2] == body
    assert int(header(new, b"Content-Length")) == len(body)
    assert messages.counts.bodies == {"text/plain": 1}


def test_xml_keeps_its_elements(messages: Messages) -> None:
    document = (
        b'<?xml version="1.0"?>\n<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="3" '
        b'state="full" entity="sip:alice@corp.test"><!-- alice was here --><dialog id="d1" '
        b'call-id="qwertz@pbx.corp.test" direction="initiator"><state>confirmed</state><local>'
        b'<identity display="Alice &amp; Bob">sip:alice@corp.test;x=&quot;</identity>'
        b"<acme:bob xmlns:acme='http://corp.test/ns'>carroll</acme:bob></local></dialog></dialog-info>"
    )
    text = b"NOTIFY sip:bob@corp.test SIP/2.0\r\nCall-ID: qwertz@pbx.corp.test\r\n"
    text += b"Content-Type: application/dialog-info+xml\r\n\r\n" + document
    new = messages.rewrite(text)
    assert new is not None
    assert not re.findall(NAMES, new)
    from xml.etree.ElementTree import fromstring

    root = fromstring(new.partition(b"\r\n\r\n")[2].decode())
    spaced = "{urn:ietf:params:xml:ns:dialog-info}"
    assert (root.tag, root.get("version"), root.get("state")) == (
        f"{spaced}dialog-info",
        "3",
        "full",
    )
    [dialog] = root.findall(f"{spaced}dialog")
    assert dialog.get("direction") == "initiator"
    assert (dialog.get("call-id") or "").encode() == header(new, b"Call-ID")
    assert dialog.findtext(f"{spaced}state") == "confirmed"


def test_multipart_keeps_its_parts(messages: Messages) -> None:
    body = (
        b"alice's preamble\r\n--corp.test\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
        b"c=IN IP4 10.0.0.5\r\n--corp.test\r\n\r\nplain of alice\r\n--corp.test\r\n folded: alice\r\n\r\n"
        b"\r\n--corp.test--\r\nepilogue of bob"
    )
    text = (
        b"INVITE sip:bob@corp.test SIP/2.0\r\nContent-Type: multipart/mixed;boundary=corp.test\r\n"
    )
    new = messages.rewrite(text + b"\r\n" + body)
    assert new is not None
    assert not re.findall(NAMES, new)
    body = body.replace(b"--corp.test\r\n folded: alice\r\n\r\n\r\n", b"")
    new = messages.rewrite(text + b"\r\n" + body)
    assert new is not None
    assert not re.findall(NAMES, new)
    boundary = header(new, b"Content-Type").partition(b"boundary=")[2]
    assert new.count(b"--" + boundary) == 3
    assert b"\r\n\r\nv=0\r\nc=IN IP4 198.1" in new


def test_a_fragment_keeps_its_status_line(messages: Messages) -> None:
    text = b"NOTIFY sip:bob@corp.test SIP/2.0\r\nContent-Type: message/sipfrag\r\n\r\n"
    new = messages.rewrite(text + b"SIP/2.0 603 alice said no\r\nContact: <sip:alice@10.0.0.5>")
    assert new is not None
    assert not re.findall(NAMES, new)
    assert b"\r\n\r\nSIP/2.0 603 " in new
    assert b"\r\nContact: <sip:" in new


def test_products_stay_if_wanted_but_for_hosts() -> None:
    messages = Messages(Pseudonyms(b"key"), products=True)
    text = (
        b"SIP/2.0 200 OK\r\nServer: Kamailio (5.6.3 (x86_64/linux)) 10.0.0.5 pbx.corp.test\r\n\r\n"
    )
    new = messages.rewrite(text)
    assert new is not None
    assert header(new, b"Server").startswith(b"Kamailio (5.6.3 (x86_64/linux)) 198.1")
    assert not re.findall(NAMES, new)


def test_dates_go_where_time_begins_anew() -> None:
    messages = Messages(Pseudonyms(b"key"), times=False)
    text = INVITE.replace(b"Subject:", b"Date: Thu, 21 Feb 2002 13:29:00 GMT\r\nSubject:")
    assert header(Messages(Pseudonyms(b"key")).rewrite(text) or b"", b"Date").endswith(b":00 GMT")
    assert b"Date:" not in (messages.rewrite(text) or b"Date:")


# --- any bytes ----------------------------------------------------------------------------------

SECRETS = [b"secretuser", b"+4917012345678", b"hidden.host.test", b"10.9.8.7", b"fd12:3456::789a"]
SECRET = st.sampled_from(SECRETS)
SIGNS = rb"; = < > : @ , / ? & %40 \ sip: tel: SIP/2.0 [ ] ( -- ' &amp; <a> z9hG4bK tag boundary= q= - ."
GLUE = st.sampled_from(
    [*SIGNS.split(), b'"', b" ", b"\r\n", b"\r\n ", b"\x00", b"\xc3\xbc"],
)
TEXT = st.lists(st.one_of(SECRET, GLUE, st.binary(max_size=3)), max_size=12).map(b"".join)
FIELD = st.sampled_from(
    b"""Via v From Contact Call-ID Supported CSeq Warning Date X-Any Content-Type Content-Length
    Content-Encoding Authorization Refer-To Server""".split()
)
TYPE = st.sampled_from(
    b"""application/sdp application/pidf+xml message/sipfrag message/sip text/plain application/xml
    multipart/mixed;boundary=b application/simple-message-summary""".split()
)
LINE = st.tuples(FIELD, TEXT.map(lambda text: text.replace(b"\r\n", b"\r\n "))).map(b": ".join)
SDP = st.lists(
    st.tuples(st.sampled_from([b"o", b"c", b"s", b"a", b"m", b"t", b"x"]), TEXT).map(b"=".join),
    max_size=5,
).map(b"\r\n".join)
PART = st.tuples(st.just(b"--b\r\n"), st.lists(LINE, max_size=2).map(b"\r\n".join), TEXT)
BODY = st.one_of(
    *(TEXT, SDP, TEXT.map(lambda text: b"<a b='" + text + b"'>" + text + b"</a>")),
    st.lists(PART.map(b"\r\n".join), max_size=3).map(b"\r\n".join),
)
START = st.one_of(
    TEXT.map(lambda text: b"INVITE " + text.replace(b"\r\n", b"") + b" SIP/2.0"),
    TEXT.map(lambda text: b"SIP/2.0 200 " + text.replace(b"\r\n", b"")),
    TEXT.map(lambda text: text + b"\r\nINVITE sip:a@b SIP/2.0"),
)
MESSAGE = st.builds(
    lambda start, lines, kind, body: b"\r\n".join(
        (start, *lines, b"Content-Type: " + kind, b"", body)
    ),
    *(START, st.lists(LINE, max_size=4), TYPE, BODY),
)
FOUND = re.compile(b"|".join(map(re.escape, SECRETS)), re.IGNORECASE)
_ALL = FieldNames(("Via", "From", "Contact"))


@settings(max_examples=200)
@given(MESSAGE)
@example(b"INVITE tel:sip: SIP/2.0\r\n\r\n")
@example(b"SIP/2.0 200 tel:sip:\r\n\r\n")
def test_any_bytes_lose_their_names(data: bytes) -> None:
    new = Messages(Pseudonyms(b"key")).rewrite(data)
    if new is not None:
        assert not FOUND.findall(new)
        originals = Originals()
        originals.text(data)
        assert not list(Search(originals).text(new))


@settings(max_examples=100)
@given(MESSAGE)
def test_what_comes_out_is_sip_again(data: bytes) -> None:
    messages = Messages(Pseudonyms(b"key"))
    new = messages.rewrite(data)
    if new is None:
        return
    before, after = sip.parse(data, _ALL, _ALL), sip.parse(new, _ALL, _ALL)
    assert before is not None
    assert after is not None
    assert (after.status, after.is_request) == (before.status, before.is_request)
    for name in _ALL.wanted:
        assert len(after.fields.get(name, ())) == len(before.fields.get(name, ()))


@given(st.binary(max_size=200))
def test_any_bytes_at_all(data: bytes) -> None:
    messages = Messages(Pseudonyms(b"key"))
    messages.rewrite(data)
    messages.rewrite(b"BYE sip:a@b SIP/2.0\r\nContent-Type: application/xml\r\n\r\n" + data)
