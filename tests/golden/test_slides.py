"""The six messages of the slides, byte for byte in both directions, by the command itself.

The tokens are those of the slides, as literals; the captures hold the whole messages (of the
slides' text, see captures/README.md).
"""
# mypy: allow-untyped-calls

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.utils import rdpcap

CONFIG = """\
profile = "topoh"
inside = ["192.168.178.10"]
own = ["192.168.178.10", "server.com"]

[topoh]
codec = "kamailio"
mask_key = "my secret here"
mask_ip = "10.1.1.10"
"""

ALICE = "sip:10.1.1.10;line=sr-ORylIHvlTJS.IXenCXNciHvPItcZTMWfC6m.T5**"
BOB = "sip:10.1.1.10;line=sr-ORylIHvlCJS.IXenCXNciHvPItcZCHW.C6JRIR.o3-Jp3dJMGHDoC8W*"
INVITE_VIA = (
    "SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-JfymiMenCtp4urS5CX1ZiHvRItc.TM5nCHOBT6SfCXN94v5"
    "pswyRIRDZN80HU6gBI8LqTwDiCMe.CXm0TMNP"
)
BYE_VIA = (
    "SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-JfymiMenCtp4urS5CX1ZiHvRItc.TM5nCHOBT6SfCXN94v5"
    "pswTRIRDZN80HU6gBI8LqTwDiCHO.T6vgTHJPIPDl3PDfhXmlT6vR"
)
CLEAR_INVITE_VIA = "SIP/2.0/UDP 192.168.178.27:40416;branch=z9hG4bK321149767"
CLEAR_BYE_VIA = "SIP/2.0/UDP 192.168.178.27:40416;branch=z9hG4bK271415657;rport=40416"
CLEAR_ALICE = "sip:105@192.168.178.27:40416"
CLEAR_BOB = "sip:101@192.168.178.22:1056;line=mu3z2i1j"

# which lines of which message differ: masked, clear
LINES = {
    2: [
        (f"Via: {INVITE_VIA}", f"Via: {CLEAR_INVITE_VIA}"),
        (f'Contact: "alice" <{ALICE}>', f'Contact: "alice" <{CLEAR_ALICE}>'),
    ],
    3: [(f"Via: {INVITE_VIA}", f"Via: {CLEAR_INVITE_VIA}")],
    4: [(f"Contact: <{BOB}>;reg-id=1", f"Contact: <{CLEAR_BOB}>;reg-id=1")],
    5: [(f"BYE {BOB} SIP/2.0", f"BYE {CLEAR_BOB} SIP/2.0")],
    6: [
        (f"Via: {BYE_VIA}", f"Via: {CLEAR_BYE_VIA}"),
        (f"Contact: <{ALICE}>", f"Contact: <{CLEAR_ALICE}>"),
    ],
}


@pytest.fixture
def replay(tmp_path: Path, command: Callable[..., Any]) -> Callable[[Path, str], Path]:
    """What a leg makes of a capture with the slides' settings."""
    config = tmp_path / "gw.toml"
    config.touch(mode=0o600)
    config.write_text(CONFIG)

    def run(source: Path, leg: str) -> Path:
        target = tmp_path / f"{leg}.pcap"
        ran = command("replay", "-r", source, "-w", target, "-c", config, "--leg", leg)
        assert ran.status == 0, ran.err
        return target

    return run


def messages(path: Path) -> list[str]:
    return [bytes(packet[UDP].payload).decode() for packet in rdpcap(str(path))]


def test_the_outside_leg_makes_the_slides(
    captures: Path, replay: Callable[[Path, str], Path]
) -> None:
    outside = replay(captures / "slides-inside.pcap", "outside")
    assert outside.read_bytes() == (captures / "slides-outside.pcap").read_bytes()


def test_the_inside_leg_opens_the_slides(
    captures: Path, replay: Callable[[Path, str], Path]
) -> None:
    inside = replay(captures / "slides-outside.pcap", "inside")
    assert inside.read_bytes() == (captures / "slides-inside.pcap").read_bytes()


def test_the_tokens_are_those_of_the_slides(
    captures: Path, replay: Callable[[Path, str], Path]
) -> None:
    masked = messages(replay(captures / "slides-inside.pcap", "outside"))
    clear = messages(replay(captures / "slides-outside.pcap", "inside"))
    assert len(masked) == len(clear) == 6
    for number, (outside, inside) in enumerate(zip(masked, clear, strict=True), 1):
        pairs = zip(outside.split("\r\n"), inside.split("\r\n"), strict=True)
        assert [pair for pair in pairs if pair[0] != pair[1]] == LINES.get(number, []), number


def test_the_gateway_masks_what_leaves_and_opens_what_enters(
    captures: Path, replay: Callable[[Path, str], Path]
) -> None:
    outside = messages(captures / "slides-outside.pcap")
    inside = messages(captures / "slides-inside.pcap")
    # 1, 3 and 5 enter the proxy, 2, 4 and 6 leave it
    masked = messages(replay(captures / "slides-inside.pcap", "gateway"))
    assert masked == [inside[0], outside[1], inside[2], outside[3], inside[4], outside[5]]
    opened = messages(replay(captures / "slides-outside.pcap", "gateway"))
    assert opened[::2] == inside[::2]
