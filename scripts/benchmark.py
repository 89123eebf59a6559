"""Measures the packet path on calls made of a capture of this project.

Every call is a new one, with branches, tags and Call-ID of its own; each packet is given as the
gateway would meet it: in clear where it leaves, and with the tokens that a peer sends back where it
enters. Times are CPU on this machine, the best of several runs on a fresh gateway: compare
figures of one run with each other, not with those of another machine.
"""

import argparse
import gc
import json
import re
import statistics
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from scapy.utils import RawPcapReader, RawPcapWriter

from inline_topo import assemble, config
from inline_topo import gateway as packet_path
from inline_topo.assemble import Leg
from inline_topo.edges.capture import create_capture, open_capture
from inline_topo.edges.replay import replay
from inline_topo.gateway import Ask, Gateway, Verdict
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.flow import Direction
from inline_topo.wire import ip

ROOT = Path(__file__).resolve().parent.parent
CAPTURES = ROOT / "captures"
CALL = CAPTURES / "basic.pcap"
ETHERNET = 14
KAMAILIO = {
    "topoh.codec": "kamailio",
    "topoh.mask_key": "my secret here",
    "topoh.mask_ip": "10.1.1.10",
}
CODECS: Mapping[str, tuple[Mapping[str, object], bool]] = {
    "aes-siv": ({}, True),
    "aes-siv-pycryptodome": ({}, False),
    "kamailio": (KAMAILIO, True),
}
PROFILES: Mapping[str, Mapping[str, object]] = {
    "topoh": {"profile": "topoh"},
    "default": {},
    "strict, without the audit": {"profile": "strict", "audit": 0},
}
REGISTER = b"""REGISTER sip:server.com SIP/2.0
Via: SIP/2.0/UDP 192.168.178.10;branch=z9hG4bKcf3b.{id}.0
Via: SIP/2.0/UDP 192.168.178.27:40416;branch=z9hG4bK{id};rport=40416
Path: <sip:192.168.178.11;lr>
From: "alice" <sip:alice@server.com>;tag={id}
To: <sip:alice@server.com>
Call-ID: {id}@192.168.178.27
CSeq: 50 REGISTER
Contact: <sip:alice@192.168.178.27:40416>;reg-id=1;expires=3600
Max-Forwards: 69
User-Agent: Grandstream GXV3140 1.0.7.3
Supported: path
Content-Length: 0

"""
OPTIONS = b"""OPTIONS sip:192.168.178.22 SIP/2.0
Via: SIP/2.0/UDP 192.168.178.10;branch=z9hG4bKcf3b.{id}.0
From: <sip:ping@server.com>;tag={id}
To: <sip:192.168.178.22>
Call-ID: {id}@192.168.178.10
CSeq: 10 OPTIONS
Max-Forwards: 70
Content-Length: 0

"""


def gateway(
    codec: str,
    leg: Leg,
    ring: KeyRing,
    inside: Sequence[str] = ("192.168.178.10",),
    profile: str = "default",
) -> Gateway:
    """A gateway with one of CODECS and one of PROFILES."""
    settings, fast = CODECS[codec]
    overrides = {"inside": list(inside), **settings, **PROFILES[profile]}
    made = config.load(None, env={}, overrides=overrides, key_ring_given=True)
    return assemble.gateway(made, leg, ring=None if settings else ring, fast=fast)


def judged(gateway: "Gateway | Answered", packet: bytes) -> Verdict:
    verdict = gateway.handle(packet, 0.0)
    assert isinstance(verdict, Verdict)
    return verdict


class Answered:
    """A gateway in mode topos whose store, in memory or in a file, answers at once."""

    def __init__(self, leg: Leg, ring: KeyRing, store: str) -> None:
        overrides = {"inside": ["192.168.178.10"], "mode": "topos", "topos.store": store}
        made = config.load(None, env={}, overrides=overrides, key_ring_given=True)
        self._judge = assemble.gateway(made, leg, ring=ring).handle
        self._perform = assemble.store(made).perform

    def handle(self, packet: bytes, now: float) -> Verdict:
        """The verdict, whatever had to be asked."""
        verdict = self._judge(packet, now)
        while isinstance(verdict, Ask):
            verdict = verdict.resume(self._perform([verdict.effect])[0])
        return verdict


def packets(capture: Path) -> list[bytes]:
    """The IP packets of an Ethernet capture."""
    return [frame[ETHERNET:] for frame, _ in RawPcapReader(str(capture))]


def with_payload(packet: bytes, payload: bytes) -> bytes:
    datagram = ip.decode(packet)
    assert not isinstance(datagram, str)
    return ip.encode(datagram, payload, ip.checksum_state(datagram))


def new_calls(template: list[bytes], count: int) -> Iterator[list[bytes]]:
    """The packets of `template` with other branches, tags, Call-IDs and sessions, of the same lengths."""
    payloads = []
    for packet in template:
        datagram = ip.decode(packet)
        assert not isinstance(datagram, str)
        payloads.append(datagram.payload)
    found = re.compile(rb"(?:;branch=z9hG4bK|;tag=|ftag=|Call-ID: |\no=\S+ )([^\s;>@,]+)")
    words = sorted({word for text in payloads for word in found.findall(text)}, key=len)
    for number in range(count):
        replaced = payloads
        for word in reversed(words):
            fresh = _fresh(word, number)
            replaced = [text.replace(word, fresh) for text in replaced]
        yield [with_payload(p, text) for p, text in zip(template, replaced, strict=True)]


def _fresh(word: bytes, number: int) -> bytes:
    """Another word of the same length, another for each number (an affix of the word is kept)."""
    digits = b"%06d" % number
    return word[: len(word) - len(digits)] + digits if len(word) > len(digits) else word


def as_met(calls: Iterator[list[bytes]], outside: "Gateway | Answered") -> list[bytes]:
    """Each packet on the side where it enters the gateway."""
    met = []
    for call in calls:
        for packet in call:
            verdict = judged(outside, packet)
            met.append(verdict.packet if verdict.direction is Direction.INGRESS else packet)
    return met


def requests(text: bytes, template: bytes, count: int) -> list[bytes]:
    """`count` requests that leave, with ids of their own, in the IP header of `template`."""
    text = text.replace(b"\n", b"\r\n")
    return [with_payload(template, text.replace(b"{id}", b"%09x" % i)) for i in range(count)]


def microseconds(make: "Callable[[], Gateway | Answered]", stream: list[bytes], runs: int) -> float:
    """CPU time of `handle` a packet, the best of `runs`: what is more, other programs cost."""
    figures = []
    for _ in range(runs):
        handle = make().handle
        handle(stream[0], 0.0)
        gc.collect()
        gc.freeze()
        start = time.process_time_ns()
        for packet in stream:
            handle(packet, 0.0)
        figures.append((time.process_time_ns() - start) / 1000 / len(stream))
        gc.unfreeze()
    return min(figures)


def replay_rate(stream: list[bytes], ring: KeyRing) -> float:
    """Packets a second of wall time from one capture file to another."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.pcap", Path(folder) / "out.pcap"
        with RawPcapWriter(str(source), linktype=1) as file:
            for packet in stream:
                file.write(bytes(12) + b"\x08\x00" + packet)
        masking = gateway("aes-siv", Leg.GATEWAY, ring)
        start = time.perf_counter()
        with open_capture(str(source)) as capture, create_capture(str(target), capture) as writer:
            report = replay(capture, writer, masking)
        took = time.perf_counter() - start
        assert report.packets_written == len(stream)
        return len(stream) / took


def bytes_added(ring: KeyRing) -> dict[str, float]:
    """What masking adds to a message that it changes: Kamailio's own captures against the same
    messages masked by us."""
    entries = tomllib.loads((CAPTURES / "INDEX.toml").read_text())
    added: dict[str, list[int]] = {"topoh": [], **{codec: [] for codec in CODECS}}
    del added["aes-siv-pycryptodome"]
    for name, entry in entries.items():
        if not name.endswith("-topoh.pcap"):
            continue
        inside = entry["inside"]
        to_clear = gateway("kamailio", Leg.INSIDE, ring, inside)
        ours = {
            codec: gateway(codec, Leg.GATEWAY, ring, inside) for codec in added if codec != "topoh"
        }
        for packet in packets(CAPTURES / name):
            opened = judged(to_clear, packet)
            if opened.direction is not Direction.EGRESS or not opened.edits:
                continue
            clear = len(opened.packet)
            added["topoh"].append(len(packet) - clear)
            for codec, masking in ours.items():
                added[codec].append(len(judged(masking, opened.packet).packet) - clear)
    return {codec: round(statistics.mean(sizes), 1) for codec, sizes in added.items()}


def measure(calls: int, runs: int) -> dict[str, Any]:
    """All figures."""
    ring = KeyRing.generate()
    template = packets(CALL)
    egress = template[2]
    figures: dict[str, Any] = {
        "compiled": packet_path.__file__.endswith(".so"),
        "packets_a_call": len(template),
    }
    streams: dict[str, Callable[[str], list[bytes]]] = {
        "handle_us_per_packet": lambda codec: as_met(
            new_calls(template, calls), gateway(codec, Leg.OUTSIDE, ring)
        ),
        "register_us_per_packet": lambda codec: requests(REGISTER, egress, calls * 4),
        "options_us_per_packet": lambda codec: requests(OPTIONS, egress, calls * 4),
    }
    for name, stream in streams.items():
        figures[name] = {}
        for codec in CODECS:
            make = partial(gateway, codec, Leg.GATEWAY, ring)
            figures[name][codec] = round(microseconds(make, stream(codec), runs), 2)
    figures["profile_us_per_packet"] = {
        profile: _profile(profile, template, ring, calls, runs) for profile in PROFILES
    }
    figures["topos_us_per_packet"] = _topos(template, ring, calls, runs)
    call_stream = streams["handle_us_per_packet"]("aes-siv")
    figures["replay_packets_per_s"] = round(replay_rate(call_stream * 4, ring))
    figures["bytes_added_per_message"] = bytes_added(ring)
    return figures


def _profile(profile: str, template: list[bytes], ring: KeyRing, calls: int, runs: int) -> float:
    """The same calls under another profile, whose tokens a peer sends back."""
    outside = gateway("aes-siv", Leg.OUTSIDE, ring, profile=profile)
    stream = as_met(new_calls(template, calls), outside)
    make = partial(gateway, "aes-siv", Leg.GATEWAY, ring, profile=profile)
    return round(microseconds(make, stream, runs), 2)


def _topos(template: list[bytes], ring: KeyRing, calls: int, runs: int) -> dict[str, float]:
    """The same calls in mode topos, by store; its time is in the figure."""
    stream = as_met(new_calls(template, calls), Answered(Leg.OUTSIDE, ring, "memory:"))
    numbers = count()
    with tempfile.TemporaryDirectory() as folder:

        def file() -> Answered:
            return Answered(Leg.GATEWAY, ring, f"sqlite:///{folder}/{next(numbers)}.db")

        makers: dict[str, Callable[[], Answered]] = {
            "memory": partial(Answered, Leg.GATEWAY, ring, "memory:"),
            "sqlite": file,
        }
        return {name: round(microseconds(make, stream, runs), 2) for name, make in makers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    parser.add_argument("--calls", type=int, default=400, metavar="N", help="calls (default 400)")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs (default 5)")
    options = parser.parse_args()
    figures = measure(options.calls, options.runs)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    for name, figure in figures.items():
        if isinstance(figure, dict):
            print(f"{name}:")
            for codec, value in figure.items():
                print(f"  {codec:<26}{value:>6}")
        else:
            print(f"{name}: {figure}")


if __name__ == "__main__":
    main()
