"""Addresses and names in any bytes and any spelling; what a host means where it stands."""

import base64
import gzip
import sys
import zlib
from collections.abc import Callable
from html import unescape
from ipaddress import ip_address
from itertools import product
from types import FrameType
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest

from inline_topo import assemble
from inline_topo.audit.findings import Finding
from inline_topo.audit.scan import Context
from inline_topo.audit.search import Search
from inline_topo.config import Config, load
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.flow import Flow

OUTSIDE = "203.0.113.9"


def configure(**settings: Any) -> Config:
    sets = {
        "inside": ["10.1.0.0/16", "2001:db8:1::/48"],
        "own": ["10.1.1.10", "2001:db8:1::10", "sip.example.com"],
        "protected": ["example.com", "pbx"],
    } | settings
    return load(None, env={}, overrides=sets, key_ring_given=True)


CONFIG = configure()
SEARCH = Search(assemble.scanner(CONFIG, assemble.codec(CONFIG, KeyRing.generate())).hosts)


def flow_of(config: Config, source: str = "10.1.1.10") -> Flow:
    ends = ip_address(source).packed + ip_address(OUTSIDE).packed + b"\x13\xc4\x13\xc4"
    return assemble.flows(config, assemble.hosts(config), assemble.policy(config)).find(ends)


FLOW = flow_of(CONFIG)


def seen(text: str | bytes) -> list[tuple[str, str]]:
    data = text if isinstance(text, bytes) else text.encode()
    found = SEARCH.find(data, (FLOW.mask_address, FLOW.outside)).sightings
    return [(one.kind, one.shown.decode()) for one in found if not one.part]


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("sip:a@10.1.1.30:5060;lr", "ipv4", "10.1.1.30"),
        ("sip:a@10.001.001.030", "ipv4", "10.001.001.030"),
        ("sip:a@012.1.1.036", "ipv4", "012.1.1.036"),  # octal, as inet_aton(3) reads it
        ("sip:10.1.1.30-a@x", "ipv4", "10.1.1.30"),
        ("abc%4010.1.1.30%3Bto-tag", "ipv4", "10.1.1.30"),
        ("sip:a@10%2E1.1.30", "ipv4", "10.1.1.30"),
        ("<a>&#49;0.1&#x2e;1.30</a>", "ipv4", "10.1.1.30"),
        (r'"10\.1\.1\.30"', "ipv4", "10.1.1.30"),
        ("sip:a@[2001:db8:1::30]:5060", "ipv6", "2001:db8:1::30"),
        ("sip:a@[2001:DB8:0001:0:0:0:0:30]", "ipv6", "2001:DB8:0001:0:0:0:0:30"),
        ("sip:a@%5B2001%3Adb8%3A1%3A%3A30%5D", "ipv6", "2001:db8:1::30"),
        ("sip:2001:db8:1::30", "ipv6", "2001:db8:1::30"),
        ("a@[2001:db8:1::30%25eth0]", "ipv6", "2001:db8:1::30"),
        ("IN IP6 2001:db8:1::30", "ipv6", "2001:db8:1::30"),
        ("sip:a@[::ffff:10.1.1.30]", "ipv6", "::ffff:10.1.1.30"),
        ("sip:a@[::ffff:a01:11e]", "ipv6", "::ffff:a01:11e"),
        ("sip:a@[64:ff9b::10.1.1.30]", "ipv6", "64:ff9b::10.1.1.30"),
        ("sip:a@198.51.100.7", "ipv4", "198.51.100.7"),
        ("sip:a@GW.Example.COM.", "name", "GW.Example.COM"),
        ("sip:a@example.com;x", "name", "example.com"),
        ("sip:a@gw%2eexample%2ecom", "name", "gw.example.com"),
        ("sip:a@pbx:5060", "name", "pbx"),
        ("1234@198.51.100.7.", "ipv4", "198.51.100.7"),
        ("17.10.1.1.30.4", "ipv4", "10.1.1.30"),
        ("z9hG4bKnp104-44ce4a4110.1.1.30;rport", "ipv4", "10.1.1.30"),
        ("z9hG4bK9910.1.1.30", "ipv4", "10.1.1.30"),
        ("sw/10.1.1.30", "ipv4", "10.1.1.30"),
        ("sip:a@167837982", "ipv4", "167837982"),  # 10.1.1.30 as one number
        ("sip:167837982@carrier.net", "ipv4", "167837982"),
        ("http://0x0a01011e/", "ipv4", "0x0a01011e"),
        ("sip:a@0xa.1.1.30", "ipv4", "0xa.1.1.30"),
        ("sip:a@10.65822:5060", "ipv4", "10.65822"),
        ("sip:a@ip-10-1-1-30.region.carrier.net", "ipv4", "10-1-1-30"),
    ],
)  # fmt: skip
def test_a_host(text: str, kind: str, shown: str) -> None:
    assert seen(text) == [(kind, shown)]


@pytest.mark.parametrize(
    "text",
    [
        "sip:a@10.1.1.10:5060",
        "sip:a@[2001:db8:1::10]",
        "sip:a@[2001:db8:1:0::10]",
        "sip:a@[::ffff:10.1.1.10]",
        "sip:a@010.1.1.010",
        "sip:SIP.example.com",
        "sip:a@203.0.113.9",  # the packet's outside end
        "sip:a@notexample.com",
        "sip:a@example.com.evil.org",
        "sip:a@pbx.evil.org",
        "version 1.2.3.4.5",
        "User-Agent: Phone/1.2.3.4 (v5.6.7.8)",
        "300.1.1.1",
        "z9hG4bK-41198.51.100.7",  # whose, nobody can say
        "210.1.1.30.7",
        "0.0.0.0",
        "12:30:45",
        "00:11:22:33:44:55",
        "face:book",
        "std::bad",
        "sha-256 AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99",
        "urn:uuid:00000000-0000-1000-8000-000A95A0E128",
        "o=- 167837982 167837982 IN",  # numbers that are no hosts
        "tel:167837982",
        "sip:167837982@carrier.net;user=phone",
        "sip:+167837982@carrier.net",
        "sip:0167837982@carrier.net",  # 0 goes before what is dialled
        "2010-1-1-30",
    ],
)
def test_no_host(text: str) -> None:
    assert seen(text) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("host", ["10.1.1.30", "2001:db8:1::30", "gw.example.com"])
def test_in_wide_characters(encoding: str, host: str) -> None:
    body = f'<identity display="x">sip:alice@[{host}]</identity>'.encode(encoding)
    data = b"X: 198.51.100.7\r\n\r\n" + body
    assert [shown for _, shown in seen(data)] == ["198.51.100.7", host]
    assert seen(b"Y: 10.1.1.30\r\n\r\n\0\1") == [("ipv4", "10.1.1.30")]


TEXTS = ("10.1.1.30", "sip:alice@10.1.1.30:5060", "[2001:db8:1::30]", "<sip:bob@GW.example.com>")


@pytest.mark.parametrize("text", TEXTS)
def test_in_base64(text: str) -> None:
    leads, prefixes = ("", "a", "ab"), (b"", b"z9hG4bK", b"x", b"!!:", b"abcdefgh.", b"xy=")
    encodings = (base64.b64encode, base64.urlsafe_b64encode)
    for lead, prefix, encode in product(leads, prefixes, encodings):
        encoded = encode((lead + text).encode()).rstrip(b"=")
        for end in (b"", b"=="):
            line = b"Call-ID: %s%s%s\r\n" % (prefix, encoded, end)
            assert len(seen(line)) == 1, line


def test_in_base64_over_several_lines() -> None:
    """As in MIME: each address stands once across a line break."""
    for lead in range(40, 76):
        text = b"x" * lead + b" <sip:alice@10.1.1.30> " + b"y" * 80
        encoded = base64.encodebytes(text).replace(b"\n", b"\r\n")
        data = b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded
        found = SEARCH.find(data, ()).sightings
        assert {one.shown for one in found} == {b"10.1.1.30"}, lead
        assert all(0 < data.find(encoded) <= one.start < len(data) for one in found)


def test_a_third_party_in_base64_is_chance() -> None:
    assert seen(base64.b64encode(b"198.51.100.7 is the host")) == []


def test_spellings_by_other_libraries() -> None:
    for text in ("sip:a@10.1.1.30;x", "<sip:a@[2001:db8:1::30]>"):
        assert len(seen(text)) == 1
        assert len(seen(quote(text, safe=""))) == 1
        assert len(seen(escape(text))) == 1
        references = "".join(f"&#{ord(char)};" for char in text)
        assert unescape(references) == text
        assert len(seen(references)) == 1


def test_named_is_what_lies_inside_or_is_protected() -> None:
    text = b"10.1.1.30, 198.51.100.7, [::ffff:10.1.2.3], gw.example.com"
    shown = [one.shown for one in SEARCH.find(text, ()).sightings if one.named]
    assert shown == [b"10.1.1.30", b"::ffff:10.1.2.3", b"gw.example.com"]


def test_where_it_stands_though_disguised() -> None:
    text = b"a%20b%20c@10%2E1.1.30;d"
    [one] = SEARCH.find(text, ()).sightings
    assert text[one.start : one.start + 4] == b"10%2"


# --- what it means where it stands --------------------------------------------------------------

REQUEST = (
    "INVITE sip:bob@203.0.113.9 SIP/2.0\nVia: SIP/2.0/UDP 10.1.1.10;branch=z9hG4bK1\n"
    "From: <sip:a@sip.example.com>;tag=a\nTo: <sip:b@y.test>\nCall-ID: 1\nCSeq: 1 INVITE\n"
)


def scan(
    fields: str, config: Config | None = None, body: str = "", *, masked: bool = True
) -> list[Finding]:
    config = config or configure()
    text = (REQUEST + fields + "\n" + body).replace("\n", "\r\n").encode()
    scanner = assemble.scanner(config, assemble.codec(config, KeyRing.generate()))
    return scanner.scan(text, flow_of(config), Context(masked))


def causes(*arguments: Any) -> dict[str, str]:
    return {one.field: one.cause for one in scan(*arguments)}


@pytest.mark.parametrize("profile", ["default", "strict", "topoh"])
def test_any_address_in_what_is_masked_is_a_leak(profile: str) -> None:
    config = configure(profile=profile)
    assert causes("Contact: <sip:a@198.51.100.7>\n", config) == {"Contact": "leak"}
    assert causes("Contact: <sip:a@sip.example.com>\n", config) == {}


FIELDS = {  # by the profiles that hide it
    "Refer-To: <sip:c@10.1.1.30>": ("Refer-To", {"default", "strict", "topoh"}),  # it routes
    "Referred-By: <sip:c@10.1.1.30>": ("Referred-By", {"default", "strict"}),
    "P-Asserted-Identity: <sip:c@10.1.1.30>": ("P-Asserted-Identity", {"default", "strict"}),
    "Reason: Q.850;text=\"10.1.1.30\"": ("Reason", {"default", "strict"}),
    "X-Node: 10.1.1.30": ("X-Node", {"default", "strict"}),
    "Organization: gw.example.com": ("Organization", {"strict"}),
    "User-Agent: pbx1 10.1.1.30": ("User-Agent", {"strict"}),
    "Authorization: Digest uri=\"sip:10.1.1.30\"": ("Authorization", {"strict"}),
    "Call-ID: 2@10.1.1.30": ("Call-ID", {"strict"}),
    "Unheard-Of: 10.1.1.30": ("Unheard-Of", {"strict"}),
    "10.1.1.30: x": ("header name", {"strict"}),
}  # fmt: skip


@pytest.mark.parametrize("profile", ["default", "strict", "topoh"])
@pytest.mark.parametrize("line", FIELDS)
def test_a_leak_or_left_as_configured(line: str, profile: str) -> None:
    field, hiding = FIELDS[line]
    found = causes(line + "\n", configure(profile=profile))
    assert found == {field: "leak" if profile in hiding else "open"}


def test_what_a_signature_covers_is_left_but_in_strict() -> None:
    lines = "Identity: x\nP-Asserted-Identity: <sip:c@10.1.1.30>\n"
    assert causes(lines) == {"P-Asserted-Identity": "open"}
    assert causes(lines, configure(profile="strict")) == {"P-Asserted-Identity": "leak"}


SDP = (
    "v=0\no=- 1 1 IN IP4 10.1.1.30\ns=-\nc=IN IP4 10.1.1.31\nm=audio 9 RTP/AVP 0\n"
    "a=rtcp:53020 IN IP4 10.1.1.32\na=candidate:1 1 UDP 1 10.1.1.33 9 typ host\n"
)
SHOWN = {
    "SDP o=": "leak",
    "SDP c=": "media",
    "SDP a=rtcp": "media",
    "SDP a=candidate": "media",
}


def test_media() -> None:
    assert causes("Content-Type: application/sdp\n", None, SDP) == SHOWN
    assert causes("", None, SDP) == SHOWN
    part = "--x\nContent-Type: application/sdp\n\n" + SDP + "--x--\n"
    assert causes("Content-Type: multipart/mixed;boundary=x\n", None, part) == SHOWN
    assert causes("Content-Type: text/plain\n", None, SDP) == {"body text/plain": "open"}


def test_bodies() -> None:
    xml = "<dialog-info entity='sip:a@10.1.1.30'/>\n"
    for kind in ("application/dialog-info+xml", "application/pidf+xml", "message/sipfrag"):
        assert causes(f"Content-Type: {kind}\n", None, xml) == {f"body {kind}": "leak"}
    part = "--x\nContent-Type: application/reginfo+xml\n\n" + xml + "--x--\n"
    fields = "Content-Type: multipart/mixed;boundary=x\n"
    assert causes(fields, None, part) == {"body application/reginfo+xml": "leak"}


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_compressed_body(compress: Callable[[bytes], bytes]) -> None:
    packed = compress(b"<dialog-info entity='sip:a@10.1.1.30'/>")
    fields = "Content-Type: application/dialog-info+xml\nContent-Encoding: gzip\n"
    text = (REQUEST + fields + "\n").replace("\n", "\r\n").encode()
    for data, count in ((text + packed, 1), (text + packed[:20], 0), (text + b"no gzip", 0)):
        scanner = assemble.scanner(CONFIG, assemble.codec(CONFIG, KeyRing.generate()))
        found = scanner.scan(data, FLOW)
        shown = [("leak", "body application/dialog-info+xml", b"10.1.1.30")]
        unread = [("not_read", "body", b"")]
        assert [(one.cause, one.field, one.shown) for one in found] == (shown if count else unread)


def test_a_rule_that_skips_is_policy() -> None:
    for masked, cause in ((False, "policy"), (True, "leak")):
        [found] = scan("Contact: <sip:a@10.1.1.30>\n", masked=masked)
        assert (found.field, found.cause) == ("Contact", cause)


def test_a_protected_name_in_a_longer_word_counts_in_a_call_id_alone() -> None:
    masked = configure(**{"topoh.mask_callid": True})
    assert causes("In-Reply-To: 17_PBX9@x\n", masked) == {"In-Reply-To Call-ID": "leak"}
    assert causes("Subject: 17_PBX9@x\n", masked) == {}
    assert causes("In-Reply-To: 17@198.51.100.7\n", masked) == {}


HOSTILE = {  # a message of 60,000 bytes made of these, whatever it costs a regex
    "addresses": b"198.51.100.7 ",
    "addresses inside": b"10.1.1.30,",
    "Record-Routes": b"<sip:198.51.100.7>,",
    "codes": b"%41198.51.100.7\r\n ",
    "names": b"pbx",
    "words": b"pbx.",
    "dots": b"1.",
    "colons": b":a",
    "base64": base64.b64encode(b"10.1.1.30;"),
    "base64 almost": b"MTAu",
    "dashes": b"-1-1-1",
}


LONG = [
    # by default each once
    pytest.param(piece, field, marks=[pytest.mark.full] if (number + other) % 3 else [])
    for number, piece in enumerate(HOSTILE)
    for other, field in enumerate(["Record-Route", "Subject", "Via"])
]


@pytest.mark.parametrize(("piece", "field"), LONG)
def test_a_long_message_costs_no_more_than_its_length(piece: str, field: str) -> None:
    """The work grows with the length, not with its square: counted in lines of ours that run."""

    def lines_run(size: int) -> int:
        data = REQUEST.replace("\n", "\r\n").encode() + field.encode() + b": "
        data += HOSTILE[piece] * (size // len(HOSTILE[piece])) + b"\r\n\r\n"
        scanner = assemble.scanner(CONFIG, assemble.codec(CONFIG, KeyRing.generate()))
        count = 0

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal count
            count += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            scanner.scan(data, FLOW)
        finally:
            sys.settrace(before)
        return count

    once, twice = lines_run(15_000), lines_run(30_000)
    assert twice < 2.5 * once + 20_000


def test_more_hosts_than_are_looked_at_were_not_read() -> None:
    """Third parties take no room from those inside."""
    found = scan("Subject: " + "198.51.100.7 " * 1100 + "10.1.1.30\n")
    assert [(one.cause, one.field, one.shown) for one in found] == [
        ("open", "Subject", b"198.51.100.7"),
        ("leak", "Subject", b"10.1.1.30"),
        ("not_read", "bounds", b""),
    ]


def test_each_host_once_a_value() -> None:
    found = scan("Contact: <sip:10.1.1.30;x=10.1.1.30;y=10.1.1.31>\n")
    assert [one.shown for one in found] == [b"10.1.1.30", b"10.1.1.31"]
    assert found[0].text == b"sip:10.1.1.30;x=10.1.1.30;y=10.1.1.31"
