"""pcapng: written out by hand from the specification, by editcap and mergecap; read by tshark.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html
"""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.packet import Raw
from scapy.utils import wrpcap

from inline_topo.edges.capture import create_capture, open_capture
from inline_topo.edges.records import Packet
from inline_topo.errors import CaptureError

Fields = Callable[..., list[list[str]]]

FRAME = bytes(12) + b"\x88\xb5" + b"experimental" * 5  # 74 bytes, an ethertype for experiments


class Maker:
    """Blocks in either byte order."""

    def __init__(self, order: str) -> None:
        self.order = order

    def block(self, kind: int, body: bytes) -> bytes:
        size = struct.pack(self.order + "I", len(body) + 12)
        return struct.pack(self.order + "I", kind) + size + body + size

    def option(self, code: int, value: bytes) -> bytes:
        return struct.pack(self.order + "HH", code, len(value)) + padded(value)

    def section(self, length: int = -1) -> bytes:
        fixed = struct.pack(self.order + "IHHq", 0x1A2B3C4D, 1, 0, length)
        return self.block(0x0A0D0D0A, fixed + self.option(1, b"a section") + bytes(4))

    def interface(self, linktype: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
        fixed = struct.pack(self.order + "HHI", linktype, 0, snaplen)
        return self.block(1, fixed + options + (bytes(4) if options else b""))

    def packet(
        self, where: int, ticks: int, data: bytes, wire: int = 0, options: bytes = b""
    ) -> bytes:
        words = (where, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire or len(data))
        return self.block(6, struct.pack(self.order + "IIIII", *words) + padded(data) + options)

    def old_packet(self, where: int, ticks: int, data: bytes, options: bytes = b"") -> bytes:
        words = (where, 3, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        return self.block(2, struct.pack(self.order + "HHIIII", *words) + padded(data) + options)

    def simple(self, data: bytes, wire: int = 0) -> bytes:
        return self.block(3, struct.pack(self.order + "I", wire or len(data)) + padded(data))


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def everything(order: str) -> bytes:
    """One section with a bit of all there is."""
    make = Maker(order)
    nano = make.option(2, b"eth0") + make.option(9, b"\x09")
    odd = make.option(9, b"\x8a") + make.option(14, struct.pack(order + "q", 1000))
    end = bytes(4)
    names = struct.pack(order + "HH", 1, 9) + padded(b"\x0a\0\0\x01host\0") + bytes(4)
    secrets = struct.pack(order + "II", 0x544C534B, 4) + b"keys"
    return b"".join(
        (
            make.section(),
            make.interface(options=nano),
            make.interface(101, 65535, odd),
            make.packet(0, 1700000000_123456789, FRAME + b"1", 2000, make.option(1, b"kept") + end),
            make.packet(1, 5 << 10 | 512, FRAME),
            make.block(4, names),
            make.block(10, secrets),
            make.old_packet(0, 1700000001_000000001, FRAME + b"22", make.option(2, bytes(4)) + end),
            make.interface(113),
            make.packet(2, 7, FRAME),
            make.simple(FRAME + b"333"),
            make.block(5, struct.pack(order + "III", 0, 0, 0)),
            make.block(0x80000042, b"unknown!"),
        )
    )


def rewrite(file: Path, out: Path, change: Callable[[Packet], bytes], comment: str = "") -> None:
    with open_capture(str(file)) as capture, create_capture(str(out), capture) as writer:
        for item in capture:
            if isinstance(item, Packet) and (data := change(item)) != item.data:
                writer.rewrite(item, data, comment or "ours")
            else:
                writer.copy(item)


def packets(file: Path) -> list[Packet]:
    with open_capture(str(file)) as capture:
        return list(capture.packets())


def write(file: Path, *blocks: bytes) -> Path:
    file.write_bytes(b"".join(blocks))
    return file


@pytest.mark.parametrize("orders", ["<", ">", "<>", "><>"])
def test_everything_is_copied_verbatim(tmp_path: Path, orders: str) -> None:
    file = write(tmp_path / "in.pcapng", *map(everything, orders))
    rewrite(file, tmp_path / "out.pcapng", lambda packet: packet.data)
    assert (tmp_path / "out.pcapng").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_times_lengths_and_link_types(tmp_path: Path, order: str) -> None:
    read = packets(write(tmp_path / "in.pcapng", everything(order), everything("<")))
    assert [packet.number for packet in read] == list(range(1, 11))
    assert [packet[1:5] for packet in read[:5]] == [
        (1700000000, 123456789, 10**9, 1),
        (1005, 512, 1024, 101),
        (1700000001, 1, 10**9, 1),
        (0, 7, 10**6, 113),
        (0, 0, 10**9, 1),
    ]
    assert [packet.data for packet in read[:5]] == [
        FRAME + b"1",
        FRAME,
        FRAME + b"22",
        FRAME,
        FRAME + b"333",
    ]
    assert read[0].wire_length == 2000


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("order", ["<", ">"])
def test_tshark_reads_rewritten_packets(tmp_path: Path, fields: Fields, order: str) -> None:
    file = write(tmp_path / "in.pcapng", everything(order), everything(">"))
    out = tmp_path / "out.pcapng"
    comment = "inline-topo: masked Via; 74 -> 83 bytes"
    rewrite(file, out, lambda packet: packet.data + b"x" * 9, comment)
    names = ["frame.time_epoch", "frame.interface_id", "frame.encap_type"]
    names += ["frame.cap_len", "frame.len", "frame.comment"]
    before, after = fields(file, *names), fields(out, *names)
    assert len(after) == 10
    assert [row[:3] for row in after] == [row[:3] for row in before]
    assert [row[3:5] for row in after] == [[str(int(n) + 9) for n in row[3:5]] for row in before]
    assert [row[5] for row in after] == [f"kept,{comment}", comment, comment, comment, ""] * 2
    assert [packet.data for packet in packets(out)] == [
        packet.data + b"x" * 9 for packet in packets(file)
    ]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_rewritten_packet_as_the_specification_has_it(tmp_path: Path, order: str) -> None:
    make = Maker(order)
    kept = make.option(1, b"old") + make.option(2, b"\0\0\0\1")
    was = make.packet(0, 77, b"12345", 9, kept + make.option(3, b"\2hash") + bytes(4))
    now = make.packet(0, 77, b"1234567", 11, kept + make.option(1, b"new") + bytes(4))
    start = make.section() + make.interface()
    file = write(tmp_path / "in.pcapng", start, was, make.packet(0, 78, b"same"))
    change = {b"12345": b"1234567"}
    rewrite(file, tmp_path / "out.pcapng", lambda p: change.get(p.data, p.data), "new")
    out = (tmp_path / "out.pcapng").read_bytes()
    assert out == start + now + make.packet(0, 78, b"same")


@pytest.mark.parametrize("order", ["<", ">"])
def test_other_packet_blocks_keep_their_kind(tmp_path: Path, order: str) -> None:
    make = Maker(order)
    start = make.section() + make.interface()
    file = write(tmp_path / "in.pcapng", start, make.old_packet(0, 5, b"12345"), make.simple(b"12"))
    rewrite(file, tmp_path / "out.pcapng", lambda packet: packet.data + b"678")
    added = make.option(1, b"ours") + bytes(4)
    assert (tmp_path / "out.pcapng").read_bytes() == start + make.old_packet(
        0, 5, b"12345678", added
    ) + make.simple(b"12678")


def test_a_snapshot_length_is_raised_when_a_packet_outgrows_it(tmp_path: Path) -> None:
    make = Maker(">")
    packet = make.packet(1, 5, FRAME)

    def start(snaplen: int) -> bytes:
        first = make.section() + make.interface(snaplen=96)
        return first + make.interface(snaplen=snaplen, options=make.option(2, b"eth1"))

    file = write(tmp_path / "in.pcapng", start(80), packet)
    out = tmp_path / "out.pcapng"
    rewrite(file, out, lambda packet: packet.data + b"x" * 6)
    assert out.read_bytes().startswith(start(80))
    rewrite(file, out, lambda packet: packet.data + b"x" * 7)
    assert out.read_bytes().startswith(start(262144))


def test_a_stream_is_ready_for_growth_from_the_start(tmp_path: Path) -> None:
    make = Maker("<")
    packet = make.packet(0, 5, FRAME)
    file = write(
        tmp_path / "in.pcapng", make.section(20 + len(packet)), make.interface(snaplen=80), packet
    )
    code = (
        "import sys\n"
        "from inline_topo.edges.capture import create_capture, open_capture\n"
        "with open_capture(sys.argv[1]) as capture, create_capture('-', capture) as writer:\n"
        "    for item in capture:\n"
        "        writer.copy(item)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, check=True)
    assert ran.stdout == make.section() + make.interface(snaplen=262144) + packet


def test_the_length_of_a_section_becomes_unknown_when_it_changes(tmp_path: Path) -> None:
    make = Maker("<")
    rest = make.interface() + make.packet(0, 5, FRAME)
    file = write(tmp_path / "in.pcapng", make.section(len(rest)), rest, make.section(0))
    out = tmp_path / "out.pcapng"
    rewrite(file, out, lambda packet: packet.data)
    assert out.read_bytes() == file.read_bytes()
    rewrite(file, out, lambda packet: packet.data + b"grown")
    assert out.read_bytes().startswith(make.section() + make.interface())
    assert out.read_bytes().endswith(make.section(0))
    assert [packet.data for packet in packets(out)] == [FRAME + b"grown"]


@pytest.mark.parametrize("cut_first", [False, True])
def test_simple_packets_that_depend_on_the_snapshot_length(tmp_path: Path, cut_first: bool) -> None:
    make = Maker("<")
    blocks = [make.simple(FRAME, 100), make.packet(0, 5, FRAME)]
    if not cut_first:
        blocks.reverse()
    file = write(tmp_path / "in.pcapng", make.section(), make.interface(snaplen=74), *blocks)
    assert [packet.wire_length for packet in packets(file)] == (
        [100, 74] if cut_first else [74, 100]
    )
    with pytest.raises(CaptureError, match="packet 2: simple packets"):
        rewrite(
            file,
            tmp_path / "out.pcapng",
            lambda packet: packet.data + b"x" if packet.wire_length == 74 else packet.data,
        )


def test_to_classic(tmp_path: Path) -> None:
    make = Maker(">")
    comment = make.option(1, b"a comment") + bytes(4)
    file = write(
        tmp_path / "in.pcapng",
        make.section(),
        make.interface(options=make.option(9, b"\x03")),
        make.interface(options=make.option(9, b"\x09")),
        make.packet(0, 1_500, FRAME, 99),
        make.packet(1, 2_000000001, FRAME, options=comment),
    )
    with open_capture(str(file)) as capture:
        out = str(tmp_path / "out.pcap")
        with create_capture(out, capture) as writer:
            for item in capture:
                writer.copy(item)
        assert writer.warnings == [f"{out}: classic pcap holds no comments: left out"]
    read = packets(tmp_path / "out.pcap")
    assert [packet[1:4] for packet in read] == [(1, 500_000_000, 10**9), (2, 1, 10**9)]
    assert [packet.wire_length for packet in read] == [99, 74]


def test_to_classic_says_what_is_lost(tmp_path: Path) -> None:
    make = Maker("<")
    file = write(
        tmp_path / "in.pcapng",
        make.section(),
        make.interface(),
        make.packet(0, 1_000_000, FRAME),
        make.interface(options=make.option(9, b"\x09")),
        make.packet(1, 2_000000001, FRAME),
        make.packet(1, 2_000000002, FRAME),
        make.block(4, bytes(4)),
        make.block(10, bytes(8)),
    )
    with open_capture(str(file)) as capture:
        with create_capture(str(tmp_path / "out.pcap"), capture) as writer:
            for item in capture:
                writer.copy(item)
        said = [warning.partition(": ")[2] for warning in writer.warnings]
    assert said == [
        "timestamps cut to 1000000 ticks a second from packet 2 on",
        "classic pcap holds no host names: left out",
        "classic pcap holds no decryption secrets: left out",
    ]


def test_two_link_types_do_not_fit_into_classic(tmp_path: Path) -> None:
    file = write(tmp_path / "in.pcapng", everything("<"))
    with pytest.raises(CaptureError, match="packet 2: link type 101 after 1"):
        rewrite(file, tmp_path / "out.pcap", lambda packet: packet.data)
    assert not (tmp_path / "out.pcap").exists()


def test_names_and_secrets_are_kept_and_said(tmp_path: Path) -> None:
    file = write(tmp_path / "in.pcapng", everything("<"))
    out = str(tmp_path / "out.pcapng")
    with open_capture(str(file)) as capture, create_capture(out, capture) as writer:
        for item in capture:
            writer.copy(item)
    assert [warning.rpartition(": the ")[2] for warning in writer.warnings] == [
        "host names stored in the input are kept",
        "decryption secrets stored in the input are kept",
    ]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_cut_block_is_named(tmp_path: Path, order: str) -> None:
    data = everything(order)
    whole = write(tmp_path / "whole.pcapng", data)
    ends: list[int] = []
    with open_capture(str(whole)) as capture:
        for item in capture:
            size = len(item.block if isinstance(item, Packet) else item.data)
            ends.append((ends[-1] if ends else 0) + size)
    assert ends[-1] == len(data)
    for at in range(1, len(data)):
        file = write(tmp_path / "cut.pcapng", data[:at])
        if at in ends:
            packets(file)
        elif at < 24:
            with pytest.raises(CaptureError, match=r"cut.pcapng: "):
                packets(file)
        else:
            block = sum(end < at for end in ends) + 1
            with pytest.raises(CaptureError, match=rf"cut.pcapng: block {block}, .* is cut"):
                packets(file)


MAKE = Maker("<")
START = MAKE.section() + MAKE.interface()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (START + MAKE.packet(1, 0, FRAME), "interface 1, which is not described"),
        (MAKE.section() + MAKE.simple(FRAME), "without an interface"),
        (START + MAKE.section() + MAKE.packet(0, 0, FRAME), "interface 0, which is not"),
        (START + MAKE.block(6, bytes(16)), "packet block is too short"),
        (START + MAKE.block(6, struct.pack("<IIIII", 0, 0, 0, 9, 9) + b"12345678"), "9 captured"),
        (START + MAKE.block(3, struct.pack("<I", 9) + b"12345678"), "does not fill its block"),
        (START + MAKE.block(1, b"\1\0\0\0"), "interface description is too short"),
        (START + MAKE.interface(options=b"\x09\0\xff\0"), "longer than its block"),
        (START + MAKE.packet(0, 0, FRAME)[:-4] + b"\1\0\0\0", "two lengths of a block differ"),
        (START + struct.pack("<III", 6, 0, 0), "a block of 0 bytes is none"),
        (START + struct.pack("<III", 6, 33, 0), "a block of 33 bytes is none"),
        (START + struct.pack("<III", 6, 1 << 31, 0), "a block of 2147483648 bytes is none"),
        (MAKE.block(0x0A0D0D0A, b"\x4d\x3c\x2b\x1a"), "section header is too short"),
        (MAKE.block(0x0A0D0D0A, bytes(16)), "byte order of a section is missing"),
    ],
)
def test_broken_blocks(tmp_path: Path, data: bytes, reason: str) -> None:
    file = write(tmp_path / "in.pcapng", data)
    with pytest.raises(CaptureError, match=reason) as caught:
        packets(file)
    assert str(caught.value).startswith(f"{file}: block ")


def test_broken_options_matter_only_where_they_change(tmp_path: Path) -> None:
    broken = MAKE.packet(0, 0, FRAME, options=b"\x01\0\xff\0")
    file = write(tmp_path / "in.pcapng", START, broken)
    rewrite(file, tmp_path / "out.pcapng", lambda packet: packet.data)
    assert (tmp_path / "out.pcapng").read_bytes() == file.read_bytes()
    with pytest.raises(CaptureError, match=r"out2.pcapng: packet 1: an option is longer"):
        rewrite(file, tmp_path / "out2.pcapng", lambda packet: packet.data + b"x")


@pytest.mark.needs("tshark", "editcap")
def test_files_of_editcap_and_mergecap(tmp_path: Path, fields: Fields) -> None:
    ether, raw, nano = (tmp_path / name for name in ("ether.pcap", "raw.pcap", "nano.pcap"))
    wrpcap(str(ether), [Raw(FRAME)] * 3, linktype=1)
    wrpcap(str(raw), [Raw(b"\x45" + bytes(40))] * 2, linktype=101)
    wrpcap(str(nano), [Raw(FRAME + b"nano")] * 2, linktype=1, nano=True)
    merged, file, out = (tmp_path / name for name in ("m.pcapng", "in.pcapng", "out.pcapng"))
    subprocess.run(["mergecap", "-w", merged, ether, raw, nano], check=True)
    comments = ["-a", "1:first", "-a", "4:fourth", "--capture-comment", "of the file"]
    subprocess.run(["editcap", *comments, merged, file], check=True)
    rewrite(file, out, lambda packet: packet.data)
    assert out.read_bytes() == file.read_bytes()
    rewrite(file, out, lambda packet: packet.data + b"+")
    names = ("frame.time_epoch", "frame.encap_type", "frame.interface_name", "frame.comment")
    read_before, read_after = fields(file, *names), fields(out, *names)
    assert [row[:3] for row in read_after] == [row[:3] for row in read_before]
    before, after = ([row[3] for row in rows] for rows in (read_before, read_after))
    assert sorted(filter(None, before)) == ["first", "fourth"]
    assert after == [f"{text},ours" if text else "ours" for text in before]
