"""One worker without a kernel: what it sends, counts and says of packets in trouble."""
# mypy: allow-untyped-calls

import logging
from typing import Any, cast

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.edges.live import snapshot, tally
from inline_topo.edges.live.port import Queue
from inline_topo.edges.live.snapshot import Source
from inline_topo.edges.live.worker import Job, Mode, OnTcp, Worker
from inline_topo.masking.codecs.keyring import KeyRing

pytestmark = pytest.mark.interpreted  # its queue is none

INSIDE, OUTSIDE, HIDDEN = "192.168.178.10", "203.0.113.9", "10.0.0.7"
INVITE = (
    f"INVITE sip:bob@{OUTSIDE} SIP/2.0\r\nVia: SIP/2.0/UDP {INSIDE};branch=z9hG4bKa\r\n"
    f"Contact: <sip:alice@{HIDDEN}>\r\nCall-ID: c\r\n\r\n"
).encode()


class NoQueue:
    """A queue that nothing comes from."""

    number = 3
    lost = 0

    def stop(self) -> None:
        raise AssertionError("the worker gives up")


class Site:
    """A worker with its counters."""

    def __init__(self, mode: Mode = Mode.LIVE, audit: str = "0", **settings: str) -> None:
        overrides: dict[str, object] = {"inside": [INSIDE, "10.0.0.0/8", "fd00::/8"]}
        overrides["own"] = [INSIDE, "fd00::1"]
        overrides["audit"] = audit if audit == "enforce" else float(audit)
        overrides |= {f"queue.{key}": value for key, value in settings.items()}
        config = load(None, env={}, overrides=overrides, key_ring_given=True)
        gateway = assemble.gateway(config, ring=KeyRing.generate())
        board = tally.board(1)
        job = Job(gateway, mode, config.mtu, on_tcp=OnTcp(config.queue.on_tcp))
        self.worker = Worker(job, cast(Queue, NoQueue()), board.rows[0])
        self.source = Source(board, (3,), mode)

    def outcomes(self, direction: str) -> dict[str, int]:
        self.worker._look_up()
        counted = snapshot.take(self.source)["outcomes"][direction]
        assert isinstance(counted, dict)
        return counted


def packet(leaves: bool = True, **fields: Any) -> Packet:
    ends: dict[str, Any] = (
        {"src": INSIDE, "dst": OUTSIDE} if leaves else {"src": OUTSIDE, "dst": INSIDE}
    )
    return IP(**ends, **fields) / UDP(sport=5060, dport=5060) / Raw(INVITE)


def fragment(leaves: bool = True) -> bytes:
    return bytes(packet(leaves, flags="MF"))


def cut(leaves: bool = True) -> bytes:
    return bytes(packet(leaves))[:-1]


def corrupt() -> bytes:
    wrong = IP(bytes(packet()))
    wrong[UDP].chksum ^= 0x0F0F
    return bytes(wrong)


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Each log line's event and action; none shows what a message says."""
    for record in caplog.records:
        line = f"{record.getMessage()} {vars(record)}"
        assert HIDDEN not in line
        assert "alice" not in line
    return [(record.getMessage(), vars(record)["fields"]["action"]) for record in caplog.records]


@pytest.mark.parametrize(
    ("data", "settings", "outcome", "action"),
    [
        (fragment(), {}, "refused_fragment", "drop"),
        (fragment(), {"on_fragment": "accept"}, "refused_fragment", "accept"),
        (cut(), {}, "refused_cut", "drop"),
        (cut(), {"on_cut": "accept"}, "refused_cut", "accept"),
        (cut(), {"on_error": "accept", "on_cut": "drop"}, "refused_cut", "drop"),
        (corrupt(), {}, "masked_corrupt", "replace"),
        (corrupt(), {"on_corrupt": "accept"}, "refused_corrupt", "accept"),
        (corrupt(), {"on_corrupt": "drop"}, "refused_corrupt", "drop"),
    ],
)
def test_each_trouble_has_a_policy_a_counter_and_a_line(
    data: bytes,
    settings: dict[str, Any],
    outcome: str,
    action: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site(**settings)
    sent = site.worker.judge(data)
    if action == "replace":
        assert isinstance(sent, bytes)
        assert HIDDEN.encode() not in sent
    else:
        assert sent is (data if action == "accept" else None)
    assert site.outcomes("egress") == {outcome: 1}
    assert said(caplog) == [(outcome, action)]


@pytest.mark.parametrize(("data", "outcome"), [(fragment(False), "fragment"), (cut(False), "cut")])
def test_what_enters_in_trouble_passes_and_is_told(
    data: bytes, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site()
    assert site.worker.judge(data) is data
    assert site.outcomes("ingress") == {outcome: 1}
    assert said(caplog) == [(outcome, "accept")]


def test_a_flood_of_trouble_is_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    for _ in range(1000):
        assert site.worker.judge(cut()) is None
    assert site.outcomes("egress") == {"refused_cut": 1000}
    assert len(caplog.records) < 100


def tcp(port: int) -> bytes:
    return bytes(IP(src=INSIDE, dst=OUTSIDE) / TCP(sport=port, dport=5060) / Raw(INVITE))


@pytest.mark.parametrize("on_tcp", OnTcp)
def test_a_tcp_connection_is_one_line_and_ten_a_second(
    on_tcp: OnTcp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inline_topo.edges.live.log.time.monotonic", lambda: 100.0)
    site = Site(on_tcp=on_tcp.value)
    for _ in range(20):
        site.worker.judge(tcp(2000))
    assert vars(caplog.records[0])["fields"]["action"] == on_tcp.value
    assert [record.getMessage() for record in caplog.records].count("tcp") == 1
    for port in range(3000, 3300):
        site.worker.judge(tcp(port))
    assert [record.getMessage() for record in caplog.records].count("tcp") == 10
    assert site.outcomes("none") == {"tcp": 320}


@pytest.mark.parametrize("audit", ["0", "enforce"])
def test_reset_lets_headers_go_on_whatever_is_audited(audit: str) -> None:
    site = Site(on_tcp="reset", audit=audit)
    assert site.worker.judge(tcp(2000)) == bytes(
        IP(src=INSIDE, dst=OUTSIDE) / TCP(sport=2000, dport=5060)
    )


def test_what_hides_nothing_but_vias_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A phone at its own, visible address: nothing but what a proxy would have put below is masked."""
    site = Site()
    plain = INVITE.replace(HIDDEN.encode(), INSIDE.encode())
    message = bytes(IP(src=INSIDE, dst=OUTSIDE) / UDP(sport=5060, dport=5060) / Raw(plain))
    for number in range(tally.ENOUGH + 100):
        site.worker.judge(message)
        if number % 100 == 99:
            site.worker._look_up()
    assert [vars(record)["fields"]["note"] for record in caplog.records] == ["little_masked"]
    state = snapshot.take(site.source)
    assert state["noted"] == {"little_masked": tally.ENOUGH + 100}


def test_where_contacts_are_masked_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    for _ in range(tally.ENOUGH + 100):
        site.worker.judge(bytes(packet()))
    site.worker._look_up()
    assert caplog.records == []


def test_what_ipv6_loses_by_growth_is_told(caplog: pytest.LogCaptureFixture) -> None:
    long = INVITE.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * (1450 - 4 - len(INVITE)) + b"\r\n\r\n")
    data = bytes(IPv6(src="fd00::1", dst="2001:db8::9") / UDP(sport=5060, dport=5060) / Raw(long))
    site = Site()
    with caplog.at_level(logging.WARNING):
        sent = site.worker.judge(data)
    assert isinstance(sent, bytes)
    assert len(data) <= 1500 < len(sent)
    [record] = caplog.records
    assert record.getMessage() == "over_mtu_ipv6"
    assert vars(record)["fields"]["grown_to"] == len(sent)


def test_a_dry_run_sends_what_it_would_drop(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(Mode.DRY_RUN)
    data = cut()
    assert site.worker.judge(data) is data
    assert said(caplog) == [("refused_cut", "none")]
