"""What is SIP, where its fields stand, and what is refused. Each case says what it is for."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.sip.message import Malformed, Message, header_fields, parse
from inline_topo.sip.names import FieldNames

NAMES = FieldNames(["Via", "Contact", "Call-ID", "Subject", "CSeq"])


def parsed(data: bytes) -> Message:
    message = parse(data, NAMES, NAMES)
    assert message is not None
    return message


def values(data: bytes, name: str = "Contact") -> list[bytes]:
    return [data[slice(*span)] for span in parsed(data).fields.get(name, [])]


def request(*lines: str, eol: str = "\r\n") -> bytes:
    return (eol.join(["OPTIONS sip:bob@example.com SIP/2.0", *lines]) + eol * 2).encode()


CONTACT = b"<sip:a@h>"

FIELDS: dict[str, tuple[bytes, list[bytes]]] = {
    "a field": (request("Contact: <sip:a@h>"), [CONTACT]),
    "lower case (RFC 3261 section 7.3.1)": (request("contact: <sip:a@h>"), [CONTACT]),
    "upper case": (request("CONTACT: <sip:a@h>"), [CONTACT]),
    "mixed case": (request("cOnTaCt: <sip:a@h>"), [CONTACT]),
    "the compact form": (request("m: <sip:a@h>"), [CONTACT]),
    "the compact form in upper case": (request("M: <sip:a@h>"), [CONTACT]),
    "no blank after the colon": (request("Contact:<sip:a@h>"), [CONTACT]),
    "blanks before the colon": (request("Contact \t : <sip:a@h>"), [CONTACT]),
    "blanks around the value": (request("Contact: \t <sip:a@h> \t "), [CONTACT]),
    "another field of a name that begins so": (request("Contacts: <sip:a@h>"), []),
    "a colon in the value": (request("Subject: Contact: <sip:a@h>"), []),
    "two fields, in order": (
        request("Contact: <sip:a@h>", "X: y", "m: <sip:b@h>"),
        [CONTACT, b"<sip:b@h>"],
    ),
    "lines ended by LF alone": (request("Contact: <sip:a@h>", eol="\n"), [CONTACT]),
    "LF lines ended by an empty CR LF line": (
        b"OPTIONS sip:h SIP/2.0\nContact: <sip:a@h>\n\r\nContact: body",
        [CONTACT],
    ),
    "a folded value": (
        request("Contact: <sip:a@h>", "  ;expires=60"),
        [b"<sip:a@h>\r\n  ;expires=60"],
    ),
    "folded twice, by a tab": (
        request("Contact:", "\t<sip:a@h>", "\t ;expires=60"),
        [b"<sip:a@h>\r\n\t ;expires=60"],
    ),
    "a fold after a fold of blanks": (
        request("Contact: <sip:a@h>", " ", " ;expires=60"),
        [b"<sip:a@h>\r\n \r\n ;expires=60"],
    ),
    "folded with LF": (
        request("Contact: <sip:a@h>", " ;expires=60", eol="\n"),
        [b"<sip:a@h>\n ;expires=60"],
    ),
    "a fold of an unwanted field belongs to that": (
        request("X: y", " Contact: <sip:b@h>", "Contact: <sip:a@h>"),
        [CONTACT],
    ),
    "a fold of blanks alone adds nothing": (request("Contact: <sip:a@h>", "  \t"), [CONTACT]),
    "an empty value": (request("Contact:"), [b""]),
    "an empty value of blanks": (request("Contact: \t "), [b""]),
    "no empty line at the end": (b"OPTIONS sip:h SIP/2.0\r\nContact: <sip:a@h>\r\n", [CONTACT]),
    "no line end at the end": (b"OPTIONS sip:h SIP/2.0\r\nContact: <sip:a@h>", [CONTACT]),
    "nothing after the start line": (b"OPTIONS sip:h SIP/2.0", []),
    "a body that looks like a header": (request() + b"Contact: <sip:a@h>\r\n", []),
    "bytes that are not UTF-8": (request("Contact: <sip:a@h>") + b"\xff\xfe", [CONTACT]),
}


@pytest.mark.parametrize(("data", "expected"), FIELDS.values(), ids=FIELDS.keys())
def test_fields_are_found(data: bytes, expected: list[bytes]) -> None:
    assert values(data) == expected


START_LINES: dict[str, tuple[bytes, bytes, int, bytes]] = {
    "a request": (b"INVITE sip:bob@h SIP/2.0\r\n\r\n", b"INVITE", 0, b"sip:bob@h"),
    "any method (RFC 3261: token)": (
        b"!interesting-Method0123456789_*+`.%indeed'~ sip:h SIP/2.0\r\n\r\n",
        b"!interesting-Method0123456789_*+`.%indeed'~",
        0,
        b"sip:h",
    ),
    "a method in lower case": (b"invite sip:h SIP/2.0\r\n\r\n", b"invite", 0, b"sip:h"),
    "the version in lower case": (b"INVITE sip:h sip/2.0\r\n\r\n", b"INVITE", 0, b"sip:h"),
    "another version": (b"INVITE sip:h SIP/7.0\r\n\r\n", b"INVITE", 0, b"sip:h"),
    "blanks around the Request-URI (RFC 4475 lwsruri)": (
        b"INVITE   sip:h; lr   SIP/2.0\r\n\r\n",
        b"INVITE",
        0,
        b"sip:h; lr",
    ),
    "blanks after the version (RFC 4475 trws)": (
        b"INVITE sip:h SIP/2.0  \r\n\r\n",
        b"INVITE",
        0,
        b"sip:h",
    ),
    "empty lines before it (RFC 3261 section 7.5)": (
        b"\r\n\r\nINVITE sip:h SIP/2.0\r\n\r\n",
        b"INVITE",
        0,
        b"sip:h",
    ),
    "LF before it": (b"\nINVITE sip:h SIP/2.0\n\n", b"INVITE", 0, b"sip:h"),
    "a line of junk before it": (
        b"ping\r\nINVITE sip:h SIP/2.0\r\n\r\n",
        b"INVITE",
        0,
        b"sip:h",
    ),
    "tel: in the Request-URI": (
        b"INVITE tel:+12015550123 SIP/2.0\r\n\r\n",
        b"INVITE",
        0,
        b"tel:+12015550123",
    ),
    "a response": (b"SIP/2.0 200 OK\r\n\r\n", b"", 200, b""),
    "a response without a reason": (b"SIP/2.0 100 \r\n\r\n", b"", 100, b""),
    "a response without a reason, nor the blank": (b"SIP/2.0 100\r\n\r\n", b"", 100, b""),
    "a response in lower case": (b"sip/2.0 486 Busy\r\n\r\n", b"", 486, b""),
    "a response with a long reason": (b"SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\r\n\r\n", b"", 200, b""),
    "a status beyond what exists (RFC 4475 bigcode)": (
        b"SIP/2.0 4294967301 better\r\n\r\n",
        b"",
        4294967301,
        b"",
    ),
}


@pytest.mark.parametrize(
    ("data", "method", "status", "uri"), START_LINES.values(), ids=START_LINES.keys()
)
def test_start_lines(data: bytes, method: bytes, status: int, uri: bytes) -> None:
    message = parsed(data)
    assert (message.method, message.status) == (method, status)
    assert data[slice(*message.request_uri)] == uri
    assert message.is_request == bool(method)


def test_a_status_of_0_is_no_request() -> None:
    message = parsed(b"SIP/2.0 000 Nothing\r\n\r\n")
    assert not message.is_request


GTP_U = bytes.fromhex("32ff0040000000000000000060000000")
RTP = struct.pack("!BBHII", 0x80, 0, 7, 160, 0x1234)
STUN = bytes.fromhex("000100002112a442") + bytes(12)  # RFC 8489: a binding request
NOT_SIP = {
    "nothing": b"",
    "a keep-alive of CR LF CR LF (RFC 5626 section 4.4.1)": b"\r\n\r\n",
    "a keep-alive of one byte": b"\0",
    "jaK, as some clients send": b"jaK",
    "STUN": STUN,
    "RTP": RTP + b"\xff" * 160,
    "RTP whose payload quotes SIP": RTP + b"INVITE sip:bob@10.0.0.5 SIP/2.0\r\n",
    "GTP-U that carries SIP": GTP_U + b"\x45\0INVITE sip:bob@10.0.0.5 SIP/2.0\r\n\r\n",
    "DNS": bytes.fromhex("dead01000001000000000000") + b"\3sip\7example\3com\0\0\1\0\1",
    "HTTP": b"GET / HTTP/1.1\r\nHost: 10.0.0.5\r\n\r\n",
    "RTSP": b"OPTIONS rtsp://10.0.0.5 RTSP/1.0\r\n\r\n",
    "SSDP": b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n",
    "MGCP": b"RQNT 1201 aaln/1@rgw.example.com MGCP 1.0\r\nX: 1\r\n",
    "text about sip": b"sip:bob@10.0.0.5 is not a message",
    "a version without a number": b"INVITE sip:bob@h SIP/two\r\n\r\n",
}


@pytest.mark.parametrize("data", NOT_SIP.values(), ids=NOT_SIP.keys())
def test_what_is_not_sip(data: bytes) -> None:
    assert parse(data, NAMES, NAMES) is None


MALFORMED = {
    "no method": b" sip:bob@10.0.0.5 SIP/2.0\r\n\r\n",
    "no Request-URI": b"INVITE SIP/2.0\r\n\r\n",
    "a method that is no token": b"INV{ITE} sip:bob@10.0.0.5 SIP/2.0\r\n\r\n",
    "words after the version": b"INVITE sip:bob@10.0.0.5 SIP/2.0 x\r\n\r\n",
    "a status of two digits": b"SIP/2.0 20 OK\r\n\r\n",
    "a status that is none": b"SIP/2.0 OK\r\n\r\n",
    "HTTP that quotes SIP": b"GET / HTTP/1.1\r\nX: SIP/2.0\r\n\r\n",
    "a header line without a colon": request("Contact <sip:a@10.0.0.5>"),
    "a header name that is no token": request("Con tact: <sip:a@10.0.0.5>"),
    "a header without a name": request(": <sip:a@10.0.0.5>"),
    "the start line folded (RFC 3261 section 7.1 forbids)": request(" Contact: <sip:a@10.0.0.5>"),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_looks_like_sip_and_does_not_parse(data: bytes) -> None:
    with pytest.raises(Malformed) as error:
        parse(data, NAMES, NAMES)
    assert "10.0.0.5" not in str(error.value)


def test_requests_and_responses_are_scanned_for_fields_of_their_own() -> None:
    vias, contacts = FieldNames(["Via"]), FieldNames(["Contact"])
    lines = b"Via: SIP/2.0/UDP h\r\nContact: <sip:a@h>\r\n\r\n"
    message = parse(b"BYE sip:h SIP/2.0\r\n" + lines, vias, contacts)
    assert message is not None
    assert list(message.fields) == ["Via"]
    message = parse(b"SIP/2.0 200 OK\r\n" + lines, vias, contacts)
    assert message is not None
    assert list(message.fields) == ["Contact"]


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (request("X: y") + b"body", b"body"),
        (request("X: y", eol="\n") + b"body", b"body"),
        (request() + b"body", b"body"),
        (b"OPTIONS sip:h SIP/2.0\nX: y\n\r\nbody", b"body"),
        (b"OPTIONS sip:h SIP/2.0\r\nX: y\r\n", b""),
        (b"OPTIONS sip:h SIP/2.0", b""),
    ],
)
def test_where_the_body_begins(data: bytes, body: bytes) -> None:
    message = parsed(data)
    assert data[message.body :] == body
    assert data[slice(*message.headers)].count(b"X:") == data.count(b"X:")


def test_all_header_fields() -> None:
    data = request("v: SIP/2.0/UDP h", "Subject : a", "  b", "X:", "no colon", "Contact: *")
    message = Message(data, b"OPTIONS", 0, (8, 27))
    message.headers = (data.index(b"v:"), data.index(b"\r\n\r\n") + 2)
    found = [(name, data[slice(*span)]) for name, span in header_fields(message)]
    assert found == [
        (b"v", b"SIP/2.0/UDP h"),
        (b"Subject", b"a\r\n  b"),
        (b"X", b""),
        (b"Contact", b"*"),
    ]


NAME = st.sampled_from(["Via", "v", "V", "CONTACT", "m", "X-Y", "Subject", "s", "i", "Call-ID"])
CANONICAL = {"v": "Via", "m": "Contact", "s": "Subject", "i": "Call-ID"}
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@given(
    st.lists(
        st.tuples(
            NAME,
            st.sampled_from(["", " ", "\t"]),
            st.sampled_from(["", " ", "  "]),
            st.lists(TEXT, min_size=1, max_size=3),
            st.sampled_from([" ", "\t", "   "]),
        ),
        max_size=8,
    ),
    st.sampled_from(["\r\n", "\n"]),
)
def test_every_wanted_field_is_found_whatever_its_spelling(
    fields: list[tuple[str, str, str, list[str], str]], eol: str
) -> None:
    lines, expected = [], []
    for name, before, after, parts, fold in fields:
        value = (eol + fold).join(parts)
        lines.append(f"{name}{before}:{after}{value}")
        canonical = CANONICAL.get(name.lower(), name.title())
        if canonical in ("Via", "Contact", "Subject", "Call-Id", "Call-ID"):
            expected.append((canonical.replace("Id", "ID"), value.encode()))
    data = request(*lines, eol=eol)
    message = parsed(data)
    found = [
        (span, name, data[slice(*span)]) for name, spans in message.fields.items() for span in spans
    ]
    assert [(name, value) for _, name, value in sorted(found)] == expected
    assert len(list(header_fields(message))) == len(fields)


@given(st.binary(max_size=300), st.sampled_from([b"", b" SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n"]))
def test_any_bytes_are_a_message_or_not_sip_or_malformed(data: bytes, more: bytes) -> None:
    for text in (data + more, more + data):
        try:
            message = parse(text, NAMES, NAMES)
        except Malformed:
            continue
        if message:
            assert 0 <= message.headers[0] <= message.headers[1] <= message.body <= len(text)
            for spans in message.fields.values():
                for start, end in spans:
                    assert message.headers[0] <= start <= end <= message.headers[1]


@pytest.mark.parametrize(
    "start", ["OPTIONS  sip:a\x01b@h SIP/2.0\r\n", "\r\nOPTIONS sip:\x7f@h SIP/2.0\n"]
)
def test_a_start_line_with_control_characters_is_one(start: str) -> None:
    """Written unusually, too: it must not leave as if it were no SIP."""
    assert values(start.encode() + b"Contact: <sip:a@h>\r\n\r\n") == [CONTACT]
