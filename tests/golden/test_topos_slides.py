"""Mode topos beside Kamailio's: the messages of the slides, and calls through a real Kamailio."""
# mypy: allow-untyped-calls

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcap

from tests.masking.network import RING

SLIDES = {"inside": ["200.10.10.100"], "own": ["200.10.10.100", "siplab01z.asipto.com"]}
PROXY = "192.168.178.10"
LAB = {"inside": ["192.168.178.10"], "own": ["192.168.178.10", "server.com"]}

Replay = Callable[..., Path]


@pytest.fixture
def replay(tmp_path: Path, command: Callable[..., Any]) -> Replay:
    """What a leg makes of a capture, with one store."""
    RING.save(tmp_path / "mask.key")

    def run(source: Path, leg: str, hosts: dict[str, list[str]]) -> Path:
        config = tmp_path / "gw.toml"
        config.touch(mode=0o600)
        config.write_text(
            'mode = "topos"\n'
            f"inside = {hosts['inside']}\nown = {hosts['own']}\n"
            '[topoh]\nmask_key_file = "mask.key"\n'
            f'[topos]\nstore = "sqlite:///{tmp_path}/dialogs.db"\n'
            "[hide]\nsdp = false\n"
        )
        target = tmp_path / f"{leg}.pcap"
        ran = command("replay", "-r", source, "-w", target, "-c", config, "--leg", leg)
        assert ran.status == 0, ran.err
        return target

    return run


def messages(path: Path) -> list[str]:
    return [bytes(p[UDP].payload).decode() for p in rdpcap(str(path)) if UDP in p]


def without_ids(message: str) -> list[str]:
    """The lines without their order (Kamailio's topos puts what it rewrites last), ids levelled."""
    return sorted(re.sub(r"([ab]tpsh)-[0-9a-f-]+@", r"\1@", message).split("\r\n"))


def fields(message: str) -> list[str]:
    """The names of the header fields, sorted."""
    lines = message.partition("\r\n\r\n")[0].split("\r\n")[1:]
    return sorted(line.partition(":")[0] for line in lines)


def test_the_outside_sees_the_slides(captures: Path, replay: Replay) -> None:
    ours = messages(replay(captures / "topos-slides-inside.pcap", "outside", SLIDES))
    theirs = messages(captures / "topos-slides-outside.pcap")
    assert len(ours) == len(theirs) == 6
    for mine, shown in zip(ours, theirs, strict=True):
        assert without_ids(mine) == without_ids(shown)
    assert "btpsh-" in ours[1]
    assert "atpsh-" in ours[3]
    assert re.findall("btpsh-[0-9a-f]+", ours[4]) == re.findall("btpsh-[0-9a-f]+", ours[1])


def test_the_slides_come_back(captures: Path, replay: Replay) -> None:
    source = captures / "topos-slides-inside.pcap"
    outside = replay(source, "outside", SLIDES)
    assert outside.read_bytes() != source.read_bytes()
    assert replay(outside, "inside", SLIDES).read_bytes() == source.read_bytes()


def plain(packets: list[Any]) -> list[Any]:
    """A call through Kamailio with topos as it would have been without: each message that it received
    with what it had taken out of the one that came before, each that it sent as the plain proxy of
    the same laboratory sends it (captures/basic.pcap): with the Vias and Contact of the one received,
    and a Record-Route in the INVITE."""
    route = f"Record-Route: <sip:{PROXY};lr>"
    views = []
    contact = "sip:bob@192.168.178.22:5060;line=mu3z2i1j"
    via_of: dict[str, str] = {}
    received: dict[str, str] = {}
    for packet in packets:
        lines = text_of(packet).split("\r\n")
        cseq = value(lines, "CSeq")
        is_invite = cseq.endswith("INVITE")
        sent, is_request = packet[IP].src == PROXY, not lines[0].startswith("SIP")
        if is_request and not sent and "tpsh-" in lines[0]:
            lines[0] = re.sub(r"sip:atpsh\S+", contact, lines[0])
            lines.insert(2, f"Route: <sip:{PROXY};lr>")
        elif is_request and sent:
            at = next(i for i, line in enumerate(lines) if line.startswith("Via:"))
            lines.insert(at + 1, f"Via: {via_of[cseq]}")
            lines = [line for line in lines if not line.startswith("Contact:")]
            if "Contact" in received:
                lines.insert(at + 2, f"Contact: {received['Contact']}")
            if is_invite:
                lines.insert(1, route)
        elif not is_request and not sent:
            at = next(i for i, line in enumerate(lines) if line.startswith("Via:"))
            lines.insert(at + 1, f"Via: {via_of[cseq]}")
            if is_invite:
                lines.insert(at + 2, route)
        elif not is_request and is_invite and " 100 " not in lines[0]:
            lines = [line for line in lines if not line.startswith("Contact:")]
            lines.insert(1, f"Contact: {received['Contact']}")
            lines.insert(1, route)
        elif not is_request and "Contact" in received and " 100 " not in lines[0]:
            lines.insert(1, f"Contact: {received['Contact']}")
        if not sent:
            received = {name: value(lines, name) for name in ("Contact",) if value(lines, name)}
            if is_request:
                via_of[cseq] = value(lines, "Via").replace(
                    ";rport", ";received=192.168.178.27;rport=5060"
                )
        view = packet.copy()
        view[UDP].remove_payload()
        view = view / Raw("\r\n".join(lines).encode())
        del view[IP].len, view[IP].chksum, view[UDP].len, view[UDP].chksum
        view.wirelen = len(view)  # the original's, else
        views.append(view)
    return views


def value(lines: list[str], name: str) -> str:
    """The first value of a header field."""
    return next((line.split(": ", 1)[1] for line in lines if line.startswith(f"{name}: ")), "")


def text_of(packet: Any) -> str:
    return bytes(packet[UDP].payload).decode()


def test_the_header_fields_are_those_of_a_real_kamailio(
    tmp_path: Path, oracle: Path, replay: Replay
) -> None:
    """Kamailio puts a Contact into the ACK that it forwards, where the caller wrote none; a gateway
    adds no header fields. And of a Contact it keeps the display name and the parameters."""
    capture = oracle / "kamailio-topos-calls.pcap"
    packets = [packet for packet in rdpcap(str(capture)) if UDP in packet]
    wrpcap(str(tmp_path / "plain.pcap"), plain(packets))
    ours = messages(replay(tmp_path / "plain.pcap", "outside", LAB))
    assert len(ours) == len(packets) == 26
    for number, (mine, packet) in enumerate(zip(ours, packets, strict=True)):
        theirs = text_of(packet)
        added = ["Contact"] if number % 13 == 8 else []
        assert sorted([*fields(mine), *added]) == fields(theirs), number
        assert without_contacts(mine) == without_contacts(theirs), number
        if "Contact" in fields(mine):
            assert re.findall("Contact: .*<sip:([ab])tpsh-", mine) == re.findall(
                "Contact: <sip:([ab])tpsh-", theirs
            )


def test_a_real_kamailios_calls_come_back(tmp_path: Path, oracle: Path, replay: Replay) -> None:
    packets = [p for p in rdpcap(str(oracle / "kamailio-topos-calls.pcap")) if UDP in p]
    source = tmp_path / "plain.pcap"
    wrpcap(str(source), plain(packets))
    outside = replay(source, "outside", LAB)
    assert outside.read_bytes() != source.read_bytes()
    assert replay(outside, "inside", LAB).read_bytes() == source.read_bytes()


def without_contacts(message: str) -> list[str]:
    """The lines without their order, without Contact and with short Vias (`received` and `rport`
    stand in either order)."""
    lines = [re.sub(";(received|rport)[^;]*", "", line) for line in without_ids(message)]
    return [line for line in lines if not line.startswith("Contact:")]


def test_requests_leave_shorter(captures: Path, replay: Replay) -> None:
    for name, hosts in (("topos-slides-inside", SLIDES), ("basic", LAB), ("cancel", LAB)):
        before = messages(captures / f"{name}.pcap")
        after = messages(replay(captures / f"{name}.pcap", "outside", hosts))
        stripped = [
            (old, new) for old, new in zip(before, after, strict=True)
            if fields(old).count("Via") > 1 and not old.startswith("SIP/2.0")
        ]  # fmt: skip
        assert stripped
        assert all(len(new) < len(old) for old, new in stripped)
