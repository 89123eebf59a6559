"""The parameter `out`: marked and restored byte for byte, whatever a stranger wrote."""

import re
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.base import Codec, OpenedUri
from inline_topo.masking.codecs.kamailio import Kamailio
from inline_topo.masking.codecs.stranger import Mark, unpack
from inline_topo.masking.flow import Flow, Flows
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.out import Outs
from inline_topo.masking.policy import Policy
from tests.masking.network import RING

PLACE = b"203.0.113.7:1024"
HOSTS = Hosts(
    [ip_network("192.168.178.0/24"), ip_network("fd00::/8")],
    [ip_address("192.168.178.10"), "example.com"],
    ["corp.example"],
)
FLOW: Flow = Flows(HOSTS, Policy()).find(
    bytes((203, 0, 113, 7, 192, 168, 178, 10, 4, 0, 0x13, 0xC4))
)
CODECS: dict[str, Codec] = {"aes-siv": AesSiv(RING), "kamailio": Kamailio(b"my secret here")}


def outs(codec: str = "aes-siv") -> Outs:
    return Outs(CODECS[codec], HOSTS)


# What a stranger wrote, and what the inside sees of it where it stays, and where it will answer to it.
MARKED = {
    "sip:alice@192.168.178.30": ("sip:alice@192.168.178.30;out=T", "sip:alice@PLACE;out=T"),
    "sip:alice@192.168.178.30:5062;transport=udp;ob": (
        "sip:alice@192.168.178.30:5062;out=T;transport=udp;ob",
        "sip:alice@PLACE;out=T;transport=udp;ob",
    ),
    "SIPS:[FD00:0::30]:5061;lr": ("SIPS:[FD00:0::30]:5061;out=T;lr", "SIPS:PLACE;out=T;lr"),
    "sip:a:b@pbx.Corp.Example:05060;x": (
        "sip:a:b@pbx.Corp.Example:05060;out=T;x",
        "sip:a:b@PLACE;out=T;x",
    ),
    "sip:a@198.51.100.1;maddr=192.168.178.30;lr": (
        "sip:a@198.51.100.1;out=T;lr",
        "sip:a@PLACE;out=T;lr",
    ),
    "sip:a@192.168.178.10;ob;alias=192.168.178.77~22~1;x;received=sip:192.168.178.5:5;y": (
        "sip:a@192.168.178.10;out=T;ob;x;y",
        "sip:a@PLACE;out=T;ob;x;y",
    ),
    "sip:bob%40192.168.178.9@198.51.100.1": ("sip:198.51.100.1;out=T", "sip:PLACE;out=T"),
    "sip:192.168.178.9@192.168.178.30;x=a@b;y": (
        "sip:192.168.178.30;out=T;y",
        "sip:PLACE;out=T;y",
    ),
    "sip:a@192.168.178.30;out=forged;x": ("sip:a@192.168.178.30;out=T;x", "sip:a@PLACE;out=T;x"),
    "sip:@192.168.178.30": ("sip:@192.168.178.30;out=T", "sip:@PLACE;out=T"),
}
_LEFT = [
    "sip:alice@203.0.113.7:1024;x",
    "sip:alice@192.168.178.10:5080",
    "sip:192.168.178.30@192.168.178.10",
    "sip:alice@EXAMPLE.com.;lr",
    "sip:alice@203.0.113.7;out=forged",
    "sip:alice@notcorp.example",
    "tel:+12015550123",
    "http://192.168.178.30/",
    "*",
]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("uri", MARKED)
def test_what_names_the_inside_is_marked_and_restored(uri: str, codec: str) -> None:
    marks = outs(codec)
    for place, shown in zip((b"", PLACE), MARKED[uri], strict=True):
        marked = marks.mark(uri.encode(), FLOW, place)
        assert marked is not None
        text = re.sub(r"out=[^;]*", "out=T", marked.decode().replace(PLACE.decode(), "PLACE"))
        assert text == shown
        assert marks.restore(marked, FLOW) == OpenedUri(uri.encode(), False)


@pytest.mark.parametrize("uri", _LEFT)
def test_what_names_nothing_of_the_inside_is_left(uri: str) -> None:
    assert outs().mark(uri.encode(), FLOW, b"") is None
    assert outs().find(uri.encode()) is None
    assert outs().restore(uri.encode(), FLOW) is None


def test_the_token_depends_on_the_uri_alone() -> None:
    here = outs().mark(b"sip:a@192.168.178.30", FLOW, PLACE)
    there = outs().mark(b"sip:a@192.168.178.30", FLOW, b"198.51.100.9:5")
    assert here
    assert there
    assert here.split(b"out=")[1] == there.split(b"out=")[1]
    # 34 characters: key, IV, count, head, address: 1 + 16 + 1 + 1 + 4 bytes.
    assert len(here.split(b"out=")[1]) == -(-23 * 8 // 6)
    bare = outs().mark(b"sip:a@192.168.178.30", FLOW, PLACE, bare=True)
    assert bare
    assert bare != here
    assert outs().restore(bare, FLOW) == OpenedUri(b"sip:a@192.168.178.30", True)


def test_what_was_added_on_the_way_stays() -> None:
    marked = outs().mark(b"sip:a@192.168.178.30;x;maddr=192.168.178.31;y", FLOW, PLACE)
    assert marked
    moved = marked.replace(b";x;y", b";z;x;y;nat=yes").replace(PLACE, b"198.51.100.8")
    restored = outs().restore(moved, FLOW)
    assert restored
    assert restored.uri == b"sip:a@192.168.178.30;z;maddr=192.168.178.31;x;y;nat=yes"


@pytest.mark.parametrize(
    ("host", "opens"),
    [
        ("192.168.178.30", True),
        ("192.168.178.30:9", True),
        ("192.168.178.31", False),
        ("corp.example", False),
        ("192.168.178.10", True),
        ("carrier.example", True),
    ],
)
def test_a_mark_at_another_host_of_the_inside_is_not_restored(host: str, opens: bool) -> None:
    marked = outs().mark(b"sip:a@192.168.178.30", FLOW, PLACE)
    assert marked
    found = outs().restore(marked.replace(PLACE, host.encode()), FLOW)
    assert (found == OpenedUri(b"sip:a@192.168.178.30", False)) is opens


def test_marks_nest() -> None:
    marks = outs()
    once = marks.mark(b"sip:a@192.168.178.30;ob", FLOW, PLACE)
    assert once
    twice = marks.mark(once, FLOW, b"198.51.100.9:6")
    assert twice
    assert twice.count(b"out=") == 1
    assert twice != once
    assert marks.restore(twice, FLOW) == OpenedUri(once, False)


def test_a_forged_token_opens_nothing() -> None:
    marked = outs().mark(b"sip:a@192.168.178.30", FLOW, b"")
    assert marked
    flipped = marked[:-1] + (b"A" if marked[-1:] != b"A" else b"B")
    other = outs().mark(b"sip:a@192.168.178.30", FLOW, b"")
    assert other
    for forged in (flipped, marked.lower(), marked.replace(b"out=", b"OUT=")):
        assert outs().find(forged) is None
    uri = AesSiv(RING).seal_host(b"192.168.178.30", bare=False)  # a token of another kind
    assert outs().find(b"sip:a@203.0.113.7;out=" + uri) is None


def test_the_packed_form_by_hand() -> None:
    mark = Mark(b"192.168.178.30:5062", b"bob", ((2, b"ob"),), bare=True)
    by_hand = b"\x01\x00\x02" + bytes((0b1110100, 192, 168, 178, 30)) + b"\x13\xc6" + b"bob@\x84"
    assert mark.pack() == by_hand
    assert unpack(by_hand) == mark
    assert mark.uri == b"sip:bob@192.168.178.30:5062;ob"


@given(st.binary(max_size=40))
def test_no_other_content_unpacks(content: bytes) -> None:
    mark = unpack(content)
    assert mark is None or mark.pack() == content


_HOST = st.sampled_from(
    [
        "192.168.178.30",
        "[fd00::1]",
        "x.corp.example",
        "198.51.100.2",
        "192.168.178.10",
        "192.168.178.30.",
    ]
)
_WORD = st.text("abcXY019.-%~@=&+$,/?:[]", max_size=12)
_PARAMETER = st.one_of(
    _WORD,
    st.sampled_from(
        [
            "maddr=192.168.178.7",
            "alias=192.168.178.7~5060~1",
            "lr",
            "out=x",
            "received=sip:[fd00::9]:5",
        ]
    ),
)


@given(
    st.sampled_from(["sip:", "SIPS:"]),
    st.one_of(st.just(""), _WORD.map(lambda text: text.replace("@", "") + "@")),
    _HOST,
    st.sampled_from(["", ":5060", ":00005", ":99999999"]),
    st.lists(_PARAMETER.map(lambda text: ";" + text.replace("?", "")), max_size=5).map("".join),
    st.sampled_from([b"", PLACE, b"[2001:db8::9]:5060"]),
)
def test_whatever_is_marked_comes_back(
    scheme: str, user: str, host: str, port: str, parameters: str, place: bytes
) -> None:
    uri = (scheme + user + host + port + parameters).encode()
    marked = outs().mark(uri, FLOW, place)
    if marked is not None:
        assert outs().restore(marked, FLOW) == OpenedUri(uri, False)


def test_three_hundred_parameters_come_back() -> None:
    uri = b"sip:192.168.178.30" + b";maddr=192.168.178.1" * 300
    marked = outs().mark(uri, FLOW, b"")
    assert marked
    assert marked.count(b";") == 1
    assert outs().restore(marked, FLOW) == OpenedUri(uri, False)
