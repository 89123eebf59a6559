"""The judges of the runs under load: what is lost, what shows, and that neither is said of nothing."""

from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from tests.live.losses import losses
from tests.live.traffic import showing

INSIDE, OUTSIDE, HIDDEN = "192.0.2.1", "198.51.100.2", "10.0.0.7"


def message(call: int, start: str = "INVITE sip:bob@x SIP/2.0", via: str = HIDDEN) -> bytes:
    """What a proxy sends for its phone at `via`."""
    lines = [
        start,
        f"Via: SIP/2.0/UDP {INSIDE};rport;branch=z9hG4bK{call}",
        f"Via: SIP/2.0/UDP {via};branch=z9hG4bKphone",
        f"Call-ID: {call}",
        "CSeq: 1 INVITE",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def masked(call: int) -> bytes:
    return message(call, via=INSIDE)


def capture(file: Path, *sent: tuple[float, bytes], source: str = INSIDE) -> Path:
    """A file of these payloads at these times."""
    target = OUTSIDE if source == INSIDE else INSIDE
    packets = []
    for when, payload in sent:
        packet = Ether() / IP(src=source, dst=target) / UDP(sport=5060, dport=5060) / payload
        packet.time = when
        packets.append(packet)
    wrpcap(str(file), packets)
    return file


def test_what_was_sent_again_is_counted_apart(tmp_path: Path) -> None:
    entered = capture(
        tmp_path / "in.pcap",
        (1.0, message(1)),  # passes
        (1.1, message(2)),  # is lost, and passes when it is sent again
        (1.2, message(3)),  # passes, and is lost when it is sent again
        (1.3, message(4)),  # is lost, and is not sent again
        (1.4, message(5)),  # is lost, and again
        (1.5, message(6)),  # passes late
        (1.6, message(2)),
        (1.7, message(3)),
        (1.9, message(5)),
        (2.0, message(6)),
        (2.1, message(1, "SIP/2.0 200 OK")),  # another message of the same transaction: lost
    )
    left = capture(
        tmp_path / "out.pcap",
        (1.001, masked(1)),
        (1.201, masked(3)),
        (1.601, masked(2)),
        (2.101, masked(6)),
        (2.102, masked(6)),
    )
    found = losses(entered, left, INSIDE)
    assert [(lost.time, lost.key[:2]) for lost in found.lost] == [
        (1.1, (b"INVITE", b"2")),
        (1.3, (b"INVITE", b"4")),
        (1.4, (b"INVITE", b"5")),
        (2.1, (b"200", b"1")),
    ]
    assert (found.sent, found.sent_again, found.lost_again) == (7, 4, 2)
    assert str(found) == "4 of 7 packets (and 2 of 4 sent again)"
    assert str(found + found).startswith("8 of 14 packets")


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ([(1.1, masked(1)), (1.2, masked(1))], "came out 2 times"),
        ([(1.1, masked(1)), (1.2, masked(2))], "never went in"),
        ([(1.1, b"junk")], "junk"),
    ],
)
def test_what_comes_from_nowhere_is_no_result(
    tmp_path: Path, out: list[tuple[float, bytes]], why: str
) -> None:
    entered = capture(tmp_path / "in.pcap", (1.0, message(1)))
    left = capture(tmp_path / "out.pcap", *out)
    with pytest.raises(AssertionError, match=why):
        losses(entered, left, INSIDE)


def test_what_shows_is_found_between_two_times(tmp_path: Path) -> None:
    file = capture(
        tmp_path / "out.pcap", (1.0, message(1)), (2.0, masked(2)), (3.0, message(3)), (3.0, b"\0")
    )
    assert len(showing(file, OUTSIDE, HIDDEN, of=3)) == 2
    assert showing(file, OUTSIDE, HIDDEN, of=1, since=1.5, until=3.0) == []
    assert len(showing(file, OUTSIDE, HIDDEN, of=2, since=2.0)) == 1


def test_nothing_is_said_of_a_capture_that_saw_too_little(tmp_path: Path) -> None:
    file = capture(tmp_path / "out.pcap", (1.0, masked(1)), (2.0, masked(1)))
    assert showing(file, OUTSIDE, HIDDEN, of=1) == []
    for target, calls in ((OUTSIDE, 2), (INSIDE, 1)):
        with pytest.raises(AssertionError, match=f"not {calls}"):
            showing(file, target, HIDDEN, of=calls)
    with pytest.raises(AssertionError, match="not 1"):
        showing(file, OUTSIDE, HIDDEN, of=1, since=3.0)
