"""Packet Too Big without a kernel: to whom it goes, how often, and what it says."""
# mypy: allow-untyped-calls

import logging
import socket
from typing import cast

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Raw

from inline_topo.edges.live import too_big
from inline_topo.edges.live.too_big import A_SECOND, AGAIN, TooBig

INSIDE, OUTSIDE = "2001:db8:1::10", "2001:db8:2::9"


class Sender:
    """What a socket would have sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, str]] = []

    def sendto(self, data: bytes, to: tuple[str, int]) -> None:
        self.sent.append((data, to[0]))


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
def tells(sender: Sender) -> TooBig:
    return TooBig(cast(socket.socket, sender), 1500)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one."""
    time = [1000.0]
    monkeypatch.setattr("inline_topo.edges.live.too_big.time.monotonic", lambda: time[0])
    return time


def packet(size: int = 1450, source: str = INSIDE, destination: str = OUTSIDE) -> bytes:
    return bytes(IPv6(src=source, dst=destination) / UDP() / Raw(b"x" * (size - 48)))


@pytest.mark.parametrize(("size", "grown_to", "mtu"), [(1450, 1530, 1420), (1450, 1800, 1280)])
def test_it_tells_the_mtu_less_the_growth(
    sender: Sender, tells: TooBig, size: int, grown_to: int, mtu: int
) -> None:
    assert tells.tell(packet(size), grown_to) == mtu
    [(data, to)] = sender.sent
    assert to == INSIDE
    error = ICMPv6PacketTooBig(data)
    assert (error.type, error.code, error.mtu) == (2, 0, mtu)
    assert data[8:] == packet(size)[: 1280 - 48]


def test_nothing_is_said_where_no_fragment_helps_or_nobody_is_to_hear(
    sender: Sender, tells: TooBig
) -> None:
    assert tells.tell(packet(1280), 1501) == 0
    for source, destination in [
        ("::", OUTSIDE),
        ("ff02::1", OUTSIDE),
        (INSIDE, "ff02::1"),
        ("fe80::1", OUTSIDE),
    ]:
        assert tells.tell(packet(1450, source, destination), 1530) == 0
    assert sender.sent == []


def test_one_sender_is_told_once_a_second_and_all_together_some_times(
    sender: Sender, tells: TooBig, now: list[float]
) -> None:
    assert [bool(tells.tell(packet(), 1530)) for _ in range(3)] == [True, False, False]
    others = [packet(source=f"2001:db8:1::{number:x}") for number in range(0x100, 0x200)]
    assert sum(bool(tells.tell(other, 1530)) for other in others) == A_SECOND - 1
    now[0] += AGAIN
    assert tells.tell(packet(), 1530) == 1420
    assert len(sender.sent) == A_SECOND + 1


def test_without_the_right_to_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*kind: int) -> socket.socket:
        raise PermissionError

    monkeypatch.setattr(socket, "socket", refuse)
    with caplog.at_level(logging.WARNING):
        assert too_big.open_socket() is None
    assert "no CAP_NET_RAW" in caplog.text
