"""Fragments are cut by scapy, and what we cut is put together by tshark and by scapy."""
# mypy: allow-untyped-calls

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, IPOption_Router_Alert, defragment, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    defragment6,
    fragment6,
)
from scapy.packet import Raw
from scapy.utils import wrpcap

from inline_topo.wire.fragments import (
    MAX_BYTES,
    Fragment,
    Reassembler,
    Refused,
    Whole,
    parse,
)
from inline_topo.wire.fragments import fragment as cut_again

Make = Callable[[int], bytes]
Split = Callable[[bytes], list[bytes]]


def payload(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def datagram4(size: int, **fields: Any) -> bytes:
    packet = IP(src="192.0.2.1", dst="198.51.100.2", id=4711, **fields)
    return bytes(packet / UDP(sport=5060, dport=5060) / Raw(payload(size)))


def datagram6(size: int) -> bytes:
    packet = IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=61)
    return bytes(packet / UDP(sport=5060, dport=5060) / Raw(payload(size)))


def cut4(packet: bytes, size: int = 1480) -> list[bytes]:
    return [bytes(piece) for piece in fragment(IP(packet), size)]


def cut6(packet: bytes, mtu: int = 1480) -> list[bytes]:
    whole = IPv6(packet)
    upper = whole.payload
    whole.remove_payload()
    del whole.plen, whole.nh
    pieces = fragment6(whole / IPv6ExtHdrFragment(id=99) / upper, mtu)
    return [bytes(piece) for piece in pieces]


def parsed(packet: bytes) -> Fragment:
    piece = parse(packet)
    assert piece is not None
    return piece


def put_together(pieces: list[bytes]) -> Whole[int]:
    reassembler: Reassembler[int] = Reassembler()
    for index, piece in enumerate(pieces[:-1]):
        assert reassembler.add(parsed(piece), index, 0.0) is None
    whole = reassembler.add(parsed(pieces[-1]), len(pieces) - 1, 0.0)
    assert isinstance(whole, Whole)
    return whole


def cut(whole: Whole[int], packet: bytes) -> list[bytes]:
    kept, extra = cut_again(whole, packet)
    return [piece for piece in kept if piece is not None] + extra


SIZES = [1473, 1500, 2960, 4000, 9500, 65000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("order", ["as sent", "reversed", "shuffled"])
@pytest.mark.parametrize(("make", "split"), [(datagram4, cut4), (datagram6, cut6)])
def test_put_together_and_cut_again(make: Make, split: Split, size: int, order: str) -> None:
    packet = make(size)
    pieces = split(packet)
    if order == "reversed":
        pieces.reverse()
    elif order == "shuffled":
        random.Random(size).shuffle(pieces)
    whole = put_together(pieces)
    assert whole.packet == packet
    kept, extra = cut_again(whole, packet)
    assert kept == pieces
    assert extra == []


@pytest.mark.parametrize("grown", [1481, 1600, 1480 * 2, 1480 * 3 + 1, 20000])
@pytest.mark.parametrize("order", ["as sent", "reversed"])
@pytest.mark.parametrize(("make", "split"), [(datagram4, cut4), (datagram6, cut6)])
def test_there_and_back(make: Make, split: Split, grown: int, order: str) -> None:
    pieces = split(make(1475))
    if order == "reversed":
        pieces.reverse()
    masked = cut(put_together(pieces), make(grown))
    back = put_together(masked)
    assert back.packet == make(grown)
    assert cut(back, make(1475)) == pieces


def defragmented(pieces: list[bytes]) -> Any:
    if pieces[0][0] >> 4 == 4:
        (whole,) = defragment([IP(piece) for piece in pieces])
        return whole
    return defragment6([IPv6(piece) for piece in pieces])


@pytest.mark.parametrize("grown", [1600, 5000, 60000])
@pytest.mark.parametrize(("make", "split"), [(datagram4, cut4), (datagram6, cut6)])
def test_scapy_puts_ours_together(make: Make, split: Split, grown: int) -> None:
    masked = cut(put_together(split(make(1475))), make(grown))
    assert defragmented(masked)[UDP].payload.load == payload(grown)


@pytest.mark.needs("tshark")
@pytest.mark.parametrize(
    ("make", "split", "grown"), [(datagram4, cut4, 5000), (datagram6, cut6, 1600)]
)
def test_tshark_puts_ours_together(tmp_path: Path, make: Make, split: Split, grown: int) -> None:
    masked = cut(put_together(split(make(1475))), make(grown))
    file = tmp_path / "fragments.pcap"
    wrpcap(str(file), [Raw(piece) for piece in masked], linktype=101)
    command = ["tshark", "-r", str(file), "-o", "ip.check_checksum:TRUE"]
    command += ["-o", "udp.check_checksum:TRUE", "-T", "fields", "-e", "udp.payload"]
    command += ["-e", "ip.checksum.status", "-e", "udp.checksum.status"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(masked)
    fields = [line.split("\t") for line in lines]
    assert [line[0] for line in fields if line[0]] == [payload(grown).hex()]
    assert {line[1] for line in fields} == ({"1"} if make is datagram4 else {""})  # 1 is good
    assert [line[2] for line in fields if line[2]] == ["1"]


def test_a_last_fragment_of_one_byte() -> None:
    pieces = cut6(datagram6(1425))
    assert len(pieces[-1]) == 49
    assert put_together(pieces).packet == datagram6(1425)


def test_uneven_cuts_come_back() -> None:
    original = datagram4(1000)
    headers = [IP(original)]
    upper = bytes(IP(original).payload)
    pieces = []
    for start, end in ((0, 400), (400, 416), (416, 1008)):
        header = headers[0].copy()
        header.remove_payload()
        del header.len, header.chksum
        header.frag = start // 8
        header.flags = "MF" if end < 1008 else 0
        pieces.append(bytes(header / Raw(upper[start:end])))
    masked = cut(put_together(pieces), datagram4(1100))
    assert [len(piece) - 20 for piece in masked] == [400, 16, 592, 100]
    assert cut(put_together(masked), original) == pieces


def test_what_fits_into_one_leaves_whole() -> None:
    whole = put_together(cut4(datagram4(1475)))
    kept, extra = cut_again(whole, datagram4(1400))
    assert kept == [datagram4(1400), None]
    assert extra == []


def test_each_fragment_keeps_its_own_header() -> None:
    pieces = []
    for hops, piece in zip((64, 63, 62), cut4(datagram4(3000)), strict=True):
        changed = IP(piece)
        changed.ttl = hops
        del changed.chksum
        pieces.append(bytes(changed))
    masked = cut(put_together(pieces), datagram4(5000))
    assert [IP(piece).ttl for piece in masked] == [64, 63, 62, 62]


def test_options_that_are_not_copied_stay_in_the_first() -> None:
    packet = IP(datagram4(1475, options=[IPOption_Router_Alert()]))
    pieces = [bytes(piece) for piece in fragment(packet, 1480)]
    masked = cut(put_together(pieces), bytes(packet))
    assert masked == pieces


def test_a_wrong_header_checksum_stays_as_wrong() -> None:
    pieces = cut4(datagram4(1475))
    good = [int.from_bytes(piece[10:12], "big") for piece in pieces]
    bad = [piece[:10] + ((right + 3) % 0xFFFF).to_bytes(2, "big") + piece[12:]
           for piece, right in zip(pieces, good, strict=True)]  # fmt: skip
    masked = cut(put_together(bad), datagram4(1600))
    for piece in masked:
        fresh = IP(piece)
        del fresh.chksum
        right = int.from_bytes(bytes(fresh)[10:12], "big")
        assert (int.from_bytes(piece[10:12], "big") - right) % 0xFFFF == 3
    assert cut(put_together(masked), datagram4(1475)) == bad


def test_other_addresses_reach_every_fragment() -> None:
    whole = put_together(cut4(datagram4(3000)))
    moved = IP(datagram4(3000))
    moved.src = "203.0.113.9"
    del moved.chksum, moved[UDP].chksum
    for piece in cut(whole, bytes(moved)):
        fresh = IP(piece)
        assert fresh.src == "203.0.113.9"
        del fresh.chksum
        assert bytes(fresh) == piece


def test_extension_headers_before_and_behind() -> None:
    upper = UDP(sport=5060, dport=5060) / Raw(payload(2000))
    packet = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrHopByHop()
    pieces = [bytes(piece) for piece in fragment6(packet / IPv6ExtHdrFragment(id=3) / upper, 1400)]
    whole = put_together(pieces)
    assert whole.packet == bytes(packet / upper)
    assert cut(whole, whole.packet) == pieces


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(60),
        datagram4(100),
        datagram4(100, flags="DF"),
        datagram6(100),
        bytes(IPv6() / IPv6ExtHdrFragment(id=7) / UDP() / Raw(b"x" * 40)),  # atomic
        cut4(datagram4(3000))[0][:-1],  # cut by the capture
        cut6(datagram6(3000))[0][:-1],
        bytes(IP(flags="MF", proto=17) / Raw(b"x" * 9)),
        bytes(IP(flags="MF", proto=17)),
        bytes(IP(frag=8191, proto=17) / Raw(b"x" * 100)),  # ends beyond 65,535
        bytes(IPv6() / IPv6ExtHdrFragment(nh=17, offset=8191) / Raw(b"x" * 100)),
        bytes(IP(flags="MF", proto=6) / Raw(b"x" * 16)),
        bytes(IPv6() / IPv6ExtHdrFragment(nh=58, m=1) / Raw(b"x" * 16)),
        bytes(IPv6() / IPv6ExtHdrFragment(nh=17, m=1) / Raw(b"x" * 9)),
        bytes(IPv6(nh=0) / Raw(b"\x2c\xff" + bytes(20))),
    ],
)
def test_no_fragment_of_ours(packet: bytes) -> None:
    assert parse(packet) is None


def test_an_overlap_refuses_all_of_the_datagram() -> None:
    first, second, third = cut4(datagram4(3000))
    overlapping = IP(second)
    overlapping.frag -= 1
    del overlapping.chksum
    reassembler: Reassembler[str] = Reassembler()
    assert reassembler.add(parsed(first), "first", 0) is None
    assert reassembler.add(parsed(bytes(overlapping)), "overlap", 1) == Refused(
        "fragments_overlap", ("first", "overlap")
    )
    assert reassembler.add(parsed(third), "third", 2) == Refused("fragments_overlap", ("third",))
    assert reassembler.expire(40) == []
    assert reassembler.add(parsed(first), "anew", 50) is None


def test_same_place_with_other_bytes_is_an_overlap() -> None:
    first = cut4(datagram4(1475))[0]
    reassembler: Reassembler[int] = Reassembler()
    reassembler.add(parsed(first), 1, 0)
    assert isinstance(reassembler.add(parsed(first[:-1] + b"\0"), 2, 0), Refused)


@pytest.mark.parametrize("end_first", [True, False])
def test_what_lies_beyond_the_end_is_an_overlap(end_first: bool) -> None:
    pieces = cut4(datagram4(4000))
    early = IP(pieces[1])
    early.flags = 0
    del early.chksum
    order = [bytes(early), pieces[2]]
    reassembler: Reassembler[int] = Reassembler()
    assert reassembler.add(parsed(order[0 if end_first else 1]), 1, 0) is None
    assert isinstance(reassembler.add(parsed(order[1 if end_first else 0]), 2, 0), Refused)


def test_duplicates_are_cut_like_their_originals() -> None:
    first, second = cut4(datagram4(1475))
    again = IP(first)
    again.ttl -= 1
    del again.chksum
    pieces = [first, bytes(again), second]
    whole = put_together(pieces)
    assert whole.packet == datagram4(1475)
    assert cut(whole, whole.packet) == pieces


def test_paths_are_kept_apart() -> None:
    first, second = cut4(datagram4(1475))
    reassembler: Reassembler[str] = Reassembler()
    assert reassembler.add(parsed(first), "a1", 0, b"a") is None
    assert reassembler.add(parsed(first), "b1", 0, b"b") is None
    whole = reassembler.add(parsed(second), "a2", 0, b"a")
    assert isinstance(whole, Whole)
    assert [arrival.tag for arrival in whole.arrivals] == ["a1", "a2"]


def test_too_long_with_its_options() -> None:
    upper = payload(65535 - 20)
    first = IP(id=1, flags="MF", proto=17, options=[IPOption_Router_Alert()])
    pieces = [bytes(first / Raw(upper[:8])), bytes(IP(id=1, frag=1, proto=17) / Raw(upper[8:]))]
    reassembler: Reassembler[int] = Reassembler()
    assert reassembler.add(parsed(pieces[0]), 0, 0) is None
    assert reassembler.add(parsed(pieces[1]), 1, 0) == Refused("fragments_too_long", (0, 1))


def test_what_stays_incomplete_is_given_up_after_the_timeout() -> None:
    first = cut4(datagram4(1475))[0]
    reassembler: Reassembler[int] = Reassembler()
    reassembler.add(parsed(first), 1, 100)
    assert reassembler.expire(130) == []
    assert reassembler.expire(130.1) == [(1,)]
    assert reassembler.give_up() == ()


def test_memory_is_bounded() -> None:
    reassembler: Reassembler[int] = Reassembler()
    first = parsed(cut4(datagram4(65000), 60000)[0])
    given_up = []
    for number in range(3000):
        reassembler.add(first._replace(key=number.to_bytes(4, "big")), number, 0)
        given_up += [tag for tags in reassembler.expire(0) for tag in tags]
    assert given_up == list(range(len(given_up)))
    assert (3000 - len(given_up)) * 60000 <= MAX_BYTES


@given(
    st.lists(
        st.builds(
            lambda offset, more, size: bytes(
                IP(src="192.0.2.1", dst="192.0.2.2", id=1, proto=17, frag=offset, flags=more)
                / Raw(bytes(range(offset, offset + size)))
            ),
            st.integers(0, 6),
            st.sampled_from(["MF", 0]),
            st.integers(1, 40),
        ),
        max_size=12,
    )
)
def test_nothing_is_lost_and_nothing_raises(packets: list[bytes]) -> None:
    """Every fragment comes out exactly once: in a datagram, refused, or given up."""
    reassembler: Reassembler[int] = Reassembler()
    out: list[int] = []
    taken = []
    for number, packet in enumerate(packets):
        piece = parse(packet)
        if piece is None:
            continue
        taken.append(number)
        result = reassembler.add(piece, number, 0)
        if isinstance(result, Whole):
            out += [arrival.tag for arrival in result.arrivals]
            assert cut_again(result, result.packet)[0] == [
                packets[arrival.tag] for arrival in result.arrivals
            ]
        elif isinstance(result, Refused):
            out += result.tags
    while tags := reassembler.give_up():
        out += tags
    assert sorted(out) == taken


@given(st.binary(max_size=120))
def test_any_bytes_parse(data: bytes) -> None:
    for packet in (data, b"\x45" + data, b"\x60" + data):
        piece = parse(packet)
        assert piece is None or piece.header + piece.payload == packet
