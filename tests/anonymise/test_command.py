"""The command: what it says, what it leaves behind, and that it finds what it was told to hide."""
# mypy: allow-untyped-calls

import json
import re
import struct
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP, defragment, fragment
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw
from scapy.utils import PcapNgReader, rdpcap, wrpcap

from inline_topo.anonymise.originals import users
from inline_topo.anonymise.words import Words
from inline_topo.config.settings import PREFIX

Command = Callable[..., Any]
INSIDE = ("--inside", "192.168.178.10")
INVITE = (
    b"INVITE sip:bob@198.51.100.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
    b"From: <sip:alice@corp.test>;tag=1\r\nContact: <sip:alice@10.0.0.7>\r\n\r\n"
)
BROKEN = b"INVITE sip:bob@198.51.100.2 SIP/2.0\r\nnot a header field of alice\r\n\r\n"


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """SIP that leaves, enters and does not parse; RTP; ARP; SIP between insiders; LLDP."""
    ether = Ether(src="52:54:00:aa:bb:01", dst="52:54:00:aa:bb:02")
    out, back = IP(src="10.0.0.1", dst="198.51.100.2"), IP(src="198.51.100.2", dst="10.0.0.1")
    sip, rtp = UDP(sport=5060, dport=5060), UDP(sport=4000, dport=4002)
    packets = [
        ether / out / sip / Raw(INVITE),
        ether / back / sip / Raw(b"SIP/2.0 180 Ringing\r\nTo: <sip:bob@corp.test>\r\n\r\n"),
        ether / back / sip / Raw(BROKEN),
        ether / out / rtp / Raw(b"\x80\x00voice of alice"),
        ether / ARP(hwsrc="52:54:00:aa:bb:01", psrc="10.0.0.1", pdst="10.0.0.2"),
        ether / IP(src="10.0.0.1", dst="10.0.0.2") / sip / Raw(INVITE),
        Ether(src="52:54:00:aa:bb:01", dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(b"switch-7"),
    ]
    for number, packet in enumerate(packets):
        packet.time = 1700000000.5 + number
    wrpcap(str(tmp_path / "mixed.pcap"), packets)
    return tmp_path / "mixed.pcap"


def shared(command: Command, source: Path, *words: str | Path, status: int = 0) -> Any:
    target = source.parent / "shared.pcap"
    inside = ("--inside", "10.0.0.0/8")
    ran = command("replay", "--anonymise", "-r", source, "-w", target, *inside, *words)
    assert ran.status == status, ran.err
    return ran


def test_counts_what_it_did(command: Command, mixed: Path) -> None:
    report = json.loads(shared(command, mixed, "--json").out)
    assert (report["packets_read"], report["packets_written"], report["left_out"]) == (7, 5, 1)
    more = report["anonymised"]
    assert (more["messages"], more["unreadable_sip"], more["payloads_dropped"]) == (2, 1, 2)
    assert more["frames_left_out"] == 1
    assert more["looked_for"]["user_names"] == 2  # alice, bob
    assert more["looked_for"]["host_names"] == 1


def test_says_what_it_did(command: Command, mixed: Path) -> None:
    ran = shared(command, mixed)
    said = dict(line.split(None, 1) for line in ran.out.splitlines())
    assert said["packets"] == "7 read, 5 written"
    assert said["SIP"] == "2 messages with pseudonyms"
    assert said["searched"].endswith("none shows")
    assert ran.err == ""


@pytest.mark.parametrize(("how", "rest"), [("drop", b""), ("zero", bytes(16))])
def test_payloads_go_or_are_zeros(command: Command, mixed: Path, how: str, rest: bytes) -> None:
    shared(command, mixed, "--payloads", how)
    packets = rdpcap(str(mixed.parent / "shared.pcap"))
    assert bytes(packets[3])[42:] == rest
    assert packets[3].wirelen == 14 + 20 + 8 + 16
    assert (packets[3][IP].src, packets[3][UDP].dport) == (packets[0][IP].src, 4002)
    assert packets[4][ARP].psrc == packets[0][IP].src
    assert packets[4][ARP].hwsrc == packets[0][Ether].src


@pytest.mark.parametrize(("words", "stays"), [((), False), (("--set", "profile=default"), True)])
def test_the_profile_is_strict_unless_said(
    command: Command, tmp_path: Path, words: tuple[str, ...], stays: bool
) -> None:
    message = INVITE.replace(b"\r\n\r\n", b"\r\nUser-Agent: Asterisk PBX 18\r\n\r\n")
    packet = Ether() / IP(src="10.0.0.1", dst="198.51.100.2") / UDP(sport=5060, dport=5060)
    wrpcap(str(tmp_path / "in.pcap"), packet / Raw(message))
    shared(command, tmp_path / "in.pcap", *words)
    [new] = rdpcap(str(tmp_path / "shared.pcap"))
    assert (b"\r\nUser-Agent: Asterisk PBX 18\r\n" in bytes(new)) is stays


def test_what_stands_behind_a_datagram_goes(command: Command, tmp_path: Path) -> None:
    """With the message: bytes behind the UDP length are refused as they leave."""
    udp = UDP(sport=5060, dport=5060, len=8 + len(INVITE))
    packet = Ether() / IP(src="10.0.0.1", dst="198.51.100.2") / udp / Raw(INVITE + b"SECRET")
    wrpcap(str(tmp_path / "in.pcap"), packet)
    ran = shared(command, tmp_path / "in.pcap")
    assert "refused" in ran.out.lower()
    assert not rdpcap(str(tmp_path / "shared.pcap"))


def test_fragments_stay_fragments(command: Command, tmp_path: Path) -> None:
    message = INVITE.replace(b"\r\n\r\n", b"\r\nX: " + b"alice " * 300 + b"\r\n\r\n")
    whole = Ether() / IP(src="10.0.0.1", dst="198.51.100.2") / UDP(sport=5060, dport=5060)
    pieces = [*fragment(whole / Raw(message)), *fragment(whole / Raw(b"voice of alice" * 200))]
    wrpcap(str(tmp_path / "in.pcap"), pieces)
    report = json.loads(shared(command, tmp_path / "in.pcap", "--json").out)
    assert report["fragments"]["datagrams"] == 2
    assert report["anonymised"]["messages"] == 1
    packets = list(rdpcap(str(tmp_path / "shared.pcap")))
    assert not [packet for packet in packets if b"alice" in bytes(packet)]
    sip, voice = packets[:-2], packets[-2:]
    [again] = defragment([packet[IP] for packet in sip])
    assert bytes(again[UDP].payload).startswith(b"INVITE sip:u")
    checksum = again[UDP].chksum
    del again[UDP].chksum
    assert IP(bytes(again))[UDP].chksum == checksum
    assert [len(packet) for packet in voice] == [14 + 20 + 8, 14 + 20]


def test_time_stays_unless_rebased(command: Command, mixed: Path) -> None:
    target = mixed.parent / "shared.pcap"
    shared(command, mixed)
    assert [float(packet.time) for packet in rdpcap(str(target))][:2] == [
        1700000000.5,
        1700000001.5,
    ]
    shared(command, mixed, "--rebase-time")
    assert [float(packet.time) for packet in rdpcap(str(target))][:2] == [0.0, 1.0]


def test_a_key_makes_the_same_pseudonyms(command: Command, mixed: Path, tmp_path: Path) -> None:
    target = mixed.parent / "shared.pcap"
    command("keygen", "-o", tmp_path / "share.key")
    made = []
    for words in ((), (), ("--pseudonym-key", tmp_path / "share.key")):
        for _ in range(1 + bool(words)):
            shared(command, mixed, *words)
            made.append(target.read_bytes())
    assert made[0] != made[1]
    first, again = made[2:]
    assert b"alice" not in first
    # the tokens of masking have a key of their own in each run, and their pseudonyms differ
    assert rdpcap_text(first)[1] == rdpcap_text(again)[1]


def rdpcap_text(data: bytes) -> list[bytes]:
    texts, at = [], 24
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        texts.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return texts


@pytest.mark.parametrize("leak", [b"alice", b"corp.test", b"198.51.100.2"])
def test_a_name_that_shows_leaves_nothing_behind(
    command: Command, mixed: Path, monkeypatch: pytest.MonkeyPatch, leak: bytes
) -> None:
    """Were a rule wrong, the search would say so."""
    rewrite = Words.rewrite

    def leaky(self: Words, text: bytes, **options: bool) -> bytes:
        return rewrite(self, text, **options) + (b" " + leak if leak in text else b"")

    monkeypatch.setattr(Words, "rewrite", leaky)
    ran = shared(command, mixed, status=1)
    assert leak.decode() in ran.err
    assert re.search("would show in what packet [12] becomes: nothing is written", ran.err)
    assert {path.name for path in mixed.parent.iterdir()} == {"mixed.pcap"}


def test_pcapng_keeps_no_name_of_its_own(command: Command, captures: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "named.pcapng", tmp_path / "shared.pcapng"
    secret = b"SECRET"
    data = (captures / "prack.pcapng").read_bytes()
    size = struct.unpack_from("<I", data, 4)[0]
    # blocks of names (4) and of decryption secrets (10), and a comment in the section header
    blocks = b"".join(
        struct.pack("<II", kind, 28) + secret.ljust(16, b"\0") + struct.pack("<I", 28)
        for kind in (4, 10)
    )
    comment = struct.pack("<HH", 1, 6) + secret + bytes(2) + bytes(4)
    header = data[: size - 4]
    header = header[:4] + struct.pack("<I", 28 + len(comment)) + header[8:24]
    header += comment + struct.pack("<I", 28 + len(comment))
    source.write_bytes(header + data[size:] + blocks)
    ran = command("replay", "--anonymise", "-r", source, "-w", target, *INSIDE)
    assert ran.status == 0, ran.err
    assert secret in source.read_bytes()
    assert secret not in target.read_bytes()
    with PcapNgReader(str(target)) as packets:
        assert len(list(packets)) == json_of(captures)["prack.pcapng"]
    assert b"tcpdump" not in target.read_bytes()


def json_of(captures: Path) -> dict[str, int]:
    index = tomllib.loads((captures / "INDEX.toml").read_text())
    return {name: entry.get("packets", entry["messages"]) for name, entry in index.items()}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--anonymise", "--leg", "inside"), "--leg inside does not go with it"),
        (("--payloads", "zero"), "go with --anonymise"),
        (("--rebase-time",), "go with --anonymise"),
        (("--anonymise", "-w", "-"), "is no file"),
    ],
)
def test_what_does_not_go_together(
    command: Command, mixed: Path, words: tuple[str, ...], reason: str
) -> None:
    target = mixed.parent / "shared.pcap"
    ran = command("replay", "-r", mixed, "-w", target, "--inside", "10.0.0.0/8", *words)
    assert ran.status == 2
    assert reason in " ".join(ran.err.split())
    assert not target.exists()


def test_a_key_must_be_a_key_ring(command: Command, mixed: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    ran = shared(command, mixed, "--pseudonym-key", key, status=78)
    assert "not a key ring" in ran.err


@pytest.mark.parametrize(
    "contact",
    [
        b'<sip:alice@10.0.0.7>;x="1";reg-id=1;+sip.instance="<urn:uuid:1>"',
        b'sip:alice@10.0.0.7;x="1";+sip.instance="<urn:uuid:1>"',
        b'"Alice Smith" <sip:alice@10.0.0.7>;x="1, 2" ;+sip.instance="<urn:uuid:1>"',
    ],
)
def test_what_stands_between_quotes_is_nobody(
    command: Command, tmp_path: Path, contact: bytes
) -> None:
    message = INVITE.replace(b"<sip:alice@10.0.0.7>", contact)
    packet = IP(src="10.0.0.1", dst="198.51.100.2") / UDP(sport=5060, dport=5060) / Raw(message)
    source = tmp_path / "quoted.pcap"
    wrpcap(str(source), [packet])
    target = tmp_path / "shared.pcap"
    ran = command("replay", "--anonymise", "-r", source, "-w", target, "--inside", "10.0.0.1")
    assert ran.status == 0, ran.err
    written = bytes(rdpcap(str(target))[0][Raw])
    assert b'+sip.instance="<urn:uuid:' in written
    for name in (b"alice", b"smith", b"10.0.0.7"):
        assert name not in written.lower()


def test_a_display_name_in_quotes_is_somebody() -> None:
    text = b'Contact: "Alice \\" Smith" <sip:a1b2@10.0.0.7>;x="bob";y="<carol>"\r\n'
    assert {b"alice", b"smith"} <= {*users(text)}
    assert not {b"bob", b"carol"} & {*users(text)}
