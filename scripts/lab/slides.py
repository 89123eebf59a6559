"""The slide traces, written as captures from the text files beside this module."""

import re
import struct
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TEXTS = Path(__file__).parent / "slides"
EPOCH = 1_700_000_000  # the slides show no times: a fixed start keeps the files reproducible
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


class Packet(NamedTuple):
    """One UDP datagram: `source` and `destination` are (IPv4 address, port), `at` in seconds."""

    source: tuple[str, int]
    destination: tuple[str, int]
    at: float
    payload: bytes


def packets(text: str) -> Iterator[Packet]:
    """The messages of a text file: `>>> SOURCE DESTINATION SECONDS`, header lines, `< BODY`."""
    for block in re.split(r"^>>> ", text, flags=re.M)[1:]:
        first, *lines = block.rstrip("\n").split("\n")
        source, destination, seconds = first.split()
        body = b""
        if lines[-1].startswith("< "):
            body = (TEXTS / lines.pop()[2:]).read_bytes().replace(b"\n", b"\r\n")
        head = "".join(f"{line}\r\n" for line in lines).encode()
        payload = head + b"\r\n" + body
        yield Packet(_endpoint(source), _endpoint(destination), float(seconds), payload)


def write_pcap(path: Path, of: Iterator[Packet]) -> int:
    """Write `of` as a classic pcap (Ethernet, microseconds); the number of packets written."""
    count = 0
    with path.open("wb") as out:
        out.write(PCAP_HEADER)
        for count, packet in enumerate(of, 1):
            frame = _frame(packet, ip_id=count)
            microseconds = round(packet.at * 1_000_000)
            seconds = EPOCH + microseconds // 1_000_000
            record = (seconds, microseconds % 1_000_000, len(frame), len(frame))
            out.write(struct.pack("<IIII", *record) + frame)
    return count


def make_topoh(folder: Path) -> dict[str, int]:
    """`slides-inside.pcap` and `slides-outside.pcap`, which differ in the masked values only."""
    text = (TEXTS / "topoh.txt").read_text()
    values = tomllib.loads((TEXTS / "tokens.toml").read_text())
    made = {}
    for side in ("inside", "outside"):
        shown = text
        for name, value in values[side].items():
            shown = shown.replace(f"{{{name}}}", value)
        made[f"slides-{side}.pcap"] = write_pcap(folder / f"slides-{side}.pcap", packets(shown))
    return made


def make_topos(folder: Path) -> dict[str, int]:
    """`topos-slides-inside.pcap` and `topos-slides-outside.pcap`."""
    made = {}
    for side in ("inside", "outside"):
        text = (TEXTS / f"topos-{side}.txt").read_text()
        name = f"topos-slides-{side}.pcap"
        made[name] = write_pcap(folder / name, packets(text))
    return made


def _endpoint(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    return host, int(port)


def _frame(packet: Packet, ip_id: int) -> bytes:
    source, destination = _address(packet.source[0]), _address(packet.destination[0])
    udp_length = 8 + len(packet.payload)
    ports = struct.pack("!HHH", packet.source[1], packet.destination[1], udp_length)
    pseudo = source + destination + struct.pack("!HH", 17, udp_length)
    udp_sum = _checksum(pseudo + ports + bytes(2) + packet.payload) or 0xFFFF
    udp = ports + struct.pack("!H", udp_sum) + packet.payload
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(udp), ip_id, 0, 64, 17)
    ip_sum = struct.pack("!H", _checksum(start + bytes(2) + source + destination))
    ethernet = b"\x02\x00" + destination + b"\x02\x00" + source + b"\x08\x00"
    return ethernet + start + ip_sum + source + destination + udp


def _address(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
