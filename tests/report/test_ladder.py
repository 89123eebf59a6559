"""The ladder, as a reader sees it."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from inline_topo.report import ladder
from inline_topo.report.diff import compare
from inline_topo.report.messages import Tally, load
from inline_topo.report.pairs import pair

Draw = Callable[..., list[str]]


@pytest.fixture
def draw() -> Draw:
    """The ladder of two captures, as plain lines."""

    def run(before: Path, after: Path, width: int = 80, encoding: str = "utf-8") -> list[str]:
        raw = io.BytesIO()
        file = io.TextIOWrapper(raw, encoding=encoding)
        console = Console(file=file, width=width, color_system=None)
        captures = (load(str(path), Tally()) for path in (before, after))
        ladder.show(console, compare(pair(*captures)))
        file.flush()
        return raw.getvalue().decode(encoding).splitlines()

    return run


SLIDES = """\
Call-ID 989804978-40416-6@BJC.BGI.BHI.CH
6 messages, 5 changed, +347 bytes
            192.168.178.27:40416  192.168.178.10:5060   192.168.178.22:1056
   0.000              │─ INVITE ───────────▶│                     │
   0.002              │                     │═ INVITE +101 ══════▶│
   2.413              │                     │◀═ 200 Ok +67 ═══════│
   2.414              │◀═ 200 Ok +37 ═══════│                     │
   9.702              │═ BYE +37 ══════════▶│                     │
   9.704              │                     │═ BYE +105 ═════════▶│

═══▶ changed, bytes added   ───▶ the same   ╌╌╌▶ only in BEFORE (-), AFTER (+)
"""


def test_the_slide_call(draw: Draw, captures: Path) -> None:
    drawn = draw(captures / "slides-inside.pcap", captures / "slides-outside.pcap")
    assert drawn == SLIDES.splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "name", ["slides-inside.pcap", "three-proxies.pcap", "refer.pcap", "ipv6.pcap"]
)
def test_fits_the_terminal(draw: Draw, captures: Path, name: str, width: int) -> None:
    drawn = draw(captures / name, captures / name, width)
    assert max(map(len, drawn[:-1])) <= width


def test_no_box_drawing_where_there_is_none(draw: Draw, captures: Path) -> None:
    drawn = draw(
        captures / "slides-inside.pcap", captures / "slides-outside.pcap", encoding="latin-1"
    )
    assert drawn[4] == "   0.002              |                     |= INVITE +101 ======>|"


def test_a_call_each_and_a_missing_message(draw: Draw, make_capture: Callable[..., Path]) -> None:
    def text(call: str) -> str:
        return (
            f"OPTIONS sip:b@h.example SIP/2.0\nFrom: <sip:a@h>;tag={call}\nTo: <sip:b@h>\n"
            f"Call-ID: {call}\nCSeq: 1 OPTIONS\n\n"
        )

    one, two = (("10.0.0.1", "203.0.113.9", text(call)) for call in "xy")
    drawn = draw(make_capture("a.pcap", one, two), make_capture("b.pcap", one))
    assert [line for line in drawn if line.startswith("Call-ID")] == ["Call-ID x", "Call-ID y"]
    arrows = [line.partition("│")[2].strip("│─╌▶ ") for line in drawn if line[7:8].isdigit()]
    assert arrows == ["OPTIONS", "- OPTIONS"]


def test_many_endpoints_are_a_list(draw: Draw, make_capture: Callable[..., Path]) -> None:
    text = "OPTIONS sip:b@h SIP/2.0\nCall-ID: x\nCSeq: 1 OPTIONS\n\n"
    packets = [("10.0.0.1", f"10.0.0.{number}", text) for number in range(2, 12)]
    path = make_capture("a.pcap", *packets)
    drawn = draw(path, path)
    assert drawn[2] == "   0.000   10.0.0.1:5060 ──▶ 10.0.0.2:5060  OPTIONS"
    assert len([line for line in drawn if "OPTIONS" in line]) == 10
