"""What is sealed opens, whatever its bytes: or it is not sealed."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inline_topo.assemble import Leg
from inline_topo.gateway import Action
from inline_topo.masking.bodies.origin import Origins
from inline_topo.masking.bodies.texts import Texts
from inline_topo.masking.callid import CallIds
from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.base import Codec, SealError
from inline_topo.masking.codecs.compact import unfold
from inline_topo.masking.codecs.kamailio import Kamailio
from inline_topo.masking.flow import Flows
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.out import Outs
from inline_topo.masking.policy import Policy
from tests.masking.network import PEER, PROXY, RING, datagram, gateway, judge, payload_of

CODECS: dict[str, Codec] = {"aes-siv": AesSiv(RING), "kamailio": Kamailio(b"my secret here")}
HOSTS = Hosts(
    [ip_network("10.0.0.0/8"), ip_network("fd00::/8")], [ip_address(PROXY)], ["corp.example"]
)
FLOW = Flows(HOSTS, Policy()).find(
    ip_address("10.0.0.5").packed + ip_address(PEER).packed + bytes((0x13, 0xC4, 0x13, 0xC4))
)
MASK = b"192.0.2.10"

_PIECE = st.sampled_from(
    [
        *(b"10.0.0.5", b"[fd00::5]", b"fd00::5", b"pbx.corp.example", b"198.51.100.7", b"0xa000005"),
        *(b"%31%30.0.0.5", b"&#49;0.0.0.5", b"\xff\x00\x01\x00", b"\xfe", b"\xfd", b"\x80", b"\r\n "),
        *(b"@", b":", b";", b"=", b"?", b",", b"<", b">", b'"', b" ", b"\t", b"\r", b"\n", b"lr"),
        *(b";method=INVITE", b";transport=udp", b":5060", b"branch=z9hG4bK1", b"IN IP4 ", b"o="),
        *(b"sip:", b"sips:", b"SIP/2.0/UDP ", b"~", b"a", b"010.0.0.5", b"-", b"--", b"_"),
    ]
)  # fmt: skip
BYTES = st.lists(st.one_of(_PIECE, st.binary(max_size=4)), max_size=10).map(b"".join)


def _uri(codec: Codec, text: bytes) -> tuple[object, object]:
    sealed = codec.seal_uri(text, MASK, stable=True, bare=False)
    opened = codec.open_uri(sealed)
    return text, opened and opened.uri


def _host(codec: Codec, text: bytes) -> tuple[object, object]:
    return (text, True), codec.open_host(codec.seal_host(text, bare=True))


def _end(codec: Codec, text: bytes) -> tuple[object, object]:
    return (text, True), codec.open_end(codec.seal_end(text, bare=True))


def _via_of(codec: Codec, text: bytes) -> bytes:
    """A Via as it comes back: with codec kamailio a folded one is unfolded, as its page says."""
    return unfold(text) if codec is CODECS["kamailio"] else text


def _vias(codec: Codec, text: bytes) -> tuple[object, object]:
    text = _via_of(codec, text)
    [(_, _, sealed)] = codec.seal_vias(text, [(0, len(text))], MASK, b"", b"=1")
    return [text], codec.open_vias([sealed], b"=1")


def _quoted_via(codec: Codec, text: bytes) -> tuple[object, object]:
    return _via_of(codec, text), codec.open_quoted_via(codec.seal_quoted_via(text, MASK))


def _via1(codec: Codec, text: bytes) -> tuple[object, object]:
    return text, codec.open_via1(codec.seal_via1(text, MASK))


def _call_id(codec: Codec, text: bytes) -> tuple[object, object]:
    ids = CallIds(codec, HOSTS)
    return text, ids.unmask(ids.mask(text))


def _text(codec: Codec, text: bytes) -> tuple[object, object]:
    sealed = codec.seal_text(text)
    return ([(0, len(sealed), text)] if text else []), codec.open_texts(sealed, 0, len(sealed))


SEALS: dict[str, tuple[bytes, Callable[[Codec, bytes], tuple[object, object]]]] = {
    "uri": (b"sip:", _uri),
    "other uri": (b"", _uri),
    "host": (b"10.0.0.5", _host),
    "end": (b"sip:", _end),
    "vias": (b"SIP/2.0/UDP 10.0.0.5", _vias),
    "quoted via": (b"SIP/2.0/UDP ", _quoted_via),
    "via1": (b"SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK", _via1),
    "Call-ID": (b"1@10.0.0.5", _call_id),
    "text": (b"", _text),
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", SEALS)
def test_a_token_holds_what_was_sealed(kind: str, codec: str) -> None:
    lead, there_and_back = SEALS[kind]

    @given(BYTES)
    @example(b"\r\n 10.0.0.5")  # a fold
    def check(text: bytes) -> None:
        try:
            clear, opened = there_and_back(CODECS[codec], lead + text)
        except SealError:
            return
        assert opened == clear

    check()


@given(BYTES, BYTES, BYTES)
def test_an_origin_comes_back(user: bytes, kind: bytes, host: bytes) -> None:
    codec = CODECS["aes-siv"]
    origins = Origins(codec, HOSTS, Texts(codec, HOSTS))
    for value in (
        b"%b 1 1 IN IP4 %b" % (user, host),
        b"10.0.0.5 1 1 IN %b %b" % (kind, host),
        b"%b 1 %b IN IP4 10.0.0.5" % (user, kind),
    ):
        sealed = origins.mask(value, FLOW)
        if sealed is not None:
            assert origins.open(sealed) == value


@given(BYTES)
def test_a_text_comes_back(text: bytes) -> None:
    codec = CODECS["aes-siv"]
    texts = Texts(codec, HOSTS)
    sealed = text
    for edit in reversed(texts.mask(text, (0, len(text)), FLOW, "", lambda host, _: host.named)):
        sealed = sealed[: edit.start] + edit.new + sealed[edit.end :]
    opened = sealed
    for edit in reversed(texts.open(sealed, (0, len(sealed)), "")):
        opened = opened[: edit.start] + edit.new + opened[edit.end :]
    assert opened == text


@given(BYTES)
def test_a_mark_comes_back(text: bytes) -> None:
    text = text.replace(b"?", b"")  # what is marked has no headers part
    for codec in CODECS.values():
        outs = Outs(codec, HOSTS)
        marked = outs.mark(b"sip:a@10.0.0.5" + text, FLOW, b"203.0.113.7:1024")
        if marked is not None:
            restored = outs.restore(marked, FLOW)
            assert restored
            assert restored.uri == b"sip:a@10.0.0.5" + text


LINES = {
    "o=": (b"", b"Content-Type: application/sdp\r\n", b"v=0\r\no=%b\r\ns=-\r\n"),
    "o=, no type": (b"", b"", b"v=0\r\no=10.0.37.110 1 1 IN IP4 %b\r\n"),
    "Alert-Info": (b"Alert-Info: %b\r\n", b"", b""),
    "Contact": (b"m: <sip:a@%b>\r\n", b"", b""),
    "Refer-To": (b"Refer-To: %b\r\n", b"", b""),
}


@pytest.mark.parametrize("line", LINES)
def test_a_message_comes_back_through_both_legs(line: str) -> None:
    before, kind, body = LINES[line]
    settings: dict[str, Any] = {"inside": [PROXY, "10.0.0.0/8", "fd00::/8"], "hide__texts": False}
    out = gateway("aes-siv", Leg.OUTSIDE, **settings)
    back = gateway("aes-siv", Leg.INSIDE, **settings)

    @given(BYTES)
    def check(text: bytes) -> None:
        text = text.replace(b"\r", b"").replace(b"\n", b"")
        field = before.replace(b"%b", text)
        content = body.replace(b"%b", text)
        message = b"".join(
            (
                b"REFER sip:bob@198.51.100.20 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n",
                b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\n",
                b"CSeq: 1 REFER\r\n" + field + kind,
                b"Content-Length: %d\r\n\r\n" % len(content) + content,
            )
        )
        went = judge(out, datagram(message, PROXY, PEER))
        if went.action is Action.DROP:
            return
        if any(edit.action in ("swapped", "stripped") for edit in went.edits):
            return
        came = judge(back, datagram(payload_of(went.packet), PROXY, PEER))
        assert without_brackets(payload_of(came.packet)) == without_brackets(message)

    check()


def without_brackets(text: bytes) -> bytes:
    """A bare URI with a headers part comes back in the brackets that RFC 3261 section 20.10 wants."""
    return text.replace(b"<", b"").replace(b">", b"") if b"?" in text else text
