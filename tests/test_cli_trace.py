"""`inline-topo trace`: one call through captures of both sides, what was refused, and the log."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.utils import wrpcap

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.edges.live import service, tally
from inline_topo.edges.live.log import to_stderr
from inline_topo.edges.live.port import Queue
from inline_topo.edges.live.worker import Mode, Worker
from inline_topo.gateway import OUTCOMES, Ask
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.stores.memory import MemoryStore

Command = Callable[..., tuple[int, str, str]]

PROXY, PEER, PHONE = "192.0.2.1", "203.0.113.9", "10.0.0.5"
CALL_ID = f"17-4711@{PHONE}"
CONFIG = """\
inside = ["192.0.2.1", "10.0.0.0/8"]
[topoh]
mask_key_file = "mask.key"
mask_callid = true
[queue]
refused_folder = "refused"
"""


def message(start: str, *fields: str, call_id: str = CALL_ID, size: int = 0) -> bytes:
    lines = [start, f"Via: SIP/2.0/UDP {PROXY};branch=z9hG4bK1", "From: <sip:a@x.test>;tag=a",
             "To: <sip:b@y.test>", f"Call-ID: {call_id}", "CSeq: 1 INVITE", *fields]  # fmt: skip
    return "\r\n".join([*lines, "", "x" * size]).encode()


INVITE = message("INVITE sip:b@203.0.113.9 SIP/2.0", f"Contact: <sip:a@{PHONE}>")
BROKEN = message("INVITE sip:b@203.0.113.9 SIP/2.0", f"Contact: <<<:a@{PHONE}")


def packet(payload: bytes, source: str = PROXY, destination: str = PEER) -> Any:
    return IP(src=source, dst=destination) / UDP(sport=5060, dport=5060) / payload


def capture(path: Path, *packets: Any, start: float = 1700000000.0) -> Path:
    for number, one in enumerate(packets):
        one.time = start + number
    wrpcap(str(path), list(packets))
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    KeyRing.generate().save(tmp_path / "mask.key")
    (tmp_path / "gw.toml").write_text(CONFIG)
    return tmp_path / "gw.toml"


class NoQueue:
    number, lost = 0, 0


@pytest.fixture
def live(config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the log of a live gateway says of these packets; what it refuses is kept."""

    def judge(*packets: Any, settings: tuple[str, ...] = ()) -> str:
        (tmp_path / "refused").mkdir(exist_ok=True)
        root = logging.getLogger()
        before = root.handlers[:], root.level
        capfd.readouterr()
        try:
            to_stderr()
            job = service._job(load(config, env={}, sets=settings), Mode.LIVE)
            worker = Worker(job, cast(Queue, NoQueue()), tally.board(1).rows[0])
            for one in packets:
                worker.judge(bytes(one))
            worker._look_up()
            if worker._refused:
                worker._refused.close()
        finally:
            root.handlers[:], root.level = before
        return capfd.readouterr().err

    return judge


def tree(command: Command, *words: Any) -> dict[str, Any]:
    status, out, err = command("trace", *words, "--json")
    assert status == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.interpreted  # the queue is none
def test_a_refused_call(
    command: Command, config: Path, live: Callable[..., str], tmp_path: Path
) -> None:
    log = live(packet(BROKEN), packet(message("OPTIONS sip:b@y SIP/2.0", call_id="other")))
    assert PHONE not in log
    assert "4711" not in log
    (tmp_path / "gw.log").write_text(log)
    inside = capture(tmp_path / "inside.pcap", packet(BROKEN))
    status, out, _ = command(
        "trace", CALL_ID, "-c", config, "-r", inside, "--log", tmp_path / "gw.log"
    )
    assert status == 0
    reason = OUTCOMES["refused_unmaskable"]
    assert f"egress: refused_unmaskable: {reason}" in out
    assert "not let out: egress: refused_unmaskable" in out
    assert "event=refused_unmaskable" in out
    assert f"2 messages refused: {reason}" in out

    found = tree(command, CALL_ID, "-c", config, "-r", inside, "--log", tmp_path / "gw.log")
    assert [("packet" in step, step["time"] is None) for step in found["steps"]] == [
        (True, False),  # of the capture, which is years older
        (True, False),  # as the gateway kept it
        (False, True),  # the log has no times
    ]
    assert found["steps"][0]["refused_because"] is None
    assert (
        found["steps"][1]["refused_because"]
        == "egress: refused_unmaskable (Contact: does not parse)"
    )
    assert found["call_id"]["mark"] in found["steps"][2]["line"]
    assert found["call_id"]["inside"] == CALL_ID


def test_both_sides_and_either_name(command: Command, config: Path, tmp_path: Path) -> None:
    gateway = assemble.gateway(load(config, env={}))
    left = gateway.handle(bytes(packet(INVITE)), 0.0)
    masked = IP(left.packet)  # type: ignore[union-attr]
    outside_id = bytes(masked[UDP].payload).split(b"Call-ID: ")[1].split(b"\r\n")[0].decode()
    assert PHONE not in outside_id
    answer = message("SIP/2.0 486 Busy Here", call_id=outside_id)
    inside = capture(tmp_path / "inside.pcap", packet(INVITE))
    outside = capture(
        tmp_path / "outside.pcap", masked, packet(answer, PEER, PROXY), start=1700000000.5
    )
    words = ("-c", config, "-r", outside, "-r", inside)
    found = tree(command, CALL_ID, *words)
    assert tree(command, outside_id, *words) == found
    assert found["call_id"]["outside"] == outside_id
    assert [(step["outcome"], step["start_line"][:10]) for step in found["steps"]] == [
        ("masked", "INVITE sip"),
        ("as_it_left", "INVITE sip"),
        ("unmasked", "SIP/2.0 48"),
    ]
    assert found["steps"][0]["edits"] == {"masked": {"Contact": 1, "Call-ID": 1}}
    assert found["steps"][2]["edits"] == {"opened": {"Call-ID": 1}}
    assert found["steps"][0]["source"] == f"{PROXY}:5060"


@pytest.mark.interpreted  # the queue is none
def test_log_lines_are_put_between_by_their_times(
    command: Command, config: Path, live: Callable[..., str], tmp_path: Path
) -> None:
    [line] = live(packet(BROKEN)).splitlines()
    another = line[:-1] + ("1" if line.endswith("0") else "0")  # the mark of another call
    moment = datetime.fromtimestamp(1700000000.5, UTC)
    (tmp_path / "gw.log").write_text(
        f"{moment.isoformat()} gw inline-topo[1]: {line}\n"
        f"1700000002.25 gw inline-topo[1]: {line}\n"
        f"level=warning event=refused_unmaskable more=12\n{another}\n"
    )
    packets = capture(tmp_path / "inside.pcap", packet(INVITE), packet(INVITE))
    words = ("-c", config, "-r", packets, "--log", tmp_path / "gw.log", "--set")
    found = tree(command, CALL_ID, *words, "queue.refused_folder=nowhere")
    assert [step["time"] for step in found["steps"]] == [
        "1700000000.000000000",
        "1700000000.500000000",
        "1700000001.000000000",
        "1700000002.250000000",
    ]
    assert found["log_lines_held_back"] == 12


@pytest.mark.interpreted  # the queue is none
def test_a_leak_is_named_by_its_field(
    command: Command, config: Path, live: Callable[..., str], tmp_path: Path
) -> None:
    leaky = message("INVITE sip:b@203.0.113.9 SIP/2.0", "Reason: x;text=MTAuMC4wLjU=")
    log = live(packet(leaky), settings=("audit=enforce",))
    assert "event=leak field=Reason kind=ipv4" in log
    (tmp_path / "gw.log").write_text(log)
    words = ("-c", config, "--set", "audit=enforce", "--log", tmp_path / "gw.log")
    status, out, _ = command("trace", CALL_ID, *words)
    assert status == 0
    assert "not let out: egress: refused_leak (Reason)" in out
    assert "shows something hidden: Reason" in out


def test_fragments(command: Command, config: Path, tmp_path: Path) -> None:
    long = message("INVITE sip:b@203.0.113.9 SIP/2.0", f"Contact: <sip:a@{PHONE}>", size=3000)
    pieces = fragment(packet(long), 1400)  # type: ignore[no-untyped-call]
    assert len(pieces) == 3
    whole = capture(tmp_path / "whole.pcap", *pieces)
    found = tree(command, CALL_ID, "-c", config, "-r", whole)
    assert [(step["packet"], step["outcome"]) for step in found["steps"]] == [(3, "masked")]
    first = capture(tmp_path / "first.pcap", pieces[0])
    found = tree(command, CALL_ID, "-c", config, "-r", first)
    assert [(step["packet"], step["outcome"]) for step in found["steps"]] == [
        (1, "refused_fragment")
    ]


def test_not_found_is_1(command: Command, config: Path, tmp_path: Path) -> None:
    path = capture(tmp_path / "inside.pcap", packet(INVITE))
    status, _, err = command("trace", "nobody's", "-c", config, "-r", path)
    assert status == 1
    assert "nothing of this call is there" in err


def test_nothing_to_look_at_is_2(command: Command, config: Path) -> None:
    status, _, err = command("trace", CALL_ID, "-c", config)
    assert status == 2
    assert "nothing to look at" in err
    assert command("trace", CALL_ID, "-c", config, "-r", "no.pcap")[0] == 2
    assert command("trace", CALL_ID, "--inside", "192.0.2.1")[0] == 78


@pytest.mark.interpreted  # the queue is none
def test_a_capture_that_is_being_written_is_read_as_far_as_it_goes(
    command: Command, config: Path, live: Callable[..., str], tmp_path: Path
) -> None:
    live(packet(BROKEN), packet(BROKEN))
    [kept] = (tmp_path / "refused").iterdir()
    kept.write_bytes(kept.read_bytes()[:-7])
    status, out, err = command("trace", CALL_ID, "-c", config)
    assert status == 0
    assert "1 message refused" in out
    assert "warning: " in err


def stripped_call(config: Path) -> tuple[list[Any], list[Any]]:
    """A call through a gateway in mode topos: what the inside sends, and what is there outside: the
    INVITE as it left, the answer, a BYE of the one who was called."""
    settings = ("mode=topos", "topos.store=memory:")
    gateway, memory = assemble.gateway(load(config, env={}, sets=settings)), MemoryStore()
    call = INVITE.replace(b"\r\nFrom", b"\r\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK0\r\nFrom")
    call = call.replace(CALL_ID.encode(), b"call")
    answer = gateway.handle(bytes(packet(call)), 0.0)
    while isinstance(answer, Ask):
        [result] = memory.perform([answer.effect])
        answer = answer.resume(result)
    left = IP(answer.packet)
    uri = bytes(left[UDP].payload).split(b"Contact: <")[1].split(b">")[0].decode()
    ok = message("SIP/2.0 200 OK", f"Contact: <sip:b@{PEER}>", call_id="call")
    bye = f"BYE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};branch=z9hG4bK9\r\n" + (
        "From: <sip:b@y.test>;tag=b\r\nTo: <sip:a@x.test>;tag=a\r\nCall-ID: call\r\nCSeq: 1 BYE\r\n\r\n"
    )
    entered = [packet(ok.replace(b"y.test>", b"y.test>;tag=b"), PEER, PROXY)]
    return [packet(call)], [left, *entered, packet(bye.encode(), PEER, PROXY)]


def test_mode_topos(command: Command, config: Path, tmp_path: Path) -> None:
    """What is kept of a call is known from the captures; the gateway's store is left alone."""
    ours, theirs = stripped_call(config)
    inside = capture(tmp_path / "inside.pcap", *ours)
    outside = capture(tmp_path / "outside.pcap", *theirs, start=1700000000.5)
    store = tmp_path / "dialogs.db"
    words = ("call", "-c", config, "--set", "mode=topos", "--set", f"topos.store=sqlite:///{store}")
    found = tree(command, *words, "-r", inside, "-r", outside)
    assert [(step["outcome"], step["edits"]) for step in found["steps"]] == [
        ("masked", {"removed": {"Via": 1}, "masked": {"Contact": 1}}),
        ("as_it_left", {}),
        ("unmasked", {"restored": {"Via": 1}}),
        ("unmasked", {"opened": {"Request-URI": 1}}),
    ]
    assert not any(step["leaks"] for step in found["steps"])
    found = tree(command, *words, "-r", outside)
    assert [step["outcome"] for step in found["steps"]] == [
        "as_it_left",
        "not_judged",  # the store has it, and nobody else
        "not_judged",
    ]
    assert not store.exists()
