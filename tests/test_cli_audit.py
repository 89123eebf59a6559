"""`inline-topo audit`: 0 nothing shows, 1 something does, 2 nothing was judged."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]

SLIDES = """\
inside = ["192.168.178.10"]
own = ["192.168.178.10", "server.com"]
[topoh]
codec = "kamailio"
mask_key = "my secret here"
mask_ip = "10.1.1.10"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "slides.toml"
    path.write_text(SLIDES)
    return path


def test_the_slide_call_masked(command: Command, captures: Path, config: Path) -> None:
    path = captures / "slides-outside.pcap"
    status, out, _ = command("audit", "-r", path, "-c", config)
    assert status == 0
    assert out.splitlines() == [
        "left clear, as configured: 2 places (SDP o= 2)",
        "media shows inside: 2 places (SDP c= 2): no relay takes the streams over",
        f"{path}: judged 3 messages that leave; 3 that enter are not judged",
        "no leaks",
    ]


def test_the_slide_call_in_clear(command: Command, captures: Path, config: Path) -> None:
    status, out, _ = command("audit", "-r", captures / "slides-inside.pcap", "-c", config)
    assert status == 1
    assert out.splitlines()[-1] == "5 leaks in 3 messages: Contact 3, Via 2"
    rows = [line.split() for line in out.splitlines() if line[:6].strip().isdigit()]
    # what the slides colour in the messages that the proxy sends
    assert [(row[0], *row[-4:-1]) for row in rows if "Contact" in row] == [
        ("2", "Contact", "192.168.178.27", "ipv4"),
        ("4", "Contact", "192.168.178.22", "ipv4"),
        ("6", "Contact", "192.168.178.27", "ipv4"),
    ]
    assert "\x1b" not in out


def test_json(command: Command, captures: Path, config: Path) -> None:
    path = captures / "slides-inside.pcap"
    status, out, _ = command("audit", "-r", path, "-c", config, "--json")
    assert status == 1
    tree = json.loads(out)
    assert tree["messages"] == {"egress": 3, "ingress": 3, "inside": 0, "transit": 0}
    assert (tree["judged"], tree["skipped_by_policy"]) == (3, 0)
    found = [(leak["packet"], leak["field"], leak["kind"], leak["shown"]) for leak in tree["leaks"]]
    assert found == [
        (2, "Via", "ipv4", "192.168.178.27"),
        (2, "Contact", "ipv4", "192.168.178.27"),
        (4, "Contact", "ipv4", "192.168.178.22"),
        (6, "Via", "ipv4", "192.168.178.27"),
        (6, "Contact", "ipv4", "192.168.178.27"),
    ]
    assert tree["leaks"][1]["text"] == "sip:105@192.168.178.27:40416"
    assert tree["not_masked"] == [
        {"field": "SDP o=", "kind": "ipv4", "count": 2},
    ]
    assert tree["media_shown"] == [{"field": "SDP c=", "kind": "ipv4", "count": 2}]
    reasons = ("malformed", "tcp", "tls", "tunnel", "incomplete", "body", "bounds")
    assert tree["not_read"] == dict.fromkeys(reasons, 0)


def test_without_a_file(command: Command, captures: Path) -> None:
    words = ("audit", "-r", captures / "basic.pcap", "--inside", "192.168.178.10")
    status, out, err = command(*words)
    assert (status, err) == (1, "")
    assert out.splitlines()[-1].startswith("7 leaks in ")


def test_masked_by_us_nothing_shows(command: Command, captures: Path, tmp_path: Path) -> None:
    """The codec's key is not needed to see that nothing shows."""
    masked = tmp_path / "masked.pcap"
    inside = ("--inside", "192.168.178.10")
    words = ("-r", captures / "basic.pcap", "-w", masked, *inside, "--leg", "outside")
    assert command("replay", *words)[0] == 0
    status, out, _ = command("audit", "-r", masked, *inside)
    assert (status, out.splitlines()[-1]) == (0, "no leaks")


def test_nothing_judged_is_2(command: Command, captures: Path) -> None:
    path = captures / "basic.pcap"
    status, out, err = command("audit", "-r", path, "--inside", "192.0.2.77")
    assert (status, out) == (2, "")
    assert err == (
        f"inline-topo: {path}: nothing was judged: "
        "none of 13 messages leaves `inside` (13 transit)\n"
    )


def test_skipped_by_policy(command: Command, captures: Path, config: Path) -> None:
    config.write_text(SLIDES + '[[rule]]\nmethod = ["BYE"]\naction = "skip"\n')
    status, out, _ = command("audit", "-r", captures / "slides-inside.pcap", "-c", config)
    assert status == 1
    assert "left clear by policy: 1 message (Contact 1, Via 1)\n" in out
    assert out.splitlines()[-1] == "3 leaks in 2 messages: Contact 2, Via 1"


def test_all_skipped_is_2(command: Command, captures: Path, config: Path) -> None:
    config.write_text(SLIDES + '[[rule]]\naction = "skip"\n')
    status, out, err = command("audit", "-r", captures / "slides-inside.pcap", "-c", config)
    assert (status, out) == (2, "")
    assert err.endswith("nothing was judged: all of 3 messages that leave are skipped by a rule\n")


def test_no_configuration_is_78(command: Command, captures: Path) -> None:
    status, out, err = command("audit", "-r", captures / "basic.pcap")
    assert (status, out) == (78, "")
    assert err.count("\n") == 1


def test_a_missing_capture_is_2(command: Command, config: Path) -> None:
    status, out, err = command("audit", "-r", "no.pcap", "-c", config)
    assert (status, out) == (2, "")
    assert err.endswith("inline-topo: no.pcap: no such file or directory\n")
