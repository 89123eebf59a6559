"""`inline-topo reveal`: opens what was sealed, and says with which key."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw
from scapy.utils import wrpcap

from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.keyring import KeyRing

Command = Callable[..., tuple[int, str, str]]

KAMAILIO = (
    *("--inside", "192.168.178.10", "--set", "topoh.codec=kamailio"),
    *("--set", "topoh.mask_key=my secret here"),
)
URI = "sip:10.1.1.10;line=sr-ORylIHvlCJS.IXenCXNciHvPItcZCHW.C6JRIR.o3-Jp3dJMGHDoC8W*"
VIA = (
    "SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-JfymiMenCtp4urS5CX1ZiHvRItc.TM5nCHOBT6SfCXN94v5psw"
    "yRIRDZN80HU6gBI8LqTwDiCMe.CXm0TMNP"
)


@pytest.mark.parametrize(
    ("value", "kind", "clear"),
    [
        (URI, "URI", "sip:101@192.168.178.22:1056;line=mu3z2i1j"),
        (f'Contact: "b" <{URI};ob>;expires=60', "URI", "sip:101@192.168.178.22:1056;line=mu3z2i1j"),
        (URI.partition("sr-")[2], "URI", "sip:101@192.168.178.22:1056;line=mu3z2i1j"),
        (URI.partition("line=")[2], "URI", "sip:101@192.168.178.22:1056;line=mu3z2i1j"),
        (VIA, "Via", "SIP/2.0/UDP 192.168.178.27:40416;branch=z9hG4bK321149767"),
        (
            VIA.partition("branch=")[2],
            "Via",
            "SIP/2.0/UDP 192.168.178.27:40416;branch=z9hG4bK321149767",
        ),
    ],
)
def test_the_tokens_of_the_slides(command: Command, value: str, kind: str, clear: str) -> None:
    status, out, _ = command("reveal", value, *KAMAILIO)
    assert (status, out) == (0, f"{kind}:\n  {clear}\n")


@pytest.fixture
def ring(tmp_path: Path) -> tuple[KeyRing, Path]:
    """A ring whose active key is 2 and whose stable one is 1."""
    ring = KeyRing.generate().rotate()
    ring.save(tmp_path / "mask.key")
    return ring, tmp_path / "mask.key"


@pytest.mark.parametrize("stable", [False, True])
def test_which_key(command: Command, ring: tuple[KeyRing, Path], stable: bool) -> None:
    keys, path = ring
    clear = b"sip:a@10.1.1.30:5070"
    token = AesSiv(keys).seal_uri(clear, b"192.0.2.1", stable=stable, bare=False)
    words = ("--inside", "10.1.1.10", "--set", f"topoh.mask_key_file={path}")
    for value in (token.decode(), token.decode()[4:].partition("@")[0]):
        status, out, _ = command("reveal", value, *words)
        key = keys.stable if stable else keys.active
        assert (status, out) == (0, f"URI, key {key}:\n  sip:a@10.1.1.30:5070\n")


MESSAGE = b"""SIP/2.0 180 Ringing
Via: SIP/2.0/UDP 10.1.1.10;branch=%b
Via: %b
From: <sip:a@example.com>;tag=1
Call-ID: 1@2
CSeq: 7 INVITE

"""


def via_token(keys: KeyRing, context: bytes) -> bytes:
    """A token for two Vias, the only one below the topmost."""
    lines = b"SIP/2.0/UDP 10.1.1.30;branch=z9hG4bK3\r\nVia: SIP/2.0/UDP 10.1.1.31;branch=z9hG4bK4"
    first = lines.index(b"\r\n")
    spans = [(0, first), (first + 7, len(lines))]
    ((_, _, token),) = AesSiv(keys).seal_vias(lines, spans, b"192.0.2.1", b"", context)
    return token


BRANCHES = {
    b"z9hG4bK" + b"a" * 20: b"=z9hG4bK" + b"a" * 20,
    b"z9hG4bK7": b"+z9hG4bK7 1@2 7 1",
}


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_via_that_stands_for_several(
    command: Command, ring: tuple[KeyRing, Path], tmp_path: Path, branch: bytes
) -> None:
    keys, path = ring
    token = via_token(keys, BRANCHES[branch])
    message = MESSAGE % (branch, token)
    packet = IP(src="198.51.100.2", dst="10.1.1.10") / UDP(sport=5060, dport=5060) / Raw(message)
    wrpcap(str(tmp_path / "a.pcap"), [packet])
    words = ("--inside", "10.1.1.10", "--set", f"topoh.mask_key_file={path}")
    from_capture = command("reveal", token.decode(), "-r", str(tmp_path / "a.pcap"), *words)
    for status, out, _ in (command("reveal", message.decode(), *words), from_capture):
        assert status == 0
        assert re.findall(r"10\.1\.1\.\d+;branch=\S+", out) == [
            "10.1.1.30;branch=z9hG4bK3",
            "10.1.1.31;branch=z9hG4bK4",
        ]
        assert out.startswith("Via, key 2:\n")


def test_a_via_alone_does_not_open(command: Command, ring: tuple[KeyRing, Path]) -> None:
    token = via_token(ring[0], b"=z9hG4bK" + b"a" * 20)
    words = ("--inside", "10.1.1.10", "--set", f"topoh.mask_key_file={ring[1]}")
    status, out, err = command("reveal", token.decode(), *words)
    assert (status, out) == (1, "")
    assert "a Via opens with its whole message" in err


def test_the_host_of_a_from(command: Command, ring: tuple[KeyRing, Path]) -> None:
    token = AesSiv(ring[0]).seal_host(b"10.1.1.30:5070", bare=False)
    words = ("--inside", "10.1.1.10", "--set", f"topoh.mask_key_file={ring[1]}")
    status, out, _ = command("reveal", f"<sip:a@10.1.1.10;hid={token.decode()}>", *words)
    assert (status, out) == (0, "host of From or To, key 1:\n  sip:10.1.1.30:5070\n")


def test_a_call_id_both_ways(command: Command, ring: tuple[KeyRing, Path]) -> None:
    words = (
        *("--inside", "10.1.1.0/24", "--set", f"topoh.mask_key_file={ring[1]}"),
        *("--set", "topoh.mask_callid=true"),
    )
    status, out, _ = command("reveal", "17@10.1.1.30", *words)
    assert status == 0
    outside = re.search(r"^Call-ID made inside; the outside sees:\n  (!!:\S+)$", out, re.MULTILINE)
    assert outside
    status, out, _ = command("reveal", outside[1], *words)
    assert (status, out) == (0, "Call-ID, key 1:\n  17@10.1.1.30\n")


@pytest.mark.parametrize(
    "value",
    ["sip:a@10.1.1.30", "17@10.1.1.30", URI[:-2] + "X*", "", "A" * 40, URI.replace("sr-", "x")],
)
def test_nothing_opens(command: Command, value: str) -> None:
    status, out, err = command("reveal", value, *KAMAILIO)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("inline-topo: nothing in it opens")


def test_another_key_opens_nothing(command: Command, ring: tuple[KeyRing, Path]) -> None:
    token = AesSiv(KeyRing.generate()).seal_uri(
        b"sip:a@10.1.1.30", b"192.0.2.1", stable=False, bare=False
    )
    words = ("--inside", "10.1.1.10", "--set", f"topoh.mask_key_file={ring[1]}")
    assert command("reveal", token.decode(), *words)[0] == 1


def test_no_key_is_78(command: Command) -> None:
    status, out, err = command("reveal", URI, "--inside", "10.1.1.10")
    assert (status, out) == (78, "")
    assert "topoh.mask_key_file" in err
