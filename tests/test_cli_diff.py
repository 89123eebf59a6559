"""`inline-topo diff`: what it prints, and 0 the same, 1 different, 2 trouble."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def slides(captures: Path) -> tuple[Path, Path]:
    return captures / "slides-inside.pcap", captures / "slides-outside.pcap"


def test_the_slide_call(command: Command, slides: tuple[Path, Path]) -> None:
    status, out, err = command("diff", *slides)
    assert (status, err) == (1, "")
    # the token of the slides' page on Contact
    assert '  - Contact: "alice" <sip:105@192.168.178.27:40416>\n' in out
    token = "sr-ORylIHvlTJS.IXenCXNciHvPItcZTMWfC6m.T5**"
    assert f'  + Contact: "alice" <sip:10.1.1.10;line={token}>\n' in out
    assert out.endswith(
        "6 messages, 5 changed, 1 the same\n"
        "+347 bytes: +57.8 a message, +69.4 a changed message (+6.0 %)\n"
        "messages changed in: Contact 3, Via 3, Request-URI 1\n"
    )
    assert "\x1b" not in out


def test_the_same_is_0(command: Command, slides: tuple[Path, Path]) -> None:
    status, out, _ = command("diff", slides[0], slides[0])
    assert status == 0
    assert out.endswith("\n6 messages, 0 changed, 6 the same\n")


def test_ladder(command: Command, slides: tuple[Path, Path]) -> None:
    status, out, _ = command("diff", *slides, "--ladder")
    assert status == 1
    assert "Call-ID 989804978-40416-6@BJC.BGI.BHI.CH\n" in out
    assert "│═ BYE +105 ═" in out
    assert "\n+347 bytes: " in out


def test_translated_addresses(command: Command, captures: Path, tmp_path: Path) -> None:
    masked, call = tmp_path / "nat.pcap", captures / "basic.pcap"
    nat = ("--inside", "192.168.178.10", "--set", "shape=nat", "--set", "public=192.0.2.1")
    assert command("replay", "-r", call, "-w", masked, "--leg", "outside", *nat)[0] == 0
    status, out, _ = command("diff", call, masked)
    assert status == 1
    first = out.split("\n\n")[0]
    assert first.endswith(
        "  INVITE sip:bob@server.com SIP/2.0\n"
        "  - 192.168.178.27:5060 -> 192.168.178.10:5060\n"
        "  + 192.168.178.27:5060 -> 192.0.2.1:5060"
    )
    assert "│═ INVITE +0 ═" in command("diff", call, masked, "--ladder")[1]


def test_mode_topos(command: Command, captures: Path, tmp_path: Path) -> None:
    """Every message is found again though its Vias, routes and Contact are gone, and there and back
    is the same."""
    call, outside, inside = captures / "three-proxies.pcap", *(
        tmp_path / f"{leg}.pcap" for leg in ("outside", "inside")
    )  # fmt: skip
    assert command("keygen", "-o", tmp_path / "mask.key")[0] == 0
    topos = ("--inside", "192.168.178.0/24", "--inside", "203.0.113.5", "--set", "mode=topos",
             "--set", f"topos.store=sqlite:///{tmp_path}/dialogs.db",
             "--set", f"topoh.mask_key_file={tmp_path}/mask.key")  # fmt: skip
    for source, target in ((call, outside), (outside, inside)):
        done = command("replay", "-r", source, "-w", target, "--leg", target.stem, *topos)
        assert done[0] == 0, done[2]
    status, out, _ = command("diff", call, outside, "--json")
    assert status == 1
    found = json.loads(out)
    summary = found["summary"]
    assert (summary["only_before"], summary["only_after"], summary["reordered"]) == (0, 0, 0)
    assert summary["bytes_added"] < 0
    assert summary["fields"].keys() >= {"Via", "Record-Route", "Contact", "Request-URI"}
    requests = [one for one in found["messages"] if not one["start_line"].startswith("SIP/2.0")]
    lost = [change for one in requests for change in one["changes"] if change["field"] == "Via"]
    assert lost
    assert all(len(change["after"]) < len(change["before"]) for change in lost)
    assert command("diff", call, inside)[0] == 0
    status, out, _ = command("diff", call, outside)
    assert "- Record-Route: " in out
    assert "+ Record-Route: " not in out
    assert "bytes: -" in out


def test_json(command: Command, slides: tuple[Path, Path]) -> None:
    status, out, err = command("diff", *slides, "--json")
    assert (status, err) == (1, "")
    tree = json.loads(out)
    assert tree["summary"] == {
        "messages": 6,
        "changed": 5,
        "unchanged": 1,
        "only_before": 0,
        "only_after": 0,
        "reordered": 0,
        "clock_offset": "0.000000000",
        "clock_spread": "0.000000000",
        "bytes_before": 5799,
        "bytes_added": 347,
        "bytes_added_per_message": 57.83,
        "fields": {"Contact": 3, "Request-URI": 1, "Via": 3},
    }
    assert tree["messages"][4] == {
        "status": "changed",
        "reordered": False,
        "packet": [5, 5],
        "time": ["1700000009.702418000", "1700000009.702418000"],
        "source": ["192.168.178.27:40416"] * 2,
        "destination": ["192.168.178.10:5060"] * 2,
        "size": [557, 594],
        "start_line": "BYE sip:101@192.168.178.22:1056;line=mu3z2i1j SIP/2.0",
        "call_id": "989804978-40416-6@BJC.BGI.BHI.CH",
        "changes": [
            {
                "field": "Request-URI",
                "before": ["BYE sip:101@192.168.178.22:1056;line=mu3z2i1j SIP/2.0"],
                "after": [
                    "BYE sip:10.1.1.10;line=sr-ORylIHvlCJS.IXenCXNciHvPItcZCHW.C6JRIR"
                    ".o3-Jp3dJMGHDoC8W* SIP/2.0"
                ],
            }
        ],
    }


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_on_a_terminal(slides: tuple[Path, Path], no_color: str, coloured: bool) -> None:
    out = on_terminal(["diff", *map(str, slides)], columns=80, no_color=no_color)
    assert ("\x1b[31" in out or "\x1b[1;31" in out) is coloured
    assert ("\x1b[1;7;32m" in out) is coloured  # what changed within the line
    if not coloured:
        assert "\x1b" not in out
        assert max(map(len, out.splitlines())) <= 80
        assert (
            "  + Via: SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-JfymiMenCtp4urS5CX1ZiHvRItc.TM5n"
            in out
        )


def on_terminal(words: list[str], *, columns: int, no_color: str) -> str:
    """What the command writes to a terminal of so many columns."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8"}
    env |= {"NO_COLOR": no_color} if no_color else {}
    if not no_color:
        env.pop("NO_COLOR", None)
    with subprocess.Popen(
        [sys.executable, "-m", "inline_topo", *words], stdout=slave, stdin=slave, env=env
    ) as process:
        os.close(slave)
        pieces = []
        try:
            while piece := os.read(master, 65536):
                pieces.append(piece)
        except OSError:  # Linux: the other end is closed
            pass
        process.wait()
    os.close(master)
    return b"".join(pieces).decode().replace("\r\n", "\n")


def test_nothing_from_a_capture_controls_the_terminal(
    command: Command, slides: tuple[Path, Path], tmp_path: Path
) -> None:
    data = slides[0].read_bytes()
    evil = tmp_path / "evil.pcap"
    evil.write_bytes(data.replace(b'"alice"', b'"a\x1b[2J"'))
    for options in ([], ["--ladder"], ["--json"]):
        status, out, _ = command("diff", slides[0], evil, *options)
        assert status == 1
        assert "\x1b" not in out
    assert '"a\\x1b[2J"' in command("diff", slides[0], evil)[1]


@pytest.mark.parametrize("content", [b"", b"no capture at all, but some text", b"\xd4\xc3\xb2\xa1"])
def test_no_capture_is_2(
    command: Command, slides: tuple[Path, Path], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "bad.pcap"
    path.write_bytes(content)
    status, out, err = command("diff", slides[0], path)
    assert (status, out) == (2, "")
    assert err.startswith(f"inline-topo: {path}: ")
    assert err.count("\n") == 1


def test_a_missing_file_is_2(command: Command, slides: tuple[Path, Path]) -> None:
    status, out, err = command("diff", slides[0], "no.pcap")
    assert (status, out, err) == (2, "", "inline-topo: no.pcap: no such file or directory\n")


def test_no_sip_is_2(command: Command, slides: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "none.pcap"
    path.write_bytes(slides[0].read_bytes()[:24])
    status, out, err = command("diff", path, path)
    assert (status, out) == (2, "")
    assert err == f"inline-topo: no SIP over UDP, neither in {path} nor in {path}\n"


@pytest.mark.parametrize(
    "words", [["--json", "--ladder", "a", "b"], ["-", "-"], ["a"], ["a", "b", "--inside", "::1"]]
)
def test_wrong_usage_is_2(command: Command, words: list[str]) -> None:
    status, out, _ = command("diff", *words)
    assert (status, out) == (2, "")


def test_standard_input(slides: tuple[Path, Path]) -> None:
    with slides[1].open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "inline_topo", "diff", str(slides[0]), "-", "--json"],
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert json.loads(done.stdout)["summary"]["changed"] == 5
