"""The command replay: streams, exit statuses, errors that leave nothing behind, what it says."""
# mypy: allow-untyped-calls

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcap

from inline_topo.config.settings import PREFIX
from tests.conftest import HEEDS_SIGINT

PROGRAM = [sys.executable, "-m", "inline_topo"]
INSIDE = "192.168.178.10"
KAMAILIO = """\
profile = "topoh"
inside = ["192.168.178.10"]
own = ["192.168.178.10", "server.com"]
topoh.codec = "kamailio"
topoh.mask_key = "my secret here"
topoh.mask_ip = "10.1.1.10"
"""
INVITE = (
    b"INVITE sip:bob@198.51.100.2 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
    b"Contact: <sip:alice@10.0.0.7>\r\n\r\n"
)
BROKEN = b"INVITE sip:bob@198.51.100.2 SIP/2.0\r\nnot a header field\r\n\r\n"
COLOUR = re.compile(r"\x1b\[[0-9;]*[1-9][0-9;]*m")

Command = Callable[..., Any]

OWN = ("--set", 'own=["10.0.0.1"]')


@pytest.fixture
def slides(captures: Path) -> Path:
    return captures / "slides-inside.pcap"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gw.toml"
    path.touch(mode=0o600)
    path.write_text(KAMAILIO)
    return path


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def written(path: Path, *payloads: tuple[str, str, bytes]) -> Path:
    """A capture of UDP datagrams: source, destination, payload."""
    packets = []
    for number, (source, destination, payload) in enumerate(payloads):
        link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        packet = link / IP(src=source, dst=destination) / UDP(sport=5060, dport=5060)
        packets.append(packet / Raw(payload))
        packets[-1].time = 1700000000 + number
    wrpcap(str(path), packets)
    return path


@pytest.fixture
def troubled(tmp_path: Path) -> Path:
    """One message that can be masked, one that cannot, one between insiders."""
    return written(
        tmp_path / "troubled.pcap",
        ("10.0.0.1", "198.51.100.2", INVITE),
        ("10.0.0.1", "198.51.100.2", BROKEN),
        ("10.0.0.1", "10.0.0.2", INVITE),
    )


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def run(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, *map(str, words)], capture_output=True, check=False, timeout=60, **options
    )


# --- what it does and how it ends ---------------------------------------------------------------


def test_says_what_it_did(command: Command, slides: Path, config: Path, tmp_path: Path) -> None:
    ran = command("replay", "-r", slides, "-w", tmp_path / "out.pcap", "-c", config)
    assert ran.status == 0
    said = dict(line.split(None, 1) for line in ran.out.splitlines())
    assert said["packets"] == "6 read, 6 written"
    assert said["egress"].startswith("3 SIP messages, 3 rewritten")
    assert said["ingress"].startswith("3 SIP messages")
    assert sorted(said["masked"].split(", ")) == ["Contact 3", "Via 2"]
    assert ran.err.splitlines() == [
        'inline-topo: warning: the codec "kamailio" is obfuscation: whoever wants to can open it, '
        "in any call"
    ]


@pytest.mark.parametrize(("profile", "outcome"), [("default", "noted"), ("strict", "REFUSED")])
def test_no_relay_is_asked_and_media_stays_or_is_refused(
    command: Command, captures: Path, tmp_path: Path, profile: str, outcome: str
) -> None:
    words = ["-r", captures / "basic.pcap", "-w", tmp_path / "out.pcap"]
    words += ["--inside", "192.168.178.10"]
    words += ["--set", "media.relay=rtpengine", "--set", f"profile={profile}"]
    ran = command("replay", *words)
    assert "warning: no media relay is asked in a replay" in ran.err
    assert re.search(rf"(?m)^{outcome} +[0-9]+: ", ran.out)


def test_responses_that_no_gateway_had_masked_the_request_of(
    command: Command, slides: Path, tmp_path: Path
) -> None:
    """A capture taken in clear: who replays it is told what he wanted."""
    phones = ("192.168.178.10", "192.168.178.27")  # the proxy and alice
    words = ["-r", slides, "-w", tmp_path / "out.pcap"]
    for each in phones:
        words += ["--inside", each]
    words += ["--set", 'own=["192.168.178.10"]']
    ran = command("replay", *words)
    assert re.search(r"(?m)^REFUSED +[0-9]+: enters, and names the inside in clear", ran.out)
    assert "no gateway was there when this capture was taken (--leg outside shows" in ran.err
    ran = command("replay", *words, "--leg", "outside")
    assert "REFUSED" not in ran.out
    assert "no gateway was there" not in ran.err


@pytest.mark.parametrize(("words", "status"), [((), 0), (("--strict",), 1)])
def test_strict_exits_1_where_a_packet_was_refused(
    command: Command, troubled: Path, tmp_path: Path, words: tuple[str, ...], status: int
) -> None:
    out = tmp_path / "out.pcap"
    ran = command("replay", "-r", troubled, "-w", out, "--inside", "10.0.0.0/8", *OWN, *words)
    assert ran.status == status
    assert re.search(r"(?m)^REFUSED +1: .*\(packet 2\)$", ran.out)
    assert [packet.time for packet in rdpcap(str(out))] == [1700000000, 1700000002]


def test_strict_exits_0_where_none_was(
    command: Command, slides: Path, config: Path, tmp_path: Path
) -> None:
    words = ("replay", "-r", slides, "-w", tmp_path / "out.pcap", "-c", config, "--strict")
    assert command(*words).status == 0


def test_on_error_accept_lets_it_out(command: Command, troubled: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    words = ("-r", troubled, "-w", out, "--inside", "10.0.0.0/8", "--strict")
    ran = command("replay", *words, "--set", "queue.on_error=accept")
    assert ran.status == 0
    assert bytes(rdpcap(str(out))[1][UDP].payload) == BROKEN


def test_json_is_one_object(command: Command, troubled: Path, tmp_path: Path) -> None:
    words = ("-r", troubled, "-w", tmp_path / "out.pcap", "--inside", "10.0.0.0/8", "--json")
    ran = command("replay", *words, "--set", "own=[]", "--set", "topoh.mask_ip=203.0.113.1")
    report = json.loads(ran.out)
    assert report["packets_read"] == 3
    assert report["packets_written"] == 2
    assert report["messages"] == {"egress": 2}
    assert report["edits"] == {"masked": {"Contact": 1}}
    assert report["outcomes"] == {"masked": 1, "refused_malformed_sip": 1, "inside": 1}
    assert report["refused"] == {
        "refused_malformed_sip": {
            "count": 1,
            "packets": [2],
            "details": {"header line without a valid field name": 1},
        }
    }


def test_only_outside_leaves_insiders_out(command: Command, troubled: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    words = ("replay", "-r", troubled, "-w", out, "--inside", "10.0.0.0/8", *OWN)
    ran = command(*words)
    assert len(rdpcap(str(out))) == 2
    assert "1 packet between insiders in the output" in ran.err
    ran = command(*words, "--only-outside")
    assert [packet[IP].dst for packet in rdpcap(str(out))] == ["198.51.100.2"]
    assert "between insiders are in the output" not in ran.err
    assert re.search(r"(?m)^left out +1 packet between insiders$", ran.out)


@pytest.mark.parametrize("leg", ["gateway", "outside"])
def test_tells_what_ipv6_would_lose_live(command: Command, tmp_path: Path, leg: str) -> None:
    message = INVITE.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 1320 + b"\r\n\r\n")
    link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    packet = link / IPv6(src="fd00::1", dst="2001:db8::2") / UDP(sport=5060, dport=5060)
    wrpcap(str(tmp_path / "in.pcap"), packet / Raw(message))
    words = ["-r", tmp_path / "in.pcap", "-w", tmp_path / "out.pcap", "--leg", leg]
    for network in ("10.0.0.0/8", "fd00::/8"):
        words += ["--inside", network]
    words += ["--set", 'own=["fd00::1"]']
    ran = command("replay", *words)
    [grown] = rdpcap(str(tmp_path / "out.pcap"))
    assert len(packet / Raw(message)) - 14 <= 1500 < len(grown) - 14
    assert ("1 packet of IPv6 grew past the MTU" in ran.err) is (leg == "gateway")


def test_warns_where_nothing_is_inside(command: Command, slides: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    ran = command("replay", "-r", slides, "-w", out, "--inside", "203.0.113.99")
    assert ran.status == 0
    assert "no SIP message enters or leaves" in ran.err
    assert out.read_bytes() == slides.read_bytes()


def test_set_overrides_the_file(
    command: Command, slides: Path, config: Path, captures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.pcap"
    words = ("replay", "-r", slides, "-w", out, "-c", config, "--leg", "outside")
    assert command(*words).status == 0
    assert out.read_bytes() == (captures / "slides-outside.pcap").read_bytes()
    assert command(*words, "--set", "topoh.mask_ip=203.0.113.9").status == 0
    assert b"sip:203.0.113.9;line=sr-" in out.read_bytes()
    assert b"10.1.1.10" not in out.read_bytes()


# --- keys ---------------------------------------------------------------------------------------


def test_without_a_file_a_key_is_made_and_said(
    command: Command, slides: Path, tmp_path: Path
) -> None:
    outs = [tmp_path / "1.pcap", tmp_path / "2.pcap"]
    for out in outs:
        ran = command("replay", "-r", slides, "-w", out, "--inside", INSIDE, "--leg", "outside")
        assert ran.status == 0
        assert "a key made for this run" in ran.err
    first, second = (out.read_bytes() for out in outs)
    assert len(first) == len(second) > slides.stat().st_size
    assert first != second


def test_a_key_ring_makes_it_the_same_each_time(
    command: Command, slides: Path, tmp_path: Path
) -> None:
    ring, back = tmp_path / "mask.key", tmp_path / "back.pcap"
    assert command("keygen", "-o", ring).status == 0
    words = ("--inside", INSIDE, "--set", f"topoh.mask_key_file={ring}")
    outs = [tmp_path / "1.pcap", tmp_path / "2.pcap"]
    for out in outs:
        ran = command("replay", "-r", slides, "-w", out, *words, "--leg", "outside")
        assert (ran.status, ran.err) == (0, "")
    assert outs[0].read_bytes() == outs[1].read_bytes() != slides.read_bytes()
    assert command("replay", "-r", outs[0], "-w", back, *words, "--leg", "inside").status == 0
    assert back.read_bytes() == slides.read_bytes()


def test_the_inside_leg_needs_the_key(command: Command, slides: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    ran = command("replay", "-r", slides, "-w", out, "--inside", INSIDE, "--leg", "inside")
    assert (ran.status, ran.out) == (78, "")
    assert re.fullmatch(r"inline-topo: topoh\.mask_key_file: .*needs the key.*\n", ran.err)
    assert not out.exists()


# --- streams ------------------------------------------------------------------------------------


def test_standard_input_and_output(slides: Path, config: Path, captures: Path) -> None:
    with slides.open("rb") as given:
        ran = run("replay", "-r", "-", "-w", "-", "-c", config, "--leg", "outside", stdin=given)
    assert ran.returncode == 0
    assert ran.stdout == (captures / "slides-outside.pcap").read_bytes()
    assert re.search(rb"(?m)^packets +6 read, 6 written$", ran.stderr)


@pytest.mark.full
def test_two_in_a_pipe(slides: Path, config: Path, tmp_path: Path) -> None:
    first = [*PROGRAM, "replay", "-r", "-", "-w", "-", "-c", str(config), "--leg", "outside"]
    with (
        slides.open("rb") as given,
        subprocess.Popen(
            first, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as outside,
    ):
        out = tmp_path / "back.pcap"
        words = ("replay", "-r", "-", "-w", out, "-c", config, "--leg", "inside")
        ran = run(*words, stdin=outside.stdout)
    assert (outside.returncode, ran.returncode) == (0, 0)
    assert out.read_bytes() == slides.read_bytes()


def test_json_leaves_standard_output_to_the_capture(
    slides: Path, config: Path, captures: Path
) -> None:
    words = ("replay", "-r", slides, "-w", "-", "-c", config, "--leg", "outside", "--json")
    ran = run(*words)
    assert ran.stdout == (captures / "slides-outside.pcap").read_bytes()
    report = ran.stderr[ran.stderr.index(b"{") : ran.stderr.rindex(b"}") + 1]
    assert json.loads(report)["packets_written"] == 6


def test_a_capture_is_not_written_to_a_terminal(slides: Path, config: Path) -> None:
    status, screen = on_a_terminal("replay", "-r", slides, "-w", "-", "-c", config)
    assert status == 2
    assert "standard output is a terminal" in screen


@pytest.mark.full  # by default in test_cli_frame.py and edges/test_capture.py
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, config: Path, slides: Path) -> None:
    words = [*PROGRAM, "replay", "-r", str(slides), "-w", "-", "-c", str(config)]
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(write)
    assert ran.returncode in (2, 141)
    assert b"Traceback" not in ran.stderr


# --- progress and colour ------------------------------------------------------------------------


def on_a_terminal(
    *words: str | Path, stdout: int | None = None, **environment: str
) -> tuple[int, str]:
    """Run with a terminal as standard error (and output, unless given): status, all it showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=slave if stdout is None else stdout,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:  # Linux: the last writer has closed the terminal
            break
        if not more:
            break
        shown += more
    os.close(master)
    return process.wait(timeout=60), shown.decode()


def test_progress_is_for_terminals(slides: Path, config: Path, tmp_path: Path) -> None:
    words = ("replay", "-r", slides, "-w", tmp_path / "out.pcap", "-c", config)
    environment = {name: "" for name in ("NO_COLOR",) if name in os.environ}
    status, screen = on_a_terminal(*words, stdout=subprocess.DEVNULL, **environment)
    assert status == 0
    assert "━" in screen  # the bar
    assert COLOUR.search(screen)
    ran = run(*words)
    assert ran.returncode == 0
    assert b"\x1b" not in ran.stdout + ran.stderr
    assert "━".encode() not in ran.stderr


def test_no_color(slides: Path, config: Path, tmp_path: Path) -> None:
    words = ("replay", "-r", slides, "-w", tmp_path / "out.pcap", "-c", config)
    status, screen = on_a_terminal(*words, NO_COLOR="1")
    assert status == 0
    assert "━" in screen
    assert not COLOUR.search(screen)


# --- errors -------------------------------------------------------------------------------------


def not_a_capture(folder: Path) -> Path:
    path = folder / "bad.pcap"
    path.write_bytes(b"INVITE sip:bob@server.com SIP/2.0\r\n\r\n")
    return path


def empty(folder: Path) -> Path:
    path = folder / "bad.pcap"
    path.touch()
    return path


def compressed(folder: Path) -> Path:
    path = folder / "bad.pcap"
    path.write_bytes(b"\x1f\x8b\x08\x00" + bytes(30))
    return path


def strange_link(folder: Path) -> Path:
    path = folder / "bad.pcap"
    wrpcap(str(path), [Raw(bytes(40))], linktype=147)  # reserved for private use
    return path


def missing(folder: Path) -> Path:
    return folder / "bad.pcap"


def directory(folder: Path) -> Path:
    (folder / "bad.pcap").mkdir()
    return folder / "bad.pcap"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (not_a_capture, r"is not a pcap or pcapng capture"),
        (empty, r"is empty"),
        (compressed, r"compressed: use gunzip first"),
        (strange_link, r"packet 1: .*link.*147"),
        (missing, r"no such file or directory"),
        (directory, r"is a directory"),
    ],
)
@pytest.mark.parametrize("existed", [False, True])
def test_a_bad_input_is_one_line_and_leaves_no_output(
    command: Command, tmp_path: Path, make: Callable[[Path], Path], reason: str, existed: bool
) -> None:
    source, folder = make(tmp_path), tmp_path / "out"
    folder.mkdir()
    out = folder / "out.pcap"
    if existed:
        out.write_bytes(b"of an earlier run")
    ran = command(
        "replay", "-r", source, "-w", out, "--inside", "10.0.0.1",
        "--set", "topoh.codec=kamailio", "--set", "topoh.mask_key=k", "--json",
    )  # fmt: skip
    assert (ran.status, ran.out) == (2, "")
    said = [line for line in ran.err.splitlines() if "warning" not in line]
    assert len(said) == 1
    assert re.fullmatch(f"inline-topo: {re.escape(str(source))}: .*{reason}.*", said[0])
    assert leftovers(folder) == ({"out.pcap"} if existed else set())
    assert not existed or out.read_bytes() == b"of an earlier run"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nowhere/out.pcap", "no such file or directory"),
        ("folder", "is a directory"),
        ("file/out.pcap", "not a directory"),
        ("/dev/full", "no space left on device"),
        ("/proc/out.pcap", ""),
    ],
)
def test_an_output_that_cannot_be_written(
    command: Command, slides: Path, config: Path, tmp_path: Path, target: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    before = leftovers(tmp_path)
    out = tmp_path / target
    ran = command("replay", "-r", slides, "-w", out, "-c", config)
    assert (ran.status, ran.out) == (2, "")
    *warnings, error = ran.err.splitlines()
    assert all("warning" in line for line in warnings)
    assert re.fullmatch(f"inline-topo: {re.escape(str(out))}: .*{reason}.*", error)
    assert leftovers(tmp_path) == before
    assert leftovers(tmp_path / "folder") == set()


@pytest.mark.root
def test_a_folder_of_another_user(command: Command, slides: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        words = ("-r", slides, "-w", folder / "out.pcap", "--inside", INSIDE)
        assert command("replay", *words).status == 0  # and all that is imported late now is
        (folder / "out.pcap").unlink()
        os.seteuid(65534)
        try:
            ran = command("replay", *words)
        finally:
            os.seteuid(0)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.endswith("out.pcap: permission denied\n")
        assert leftovers(folder) == set()


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_the_output_must_not_be_the_input(
    command: Command, config: Path, captures: Path, tmp_path: Path, link: Any
) -> None:
    source = tmp_path / "in.pcap"
    shutil.copyfile(captures / "slides-inside.pcap", source)
    target = source
    if link:
        target = tmp_path / "out.pcap"
        link(source, target)
    before = leftovers(tmp_path)
    ran = command("replay", "-r", source, "-w", target, "-c", config)
    assert (ran.status, ran.out) == (2, "")
    assert re.search(f"(?m)^inline-topo: {re.escape(str(target))}: is the input too", ran.err)
    assert source.read_bytes() == (captures / "slides-inside.pcap").read_bytes()
    assert leftovers(tmp_path) == before


def test_a_bad_configuration_exits_78(command: Command, slides: Path, tmp_path: Path) -> None:
    bad = tmp_path / "gw.toml"
    bad.write_text('insid = ["10.0.0.1"]\n')
    out = tmp_path / "out.pcap"
    ran = command("replay", "-r", slides, "-w", out, "-c", bad)
    assert (ran.status, ran.out) == (78, "")
    assert len(ran.err.splitlines()) == 1
    assert str(bad) in ran.err
    assert "insid" in ran.err
    assert not out.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("-w", "out.pcap"),
        ("-r", "in.pcap"),
        ("-r", "in.pcap", "-w", "out.pcap", "--leg", "middle"),
        ("-r", "in.pcap", "-w", "out.pcap", "extra"),
    ],
)
def test_wrong_usage_exits_2(command: Command, words: tuple[str, ...]) -> None:
    ran = command("replay", *words)
    assert (ran.status, ran.out) == (2, "")
    assert "Traceback" not in ran.err


def test_a_file_name_with_line_breaks_stays_one_line(command: Command, tmp_path: Path) -> None:
    words = ("-w", tmp_path / "out.pcap", "--inside", INSIDE)
    ran = command("replay", "-r", tmp_path / "a\nb.pcap", *words)
    assert ran.status == 2
    assert all(line.startswith("inline-topo: ") for line in ran.err.splitlines())


def test_interrupted_leaves_nothing(slides: Path, config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    read, write = os.pipe()
    words = ["replay", "-r", "-", "-w", str(folder / "out.pcap"), "-c", str(config)]
    process = subprocess.Popen(
        [*HEEDS_SIGINT, *PROGRAM, *words], stdin=read, stderr=subprocess.PIPE
    )
    os.write(write, slides.read_bytes())  # and no end: it waits for more
    deadline = time.monotonic() + 20
    while not leftovers(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert leftovers(folder)
    assert "out.pcap" not in leftovers(folder)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    os.close(read)
    os.close(write)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert leftovers(folder) == set()


# --- comments -----------------------------------------------------------------------------------

HIDDEN = ("192.168.178.27", "192.168.178.22", "alice", "bob", "105@", "101@")


def comments(path: Path) -> list[str]:
    """The comment of each packet, by tshark."""
    words = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.number", "-e", "frame.comment"]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    return [line.partition("\t")[2] for line in ran.stdout.splitlines()]


@pytest.mark.needs("tshark")
def test_comments_say_what_was_done_and_no_clear_value(
    command: Command, slides: Path, config: Path, tmp_path: Path
) -> None:
    outside, inside = tmp_path / "outside.pcapng", tmp_path / "inside.pcapng"
    words = ("replay", "-c", config)
    command(*words, "-r", slides, "-w", outside, "--leg", "outside")
    said = comments(outside)
    assert [bool(comment) for comment in said] == [False, True, True, True, True, True]
    assert said[1].startswith("inline-topo: masked Via, Contact; ")
    assert said[4].startswith("inline-topo: masked Request-URI; ")
    command(*words, "-r", outside, "-w", inside, "--leg", "inside")
    opened = comments(inside)
    assert all(("opened" in comment) == bool(said[n]) for n, comment in enumerate(opened))
    for text in (*said, *opened):
        assert not any(value in text for value in HIDDEN), text


@pytest.mark.needs("tshark")
def test_comments_of_the_capture_stay(
    command: Command, captures: Path, config: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    subprocess.run(
        ["editcap", "-a", "2:seen before", captures / "prack.pcapng", source], check=True
    )
    command("replay", "-c", config, "-r", source, "-w", out, "--leg", "outside")
    second = comments(out)[1]
    assert "seen before" in second
    for text in comments(out):
        assert not any(value in text for value in HIDDEN), text
