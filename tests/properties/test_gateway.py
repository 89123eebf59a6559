"""What holds for every message and for every packet."""

import random
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inline_topo.assemble import Leg
from inline_topo.edits import splice
from inline_topo.gateway import Gateway, Verdict
from inline_topo.masking.uris import IRREVERSIBLE
from inline_topo.sip import values
from tests.masking.network import PEER, PROXY, datagram, gateway, judge, payload_of
from tests.properties.messages import HIDDEN, KAMAILIO_MESSAGE, MESSAGE

OPTIONS: dict[str, Any] = {"topoh__mask_callid": True}
NAT: dict[str, Any] = {
    "shape": "nat",
    "public": "203.0.113.5",
    "own": ["203.0.113.5"],
    "inside": ["10.0.0.0/8"],
}
PROFILES: dict[str, dict[str, Any]] = {
    "default": OPTIONS,
    "topoh": {"profile": "topoh"},
    "strict": {"profile": "strict", "audit": 0},  # the audit would refuse what is left
}
CODECS = ("aes-siv", "kamailio")
GATEWAYS = {codec: gateway(codec, **OPTIONS) for codec in CODECS}
BY_PROFILE = {
    (codec, profile): (gateway(codec, **options), gateway(codec, Leg.INSIDE, **options))
    for codec in CODECS
    for profile, options in PROFILES.items()
}
ALL = [
    *(gateway(codec, leg, **OPTIONS) for codec in GATEWAYS for leg in Leg),
    *(gateway(codec, leg, **PROFILES["strict"]) for codec in GATEWAYS for leg in Leg),
    *(gateway(codec, leg, **NAT, **OPTIONS) for codec in GATEWAYS for leg in Leg),
]
BY_CODEC = {"aes-siv": MESSAGE, "kamailio": KAMAILIO_MESSAGE}
each_codec = pytest.mark.parametrize("codec", GATEWAYS)


def with_messages(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test over the messages that a codec brings back, by the codec's name."""
    return each_codec(given(st.data())(test))  # type: ignore[no-any-return]


def with_profiles(test: Callable[..., None]) -> Callable[..., None]:
    """The same, under each profile; by default each codec with some of them."""
    short = {("aes-siv", "default"), ("aes-siv", "strict"), ("kamailio", "topoh")}
    pairs = [
        pytest.param(codec, profile, marks=[] if (codec, profile) in short else pytest.mark.full)
        for codec in GATEWAYS
        for profile in PROFILES
    ]
    given_data = given(st.data())(test)
    return pytest.mark.parametrize(("codec", "profile"), pairs)(given_data)  # type: ignore[no-any-return]


def masked(codec: str, message: bytes) -> Verdict:
    verdict = judge(GATEWAYS[codec], datagram(message, PROXY, PEER))
    assert verdict.outcome in ("masked", "unchanged")
    return verdict


def without_what_is_lost(packet: bytes, verdict: Verdict) -> bytes:
    """The payload of a packet after the edits that nothing undoes."""
    lost = [edit for edit in verdict.edits if edit.action in IRREVERSIBLE]
    return splice(payload_of(packet), lost)


def round_trip(codec: str, profile: str, data: st.DataObject) -> None:
    """What is masked comes back as it was, IP and UDP headers and all."""
    masker, opener = BY_PROFILE[codec, profile]
    packet = datagram(data.draw(BY_CODEC[codec]), PROXY, PEER)
    left = judge(masker, packet)
    assert left.outcome in ("masked", "unchanged")
    back = judge(opener, left.packet)
    expected = without_what_is_lost(packet, left)
    if expected == payload_of(packet):
        assert back.packet == packet
    assert payload_of(back.packet) == expected


@with_profiles
def test_unmask_undoes_mask(codec: str, profile: str, data: st.DataObject) -> None:
    round_trip(codec, profile, data)


@pytest.mark.full
@settings(max_examples=1_000)
@with_profiles
def test_unmask_undoes_mask_at_length(codec: str, profile: str, data: st.DataObject) -> None:
    round_trip(codec, profile, data)


@settings(max_examples=50)
@with_profiles
def test_the_legs_undo_each_other_in_both_directions(
    codec: str, profile: str, data: st.DataObject
) -> None:
    """A short capture, each message with the memory of those before it."""
    outside, inside = (
        gateway(codec, leg, **PROFILES[profile]) for leg in (Leg.OUTSIDE, Leg.INSIDE)
    )
    for message in data.draw(st.lists(BY_CODEC[codec], max_size=4)):
        for source, target in ((PROXY, PEER), (PEER, PROXY)):
            packet = datagram(message, source, target)
            seen = judge(outside, packet)
            assert "error" not in seen.outcome
            expected = without_what_is_lost(packet, seen)
            assert payload_of(judge(inside, seen.packet).packet) == expected


@with_messages
def test_edits_are_apart_and_every_one_changes_something(codec: str, data: st.DataObject) -> None:
    message = data.draw(BY_CODEC[codec])
    verdict = masked(codec, message)
    edits = sorted(verdict.edits)
    for edit in edits:
        assert 0 <= edit.start <= edit.end <= len(message)
        assert message[edit.start : edit.end] != edit.new
        assert not re.search(rb"[\x00-\x08\n-\x1f\x7f]", edit.new)
    for first, second in pairwise(edits):
        assert first.end <= second.start
    left = payload_of(verdict.packet)
    assert splice(message, edits) == left
    # Bytes outside the edits, by a walk of our own.
    at = position = 0
    for edit in edits:
        size = edit.start - position
        assert left[at : at + size] == message[position : edit.start]
        at, position = at + size + len(edit.new), edit.end
    assert left[at:] == message[position:]


NOT_OWN = re.compile(
    rb"10\.\d+\.\d+\.\d+|\[fd00:|corp\.example|203\.0\.113\.30|2001:db8:9|carrier|x_y|//h/|198\.51|1\.2\.3\.4|::",
    re.IGNORECASE,
)


@with_messages
def test_no_edit_can_be_left_out(codec: str, data: st.DataObject) -> None:
    """Every edit takes a host away that is not own, or a Via that is not the topmost."""
    message = data.draw(BY_CODEC[codec])
    for edit in masked(codec, message).edits:
        clear = message[edit.start : edit.end]
        assert edit.field == "Via" or NOT_OWN.search(clear) or edit.new == b">"


ALWAYS = re.compile(
    rb"(contact|m|refer-to|r|referred-by|b|reply-to|alert-info|call-info|error-info|history-info"
    rb"|diversion|path)[ \t]*:",
    re.IGNORECASE,
)
SHOWN = re.compile("|".join(map(re.escape, HIDDEN)).encode(), re.IGNORECASE)


@with_messages
def test_nothing_hidden_is_left_where_the_tables_mask_always(
    codec: str, data: st.DataObject
) -> None:
    message = data.draw(BY_CODEC[codec])
    left = payload_of(masked(codec, message).packet).replace(b"\r\n", b"\n")
    head = re.sub(rb"\n[ \t]+", b" ", left.partition(b"\n\n")[0])
    is_request = not head.startswith(b"SIP/")
    vias: list[bytes] = []
    for line in head.split(b"\n")[1:]:
        name, _, value = line.partition(b":")
        canonical = name.strip().lower()
        if canonical in (b"via", b"v"):
            vias += [value[slice(*span)] for span in values.split(value, [(0, len(value))])]
        elif canonical in (b"path",) and not is_request:
            continue
        elif ALWAYS.match(line) and b"SIP/2.0 302" not in head and b"9 REGISTER" not in head:
            assert not SHOWN.search(value), line
    for via in vias[1:] if is_request else []:
        assert b"10." not in via
        assert not SHOWN.search(via)


@settings(max_examples=50)
@with_messages
def test_a_fresh_gateway_does_the_same(codec: str, data: st.DataObject) -> None:
    """No answer depends on what came before."""
    message = data.draw(BY_CODEC[codec])
    for source, target in ((PROXY, PEER), (PEER, PROXY)):
        packet = datagram(message, source, target)
        assert judge(GATEWAYS[codec], packet) == judge(gateway(codec, **OPTIONS), packet)


def never_an_error(packet: bytes, gateways: list[Gateway]) -> None:
    for each in gateways:
        verdict = judge(each, packet)
        assert verdict.outcome not in ("error", "refused_error")
        assert isinstance(verdict.packet, bytes)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_verdict(packet: bytes) -> None:
    never_an_error(packet, ALL[:2])
    never_an_error(b"\x45" + packet, ALL[:2])


@given(st.binary(max_size=300), st.booleans(), st.sampled_from(ALL))
def test_any_payload_gives_a_verdict(payload: bytes, leaves: bool, each: Gateway) -> None:
    for data in (
        payload,
        b"INVITE sip:a@10.0.0.5 SIP/2.0\r\n" + payload,
        b"SIP/2.0 200 OK\r\n" + payload,
    ):
        ends = (PROXY, PEER) if leaves else (PEER, PROXY)
        never_an_error(datagram(data, *ends), [each])


TEXT = st.lists(
    st.sampled_from(
        [
            *(
                b"\r\n",
                b"\n",
                b" ",
                b"\t",
                b",",
                b";",
                b"<",
                b">",
                b'"',
                b"\\",
                b":",
                b"@",
                b"=",
                b"?",
            ),
            *(b"Via: ", b"Contact: ", b"Route: ", b"Record-Route: ", b"Call-ID: ", b"Refer-To: "),
            *(
                b"sip:",
                b"10.0.0.5",
                b"192.0.2.10",
                b"SIP/2.0/UDP ",
                b";branch=z9hG4bK",
                b"[fd00::5]",
            ),
            *(
                b"?Replaces=",
                b"%3B",
                b"!!:",
                b"!!!:",
                b";line=sr-",
                b"*",
                b";lr",
                b"CSeq: 1 REGISTER",
            ),
            *(
                b";received=",
                b";method=",
                b"\xff",
                b"\0",
                b"Event: dialog;call-id=",
                b"In-Reply-To: ",
            ),
        ]
    ),
    max_size=40,
).map(b"".join)


def words(text: bytes, each: Gateway) -> None:
    for start in (b"INVITE sip:a@h SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n", b"SIP/2.0 302 X\r\n"):
        for ends in ((PROXY, PEER), (PEER, PROXY)):
            never_an_error(datagram(start + text, *ends), [each])


@given(TEXT, st.sampled_from(ALL))
def test_words_in_any_order_give_a_verdict(text: bytes, each: Gateway) -> None:
    words(text, each)


@pytest.mark.full
@settings(max_examples=4_000)
@given(TEXT, st.sampled_from(ALL))
def test_words_in_any_order_give_a_verdict_at_length(text: bytes, each: Gateway) -> None:
    words(text, each)


@given(MESSAGE, st.sampled_from(ALL), st.integers(0, 2**32), st.booleans())
def test_a_damaged_packet_gives_a_verdict(
    message: bytes, each: Gateway, seed: int, leaves: bool
) -> None:
    """Masked packets too: damaged tokens, lengths and headers."""
    source = random.Random(seed)
    ends = (PROXY, PEER) if leaves else (PEER, PROXY)
    packet = bytearray(judge(each, datagram(message, *ends)).packet)
    for _ in range(source.randint(1, 5)):
        at = source.randrange(len(packet))
        match source.randint(0, 3):
            case 0:
                packet[at] = source.randrange(256)
            case 1:
                packet[at] ^= 1 << source.randrange(8)
            case 2:
                del packet[at : at + source.randint(1, 20)]
            case 3:
                packet[at:at] = source.choice([b"\r\n", b",", b"<", b'"', b"\0", b";", b" "])
        if not packet:
            break
    never_an_error(bytes(packet), [each])
