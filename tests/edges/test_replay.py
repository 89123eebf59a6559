"""The offline edge with a gateway that is told what to decide; scapy makes frames, tshark judges."""
# mypy: allow-untyped-calls

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import RawPcapReader, wrpcap

from inline_topo.edges import replay as module
from inline_topo.edges.capture import create_capture, open_capture
from inline_topo.edges.records import Packet
from inline_topo.edges.replay import ReplayReport, replay
from inline_topo.edits import Edit
from inline_topo.errors import CaptureError
from inline_topo.gateway import Action, Ask, Gateway, Verdict
from inline_topo.masking.flow import Direction
from inline_topo.wire import ip

Fields = Callable[..., list[list[str]]]
Decide = Callable[[bytes], Verdict | Ask]

LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


class Told:
    """A gateway that decides by the UDP payload and keeps what it was given."""

    def __init__(self, decide: Callable[[bytes, bytes], Verdict | Ask]) -> None:
        self.decide = decide
        self.given: list[tuple[bytes, float]] = []

    def handle(self, packet: bytes, now: float) -> Verdict | Ask:
        self.given.append((packet, now))
        datagram = ip.decode(packet)
        if isinstance(datagram, str):
            return Verdict(Action.ACCEPT, packet, Direction.NONE, datagram)
        if datagram.flaw:
            return Verdict(Action.ACCEPT, packet, Direction.EGRESS, datagram.flaw)
        return self.decide(packet, datagram.payload)


def masked(packet: bytes, payload: bytes) -> Verdict:
    """Every payload that starts with "mask" doubles, and halves if it starts with "open"."""
    datagram = ip.decode(packet)
    assert isinstance(datagram, ip.Datagram)
    if payload.startswith(b"mask"):
        new = b"open" + payload[4:] + bytes(len(payload))
        edits = [Edit(0, 4, b"open", "Via", "masked"), Edit(4, 4, b"", "Contact", "masked")]
        direction, outcome = Direction.EGRESS, "masked"
    elif payload.startswith(b"open"):
        new = b"mask" + payload[4 : len(payload) // 2]
        edits = [Edit(0, 4, b"mask", "Via", "opened")]
        direction, outcome = Direction.INGRESS, "unmasked"
    else:
        return Verdict(Action.ACCEPT, packet, Direction.EGRESS, "unchanged")
    new_packet = ip.encode(datagram, new, ip.checksum_state(datagram))
    return Verdict(Action.REPLACE, new_packet, direction, outcome, edits)


def udp(payload: bytes, **fields: Any) -> Any:
    packet = IP(src="192.0.2.1", dst="198.51.100.2", id=7, **fields)
    return packet / UDP(sport=5060, dport=5060) / Raw(payload)


def long(start: bytes, size: int) -> bytes:
    return start + bytes(n % 251 for n in range(size - len(start)))


def run(file: Path, out: Path, gateway: Any, **options: Any) -> ReplayReport:
    with open_capture(str(file)) as capture, create_capture(str(out), capture) as writer:
        return replay(capture, writer, cast(Gateway, gateway), **options)


def packets(file: Path) -> list[Packet]:
    with open_capture(str(file)) as capture:
        return list(capture.packets())


def written(file: Path, frames: list[Any], **options: Any) -> Path:
    for number, frame in enumerate(frames):
        frame.time = 1700000000 + number
    wrpcap(str(file), frames, **options)
    return file


def test_each_verdict(tmp_path: Path) -> None:
    frames = [
        LINK / udp(b"mask me"),
        LINK / udp(b"let it pass"),
        LINK / udp(b"drop it"),
        LINK / ARP(psrc="192.0.2.1"),
        LINK / Dot1Q(vlan=3) / udp(b"mask me too"),
    ]
    file, out = written(tmp_path / "in.pcap", frames), tmp_path / "out.pcap"

    def decide(packet: bytes, payload: bytes) -> Verdict:
        if payload.startswith(b"drop"):
            return Verdict(Action.DROP, packet, Direction.EGRESS, "refused_malformed_sip")
        return masked(packet, payload)

    gateway = Told(decide)
    report = run(file, out, gateway)
    before, after = packets(file), packets(out)
    assert [packet.seconds - 1700000000 for packet in after] == [0, 1, 3, 4]
    assert after[1].data == before[1].data
    assert after[2].data == before[3].data
    expected = LINK / udp(b"open me" + bytes(7))
    assert after[0].data == bytes(expected)
    assert after[3].data == bytes(LINK / Dot1Q(vlan=3) / udp(b"open me too" + bytes(11)))
    assert after[3].wire_length == before[4].wire_length + 11
    assert gateway.given[0] == (bytes(frames[0][IP]), 1700000000.0)
    assert json.loads(json.dumps(report.as_dict())) == {
        "packets_read": 5,
        "packets_written": 4,
        "messages": {"egress": 4},
        "outcomes": {"masked": 2, "unchanged": 1, "refused_malformed_sip": 1, "not_ip": 1},
        "edits": {"masked": {"Via": 2, "Contact": 2}},
        "notes": {},
        "opens_refused": {},
        "bytes_added": 18,
        "over_mtu": {},
        "left_out": 0,
        "refused": {"refused_malformed_sip": {"count": 1, "packets": [3], "details": {}}},
        "not_read": {},
        "fragments": {
            "read": 0,
            "datagrams": 0,
            "written": 0,
            "incomplete": 0,
            "contradictory": 0,
        },
        "warnings": [],
    }
    assert report.refusals == 1


def test_padding_stays_behind_the_packet(tmp_path: Path) -> None:
    frame = bytes(LINK / udp(b"mask")) + b"\xee" * 14
    file = written(tmp_path / "in.pcap", [Raw(frame)], linktype=1)
    run(file, tmp_path / "out.pcap", Told(masked))
    (packet,) = packets(tmp_path / "out.pcap")
    assert packet.data == bytes(LINK / udp(b"open" + bytes(4))) + b"\xee" * 14
    run(tmp_path / "out.pcap", tmp_path / "back.pcap", Told(masked))
    assert (tmp_path / "back.pcap").read_bytes() == file.read_bytes()


def test_what_grows_past_the_mtu_is_counted_by_family(tmp_path: Path) -> None:
    frames = [LINK / udp(long(b"mask", size)) for size in (300, 400, 600)]
    sixth = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=5060, dport=5060)
    frames += [LINK / sixth / Raw(long(b"mask", size)) for size in (400, 420)]
    file = written(tmp_path / "in.pcap", frames)
    report = run(file, tmp_path / "out.pcap", Told(masked), mtu=628)
    # 300 -> 628 bytes with headers fit; 600 fits before, and doubles; 400 of IPv6 becomes 848
    assert report.over_mtu == {"ipv4": 2, "ipv6": 2}
    assert not run(file, tmp_path / "out.pcap", Told(masked)).over_mtu


def test_only_outside(tmp_path: Path) -> None:
    file = written(tmp_path / "in.pcap", [LINK / udp(b"in"), LINK / udp(b"out")])

    def decide(packet: bytes, payload: bytes) -> Verdict:
        inside = payload == b"in"
        outcome = "inside" if inside else "unchanged"
        direction = Direction.INSIDE if inside else Direction.EGRESS
        return Verdict(Action.ACCEPT, packet, direction, outcome)

    report = run(file, tmp_path / "all.pcap", Told(decide))
    assert (report.packets_written, report.left_out, report.outcomes["inside"]) == (2, 0, 1)
    assert report.messages == {"egress": 1}
    report = run(file, tmp_path / "out.pcap", Told(decide), only_outside=True)
    assert (report.packets_written, report.left_out, report.outcomes["inside"]) == (1, 1, 1)
    assert [packet.number for packet in packets(tmp_path / "out.pcap")] == [1]


def test_an_ask_is_performed_until_there_is_a_verdict(tmp_path: Path) -> None:
    file = written(tmp_path / "in.pcap", [LINK / udp(b"mask")])

    def decide(packet: bytes, payload: bytes) -> Ask:
        verdict = masked(packet, payload)
        return Ask("first", lambda one: Ask(one + 1, {4: verdict}.__getitem__))

    answers = {"first": 1, 2: 4}
    report = run(file, tmp_path / "out.pcap", Told(decide), perform=answers.__getitem__)
    assert report.outcomes == {"masked": 1}
    with pytest.raises(RuntimeError, match="the gateway asks"):
        run(file, tmp_path / "out.pcap", Told(decide))


@pytest.mark.needs("tshark")
def test_comments_say_what_was_done(tmp_path: Path, fields: Fields) -> None:
    file = written(tmp_path / "in.pcap", [LINK / udp(b"mask"), LINK / udp(b"not")])
    out, back = tmp_path / "out.pcapng", tmp_path / "back.pcapng"
    run(file, out, Told(masked))
    said = "inline-topo: masked Via, Contact; 32 -> 36 bytes"
    assert [row[0] if row else "" for row in fields(out, "frame.comment")] == [said, ""]
    run(out, back, Told(masked))
    assert [row[0] if row else "" for row in fields(back, "frame.comment")] == [
        f"{said},inline-topo: opened Via; 36 -> 32 bytes",
        "",
    ]
    assert [packet.data for packet in packets(back)] == [packet.data for packet in packets(file)]


def cut4(payload: bytes, ident: int = 7) -> list[Any]:
    packet = udp(payload)
    packet.id = ident
    return [LINK / piece for piece in fragment(packet, 1480)]


def cut6(payload: bytes) -> list[Any]:
    packet = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=9)
    return [LINK / piece for piece in fragment6(packet / UDP(dport=5060) / Raw(payload), 1480)]


@pytest.mark.needs("tshark")
@pytest.mark.parametrize(
    ("cut", "turned", "suffix"),
    [
        (cut4, False, "pcap"),
        (cut4, True, "pcapng"),
        (cut6, False, "pcapng"),
        (cut6, True, "pcap"),
    ],
)
def test_fragments_there_and_back(
    tmp_path: Path, fields: Fields, cut: Callable[[bytes], list[Any]], turned: bool, suffix: str
) -> None:
    payload = long(b"mask", 1500)
    pieces = cut(payload)
    if turned:
        pieces.reverse()
    frames = [LINK / udp(b"before"), pieces[0], LINK / udp(b"between"), pieces[1], LINK / udp(b"x")]
    file, out = written(tmp_path / "in.pcap", frames), tmp_path / f"out.{suffix}"
    report = run(file, out, Told(masked))
    assert report.outcomes == {"unchanged": 3, "masked": 1}
    assert report.bytes_added == 1500
    assert vars(report.fragments) == {
        "read": 2,
        "datagrams": 1,
        "written": 3,
        "incomplete": 0,
        "contradictory": 0,
    }
    assert (report.packets_read, report.packets_written) == (5, 6)
    assert [packet.seconds - 1700000000 for packet in packets(out)] == [0, 1, 2, 3, 3, 4]

    rows = fields(
        out, "udp.payload", "udp.checksum.status", preferences=("udp.check_checksum:TRUE",)
    )
    rebuilt = (b"open" + payload[4:] + bytes(1500)).hex()
    assert [row[1] for row in rows if row[0] == rebuilt] == ["1"]

    back = tmp_path / "back.pcap"
    report = run(out, back, Told(masked))
    assert (report.packets_read, report.packets_written) == (6, 5)
    assert report.bytes_added == -1500
    header = 24  # its snapshot length grows on the way through pcapng
    assert back.read_bytes()[header:] == file.read_bytes()[header:]


def test_fragments_that_need_no_change_stay(tmp_path: Path) -> None:
    pieces = cut4(long(b"none", 4000))
    first = pieces.pop(0)
    frames = [*pieces, LINK / udp(b"x"), first]
    file = written(tmp_path / "in.pcap", frames)
    report = run(file, tmp_path / "out.pcap", Told(masked))
    assert (tmp_path / "out.pcap").read_bytes() == file.read_bytes()
    assert (report.fragments.datagrams, report.fragments.written) == (1, 3)


def test_a_refused_datagram_leaves_with_all_its_fragments(tmp_path: Path) -> None:
    frames = [*cut4(long(b"bad", 4000)), LINK / udp(b"good")]
    file = written(tmp_path / "in.pcap", frames)

    def decide(packet: bytes, payload: bytes) -> Verdict:
        action = Action.DROP if payload.startswith(b"bad") else Action.ACCEPT
        return Verdict(action, packet, Direction.EGRESS, "refused_unmaskable")

    report = run(file, tmp_path / "out.pcap", Told(decide))
    assert (report.packets_read, report.packets_written) == (4, 1)
    refused = report.as_dict()["refused"]
    assert refused == {"refused_unmaskable": {"count": 1, "packets": [1], "details": {}}}


def alone(action: Action) -> Any:
    class Alone(Told):
        def handle(self, packet: bytes, now: float) -> Verdict | Ask:
            verdict = super().handle(packet, now)
            if isinstance(verdict, Verdict) and verdict.outcome == "fragment":
                verdict.action, verdict.outcome = action, "refused_fragment"
            return verdict

    return Alone(masked)


@pytest.mark.parametrize("late", [False, True])
def test_an_incomplete_datagram_is_judged_by_fragment(tmp_path: Path, late: bool) -> None:
    first, _, third = cut4(long(b"mask", 4000))
    frames = [first, LINK / udp(b"mask"), third, LINK / udp(b"x")]
    for number, frame in enumerate(frames):
        frame.time = 1700000000 + number * (31 if late else 1)
    file = tmp_path / "in.pcap"
    wrpcap(str(file), frames)
    report = run(file, tmp_path / "out.pcap", Told(masked))
    after = packets(tmp_path / "out.pcap")
    assert [after[n].data for n in (0, 2)] == [bytes(first), bytes(third)]
    assert [packet.seconds for packet in after] == [packet.seconds for packet in packets(file)]
    assert report.outcomes == {"fragment": 2, "masked": 1, "unchanged": 1}
    assert report.fragments.incomplete == 2

    report = run(file, tmp_path / "none.pcap", alone(Action.DROP))
    refused = report.as_dict()["refused"]
    assert refused == {"refused_fragment": {"count": 2, "packets": [1, 3], "details": {}}}
    assert report.packets_written == 2


def test_overlapping_fragments_are_never_put_together(tmp_path: Path) -> None:
    first, second, third = cut4(long(b"mask", 4000))
    twisted = second.copy()
    twisted[IP].frag -= 1
    del twisted[IP].chksum
    file = written(tmp_path / "in.pcap", [first, twisted, second, third])
    report = run(file, tmp_path / "out.pcap", Told(masked))
    assert (tmp_path / "out.pcap").read_bytes() == file.read_bytes()
    assert report.outcomes == {"fragment": 4}
    assert report.fragments.contradictory == 4
    report = run(file, tmp_path / "none.pcap", alone(Action.DROP))
    assert report.refused["refused_fragment"].count == 4


def test_one_packet_seen_on_two_hops(tmp_path: Path) -> None:
    """A capture on "any" interface, or behind a mirror, shows each fragment twice."""
    here = cut4(long(b"mask", 2000))
    there = [piece.copy() for piece in here]
    for piece in there:
        piece.src = "02:00:00:00:00:09"
        piece[IP].ttl -= 1
        del piece[IP].chksum
    frames = [here[0], there[0], here[1], there[1]]
    file = written(tmp_path / "in.pcap", frames)
    report = run(file, tmp_path / "out.pcap", Told(masked))
    assert report.outcomes == {"masked": 2}
    run(tmp_path / "out.pcap", tmp_path / "back.pcap", Told(masked))
    assert (tmp_path / "back.pcap").read_bytes() == file.read_bytes()


def test_what_is_held_back_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD_PACKETS", 5)
    first = cut4(long(b"mask", 4000))[0]
    frames = [first, *(LINK / udp(b"%d" % number) for number in range(9))]
    file = written(tmp_path / "in.pcap", frames)
    order: list[int] = []
    gateway = Told(masked)
    out = str(tmp_path / "out.pcap")
    with open_capture(str(file)) as capture, create_capture(out, capture) as writer:
        copy = writer.copy

        def noted(item: Any) -> None:
            order.append(len(gateway.given))
            copy(item)

        monkeypatch.setattr(writer, "copy", noted)
        report = replay(capture, writer, cast(Gateway, gateway))
    assert (tmp_path / "out.pcap").read_bytes() == file.read_bytes()
    assert report.fragments.incomplete == 1
    assert order[0] == 6  # five others were judged before the fragment was given up


def test_a_cut_fragment_is_given_as_it_is(tmp_path: Path) -> None:
    first, second = cut4(long(b"mask", 2000))
    frames = [Raw(bytes(first)[:96]), Raw(bytes(second)[:96])]
    file = written(tmp_path / "in.pcap", frames, linktype=1)
    gateway = Told(masked)
    report = run(file, tmp_path / "out.pcap", gateway)
    assert [packet for packet, _ in gateway.given] == [bytes(piece)[14:96] for piece in frames]
    assert (tmp_path / "out.pcap").read_bytes() == file.read_bytes()
    assert report.fragments.read == 0


def test_an_unknown_link_type_names_the_file_and_the_packet(tmp_path: Path) -> None:
    file = written(tmp_path / "in.pcap", [Raw(b"x")], linktype=189)
    with pytest.raises(CaptureError, match=r"in.pcap: packet 1: link type 189 is not supported"):
        run(file, tmp_path / "out.pcap", Told(masked))
    assert not (tmp_path / "out.pcap").exists()


def test_progress_ends_with_the_file(tmp_path: Path) -> None:
    file = written(tmp_path / "in.pcap", [LINK / udp(b"x")] * 1200)
    steps: list[int] = []
    run(file, tmp_path / "out.pcap", Told(masked), progress=steps.append)
    assert steps == sorted(steps)
    assert len(steps) == 4
    assert steps[-1] == file.stat().st_size


def test_the_corpus_passes_verbatim_if_nothing_changes(corpus: Path, tmp_path: Path) -> None:
    def accept(packet: bytes, payload: bytes) -> Verdict:
        return Verdict(Action.ACCEPT, packet, Direction.TRANSIT, "transit")

    for file in sorted(corpus.rglob("*.pcap*")):
        out = tmp_path / f"out{file.suffix}"
        report = run(file, out, Told(accept))
        assert out.read_bytes() == file.read_bytes(), file
        assert report.packets_read == report.packets_written > 0


class Endless:
    """A capture of many packets that no file has to hold."""

    name = "endless"

    def __init__(self, count: int, data: bytes) -> None:
        self.count, self.data, self.source = count, data, None

    def __iter__(self) -> Iterator[Packet]:
        for number in range(self.count):
            yield Packet(number, number // 1000, number % 1000, 10**6, 1, self.data, 999)


class Nothing:
    warnings: list[str] = []  # noqa: RUF012

    def copy(self, item: object) -> None: ...

    def rewrite(self, packet: Packet, data: bytes, comment: str) -> None: ...


def test_memory_is_constant() -> None:
    """Fragments without an end among other packets: what is held stays within its bounds."""
    lone = bytes(cut4(long(b"mask", 3000))[0])

    class Mixed(Endless):
        def __iter__(self) -> Iterator[Packet]:
            for packet in super().__iter__():
                ident = packet.number.to_bytes(4, "big")
                data = self.data
                if not packet.number % 40:
                    data = lone[:18] + ident[2:] + lone[20:26] + ident + lone[30:]
                yield packet._replace(data=data)

    def peak(count: int) -> int:
        tracemalloc.start()
        capture = Mixed(count, bytes(LINK / udp(b"x" * 600)))
        replay(cast(Any, capture), cast(Any, Nothing()), cast(Gateway, Quick()))
        (_, highest) = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    class Quick:
        def handle(self, packet: bytes, now: float) -> Verdict:
            return Verdict(Action.ACCEPT, packet, Direction.TRANSIT, "transit")

    first = peak(20_000)
    assert peak(40_000) < first * 1.2 + 200_000


@pytest.mark.nightly
def test_the_edge_costs_little_beside_the_gateway(tmp_path: Path) -> None:
    class Replace:
        def handle(self, packet: bytes, now: float) -> Verdict:
            return Verdict(Action.REPLACE, packet + b"x", Direction.EGRESS, "masked")

    file = written(tmp_path / "in.pcap", [LINK / udp(b"x" * 700)] * 2000)
    took = []
    for _ in range(5):
        start = time.process_time()
        run(file, tmp_path / "out.pcap", Replace())
        took.append((time.process_time() - start) / 2000)
    assert min(took) < 40e-6


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.builds(
                lambda offset, more, size: bytes(
                    LINK
                    / IP(src="192.0.2.1", dst="192.0.2.2", proto=17, frag=offset, flags=more)
                    / Raw((b"\x13\xc4" * 3 + b"\0\0mask" + bytes(60))[offset * 8 :][:size])
                ),
                st.integers(0, 5),
                st.sampled_from(["MF", 0]),
                st.integers(1, 48),
            ),
            st.binary(max_size=60).map(lambda data: bytes(LINK / udp(b"mask" + data))),
        ),
        max_size=10,
    )
)
def test_every_packet_comes_out(tmp_path: Path, frames: list[bytes]) -> None:
    file, out = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    written(file, [Raw(frame) for frame in frames], linktype=1)
    report = run(file, out, Told(masked))
    assert report.packets_read == len(frames)
    assert [packet.seconds for packet in packets(out)] == sorted(
        packet.seconds for packet in packets(out)
    )
    with closing(RawPcapReader(str(file))) as reader:
        assert len(list(reader)) == len(frames)
    assert report.packets_written >= len(frames)
