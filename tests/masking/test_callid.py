"""The bijection on Call-IDs: what leaves comes back, what enters goes back, nothing collides."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inline_topo.masking import callid
from inline_topo.masking.callid import CallIds
from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.codecs.kamailio import Kamailio
from inline_topo.masking.hosts import Hosts
from tests.masking.network import RING

HOSTS = Hosts([ip_network("10.0.0.0/8")], [ip_address("10.0.0.1")], ["corp.example"])
CODECS: dict[str, Codec] = {"aes-siv": AesSiv(RING), "kamailio": Kamailio(b"my secret here")}
each_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())


@each_codec
def test_what_becomes_of_a_call_id(codec: Codec) -> None:
    ids = CallIds(codec, HOSTS)
    for named in (b"abc@10.0.0.5", b"pbx.CORP.example-77", b"10.0.0.5"):
        token = ids.mask(named)
        assert token.startswith(b"!!:")
        assert b"10.0.0.5" not in token
        assert ids.unmask(token) == named
    for other in (b"abc@198.51.100.1", b"abc", b"abc@10.0.0.1", b"!!:abc", b"!!!:abc"):
        assert ids.mask(other) == other
        assert ids.unmask(other) == other


@each_codec
def test_an_outsiders_call_id_that_names_the_inside_is_escaped(codec: Codec) -> None:
    """It would leave as a token, and its dialog would not be found again."""
    ids = CallIds(codec, HOSTS)
    theirs = b"abc@10.0.0.5"
    inside = ids.unmask(theirs)
    assert inside == b"!!!:" + theirs
    assert ids.mask(inside) == theirs
    assert ids.unmask(inside) == b"!!!:" + inside  # and one that looks escaped already
    assert ids.mask(ids.unmask(inside)) == inside


@each_codec
def test_a_token_opens_only_if_we_would_mint_its_content(codec: Codec) -> None:
    """Or one original would have two tokens outside."""
    ids = CallIds(codec, HOSTS)
    for content in (b"abc@198.51.100.1", b"abc"):
        token = codec.seal_callid(content)
        assert ids.unmask(token) == token
        assert ids.mask(token) == token


@each_codec
def test_a_token_of_an_escaped_call_id_is_nobodys(codec: Codec) -> None:
    """It would open to what leaves as something else: the escaped Call-ID's own way out."""
    ids = CallIds(codec, HOSTS)
    token = codec.seal_callid(b"!!!:abc@10.0.0.5")
    assert ids.unmask(token) == token
    assert ids.mask(token) == token


@each_codec
def test_without_escape_tokens_open_all_the_same(codec: Codec) -> None:
    ids = CallIds(codec, HOSTS)
    token = ids.mask(b"abc@10.0.0.5")
    assert ids.unmask(token, escape=False) == b"abc@10.0.0.5"
    assert ids.unmask(b"abc@10.0.0.5", escape=False) == b"abc@10.0.0.5"


@each_codec
def test_a_spiral_wraps_a_token_and_unwraps_it(codec: Codec) -> None:
    ids = CallIds(codec, HOSTS)
    once = ids.mask(b"abc@10.0.0.5")
    twice = ids.mask(once)
    assert twice != once
    assert ids.unmask(twice) == once
    assert ids.unmask(once) == b"abc@10.0.0.5"


WORD = r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]{1,12}"  # RFC 3261 section 25.1


@each_codec
@given(st.from_regex(rf"{WORD}@10\.0\.0\.5", fullmatch=True))
def test_every_call_id_of_the_grammar_that_names_the_inside_is_masked(
    codec: Codec, text: str
) -> None:
    ids = CallIds(codec, HOSTS)
    masked = ids.mask(text.encode())
    assert b"10.0.0.5" not in masked
    assert ids.unmask(masked) == text.encode()


PIECES = st.lists(
    st.sampled_from(
        [b"!!:", b"!!!:", b"!", b"abc", b"@", b"10.0.0.5", b"10.0.0.1", b"corp.example"]
    )
    | st.binary(min_size=1, max_size=3),
    max_size=7,
).map(b"".join)


def variants(codec: Codec, text: bytes, layers: int) -> bytes:
    """The text, sealed a few times over, whether or not we would."""
    for _ in range(layers):
        text = codec.seal_callid(text)
    return text


@each_codec
@given(PIECES, st.integers(0, 3), st.sampled_from([b"", b"!!!:", b"!!!:!!!:"]))
@example(b"!!:10.0.0.5", 0, b"")  # decodes as a token of codec kamailio, and is none
def test_both_maps_are_inverse_on_anything(
    codec: Codec, text: bytes, layers: int, marker: bytes
) -> None:
    ids = CallIds(codec, HOSTS)
    value = marker + variants(codec, text, layers)
    if value:
        assert ids.unmask(ids.mask(value)) == value
        assert ids.mask(ids.unmask(value)) == value


@given(st.sets(PIECES.filter(bool), max_size=12))
def test_nothing_collides(texts: set[bytes]) -> None:
    ids = CallIds(CODECS["aes-siv"], HOSTS)
    texts |= {ids.mask(text) for text in texts} | {ids.unmask(text) for text in texts}
    assert len({ids.mask(text) for text in texts}) == len(texts)
    assert len({ids.unmask(text) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Call-ID", b"abc@h", [b"abc@h"]),
        ("Replaces", b"abc@h;to-tag=1;from-tag=2", [b"abc@h"]),
        ("Replaces", b"abc@h", [b"abc@h"]),
        ("Join", b"abc@h ; to-tag=1", [b"abc@h"]),
        ("Target-Dialog", b"abc@h;local-tag=1", [b"abc@h"]),
        ("In-Reply-To", b"a@h, b@h ,c@h", [b"a@h", b"b@h", b"c@h"]),
        ("Event", b"dialog;call-id=abc@h;to-tag=1", [b"abc@h"]),
        ("Event", b'dialog;CALL-ID = "abc@h"', [b"abc@h"]),
        ("Event", b"dialog;id=1", []),
        ("Event", b"dialog;call-id=", []),
    ],
)
def test_where_call_ids_stand(name: str, value: bytes, expected: list[bytes]) -> None:
    data = b"<" + value + b">"
    spans = callid.locate(data, [(1, 1 + len(value))], name)
    assert [data[slice(*span)] for span in spans] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"<sip:c@h?Replaces=abc%40h%3Bto-tag%3D1>", [b"abc%40h"]),
        (b"<sip:c@h?replaces=abc%40h%3bto-tag%3d1>", [b"abc%40h"]),
        (b"<sip:c@h?x=1&Join=abc&In-Reply-To=def>", [b"abc", b"def"]),
        (b"<sip:c@h?Replaces=abc@h;to-tag=1>", [b"abc@h"]),
        (b"<sip:c@h?Call-ID=abc&Target-Dialog=x%3By>", [b"abc", b"x"]),
        (b"<sip:Replaces=abc@h>", []),
        (b"<sip:c@h?NotReplaces=abc>", []),
    ],
)
def test_where_call_ids_stand_in_uris(value: bytes, expected: list[bytes]) -> None:
    spans = callid.locate_in_uris(value, [(0, len(value))])
    assert [value[slice(*span)] for span in spans] == expected


@pytest.mark.parametrize(
    ("text", "sample", "expected"),
    [
        (b"abc@10.0.0.5", b"x%40h", b"abc%4010.0.0.5"),
        (b"a%b", b"x%2Fh", b"a%25b"),
        (b'a"b<c>', b"x%2Fh", b"a%22b%3Cc%3E"),
        (b'a"b<c>', b"x%2fh", b"a%22b%3cc%3e"),
        (b"!!:A-_z", b"x", b"!!:A-_z"),
    ],
)
def test_escaping_for_a_uri(text: bytes, sample: bytes, expected: bytes) -> None:
    assert callid.escape_like(text, sample) == expected
