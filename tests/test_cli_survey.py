"""`inline-topo check --pcap`: a configuration proposed, and what stands against it."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


def test_a_proposal_alone(command: Command, captures: Path) -> None:
    status, out, err = command("check", "--pcap", captures / "basic.pcap")
    assert (status, err) == (0, "")
    assert tomllib.loads(out) == {
        "inside": ["192.168.178.10"],
        "own": ["192.168.178.10", "server.com"],
        "ports": [5060],
    }


def test_the_proposal_is_a_configuration_that_masks(
    command: Command, captures: Path, tmp_path: Path
) -> None:
    config, ring = tmp_path / "gw.toml", tmp_path / "mask.key"
    assert command("keygen", "-o", ring)[0] == 0
    proposed = command("check", "--pcap", captures / "three-proxies.pcap")[1]
    config.write_text(proposed + '[topoh]\nmask_key_file = "mask.key"\n')
    masked = tmp_path / "masked.pcap"
    source = captures / "three-proxies.pcap"
    assert command("audit", "-r", source, "-c", config)[0] == 1
    assert command("replay", "-r", source, "-w", masked, "-c", config)[0] == 0
    assert command("audit", "-r", masked, "-c", config)[0] == 0


def test_beside_a_configuration_it_is_a_comment(command: Command, captures: Path) -> None:
    words = ("check", "--pcap", captures / "basic.pcap", "--inside", "192.168.178.27")
    status, out, err = command(*words)
    assert (status, err) == (0, "")
    assert tomllib.loads(out)["inside"] == ["192.168.178.27"]
    assert '# inside = ["192.168.178.10"]\n' in out


def test_warnings_are_by_the_configuration(command: Command, captures: Path) -> None:
    words = ("check", "--pcap", captures / "basic.pcap", "--inside", "192.0.2.77")
    status, _, err = command(*words)
    assert status == 0
    assert err == "inline-topo: warning: no message leaves or enters `inside` (13 transit)\n"


def test_fragments(command: Command, captures: Path) -> None:
    status, _, err = command("check", "--pcap", captures / "fragments.pcap")
    assert status == 0
    assert "inline-topo: warning: 2 messages in 6 fragments: " in err


def test_tcp_only_is_2(command: Command, corpus: Path) -> None:
    [path] = corpus.glob("*/pcap/sip-tcp-method__sip-tcp.pcap")
    status, out, err = command("check", "--pcap", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"inline-topo: {path}: no SIP over UDP in it (")
    assert err.endswith(" messages over TCP)\n")


@pytest.mark.parametrize("name", ["no.pcap", "INDEX.toml"])
def test_no_capture_is_2(command: Command, captures: Path, name: str) -> None:
    status, out, err = command("check", "--pcap", captures / name)
    assert (status, out) == (2, "")
    assert err.startswith(f"inline-topo: {captures / name}: ")
    assert err.count("\n") == 1


def test_a_wrong_configuration_is_78(command: Command, captures: Path) -> None:
    status, out, _ = command("check", "--pcap", captures / "basic.pcap", "--set", "ports=0")
    assert (status, out) == (78, "")
