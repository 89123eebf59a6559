"""What a replay needs of memory does not grow with the capture: calls without end through a pipe."""

import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "inline_topo", "replay", "-r", "-", "-w", os.devnull]
RECORD = struct.Struct("<IIII")
# what is new with each call: branches, tags and the Call-ID
NEW = re.compile(rb"(?:branch=z9hG4bK|tag=|Call-ID: )([!-:<-~]{8})")
UDP_CHECKSUM = 14 + 20 + 6  # its offset in these frames; 0 is "none" on IPv4


class Call:
    """The packets of a captured call, which can be had again as another call."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        assert data[:4] == b"\xd4\xc3\xb2\xa1"
        self.header = data[:24]
        self.frames: list[bytes] = []
        position = 24
        while position < len(data):
            length = RECORD.unpack_from(data, position)[2]
            frame = bytearray(data[position + RECORD.size : position + RECORD.size + length])
            frame[UDP_CHECKSUM : UDP_CHECKSUM + 2] = bytes(2)
            self.frames.append(bytes(frame))
            position += RECORD.size + length

    def again(self, number: int) -> Iterator[bytes]:
        """The frames with other identifiers of the same length."""
        new = b"%08x" % number
        for frame in self.frames:
            yield NEW.sub(lambda match: match[0][:-8] + new, frame)

    def capture(self, packets: int) -> Iterator[bytes]:
        """A capture of so many packets, in pieces."""
        yield self.header
        count = number = 0
        while True:
            for frame in self.again(number):
                seconds, rest = divmod(count, 1000)
                length = len(frame)
                yield RECORD.pack(1700000000 + seconds, rest * 1000, length, length) + frame
                count += 1
                if count == packets:
                    return
            number += 1


def peak(call: Call, packets: int, *words: str) -> int:
    """The most memory, in KiB, that a replay of so many packets takes."""
    process = subprocess.Popen(
        [*PROGRAM, "--inside", "192.168.178.10", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin
    assert process.stdout
    with process.stdin as pipe:
        for piece in call.capture(packets):
            pipe.write(piece)
    said = process.stdout.read().decode()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert f"{packets} read, {packets} written" in said
    return usage.ru_maxrss


@pytest.fixture(scope="module")
def call(captures: Path) -> Call:
    return Call(captures / "basic.pcap")


def test_each_call_is_another_one(call: Call) -> None:
    first, second = (b"".join(call.again(number)) for number in (1, 2))
    assert len(first) == len(second)
    assert set(NEW.findall(first)).isdisjoint(NEW.findall(second))


@pytest.mark.full  # of replay alone by default: edges/test_replay.py
def test_ten_times_the_packets_take_no_more_memory(call: Call) -> None:
    assert peak(call, 30_000) < 1.15 * peak(call, 3_000)


@pytest.mark.nightly
def test_a_million_packets_take_no_more_memory(call: Call) -> None:
    assert peak(call, 1_000_000) < 1.15 * peak(call, 30_000)


@pytest.mark.nightly
def test_what_a_leg_remembers_is_bounded(call: Call) -> None:
    """The outside leg remembers what it minted: so many calls, and no more."""
    assert peak(call, 500_000, "--leg", "outside") < 2 * peak(call, 5_000, "--leg", "outside")
