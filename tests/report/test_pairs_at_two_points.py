"""Real calls as a second tap would have seen them: masked, on another clock, with packets lost, sent
twice, overtaken and translated by a NAT. Each message keeps a mark that only the test reads."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.utils import PcapReader, wrpcap

from inline_topo.report.diff import by_call, compare, summarize
from inline_topo.report.messages import Seen, Tally, load
from inline_topo.report.pairs import Pair, clocks, pair

Command = Callable[..., Any]
Numbers = list[tuple[int | None, int | None]]
CALLS = ("basic", "reinvite", "refer", "register", "cancel", "spiral", "two-proxies", "callid")
AHEAD = 4321.75  # by so many seconds the second clock differs


def numbers(pairs: Sequence[Pair]) -> Numbers:
    return [(p.before and p.before.number, p.after and p.after.number) for p in pairs]


def frames(path: Path) -> list[Any]:
    with PcapReader(str(path)) as reader:
        return list(reader)


def write(path: Path, packets: Sequence[Any]) -> list[Seen]:
    wrpcap(str(path), packets, nano=True)
    return load(str(path), Tally())


def later(packet: Any, seconds: float) -> Any:
    copy = packet.copy()
    copy.time = float(packet.time) + seconds
    return copy


@pytest.fixture
def masked(command: Command, captures: Path, tmp_path: Path) -> Callable[[str], Path]:
    """The call as the outside would have seen it, packet by packet."""

    def run(name: str) -> Path:
        path, call = tmp_path / f"{name}.pcap", captures / f"{name}.pcap"
        options = (
            "--inside",
            "192.168.178.0/24",
            "--inside",
            "203.0.113.5",
            "--set",
            "topoh.mask_callid=true",
        )
        done = command("replay", "-r", call, "-w", path, "--leg", "outside", *options)
        assert done.status == 0
        return path

    return run


def test_behind_a_nat_with_the_topmost_via_masked(
    command: Command, captures: Path, tmp_path: Path
) -> None:
    call, path = captures / "nat.pcap", tmp_path / "nat.pcap"
    nat = ("--inside", "192.168.178.0/24", "--set", "shape=nat", "--set", "public=203.0.113.5")
    assert command("replay", "-r", call, "-w", path, "--leg", "outside", *nat).status == 0
    before, packets = load(str(call), Tally()), frames(path)
    order = list(range(len(packets)))
    random.Random(1).shuffle(order)
    after = write(tmp_path / "after.pcap", [later(packets[i], AHEAD) for i in order])
    registers = [seen for seen in after if seen.start_line.startswith(b"REGISTER")]
    assert all(b"Via: SIP/2.0/UDP 203.0.113.5" in seen.data for seen in registers)
    found = numbers(pair(before, after))
    assert found == [(n, order.index(n - 1) + 1) for n in range(1, len(packets) + 1)]


@pytest.mark.parametrize("name", CALLS)
def test_lost_doubled_and_shuffled(
    masked: Callable[[str], Path], captures: Path, tmp_path: Path, name: str
) -> None:
    chance = random.Random(name)
    before = load(str(captures / f"{name}.pcap"), Tally())
    packets = frames(masked(name))
    assert len(packets) == len(before)  # number by number the same messages
    lost = set(chance.sample(range(len(packets)), 2))
    doubled = chance.choice([i for i in range(len(packets)) if i not in lost])
    arrived = [i for i in range(len(packets)) if i not in lost] + [doubled]
    chance.shuffle(arrived)
    delays = [chance.uniform(0, 0.0004) for _ in arrived]
    file = [later(packets[i], AHEAD + delay) for i, delay in zip(arrived, delays, strict=True)]
    after = write(tmp_path / "after.pcap", file)

    pairs = pair(before, after)
    expected = {i + 1: {n for n, j in enumerate(arrived, 1) if i == j} for i in range(len(packets))}
    for one, other in numbers(pairs):
        if one is None:
            assert other in expected[doubled + 1]
        elif one - 1 in lost:
            assert other is None
        else:
            assert other in expected[one]
    assert len(pairs) == len(packets) + 1
    found = clocks(pairs)
    assert found is not None
    assert found.offset / 10**9 == pytest.approx(AHEAD, abs=0.0005)
    assert found.spread < 10**6


def test_the_second_point_sees_one_hop_only(
    masked: Callable[[str], Path], captures: Path, tmp_path: Path
) -> None:
    """Only what the proxy sends to bob and gets from him, its packets translated by a NAT."""
    before = load(str(captures / "basic.pcap"), Tally())
    packets = frames(masked("basic"))
    outside = [n for n, p in enumerate(packets, 1) if "192.168.178.22" in (p[IP].src, p[IP].dst)]
    assert 0 < len(outside) < len(packets)
    for packet in packets:
        for end, port in (("src", "sport"), ("dst", "dport")):
            if getattr(packet[IP], end) == "192.168.178.10":
                setattr(packet[IP], end, "198.51.100.77")
                setattr(packet[UDP], port, 40123)
        del packet[IP].chksum, packet[UDP].chksum
    seen = [later(packets[n - 1], -AHEAD) for n in outside]
    again = later(seen[0], 0.5)  # a retransmission that was not there before
    pairs = pair(before, write(tmp_path / "after.pcap", [*seen, again]))
    assert {p for p in numbers(pairs) if p[1]} == {
        *((n, position) for position, n in enumerate(outside, 1)),
        (None, len(seen) + 1),
    }


def test_the_retransmission_that_was_lost(
    frame: Callable[..., Any], make_capture: Callable[..., Path]
) -> None:
    """RFC 3261 section 17.1.1.2: a request is sent again after 0.5, 1, 2 ... seconds."""
    text = "OPTIONS sip:b@h SIP/2.0\nCall-ID: x\nCSeq: 1 OPTIONS\nFrom: <sip:a@h>;tag=1\n\n"
    other = text.replace("1 OPTIONS", "2 OPTIONS")
    times = (0.0, 0.5, 1.5, 3.5)

    def capture(name: str, ahead: float, kept: Sequence[int]) -> list[Seen]:
        sent = [frame("10.0.0.1", "10.0.0.2", text, time=ahead + times[i]) for i in kept]
        last = frame("10.0.0.1", "10.0.0.2", other, time=ahead + 9)
        return load(str(make_capture(name, *sent, last)), Tally())

    before = capture("a.pcap", 0, (0, 1, 2))
    after = capture(
        "b.pcap", -77, (1, 2, 3)
    )  # the first is lost, the last before the capture began
    assert set(numbers(pair(before, after))) == {(1, None), (2, 1), (3, 2), (None, 3), (4, 4)}


def test_a_reliable_response_is_told_by_its_rseq(
    frame: Callable[..., Any], make_capture: Callable[..., Path]
) -> None:
    """RFC 3262: each 183 of one transaction has an RSeq of its own."""
    text = "SIP/2.0 183 P\nCall-ID: x\nCSeq: 1 INVITE\nFrom: <sip:a@h>;tag=1\nRSeq: {}\n\n"
    ends = ("10.0.0.1", "10.0.0.2")
    before = load(str(make_capture("a.pcap", *((*ends, text.format(n)) for n in (1, 2)))), Tally())
    after = load(str(make_capture("b.pcap", *((*ends, text.format(n)) for n in (2, 1)))), Tally())
    assert numbers(pair(before, after)) == [(1, 2), (2, 1)]


def test_hops_are_told_by_max_forwards(make_capture: Callable[..., Path]) -> None:
    """RFC 3261 section 16.6, step 3: each proxy counts down. The second point sees one hop, twice."""
    text = "INVITE sip:b@h SIP/2.0\nCall-ID: x\nCSeq: 1 INVITE\nMax-Forwards: {}\n\n"
    ends = ("10.0.0.1", "10.0.0.2")
    before = make_capture("a.pcap", *((*ends, text.format(n)) for n in (70, 69)))
    after = make_capture("b.pcap", *((*ends, text.format(n)) for n in (69, 69)))
    pairs = pair(load(str(before), Tally()), load(str(after), Tally()))
    assert sorted(numbers(pairs), key=str) == [(1, None), (2, 1), (None, 2)]


def test_what_was_added_stands_where_its_time_puts_it(
    frame: Callable[..., Any], make_capture: Callable[..., Path]
) -> None:
    text = "OPTIONS sip:b@h SIP/2.0\nCall-ID: x\nCSeq: {} OPTIONS\n\n"

    def capture(name: str, ahead: float, kept: Sequence[int]) -> list[Seen]:
        sent = [frame("10.0.0.1", "10.0.0.2", text.format(n), time=n + ahead) for n in kept]
        return load(str(make_capture(name, *sent)), Tally())

    for ahead in (AHEAD, -AHEAD):
        pairs = pair(capture("a.pcap", 0, (1, 3)), capture("b.pcap", ahead, (1, 2, 3)))
        assert numbers(pairs) == [(1, 1), (None, 2), (2, 3)]


def test_reordered_and_added_to_the_right_call(
    command: Command, masked: Callable[[str], Path], captures: Path, tmp_path: Path
) -> None:
    """With mask_callid: what was doubled after the masking is of the call that its token names."""
    before = load(str(captures / "callid.pcap"), Tally())
    packets = frames(masked("callid"))
    token = max(i for i, packet in enumerate(packets) if before[i].call_id not in bytes(packet))
    first = next(i for i, (a, b) in enumerate(pairwise(packets)) if a[IP].dst == b[IP].src)
    order = [*packets[:first], packets[first + 1], packets[first], *packets[first + 2 :]]
    after = write(
        tmp_path / "after.pcap",
        [later(packet, AHEAD) for packet in (*order, later(packets[token], 0.2))],
    )
    assert after[-1].call_id != before[token].call_id
    differences = compare(pair(before, after))
    assert len(by_call(differences)) == 1
    assert [d.seen.number for d in differences if d.is_reordered] in ([first + 1], [first + 2])
    summary = summarize(differences)
    assert (summary.reordered, summary.only_before, summary.only_after) == (1, 0, 1)
    [added] = [d for d in differences if d.status == "only_after"]
    by_clock_of_before = before[token].time + 0.2 * 10**9
    assert added.time == pytest.approx(by_clock_of_before, abs=0.001 * 10**9)


def test_the_same_in_another_order_differs(
    command: Command, captures: Path, tmp_path: Path
) -> None:
    packets = frames(captures / "basic.pcap")
    wrpcap(str(tmp_path / "b.pcap"), [later(p, 2.5) for p in [packets[-1], *packets[:-1]]])
    status, out, _ = command("diff", captures / "basic.pcap", tmp_path / "b.pcap")
    assert status == 1
    assert "13 messages, 0 changed, 13 the same, 1 in another order\n" in out
    assert "times in AFTER are 2.500000 s ahead of BEFORE's" in out
    assert out.count("(in another order)") == 1


def test_a_clock_alone_is_no_difference(command: Command, captures: Path, tmp_path: Path) -> None:
    packets = frames(captures / "ipv6.pcap")
    assert packets[0].haslayer(IPv6)
    wrpcap(str(tmp_path / "b.pcap"), [later(packet, -3600) for packet in packets])
    status, out, _ = command("diff", captures / "ipv6.pcap", tmp_path / "b.pcap")
    assert status == 0
    assert "times in AFTER are 3600.000000 s behind BEFORE's" in out
