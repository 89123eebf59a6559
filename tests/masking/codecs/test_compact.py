"""Packed forms: some by hand from the layout, all back to the same bytes."""

import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.masking.codecs import compact
from inline_topo.sip import uri as uris

IPV4 = bytes((10, 0, 0, 5))
IPV6 = socket.inet_pton(socket.AF_INET6, "2001:db8::5")
PORT = (5062).to_bytes(2, "big")


def word(words: tuple[bytes, ...], text: bytes) -> bytes:
    return bytes((0x80 + words.index(text),))


URIS = {
    b"sip:10.0.0.5": bytes((0b0000100,)) + IPV4,
    b"sips:10.0.0.5": bytes((0b0000101,)) + IPV4,
    b"sip:10.0.0.5:5062": bytes((0b0010100,)) + IPV4 + PORT,
    b"sip:bob@10.0.0.5:5062": bytes((0b0110100,)) + IPV4 + PORT + b"bob",
    b"sip:bob@[2001:db8::5]": bytes((0b0101000,)) + IPV6 + b"bob",
    b"sip:bob@pbx.corp.example": bytes((0b0100000,)) + b"bob@pbx.corp.example",
    b"sip:pbx.corp.example;lr": bytes((0b0000000,))
    + b"pbx.corp.example"
    + word(compact.URI_WORDS, b";lr"),
    b"sip:bob@10.0.0.5;transport=udp": bytes((0b0100100,))
    + IPV4
    + b"bob@"
    + word(compact.URI_WORDS, b";transport=")
    + word(compact.URI_WORDS, b"udp"),
    b"tel:+1-201-555-0123": b"\x03tel:+1-201-555-0123",
}


@pytest.mark.parametrize(("uri", "packed"), URIS.items(), ids=[uri.decode() for uri in URIS])
def test_uris_as_the_layout_says(uri: bytes, packed: bytes) -> None:
    assert compact.pack_uri(uri, False) == packed
    assert compact.pack_uri(uri, True) == bytes((packed[0] | 0b1000000,)) + packed[1:]
    assert compact.unpack_uri(packed) == (uri, False)


WEIRD_URIS = [
    "sip:bob@010.1.1.1",  # an octal spelling for some, a name for us
    "sip:bob@10.1.1.1.",
    "sip:bob@10.1",  # inet_aton takes it for 10.0.0.1
    "sip:bob@0x0a.1.1.1",
    "sip:bob@256.1.1.1",
    "sip:bob@10.1.1.1:0005060",
    "sip:bob@10.1.1.1:05060",
    "sip:bob@10.1.1.1:0",
    "sip:bob@10.1.1.1:65536",
    "sip:bob@10.1.1.1:99999",
    "SIP:bob@10.1.1.1",
    "SiPs:bob@10.1.1.1",
    "sip:@10.1.1.1",
    "sip:bob:secret@10.1.1.1",
    "sip:bob;tag=1@10.1.1.1",
    "sip:b?o@10.1.1.1",
    "sip:%00%40@10.1.1.1",
    "sip:bob@[2001:DB8::5]",
    "sip:bob@[2001:db8:0:0:0:0:0:5]",
    "sip:bob@[::ffff:10.1.1.1]",
    "sip:bob@[::1]:5060",
    "sip:bob@[1:2:3:4:5:6:7:8]",
    "sip:b\u00f6b@10.1.1.1;x=\u4e2d",
    "sip:bob@b\u00fccher.example",
    "sip:10.1.1.1;LR;Transport=UDP",
    "sip:10.1.1.1;lr=on;lr;lr=on",
    "sip:10.1.1.1;line=sr-abc;transport=tls;ob",
    "sip:udp@udp;transport=udp",
    "sip:tcp",
    "sip:h;",
    "sip:h;;a=b",
    "sip:h;a=%3b",
    "urn:service:sos",
    "http://10.1.1.1/ring.wav?x=1",
]


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("text", WEIRD_URIS)
def test_weird_uris_come_back_as_they_were(text: str, bare: bool) -> None:
    uri = text.encode()
    assert uris.is_uri(uri)
    assert compact.unpack_uri(compact.pack_uri(uri, bare)) == (uri, bare)


USER = st.from_regex(rb"[A-Za-z0-9_.!~*'()&=+$,;?/%:-]{0,12}", fullmatch=True)
HOST = st.one_of(
    st.ip_addresses(v=4).map(lambda a: str(a).encode()),
    st.ip_addresses(v=6).map(lambda a: b"[%s]" % str(a).encode()),
    st.ip_addresses(v=6).map(lambda a: b"[%s]" % a.exploded.upper().encode()),
    st.from_regex(rb"[a-z0-9-]{1,8}(\.[a-z0-9-]{1,8}){0,3}\.?", fullmatch=True),
    st.from_regex(rb"0?[0-9]{1,3}(\.0?[0-9]{1,3}){0,4}", fullmatch=True),
)
NUMBER = st.one_of(
    st.just(b""),
    st.integers(0, 99999).map(lambda n: b":%d" % n),
    st.from_regex(rb":0{1,3}[0-9]{1,2}", fullmatch=True),
)
PARAMETER = st.one_of(
    st.sampled_from(compact.URI_WORDS),
    st.from_regex(rb";[A-Za-z0-9-]{0,6}(=[A-Za-z0-9:%.\[\]-]{0,8})?", fullmatch=True),
)
VIA_PARAMETER = st.one_of(
    st.sampled_from([w for w in compact.VIA_WORDS if w[:1] == b";"]),
    st.from_regex(rb";[A-Za-z0-9-]{1,6}(=[A-Za-z0-9:.\[\]-]{1,8})?", fullmatch=True),
)


@given(
    st.sampled_from([b"sip", b"sips", b"SIP", b"Sips"]),
    st.one_of(st.just(b""), USER.map(lambda user: user + b"@")),
    HOST,
    NUMBER,
    st.lists(PARAMETER, max_size=4),
    st.booleans(),
)
def test_any_uri_comes_back(
    scheme: bytes, user: bytes, host: bytes, port: bytes, parameters: list[bytes], bare: bool
) -> None:
    uri = b"".join((scheme, b":", user, host, port, *parameters))
    packed = compact.pack_uri(uri, bare)
    assert compact.unpack_uri(packed) == (uri, bare)
    if b"[" not in uri:  # [::] takes 16 bytes
        assert len(packed) <= len(uri) + 1


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_come_back_as_text_at_worst(text: bytes, bare: bool) -> None:
    if text.count(compact.METHOD) < 2:
        assert compact.unpack_uri(compact.pack_uri(text, bare)) == (text, bare)


def test_the_mark_of_a_method_keeps_its_place() -> None:
    uri = b"sip:bob@10.0.0.5" + compact.METHOD + b";transport=tcp"
    assert compact.unpack_uri(compact.pack_uri(uri, False)) == (uri, False)


VIAS = {
    b"SIP/2.0/UDP 10.0.0.5": bytes((0b0000100,)) + IPV4,
    b"SIP/2.0/TCP 10.0.0.5:5062": bytes((0b0010101,)) + IPV4 + PORT,
    b"SIP/2.0/TLS [2001:db8::5]:5062": bytes((0b0011010,)) + IPV6 + PORT,
    b"SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK74b": bytes((0b0000100,))
    + IPV4
    + word(compact.VIA_WORDS, b";branch=z9hG4bK")
    + b"74b",
    # The host of sent-by again in received, and its port in rport: one byte each.
    b"SIP/2.0/UDP 10.0.0.5:5062;received=10.0.0.5;rport=5062": bytes((0b0010100,))
    + IPV4
    + PORT
    + b"\xfd\xfc",
}


@pytest.mark.parametrize(("value", "packed"), VIAS.items(), ids=[via.decode() for via in VIAS])
def test_vias_as_the_layout_says(value: bytes, packed: bytes) -> None:
    assert compact.pack_via(value, 0) == packed
    assert compact.unpack_via(packed) == (0, value)
    for number in range(1, 8):
        head = bytes((packed[0] | number << 5,))
        assert compact.pack_via(value, number) == head + packed[1:]
        assert compact.unpack_via(head + packed[1:]) == (number, value)


WEIRD_VIAS = [
    "SIP/2.0/UDP 010.1.1.1;branch=z9hG4bK1",
    "SIP/2.0/UDP 10.1.1.1:05060;branch=z9hG4bK1;rport=05060",
    "SIP/2.0/UDP 10.1.1.1:0005;branch=z9hG4bK1",
    "SIP/2.0/UDP 10.1.1.1 : 5060 ; branch = z9hG4bK1",
    "SIP / 2.0 / UDP  10.1.1.1;branch=z9hG4bK1",
    "sip/2.0/udp 10.1.1.1;branch=z9hG4bK1",
    "SIP/2.0/SCTP 10.1.1.1;branch=z9hG4bK1",
    "SIP/2.0/TLS-SCTP 10.1.1.1;branch=z9hG4bK1",
    "SIP/2.0/UDP pbx_1.corp.example:5060;branch=z9hG4bK1",
    "SIP/2.0/UDP [2001:DB8::5]:5060;branch=z9hG4bK1",
    "SIP/2.0/UDP 2001:db8::5;branch=z9hG4bK1",  # brackets forgotten, as some do
    "SIP/2.0/UDP 10.1.1.1;received=10.1.1.11;branch=z9hG4bK1",
    "SIP/2.0/UDP 10.1.1.1:506;rport=5060;branch=z9hG4bK1",
    'SIP/2.0/UDP 10.1.1.1;x="a, b; c";branch=z9hG4bK1',
    "SIP/2.0/UDP 10.1.1.1;x=\u00e4\u00f6;branch=z9hG4bK1",
    "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bK1;\r\n hidden=no",
    "SIP/2.0/UDP\r\n 10.1.1.1\r\n\t;branch=z9hG4bK1",
    "SIP/2.0/UDP 10.1.1.1\n ;branch=z9hG4bK1",
    "SIP/2.0/UDP 10.1.1.1",
    "SIP/2.0/UDP 10.1.1.1;branch=1",  # RFC 2543
]


@pytest.mark.parametrize("text", WEIRD_VIAS)
def test_weird_vias_come_back_as_they_were(text: str) -> None:
    value = text.encode()
    packed = compact.pack_via(value, 5)
    assert packed is not None
    assert compact.unpack_via(packed) == (5, value)


@given(
    st.sampled_from([b"UDP", b"TCP", b"TLS", b"udp", b"WS"]),
    HOST,
    NUMBER,
    st.lists(VIA_PARAMETER, max_size=4),
    st.integers(0, 7),
)
def test_any_via_comes_back(
    transport: bytes, host: bytes, port: bytes, parameters: list[bytes], separator: int
) -> None:
    value = b"".join((b"SIP/2.0/", transport, b" ", host, port, *parameters))
    packed = compact.pack_via(value, separator)
    assert packed is not None
    assert compact.unpack_via(packed) == (separator, value)


@given(
    st.sampled_from([b"UDP", b"TCP"]),
    st.ip_addresses(v=4),
    st.ip_addresses(v=4),
    st.integers(0, 65535),
    st.integers(0, 65535),
)
def test_received_and_rport_beside_the_sent_by(
    transport: bytes, host: object, received: object, port: int, rport: int
) -> None:
    for address in (host, received):
        for number in (port, rport):
            value = b"SIP/2.0/%s %s:%d;received=%s;rport=%d" % (
                transport,
                str(host).encode(),
                port,
                str(address).encode(),
                number,
            )
            packed = compact.pack_via(value, 0)
            assert packed is not None
            assert compact.unpack_via(packed) == (0, value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"SIP/2.0/UDP",
        b"SIP/2.0 10.1.1.1",
        b"SIP/2.0/UDP 10.1.1.1, SIP/2.0/UDP 10.1.1.2",
        b"SIP/2.0/UDP 10.1.1.1;x=\0",
        b"SIP/2.0/UDP 10.1.1.1\r\nX: y",
        b"SIP/2.0/UDP 10.1.1.1;x=\xe4;\r\n y",  # the fold could not be a word in non-ASCII text
    ],
)
def test_no_via_parm_is_not_packed(value: bytes) -> None:
    assert compact.pack_via(value, 0) is None


@given(st.binary(max_size=40))
def test_no_line_break_is_taken_from_a_token(packed: bytes) -> None:
    """Folds are words of ours, so a blank follows each; a raw CR or LF refuses the whole."""
    for head in range(256):
        unpacked = compact.unpack_via(bytes((head,)) + packed)
        if unpacked:
            number, value = unpacked
            assert 0 <= number < len(compact.SEPARATORS)
            assert not re.search(rb"\n(?![ \t])|\r(?!\n[ \t])", value)


@given(st.binary(max_size=40))
def test_unpacking_never_raises(packed: bytes) -> None:
    compact.unpack_uri(packed)
    compact.unpack_via(packed)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x04\x0a\x00\x00",  # an IPv4 address of 3 bytes
        b"\x08" + IPV6[:15],
        b"\x14" + IPV4 + b"\x13",  # a port of one byte
        b"\x0c" + IPV4,  # no such kind of host
        b"\x02" + IPV4,  # no such scheme
        b"\x84" + IPV4,  # a bit that means nothing yet
    ],
)
def test_what_we_never_pack_does_not_unpack(packed: bytes) -> None:
    assert compact.unpack_uri(packed) is None
