"""Messages of two captures find each other by what masking leaves alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from inline_topo.report.messages import Seen, Tally, load
from inline_topo.report.pairs import pair

Make = Callable[..., Path]
INSIDE, PROXY, OUTSIDE = "10.0.0.5", "10.0.0.1", "203.0.113.9"


def request(method: str = "INVITE", cseq: int = 1, tag: str = "a", host: str = "10.0.0.5") -> str:
    return (
        f"{method} sip:b@{host} SIP/2.0\nVia: SIP/2.0/UDP {host};branch=z9hG4bK{host}\n"
        f"From: <sip:a@x.example>;tag={tag}\nTo: <sip:b@y.example>\nCall-ID: {host}\n"
        f"CSeq: {cseq} {method}\nContact: <sip:a@{host}>\nContent-Length: 0\n\n"
    )


def numbers(before: list[Seen], after: list[Seen]) -> list[tuple[int | None, int | None]]:
    return [
        (one.before and one.before.number, one.after and one.after.number)
        for one in pair(before, after)
    ]


@pytest.fixture
def read(make_capture: Make) -> Callable[..., list[Seen]]:
    return lambda name, *packets: load(str(make_capture(name, *packets)), Tally())


def test_masked_beyond_recognition(read: Callable[..., list[Seen]]) -> None:
    sent = request().replace("z9hG4bK", "z9hG4bKproxy")
    before = read("a.pcap", (INSIDE, PROXY, request()), (PROXY, OUTSIDE, sent))
    after = read("b.pcap", (INSIDE, PROXY, request()), ("192.0.2.1", OUTSIDE, request(host="h")))
    assert numbers(before, after) == [(1, 1), (2, 2)]


def test_a_missing_one_does_not_shift_the_others(
    read: Callable[..., list[Seen]], frame: Callable[..., object]
) -> None:
    times = [frame(PROXY, OUTSIDE, request(), time=0.1 * index) for index in range(3)]
    assert numbers(read("a.pcap", *times), read("b.pcap", times[0], times[2])) == [
        (1, 1),
        (2, None),
        (3, 2),
    ]


def test_other_times_count_from_the_first(
    read: Callable[..., list[Seen]], frame: Callable[..., object]
) -> None:
    before = [frame(PROXY, OUTSIDE, request(), time=0.1 * index) for index in range(2)]
    after = [frame(PROXY, OUTSIDE, request(), time=9 + 0.1 * index) for index in range(3)]
    assert numbers(read("a.pcap", *before), read("b.pcap", *after)) == [
        (1, 1),
        (2, 2),
        (None, 3),
    ]


@pytest.mark.parametrize("other", [request("CANCEL"), request(cseq=2), request(tag="other")])
def test_other_messages_are_no_pair(read: Callable[..., list[Seen]], other: str) -> None:
    before = read("a.pcap", (PROXY, OUTSIDE, request()))
    after = read("b.pcap", (PROXY, OUTSIDE, other))
    assert numbers(before, after) == [(1, None), (None, 1)]


def test_what_is_only_after_stands_where_its_time_puts_it(
    read: Callable[..., list[Seen]], frame: Callable[..., object]
) -> None:
    first, last = frame(PROXY, OUTSIDE, request()), frame(PROXY, OUTSIDE, request(cseq=3), time=2)
    between = frame(PROXY, OUTSIDE, request(cseq=2), time=1)
    assert numbers(read("a.pcap", first, last), read("b.pcap", first, between, last)) == [
        (1, 1),
        (None, 2),
        (2, 3),
    ]
