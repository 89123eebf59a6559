"""Captures in and out: copies, conversions and errors. scapy, editcap and tshark make and judge."""

import itertools
import os
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.utils import RawPcapReader, RawPcapWriter

from inline_topo.edges.capture import create_capture, open_capture
from inline_topo.edges.records import Packet
from inline_topo.errors import CaptureError

Fields = Callable[..., list[list[str]]]

FRAMES = [bytes([n]) * size for n, size in enumerate((60, 0, 1, 1514, 65549, 61))]


def classic(
    path: Path, order: str = "<", nano: bool = False, linktype: int = 1, snaplen: int = 262144
) -> Path:
    writer = RawPcapWriter(
        str(path), linktype=linktype, endianness=order, nano=nano, snaplen=snaplen
    )
    writer.linktype = linktype  # the argument does not take 0
    writer.write_header(b"")
    for number, frame in enumerate(FRAMES):
        writer.write_packet(frame, sec=1700000000 + number, usec=999000 + number, wirelen=70000)
    writer.close()
    return path


def copy(source: Path, target: Path) -> list[str]:
    with open_capture(str(source)) as capture, create_capture(str(target), capture) as writer:
        for item in capture:
            writer.copy(item)
    return writer.warnings


def packets(path: Path) -> list[Packet]:
    with open_capture(str(path)) as capture:
        return list(capture.packets())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
@pytest.mark.parametrize(("linktype", "snaplen"), [(1, 262144), (0, 65535), (276, 96), (101, 0)])
def test_classic_is_copied_verbatim(
    tmp_path: Path, order: str, nano: bool, linktype: int, snaplen: int
) -> None:
    file = classic(tmp_path / "in.pcap", order, nano, linktype, snaplen)
    assert copy(file, tmp_path / "out.pcap") == []
    assert (tmp_path / "out.pcap").read_bytes() == file.read_bytes()
    read = packets(file)
    assert [packet.data for packet in read] == FRAMES
    assert [packet.number for packet in read] == [1, 2, 3, 4, 5, 6]
    assert {packet.linktype for packet in read} == {linktype}
    assert {packet.wire_length for packet in read} == {70000}
    assert read[2][1:4] == (1700000002, 999002, 10**9 if nano else 10**6)


def test_odd_header_fields_and_fractions_are_copied(tmp_path: Path) -> None:
    """Time zone, accuracy, version 2.3, FCS bits; a fraction of more than a second."""
    header = struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 3, -3600, 7, 65535, 0x24000001)
    data = header + struct.pack(">IIII", 1, 2_000_000, 3, 3) + b"abc"
    (tmp_path / "in.pcap").write_bytes(data)
    copy(tmp_path / "in.pcap", tmp_path / "out.pcap")
    assert (tmp_path / "out.pcap").read_bytes() == data
    assert packets(tmp_path / "in.pcap")[0].linktype == 1


def test_the_corpus_is_copied_verbatim(corpus: Path, tmp_path: Path) -> None:
    files = sorted(file for file in corpus.rglob("*.pcap*") if file.is_file())
    assert len(files) >= 28
    for file in files:
        out = tmp_path / f"out{file.suffix}"
        copy(file, out)
        assert out.read_bytes() == file.read_bytes(), file


@pytest.mark.parametrize("nano", [False, True])
@pytest.mark.parametrize("suffix", ["pcapng", "ntar"])
def test_classic_to_pcapng_and_back(tmp_path: Path, nano: bool, suffix: str) -> None:
    file = classic(tmp_path / "in.cap", nano=nano)
    middle, back = tmp_path / f"middle.{suffix}", tmp_path / "back.PCAP"
    assert copy(file, middle) == []
    assert middle.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    assert [packet[:7] for packet in packets(middle)] == [packet[:7] for packet in packets(file)]
    assert copy(middle, back) == []
    assert back.read_bytes() == file.read_bytes()


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("nano", [False, True])
def test_tshark_reads_what_we_converted(tmp_path: Path, fields: Fields, nano: bool) -> None:
    file = classic(tmp_path / "in.pcap", nano=nano)
    copy(file, tmp_path / "out.pcapng")
    names = ("frame.time_epoch", "frame.cap_len", "frame.len", "frame.encap_type")
    assert fields(tmp_path / "out.pcapng", *names) == fields(file, *names)


def test_another_suffix_keeps_the_format(tmp_path: Path) -> None:
    file = classic(tmp_path / "in.pcap")
    copy(file, tmp_path / "out.dump")
    assert (tmp_path / "out.dump").read_bytes() == file.read_bytes()


def test_scapy_reads_a_rewritten_packet(tmp_path: Path) -> None:
    file, out = classic(tmp_path / "in.pcap"), tmp_path / "out.pcap"
    with open_capture(str(file)) as capture, create_capture(str(out), capture) as writer:
        for packet in capture.packets():
            writer.rewrite(packet, packet.data + b"more", "not kept")
    with closing(RawPcapReader(str(out))) as reader:
        read = [reader._read_packet(1 << 20) for _ in FRAMES]
    assert [data for data, _ in read] == [frame + b"more" for frame in FRAMES]
    assert {meta.wirelen for _, meta in read} == {70004}


@pytest.mark.parametrize("stream", [False, True])
def test_the_snapshot_length_grows_with_a_packet(tmp_path: Path, stream: bool) -> None:
    file = classic(tmp_path / "in.pcap", ">", snaplen=65549)
    out = "-" if stream else str(tmp_path / "out.pcap")
    code = (
        "import sys\n"
        "from inline_topo.edges.capture import create_capture, open_capture\n"
        "with open_capture(sys.argv[1]) as c, create_capture(sys.argv[2], c) as writer:\n"
        "    for p in c.packets():\n"
        "        writer.rewrite(p, p.data + b'more', '')\n"
    )
    command = [sys.executable, "-c", code, str(file), out]
    ran = subprocess.run(command, capture_output=True, check=True)
    written = ran.stdout if stream else Path(out).read_bytes()
    assert written[:16] == file.read_bytes()[:16]
    assert written[16:20] == struct.pack(">I", 262144)
    assert written[20:24] == file.read_bytes()[20:24]


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_standard_input_and_output(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"in.{suffix}"
    copy(classic(tmp_path / "first.pcap"), file)
    code = (
        "from inline_topo.edges.capture import create_capture, open_capture\n"
        "with open_capture('-') as capture, create_capture('-', capture) as writer:\n"
        "    for item in capture:\n"
        "        writer.copy(item)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], input=file.read_bytes(), capture_output=True, check=True
    )
    assert ran.stdout == file.read_bytes()
    assert ran.stderr == b""


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    file, pipe = classic(tmp_path / "in.pcap"), tmp_path / "pipe.pcap"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    copy(file, pipe)
    reader.join()
    assert got == [file.read_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    copy(file, Path(os.devnull))
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_reader_that_goes_away_is_one_error(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from inline_topo.edges.capture import create_capture, open_capture\n"
        "from inline_topo.errors import CaptureError\n"
        "try:\n"
        "    with open_capture(sys.argv[1]) as capture, create_capture('-', capture) as writer:\n"
        "        for item in capture:\n"
        "            writer.copy(item)\n"
        "except CaptureError as error:\n"
        "    sys.exit(str(error))\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", code, str(classic(tmp_path / "in.pcap"))]
    ran = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (1, "standard output: broken pipe\n")


def test_the_file_is_as_any_new_file_and_nothing_stands_beside_it(tmp_path: Path) -> None:
    file, out, other = classic(tmp_path / "in.pcap"), tmp_path / "out.pcap", tmp_path / "other"
    other.touch()
    copy(file, out)
    assert out.stat().st_mode == other.stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.pcap", "other", "out.pcap"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    file = classic(tmp_path / "in.pcap")
    (tmp_path / "link.pcap").symlink_to(tmp_path / "out.pcap")
    copy(file, tmp_path / "link.pcap")
    assert (tmp_path / "link.pcap").is_symlink()
    assert (tmp_path / "out.pcap").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("error", [CaptureError, KeyboardInterrupt])
def test_an_error_leaves_nothing_new(tmp_path: Path, error: type[BaseException]) -> None:
    file, out = classic(tmp_path / "in.pcap"), tmp_path / "out.pcap"
    out.write_bytes(b"as it was")

    def interrupted() -> None:
        with open_capture(str(file)) as capture, create_capture(str(out), capture) as writer:
            for item in capture:
                writer.copy(item)
                raise error("now")

    with pytest.raises(error, match="now"):
        interrupted()
    assert out.read_bytes() == b"as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.pcap", "out.pcap"]


def test_output_errors(tmp_path: Path) -> None:
    file = classic(tmp_path / "in.pcap")
    (tmp_path / "link.pcap").symlink_to(file)
    (tmp_path / "hard.pcap").hardlink_to(file)
    before = file.read_bytes()
    for out, reason in (
        ("in.pcap", "is the input too"),
        ("link.pcap", "is the input too"),
        ("hard.pcap", "is the input too"),
        ("", "is a directory"),
        ("missing/out.pcap", "no such file or directory"),
        ("in.pcap/out.pcap", "not a directory"),
        ("nul\0.pcap", "null"),
        ("x" * 300 + ".pcap", "file name too long"),
    ):
        with pytest.raises(CaptureError, match=reason) as caught:
            copy(file, tmp_path / out)
        assert str(tmp_path / out) in str(caught.value)
    assert file.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="/dev/full: no space left"):
        copy(classic(tmp_path / "in.pcap"), Path("/dev/full"))


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder that everyone may write to, and no right to more than that."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        if os.geteuid() != 0:
            yield Path(folder)
            return
        os.setresuid(65534, 65534, 0)
        try:
            yield Path(folder)
        finally:
            os.setresuid(0, 0, 0)


def test_what_must_not_be_read_or_written(ordinary_user: Path) -> None:
    file = classic(ordinary_user / "in.pcap")
    locked = classic(ordinary_user / "locked.pcap")
    locked.chmod(0o444)
    with pytest.raises(CaptureError, match=r"locked.pcap: permission denied"):
        copy(file, locked)
    file.chmod(0)
    with pytest.raises(CaptureError, match=r"in.pcap: permission denied"):
        packets(file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\xd4\xc3\xb2", "is not a pcap or pcapng capture"),
        (b"INVITE sip:bob@example.com SIP/2.0", "is not a pcap or pcapng capture"),
        (b"\x1f\x8b\x08" + bytes(40), "use gunzip first"),
        (b"\xd4\xc3\xb2\xa1\x02\0\x04\0", "cut within its header"),
        (b"\x0a\x0d\x0d\x0a" + bytes(8), "the byte order of a section is missing"),
        (b"\x0a\x0d\x0d\x0a", "the file is cut"),
    ],
)
def test_input_errors(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "in.pcap").write_bytes(content)
    with pytest.raises(CaptureError, match=reason) as caught:
        copy(tmp_path / "in.pcap", tmp_path / "out.pcap")
    assert str(tmp_path / "in.pcap") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.pcap").exists()


def test_missing_input_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no such file"):
        packets(tmp_path / "missing.pcap")
    with pytest.raises(CaptureError, match="is a directory"):
        packets(tmp_path)


def test_a_cut_file_names_the_packet(tmp_path: Path) -> None:
    data = classic(tmp_path / "in.pcap").read_bytes()
    ends = [24]
    for frame in FRAMES:
        ends.append(ends[-1] + 16 + len(frame))
    cut = tmp_path / "cut.pcap"
    for number, (start, end) in enumerate(itertools.pairwise(ends), 1):
        for at in {start + 1, start + 15, start + 16, end - 1} - {start, end}:
            cut.write_bytes(data[:at])
            with pytest.raises(CaptureError, match=rf"cut.pcap: packet {number}: the file is cut"):
                packets(cut)
        cut.write_bytes(data[:end])
        assert len(packets(cut)) == number


def test_a_record_that_cannot_be(tmp_path: Path) -> None:
    data = classic(tmp_path / "in.pcap").read_bytes()[:24]
    (tmp_path / "in.pcap").write_bytes(data + struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 60) + data)
    with pytest.raises(CaptureError, match=r"packet 1: claims 4294967295 captured bytes"):
        packets(tmp_path / "in.pcap")


HEADS = [
    b"",
    struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1),
    struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1),
    struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    + struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20),
]
BLOCKS = st.builds(
    lambda kind, body: (
        struct.pack("<II", kind, 12 + len(body) // 4 * 4)
        + body[: len(body) // 4 * 4]
        + struct.pack("<I", 12 + len(body) // 4 * 4)
    ),
    st.integers(0, 11),
    st.binary(max_size=60) | st.binary(max_size=30).map(lambda data: bytes(20) + data),
)
RECORDS = st.binary(max_size=40).map(
    lambda data: struct.pack("<IIII", 1, 2, len(data), len(data)) + data
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(HEADS),
    st.lists(BLOCKS | RECORDS | st.binary(max_size=8), max_size=5).map(b"".join),
    st.sampled_from(["pcap", "pcapng", "same"]),
)
def test_any_bytes_are_a_copy_or_an_error(
    tmp_path: Path, head: bytes, rest: bytes, suffix: str
) -> None:
    (tmp_path / "in").write_bytes(head + rest)
    try:
        copy(tmp_path / "in", tmp_path / f"out.{suffix}")
    except CaptureError:
        return
    if suffix == "same":
        assert (tmp_path / "out.same").read_bytes() == head + rest
    else:
        assert [packet.data for packet in packets(tmp_path / f"out.{suffix}")] == [
            packet.data for packet in packets(tmp_path / "in")
        ]
