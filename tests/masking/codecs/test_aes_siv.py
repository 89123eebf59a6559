"""Tokens of aes-siv: what they are is checked with another library, what opens with everything else."""

import base64
import re
import string
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.base import MOST_TEXTS, SealError
from inline_topo.masking.codecs.compact import METHOD
from inline_topo.masking.codecs.keyring import KeyRing

AESSIV = pytest.importorskip("cryptography.hazmat.primitives.ciphers.aead").AESSIV

OLD, NEW, OTHER = (bytes((n,)) * 64 for n in (1, 2, 3))
RING = KeyRing({1: OLD, 2: NEW}, active=2, stable=1)
MASK = b"192.0.2.10"
CODEC = AesSiv(RING)

HIDDEN = b"sip:bob@10.0.0.5:5062"
VIA = b"SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bK74b43;rport"
CALLID = b"a84b4c76e66710@10.0.0.5"

CONTEXT = b"=z9hG4bK-the-topmost-branch"
BOUND = b"inline-topo via 2" + bytes((0, 1)) + CONTEXT  # the first token of one

Seal = Callable[[AesSiv], bytes]


def seal_uri(
    uri: bytes,
    *,
    codec: AesSiv = CODEC,
    mask: bytes = MASK,
    stable: bool = False,
    bare: bool = False,
) -> bytes:
    return codec.seal_uri(uri, mask, stable=stable, bare=bare)


def open_uri(uri: bytes, codec: AesSiv = CODEC) -> bytes | None:
    opened = codec.open_uri(uri)
    return opened.uri if opened else None


def seal_via(value: bytes, codec: AesSiv = CODEC) -> bytes:
    ((_, _, new),) = codec.seal_vias(value, [(0, len(value))], MASK, b"", CONTEXT)
    return new


def open_via(value: bytes, codec: AesSiv = CODEC) -> bytes | None:
    opened = codec.open_vias([value], CONTEXT)
    return opened[0] if opened else None


TOKENS: dict[str, tuple[Seal, bytes, int]] = {
    "uri": (lambda codec: seal_uri(HIDDEN, codec=codec), b"inline-topo uri 1", 2),
    "stable uri": (lambda c: seal_uri(HIDDEN, codec=c, stable=True), b"inline-topo uri 1", 1),
    "via": (lambda codec: seal_via(VIA, codec), BOUND, 2),
    "quoted via": (lambda c: c.seal_quoted_via(VIA, MASK), b"inline-topo quoted via 1", 2),
    "via1": (lambda codec: codec.seal_via1(VIA, MASK), b"inline-topo via1 1", 1),
    "callid": (lambda codec: codec.seal_callid(CALLID), b"inline-topo callid 1", 1),
    "text": (lambda codec: codec.seal_text(b"10.0.0.5 jdoe"), b"inline-topo text 1", 1),
}
each_kind = pytest.mark.parametrize(("seal", "kind", "key"), TOKENS.values(), ids=TOKENS.keys())


def find_token(masked: bytes) -> bytes:
    (token,) = re.findall(rb"[A-Za-z0-9_-]{24,}", masked.replace(b"z9hG4bK", b" "))
    return bytes(token)


@each_kind
def test_a_token_is_rfc_5297_under_the_right_key_and_kind(
    seal: Seal, kind: bytes, key: int
) -> None:
    """Read with another library: key id, then AES-SIV with the kind as associated data."""
    sealed = base64.urlsafe_b64decode(find_token(seal(CODEC)) + b"==")
    assert sealed[0] == key
    content = AESSIV(RING.keys[key]).decrypt(sealed[1:], [kind])
    assert bytes((10, 0, 0, 5)) in content or content == CALLID


@each_kind
def test_with_and_without_the_fast_extra(seal: Seal, kind: bytes, key: int) -> None:
    assert seal(AesSiv(RING, fast=False)) == seal(AesSiv(RING, fast=True))


def test_where_tokens_stand() -> None:
    token = rb"[A-Za-z0-9_-]+"
    address = re.escape(MASK)
    assert re.fullmatch(rb"sip:%s@%s" % (token, address), seal_uri(HIDDEN))
    assert re.fullmatch(rb"sips:%s@%s" % (token, address), seal_uri(b"sips:bob@10.0.0.5"))
    assert re.fullmatch(rb"sips:%s@%s" % (token, address), seal_uri(b"SIPS:bob@10.0.0.5"))
    assert re.fullmatch(rb"SIP/2\.0/UDP %s;branch=z9hG4bK%s" % (address, token), seal_via(VIA))
    assert re.fullmatch(
        rb"SIP/2\.0/UDP %s;branch=z9hG4bK%s;rport" % (address, token), CODEC.seal_via1(VIA, MASK)
    )
    assert re.fullmatch(rb"!!:" + token, CODEC.seal_callid(CALLID))
    routed = CODEC.seal_uri(b"sip:10.0.0.5;lr", MASK, stable=False, bare=False, shown=b";lr")
    assert re.fullmatch(rb"sip:%s@%s;lr" % (token, address), routed)
    port = CODEC.seal_uri(HIDDEN, b"[2001:db8::1]:5080", stable=False, bare=False, shown=b";lr")
    assert port.endswith(b"@[2001:db8::1]:5080;lr")


@each_kind
def test_a_token_changed_in_any_character_does_not_open(seal: Seal, kind: bytes, key: int) -> None:
    masked = seal(CODEC)
    token = find_token(masked)
    start = masked.index(token)
    characters = (string.ascii_letters + string.digits + "-_=+/.").encode()
    for at in range(start, start + len(token)):
        for other in characters:
            if other != masked[at]:
                assert opened(masked[:at] + bytes((other,)) + masked[at + 1 :]) == set()
    for at in range(start, start + len(token) + 1):  # a character more or less
        assert opened(masked[:at] + b"A" + masked[at:]) == set()
        assert at == start + len(token) or opened(masked[:at] + masked[at + 1 :]) == set()


def opened(masked: bytes) -> set[str]:
    """Every kind as which this opens, wherever a token of that kind may stand."""
    token = (
        masked.rpartition(b"z9hG4bK")[2].rpartition(b":")[2].partition(b"@")[0].partition(b";")[0]
    )
    via = b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK" + token
    uris = (b"sip:" + token + b"@h", b"sip:h;x=" + token)
    found = {"uri" for uri in uris if CODEC.open_uri(uri)}
    found |= {"via"} if open_via(via) else set()
    found |= {"quoted via"} if CODEC.open_quoted_via(via) else set()
    found |= {"via1"} if CODEC.open_via1(via) else set()
    found |= {"text"} if CODEC.open_texts(token, 0, len(token)) else set()
    return found | ({"callid"} if CODEC.open_callid(b"!!:" + token) else set())


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_of_one_kind_opens_as_no_other(name: str) -> None:
    seal, _, _ = TOKENS[name]
    assert opened(seal(CODEC)) == {name.removeprefix("stable ")}


@each_kind
def test_a_key_that_is_not_on_the_ring_opens_nothing(seal: Seal, kind: bytes, key: int) -> None:
    for foreign in (
        KeyRing({1: OTHER, 2: bytes(64)}, active=2, stable=1),  # other keys, the same ids
        KeyRing({7: OLD, 8: NEW}, active=8, stable=7),  # the same keys under other ids
    ):
        masked = seal(AesSiv(foreign))
        assert opened(masked) == set()


SPELLINGS = {
    "padded": lambda token: token + b"=" * (-len(token) % 4),
    "standard alphabet": lambda token: token.translate(bytes.maketrans(b"-_", b"+/")),
    "upper case": bytes.upper,
    "percent-encoded": lambda token: b"%%%02X" % token[0] + token[1:],
    "with a line break": lambda token: token[:4] + b"\n" + token[4:],
    "with a blank": lambda token: token[:4] + b" " + token[4:],
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_only_one_spelling_opens(spell: Callable[[bytes], bytes]) -> None:
    """RFC 4648 section 3.5: decoders take several texts for the same bytes. Ours is one of them."""
    uris = [b"sip:u%d@10.0.0.%d" % (n, n) for n in range(100)]  # of all lengths modulo 3
    differing = 0
    for number, uri in enumerate(uris):
        token = CODEC.seal_callid(uri[4 : len(uri) - number % 3])[3:]
        if spell(token) != token:
            differing += 1
            assert CODEC.open_callid(b"!!:" + token)
            assert CODEC.open_callid(b"!!:" + spell(token)) is None
    assert differing > 50


def test_unused_bits_of_the_last_character_must_be_0() -> None:
    alphabet = (string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_").encode()
    tried = 0
    for length in range(1, 7):
        token = CODEC.seal_callid(b"x" * length)
        for last in alphabet:
            other = token[:-1] + bytes((last,))
            if other != token:
                assert CODEC.open_callid(other) is None
                tried += 1
    assert tried == 6 * 63


def test_what_clients_do_to_a_uri() -> None:
    """Each of these was seen in the field (masking-rules: what clients do to tokens)."""
    token = find_token(seal_uri(HIDDEN))
    for uri in (
        b"sip:%s@192.0.2.10:5060",
        b"sip:%s@192.0.2.10;user=phone",
        b"sip:%s@192.0.2.10:5060;user=phone;ob",
        b"sip:%s@192.0.2.10;transport=udp;lr",
        b"SIP:%s@192.0.2.10",
        b"sips:%s@192.0.2.10",
        b"sip:%s:@192.0.2.10",
        b"sip:%s@registrar.example.com",
        b"sip:192.0.2.10;maddr=%s",
        b"sip:bob@192.0.2.10;x=%s;y",
    ):
        assert open_uri(uri % token) == HIDDEN, uri


def test_a_token_cut_short_or_in_lower_case_is_lost() -> None:
    masked = seal_uri(HIDDEN)
    assert open_uri(masked.lower()) is None
    token = find_token(masked)
    assert open_uri(masked.replace(token, token[:30])) is None


def test_the_number_of_trial_openings_is_bounded() -> None:
    """Whoever sends a URI full of what looks like tokens costs us no more than four trials."""
    token = find_token(seal_uri(HIDDEN))
    junk = [b"A%027d" % n for n in range(4)]
    assert open_uri(b"sip:h;a=%s;b=%s" % (b";".join(junk[:3]), token)) == HIDDEN
    assert open_uri(b"sip:h;a=%s;b=%s" % (b";".join(junk), token)) is None


METHODS = {
    b"sip:bob@10.0.0.5;method=INVITE": b";method=INVITE",
    b"sip:bob@10.0.0.5;transport=tcp;METHOD=INVITE;x=1": b";METHOD=INVITE",
}


@pytest.mark.parametrize(("uri", "method"), METHODS.items())
def test_method_stays_outside(uri: bytes, method: bytes) -> None:
    """RFC 3261 section 19.1.1: whoever receives the URI must see which method to use."""
    masked = seal_uri(uri)
    assert masked.endswith(b"@192.0.2.10" + method)
    assert open_uri(masked) == uri
    assert open_uri(masked.removesuffix(method)) == uri.replace(method, b"")
    assert open_uri(masked.replace(b"INVITE", b"BYE")) == uri.replace(b"INVITE", b"BYE")


def test_a_method_added_by_a_client_is_kept() -> None:
    assert open_uri(seal_uri(HIDDEN) + b";method=BYE") == HIDDEN + b";method=BYE"


@pytest.mark.parametrize("uri", [b"sip:bob;method=x@10.0.0.5", b"sip:bob;method=@10.0.0.5;lr"])
def test_what_looks_like_a_method_in_the_user_part_is_sealed(uri: bytes) -> None:
    masked = seal_uri(uri)
    assert b"10.0.0.5" not in masked
    assert open_uri(masked) == uri


def test_a_uri_remembers_that_it_stood_bare() -> None:
    for bare in (False, True):
        found = CODEC.open_uri(seal_uri(HIDDEN, bare=bare))
        assert found is not None
        assert found == (HIDDEN, bare)


@pytest.mark.parametrize(
    "uri",
    [
        b"",
        b"bob",
        b"sip:",
        b"sip:bob@",
        b"sip:bob@10.0.0.5 ",
        b"sip:bob@10.0.0.5>",
        b"sip:bob@10.0.0.5\r\nX: y",
        b'sip:"bob"@10.0.0.5',
        b"sip:bob@10.0.0.5;x=" + METHOD,
    ],
)
def test_no_uri_is_not_sealed(uri: bytes) -> None:
    with pytest.raises(SealError):
        seal_uri(uri)


def forged(kind: bytes, content: bytes) -> bytes:
    """A token that somebody with a key of the ring made, of any content."""
    sealed = b"\1" + bytes(AESSIV(OLD).encrypt(content, [kind]))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=")


@given(st.binary(max_size=60))
def test_no_content_brings_what_its_place_forbids(content: bytes) -> None:
    """Even a token under our own key, from a version of us that was wrong."""
    uri = CODEC.open_uri(b"sip:%s@h" % forged(b"inline-topo uri 1", content))
    assert uri is None or not re.search(rb"[\x00-\x1f\x7f<>]", uri.uri)  # odd ones have quotes
    for value in (content, b"\1" + content, b"\2" + content):
        via = open_via(b"SIP/2.0/UDP h;branch=z9hG4bK" + forged(BOUND, value))
        assert via is None or not re.search(
            rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\n(?!Via:|v:|[ \t])", via
        )


LINE = b"SIP/2.0/UDP 10.0.0.5"
BAD_VIAS = [
    b"",
    b"\0",
    b"\1",
    b"\1\3" + LINE + b"\r\nEvil: yes",
    b"\1\3" + LINE + b", " + LINE,
    b"\1\3not a via",
    b"\1\x23" + LINE,  # the first value with a separator before it
    b"\2\x14\3" + LINE + b"\3" + LINE,  # the second without one
    b"\3\x15\3" + LINE + b"\x23" + LINE,  # three promised, two there
    b"\2\xff\xff\3" + LINE,
]


@pytest.mark.parametrize("content", BAD_VIAS)
def test_via_contents_that_we_never_make_do_not_open(content: bytes) -> None:
    token = forged(BOUND, content)
    assert open_via(b"SIP/2.0/UDP h;branch=z9hG4bK" + token) is None


def test_a_via_of_someone_elses_making_opens_where_it_is_right() -> None:
    """The judge of the test above: the same contents, put right, do open."""
    token = forged(BOUND, b"\2\x15\3" + LINE + b"\x23" + LINE)
    opened = open_via(b"SIP/2.0/UDP h;branch=z9hG4bK" + token)
    assert opened == LINE + b"\r\nVia: " + LINE


SEPARATORS = ["\r\nVia: ", ", ", ",", "\r\nv: ", "\nVia: ", "\r\nVia:", "\r\nv:"]
NOT_ADJACENT = ["\r\nX: y\r\nVia: ", "\r\nVIA: ", " , ", ",\r\n ", "\r\nVia : ", "\nv: "]


def spans_of(values: list[bytes], separator: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    spans, at = [], 0
    for value in values:
        spans.append((at, at + len(value)))
        at += len(value) + len(separator)
    return separator.join(values), spans


VALUES = [
    b"SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bK1;received=10.0.0.6;rport=5062",
    b"SIP/2.0/TLS [fd00::5]:5061;branch=z9hG4bK2",
    b"SIP/2.0/UDP pbx.corp.example;branch=z9hG4bK3;" + b"x" * 200,  # a length of two bytes
]


@pytest.mark.parametrize("separator", SEPARATORS, ids=map(repr, SEPARATORS))
@pytest.mark.parametrize("count", [2, 3])
def test_adjacent_vias_become_one(separator: str, count: int) -> None:
    data, spans = spans_of(VALUES[-count:], separator.encode())
    ((start, end, new),) = CODEC.seal_vias(data, spans, MASK, b"", CONTEXT)
    assert (start, end) == (0, len(data))
    assert new.count(b"SIP/2.0/") == 1
    assert open_via(new) == data
    assert open_via(new, AesSiv(RING)) == data  # and not from memory


@pytest.mark.parametrize("separator", NOT_ADJACENT, ids=map(repr, NOT_ADJACENT))
def test_vias_with_something_else_between_them_stay_apart(separator: str) -> None:
    data, spans = spans_of(VALUES, separator.encode())
    edits = CODEC.seal_vias(data, spans, MASK, b"", CONTEXT)
    assert [(start, end) for start, end, _ in edits] == spans
    assert AesSiv(RING).open_vias([new for _, _, new in edits], CONTEXT) == VALUES


def test_mixed_separators_in_one_token() -> None:
    data = VALUES[0] + b", " + VALUES[1] + b"\r\nv: " + VALUES[2]
    spans = [(data.index(value), data.index(value) + len(value)) for value in VALUES]
    ((_, _, new),) = CODEC.seal_vias(data, spans, MASK, b"", CONTEXT)
    assert open_via(new, AesSiv(RING)) == data


def test_a_folded_via_is_sealed_by_itself_and_comes_back_folded() -> None:
    folded = b"SIP/2.0/UDP 10.0.0.5\r\n\t;branch=z9hG4bK2"
    data, spans = spans_of([VALUES[0], folded, VALUES[1]], b", ")
    edits = CODEC.seal_vias(data, spans, MASK, b"", CONTEXT)
    assert AesSiv(RING).open_vias([new for _, _, new in edits], CONTEXT) == [
        VALUES[0],
        folded,
        VALUES[1],
    ]


def test_what_clients_do_to_a_via() -> None:
    """A server that answers adds received and rport (RFC 3581), and may reorder."""
    token = find_token(seal_via(VIA))
    for value in (
        b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK%s;received=203.0.113.9",
        b"SIP/2.0/UDP 192.0.2.10:5060;rport=5060;branch=z9hG4bK%s",
        b"SIP/2.0/UDP 192.0.2.10 ; BRANCH = z9hG4bK%s",
        b"SIP / 2.0 / UDP 192.0.2.10;branch=z9hG4bK%s",
    ):
        assert open_via(value % token) == VIA, value


def test_a_via_that_is_none_is_not_sealed() -> None:
    for value in (b"SIP/2.0/UDP", b"SIP/2.0/UDP 10.0.0.5;x=\0", b"nonsense"):
        with pytest.raises(SealError):
            seal_via(value)
        with pytest.raises(SealError):
            CODEC.seal_via1(value, MASK)


def test_the_bounds_of_a_via_token() -> None:
    many = [LINE + b";branch=z9hG4bK%d" % n for n in range(256)]
    data, spans = spans_of(many[:255], b", ")
    ((_, _, new),) = CODEC.seal_vias(data, spans, MASK, b"", CONTEXT)
    assert open_via(new, AesSiv(RING)) == data
    data, spans = spans_of(many, b", ")
    with pytest.raises(SealError, match="255"):
        CODEC.seal_vias(data, spans, MASK, b"", CONTEXT)
    data, spans = spans_of([LINE + b";x=" + b"a" * 32767, LINE], b", ")
    with pytest.raises(SealError, match="32,767"):
        CODEC.seal_vias(data, spans, MASK, b"", CONTEXT)


def test_rotation() -> None:
    """A new active key: what must not change within a dialog or a registration does not."""
    before, after = AesSiv(RING), AesSiv(RING.rotate())
    for name, (seal, _, _) in TOKENS.items():
        changes = seal(after) != seal(before)
        assert changes == (name in ("uri", "via", "quoted via")), name
    for codec, other in ((before, after), (after, before)):
        assert other.seal_callid(CALLID) == codec.seal_callid(CALLID)
    assert after.open_uri(seal_uri(HIDDEN, codec=before)) == (HIDDEN, False)
    assert open_via(seal_via(VIA, before), after) == VIA


def test_memory_of_tokens_does_not_change_answers() -> None:
    """The same question twice, the second answered from memory; and the two codecs' memories apart."""
    codec = AesSiv(RING)
    masked = seal_uri(HIDDEN, codec=codec)
    assert [open_uri(masked, codec), open_uri(masked, codec)] == [HIDDEN, HIDDEN]
    assert seal_uri(HIDDEN, codec=codec) == masked
    assert seal_uri(HIDDEN, codec=codec, mask=b"192.0.2.99").endswith(b"@192.0.2.99")
    assert seal_uri(HIDDEN, codec=codec, stable=True) != masked
    assert seal_uri(HIDDEN, codec=codec, bare=True) != masked
    junk = masked.replace(b"@", b"A@")
    assert [open_uri(junk, codec), open_uri(junk, codec)] == [None, None]


def test_memory_of_tokens_is_bounded_in_bytes() -> None:
    """An outsider chooses what we try to open: long junk is not remembered."""
    codec = AesSiv(RING)
    tracemalloc.start()
    for number in range(200):
        junk = b"%048d" % number + b"x" * 50_000
        assert codec.open_uri(b"sip:" + junk + b"@h") is None
        assert open_via(b"SIP/2.0/UDP h;branch=z9hG4bK" + junk, codec) is None
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000


def test_another_callid_prefix() -> None:
    codec = AesSiv(RING, b"masked-")
    token = codec.seal_callid(CALLID)
    assert token.startswith(b"masked-")
    assert codec.open_callid(token) == CALLID
    assert CODEC.open_callid(token) is None


TEXTS = [
    b"10.0.0.5",
    b"10.0.0.5 jdoe",
    b"fd00::5 a",
    b"FD00::5",
    b"pc.corp.example IP4 x",
    b"\0",
    b"1.2 3",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back(text: bytes) -> None:
    token = CODEC.seal_text(text)
    around = b"<a>%s</a> %s" % (token, token)
    assert CODEC.open_texts(around, 0, len(around)) == [
        (3, 3 + len(token), text),
        (len(around) - len(token), len(around), text),
    ]
    assert CODEC.open_texts(around, 0, len(token)) == []
    assert [found[2:] for found in CODEC.reveal(around)] == [("text", 1, text)] * 2


def test_an_address_in_a_text_takes_its_own_bytes() -> None:
    assert len(CODEC.seal_text(b"10.0.0.5 x")) == len(CODEC.seal_text(b"10.200.200.250 x"))


def test_the_number_of_texts_that_are_tried_is_bounded() -> None:
    token = CODEC.seal_text(b"10.0.0.5")
    many = (b"A" * 40 + b" ") * MOST_TEXTS + token
    assert CODEC.open_texts(many, 0, len(many)) == []
    assert CODEC.open_texts(many, 41, len(many)) != []
