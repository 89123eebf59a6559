"""Codec kamailio against the module's facts: tokens of the slides, alphabets, the cookie."""

import base64
import re
import tomllib
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.masking.codecs import kamailio
from inline_topo.masking.codecs.base import OpenedUri, SealError
from inline_topo.masking.codecs.kamailio import Kamailio, crc16_x25, shuffled_alphabet

VECTORS = tomllib.loads((Path(__file__).parents[2] / "vectors/topoh.toml").read_text())
KEY = b"my secret here"
MASK = b"10.1.1.10"
CODEC = Kamailio(KEY)
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
TO_TOKEN = bytes.maketrans(BASE64, VECTORS["alphabets"][KEY.decode()].encode() + b"*")


def encoded(content: bytes) -> bytes:
    """A token as topoh makes it, by the alphabet of the table and the standard library."""
    return base64.b64encode(content).translate(TO_TOKEN)


def open_uri(token: bytes, codec: Kamailio = CODEC) -> bytes | None:
    found = codec.open_uri(b"sip:10.1.1.10;line=sr-" + token)
    return found.uri if found else None


def open_via(token: bytes) -> bytes | None:
    return open_value(b"SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-" + token)


def open_value(value: bytes, codec: Kamailio = CODEC) -> bytes | None:
    opened = codec.open_vias([value], b"")
    return opened[0] if opened else None


def test_crc_check_value() -> None:
    for text, value in VECTORS["check_crc"].items():
        assert crc16_x25(text.encode()) == value


@pytest.mark.parametrize(("key", "alphabet"), VECTORS["alphabets"].items())
def test_alphabets(key: str, alphabet: str) -> None:
    assert shuffled_alphabet(key.encode()) == alphabet.encode()


@given(st.binary(min_size=1, max_size=40))
def test_any_key_shuffles_and_loses_no_character(key: bytes) -> None:
    assert sorted(shuffled_alphabet(key)) == sorted(kamailio.ALPHABET)


@pytest.mark.parametrize(("uri", "token"), VECTORS["uris"].items())
def test_uris_of_the_slides(uri: str, token: str) -> None:
    masked = CODEC.seal_uri(uri.encode(), MASK, stable=False, bare=False)
    assert masked == b"sip:10.1.1.10;line=sr-" + token.encode()
    assert CODEC.open_uri(masked) == OpenedUri(uri.encode(), False)


@pytest.mark.parametrize(("with_cookie", "token"), VECTORS["vias"].items())
def test_vias_of_the_slides(with_cookie: str, token: str) -> None:
    value, cookie = re.sub(";TH=(...)", "", with_cookie), with_cookie.partition(";TH=")[2][:3]
    edits = CODEC.seal_vias(value.encode(), [(0, len(value))], MASK, cookie.encode(), b"")
    assert edits == [(0, len(value), b"SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-" + token.encode())]
    assert open_value(edits[0][2]) == value.encode()


@pytest.mark.parametrize(
    ("value", "sealed"),
    [
        # topoh-wire-format: after sent-by, and after ;received= where that follows directly.
        ("SIP/2.0/UDP 10.0.0.5", "SIP/2.0/UDP 10.0.0.5;TH=dcv"),
        ("SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1", "SIP/2.0/UDP 10.0.0.5;TH=dcv;branch=z9hG4bK1"),
        (
            "SIP/2.0/UDP 10.0.0.5:5062;received=10.0.0.6;rport=5062;branch=z9hG4bK1",
            "SIP/2.0/UDP 10.0.0.5:5062;received=10.0.0.6;TH=dcv;rport=5062;branch=z9hG4bK1",
        ),
        (
            "SIP/2.0/UDP 10.0.0.5;rport=5062;received=10.0.0.6;branch=z9hG4bK1",
            "SIP/2.0/UDP 10.0.0.5;TH=dcv;rport=5062;received=10.0.0.6;branch=z9hG4bK1",
        ),
        (
            "SIP/2.0/TLS [2001:db8::5]:5061;branch=z9hG4bK1",
            "SIP/2.0/TLS [2001:db8::5]:5061;TH=dcv;branch=z9hG4bK1",
        ),
    ],
)
def test_where_the_cookie_stands(value: str, sealed: str) -> None:
    ((_, _, new),) = CODEC.seal_vias(value.encode(), [(0, len(value))], MASK, b"dcv", b"")
    assert new == b"SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-" + encoded(sealed.encode())
    assert open_value(new) == value.encode()


def test_only_the_first_of_several_vias_has_the_cookie() -> None:
    """topoh writes it into the Via that was topmost when the request came in."""
    values = [b"SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1", b"SIP/2.0/UDP 10.0.0.6;branch=z9hG4bK2"]
    data = b", ".join(values)
    first, second = CODEC.seal_vias(data, [(0, 36), (38, 74)], MASK, b"ucv", b"")
    assert first[2].endswith(encoded(values[0].replace(b";branch", b";TH=ucv;branch")))
    assert second[2].endswith(encoded(values[1]))


def test_call_ids() -> None:
    assert CODEC.seal_callid(b"a84b@10.0.0.5") == b"!!:" + encoded(b"a84b@10.0.0.5")
    assert CODEC.open_callid(b"!!:" + encoded(b"a84b@10.0.0.5")) == b"a84b@10.0.0.5"
    assert CODEC.open_callid(encoded(b"a84b@10.0.0.5")) is None


@given(st.from_regex(rb"sips?:([a-z0-9.;=-]{1,9}@)?[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True))
def test_any_uri_is_encoded_as_the_table_says(uri: bytes) -> None:
    masked = CODEC.seal_uri(uri, MASK, stable=True, bare=True, shown=b";lr")
    assert masked == b"sip:10.1.1.10;line=sr-" + encoded(uri)
    assert Kamailio(KEY).open_uri(masked) == OpenedUri(uri, False)


def test_parameters_have_the_names_that_the_configuration_gives() -> None:
    codec = Kamailio(
        KEY,
        uparam_name=b"x",
        uparam_prefix=b"p-",
        vparam_name=b"i",
        vparam_prefix=b"z9hG4bKv-",
        callid_prefix=b"C",
    )
    uri = codec.seal_uri(b"sip:10.0.0.5", MASK, stable=False, bare=False)
    assert uri == b"sip:10.1.1.10;x=p-" + encoded(b"sip:10.0.0.5")
    value = b"SIP/2.0/UDP 10.0.0.5"
    ((_, _, via),) = codec.seal_vias(value, [(0, len(value))], MASK, b"", b"")
    assert via == b"SIP/2.0/UDP 10.1.1.10;i=z9hG4bKv-" + encoded(value)
    assert codec.seal_callid(b"a@10.0.0.5") == b"C" + encoded(b"a@10.0.0.5")
    assert (codec.open_uri(uri), open_value(via, codec)) == (
        OpenedUri(b"sip:10.0.0.5", False),
        value,
    )
    assert (CODEC.open_uri(uri), open_value(via)) == (None, None)


def test_what_clients_do_to_a_uri() -> None:
    token = encoded(b"sip:bob@10.0.0.5:5062")
    for uri in (
        b"sip:10.1.1.10:5060;line=sr-%s",
        b"sip:10.1.1.10;LINE=sr-%s",
        b"sip:10.1.1.10;transport=udp;line=sr-%s;ob",
        b"sip:bob@10.1.1.10;line=sr-%s;user=phone",
        b"sips:10.1.1.10;line=sr-%s",
    ):
        found = CODEC.open_uri(uri % token)
        assert found == OpenedUri(b"sip:bob@10.0.0.5:5062", False), uri


GOOD = encoded(b"sip:bob@10.0.0.5:50")  # 19 bytes: one character of padding short of two


@pytest.mark.parametrize(
    "token",
    [
        b"",
        GOOD.rstrip(b"*"),
        GOOD.rstrip(b"*") + b"****",
        GOOD + b"*",
        GOOD + GOOD,
        GOOD[:-4] + GOOD[-4:].replace(b"*", b"="),
        GOOD[:5] + b"_" + GOOD[6:],
        GOOD[:5] + b"%2A" + GOOD[8:],
        base64.b64encode(b"sip:bob@10.0.0.5:50"),
        GOOD[:4] + b"*" + GOOD[5:],
    ],
)
def test_only_one_spelling_opens(token: bytes) -> None:
    assert open_uri(GOOD) == b"sip:bob@10.0.0.5:50"
    assert open_uri(token) is None


def test_unused_bits_of_the_last_character_must_be_0() -> None:
    alphabet = VECTORS["alphabets"][KEY.decode()].encode()
    for uri, pad in ((b"sip:bob@10.0.0.5:50", 2), (b"sip:bob@10.0.0.5:506", 1)):
        token = encoded(uri)
        assert token.endswith(b"*" * pad)
        last = len(token) - pad - 1
        found = [open_uri(token[:last] + bytes((c,)) + b"*" * pad) for c in alphabet]
        assert [uri for uri in found if uri].count(uri) == 1


FORGED_URIS = [
    b"sip:bob@10.0.0.5\r\nEvil: yes",
    b"sip:bob@10.0.0.5\nEvil: yes",
    b"sip:bob@10.0.0.5>, <sip:eve@203.0.113.9",
    b"sip:bob@10.0.0.5>;expires=0",
    b"<sip:bob@10.0.0.5>",
    b"sip:bob@10.0.0.5 SIP/2.0",
    b'"x" sip:bob@10.0.0.5',
    b"sip:bob@10.0.0.5\0",
    b"sip:bob@10.0.0.5\t",
    b"sip:bob@",
    b"bob",
    b"\xff\xfe\xfd",
]
FORGED_VIAS = [
    b"SIP/2.0/UDP 10.0.0.5\r\nEvil: yes",
    b"SIP/2.0/UDP 10.0.0.5\r\n ;folded",
    b"SIP/2.0/UDP 10.0.0.5\n ;folded",
    b"SIP/2.0/UDP 10.0.0.5, SIP/2.0/UDP 203.0.113.9",
    b"SIP/2.0/UDP 10.0.0.5;x=\0",
    b"SIP/2.0/UDP",
    b"sip:bob@10.0.0.5",
]


@pytest.mark.parametrize("content", FORGED_URIS)
def test_forged_uris_do_not_open(content: bytes) -> None:
    """Whoever knows the key, or has solved the alphabet, can make tokens: what they say is checked."""
    assert open_uri(encoded(content)) is None


@pytest.mark.parametrize("content", FORGED_VIAS)
def test_forged_vias_do_not_open(content: bytes) -> None:
    assert open_via(encoded(content)) is None
    assert CODEC.open_via1(b"SIP/2.0/UDP h;branch=z9hG4bKsr-" + encoded(content)) is None


@pytest.mark.parametrize("content", [b"a\r\nEvil: yes", b"a b", b"a\t", b"a;b", b"a,b", b""])
def test_forged_call_ids_do_not_open(content: bytes) -> None:
    assert CODEC.open_callid(b"!!:" + encoded(content)) is None


@given(st.binary(max_size=40))
def test_no_content_brings_what_its_place_forbids(content: bytes) -> None:
    assert not re.search(rb"[\x00-\x20\x7f<>\"]", open_uri(encoded(content)) or b"")
    assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", open_via(encoded(content)) or b"")
    assert not re.search(rb"[\x00-\x20\x7f,;]", CODEC.open_callid(b"!!:" + encoded(content)) or b"")


@given(st.binary(max_size=60))
def test_any_bytes_as_a_token(token: bytes) -> None:
    for value in (token, encoded(token)):
        CODEC.open_uri(b"sip:h;line=sr-" + value)
        open_value(b"SIP/2.0/UDP h;branch=z9hG4bKsr-" + value)
        CODEC.open_via1(b"SIP/2.0/UDP h;branch=z9hG4bKsr-" + value)
        CODEC.open_callid(b"!!:" + value)


def test_another_key_does_not_give_the_same() -> None:
    other = Kamailio(b"another secret")
    token = encoded(b"sip:bob@10.0.0.5:5062")
    assert open_uri(token, other) != b"sip:bob@10.0.0.5:5062"


def test_what_is_no_uri_or_via_is_not_sealed() -> None:
    with pytest.raises(SealError):
        CODEC.seal_uri(b"sip:bob@10.0.0.5>", MASK, stable=False, bare=False)
    with pytest.raises(SealError):
        CODEC.seal_vias(b"SIP/2.0/UDP", [(0, 11)], MASK, b"", b"")


def test_a_folded_via_comes_back_unfolded() -> None:
    """topoh has no word for folds: documented, and the one thing that its round trip loses here."""
    folded = b"SIP/2.0/UDP 10.0.0.5\r\n ;branch=z9hG4bK1"
    ((_, _, new),) = CODEC.seal_vias(folded, [(0, len(folded))], MASK, b"", b"")
    assert open_value(new) == b"SIP/2.0/UDP 10.0.0.5 ;branch=z9hG4bK1"


def test_memory_of_tokens_is_bounded_in_bytes() -> None:
    codec = Kamailio(KEY)
    tracemalloc.start()
    for number in range(200):
        assert codec.open_uri(b"sip:h;line=sr-%048d" % number + b"x" * 50_000) is None
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000


def test_a_text_comes_back() -> None:
    """topoh has no such token: the prefix of a URI's, and the text."""
    token = CODEC.seal_text(b"10.0.0.5 jdoe")
    assert token == b"sr-" + encoded(b"10.0.0.5 jdoe")
    around = b"user@" + token + b">"
    assert CODEC.may_open(around, 0, len(around))
    assert CODEC.open_texts(around, 0, len(around)) == [(5, 5 + len(token), b"10.0.0.5 jdoe")]
    assert CODEC.open_texts(around, 0, 10) == []
