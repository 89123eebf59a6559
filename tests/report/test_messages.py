"""The SIP messages of a capture: tshark counts them, scapy makes the odd ones."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether

from inline_topo.report.messages import Tally, load
from inline_topo.sip.names import field_name
from tests import tshark

OPTIONS = """\
OPTIONS sip:b@203.0.113.9 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1
From: <sip:a@10.0.0.5>;tag=1
To: <sip:b@203.0.113.9>
Call-ID: 1
CSeq: 1 OPTIONS
Content-Length: 0

"""


@pytest.mark.needs("tshark")
def test_all_that_tshark_sees(captures: Path) -> None:
    index = tomllib.loads((captures / "INDEX.toml").read_text())
    fields = ["frame.number", "sip.CSeq"]
    seen = tshark.read([captures / name for name in index], fields)
    for (name, row), packets in zip(index.items(), seen, strict=True):
        tally = Tally()
        messages = load(str(captures / name), tally)
        numbers = [number for number, packet in enumerate(packets, 1) if packet["sip.CSeq"]]
        assert [message.number for message in messages] == numbers, name
        assert len(messages) == row["messages"], name
        assert tally == Tally(packets=row.get("packets", row["messages"])), name


def test_what_a_message_is_known_by(make_capture: Callable[..., Path]) -> None:
    path = make_capture("one.pcap", ("10.0.0.5:5070", "203.0.113.9", OPTIONS))
    [seen] = load(str(path), Tally())
    assert (seen.number, seen.time, seen.packets) == (1, 1700000000 * 10**9, 1)
    assert (seen.source, seen.destination) == (bytes([10, 0, 0, 5]), bytes([203, 0, 113, 9]))
    assert (seen.ports, seen.call_id, seen.checksum) == ((5070, 5060), b"1", "valid")
    assert seen.start_line == b"OPTIONS sip:b@203.0.113.9 SIP/2.0"
    assert seen.length == 20 + 8 + len(OPTIONS) + OPTIONS.count("\n")


def test_fragments_are_one_message(
    make_capture: Callable[..., Path], frame: Callable[..., Any]
) -> None:
    big = frame("10.0.0.5", "203.0.113.9", OPTIONS + "x" * 3000)
    pieces = fragment(big, fragsize=1480)  # type: ignore[no-untyped-call]
    assert len(pieces) == 3
    tally = Tally()
    [seen] = load(str(make_capture("fragments.pcap", *pieces)), tally)
    assert (seen.packets, seen.number, tally.packets, tally.incomplete) == (3, 3, 3, 0)
    assert seen.data.endswith(b"x" * 3000)


def test_what_cannot_be_read_is_counted(
    make_capture: Callable[..., Path], frame: Callable[..., Any]
) -> None:
    pieces = fragment(frame("10.0.0.5", "203.0.113.9", OPTIONS + "x" * 3000), fragsize=1480)  # type: ignore[no-untyped-call]
    wire = OPTIONS.replace("\n", "\r\n").encode()
    tcp = Ether() / IP(src="10.0.0.5", dst="203.0.113.9") / TCP(dport=5060, flags="PA") / wire
    web = Ether() / IP(src="10.0.0.5", dst="203.0.113.9") / TCP(dport=80) / b"GET / HTTP/1.1\r\n"
    rtp = Ether() / IP(src="10.0.0.5", dst="203.0.113.9") / UDP(dport=4000) / bytes([128] * 172)
    whole = frame("10.0.0.5", "203.0.113.9", OPTIONS)
    cut = Ether(bytes(whole)[:-20])
    tally = Tally()
    assert load(str(make_capture("odd.pcap", *pieces[:2], tcp, web, rtp, cut)), tally) == []
    assert tally == Tally(packets=6, tcp=1, incomplete=2, cut=1)


def test_what_looks_like_sip_and_does_not_parse(make_capture: Callable[..., Path]) -> None:
    broken = OPTIONS.replace("From:", "From of 10.0.0.5")
    [seen] = load(str(make_capture("broken.pcap", ("10.0.0.5", "203.0.113.9", broken))), Tally())
    assert seen.message is None
    assert seen.call_id == b""


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        (b"v", "Via"),
        (b"RECORD-ROUTE", "Record-Route"),
        (b"call-id", "Call-ID"),
        (b"content-type", "Content-Type"),
        (b"X-My-Field", "X-My-Field"),
    ],
)
def test_field_names(spelled: bytes, name: str) -> None:
    assert field_name(spelled) == name
