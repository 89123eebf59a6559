"""`inline-topo check`: the effective configuration, or exit status 78."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from inline_topo.masking.codecs.keyring import KeyRing

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gw(tmp_path: Path) -> Path:
    """A configuration that works, with its key ring."""
    KeyRing.generate().save(tmp_path / "mask.key")
    path = tmp_path / "gw.toml"
    path.write_text('inside = ["10.1.1.10"]\n[topoh]\nmask_key_file = "mask.key"\n')
    return path


def test_shows_what_is_in_force(
    command: Command, gw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INLINE_TOPO_PORTS", "5062")
    status, out, err = command("check", "-c", gw, "--set", "own=a.com", "--inside", "10.0.0.0/8")
    assert status == 0
    assert err.startswith("inline-topo: warning: no own address of IPv4 (own, topoh.mask_ip)")
    tree = tomllib.loads(out)
    assert (tree["ports"], tree["own"], tree["inside"]) == ([5062], ["a.com"], ["10.0.0.0/8"])
    assert 'inside = ["10.0.0.0/8"]' in out
    sources = {line.split(" ")[0]: line.rpartition("# ")[2] for line in out.splitlines()}
    assert sources["ports"] == "INLINE_TOPO_PORTS"
    assert (sources["own"], sources["inside"]) == ("--set", "--inside")
    assert sources["mask_key_file"] == str(gw)


def test_hides_the_key_and_says_what_it_is_worth(command: Command) -> None:
    words = ["--inside", "10.1.1.10", "--set", "topoh.codec=kamailio"]
    status, out, err = command("check", *words, "--set", "topoh.mask_key=my secret here")
    assert status == 0
    assert "my secret here" not in out + err
    assert err.startswith('inline-topo: warning: the codec "kamailio" is obfuscation')


def test_warns_when_messages_may_leave_in_clear(command: Command, gw: Path) -> None:
    status, _, err = command("check", "-c", gw, "--set", "queue.on_error=accept")
    assert status == 0
    assert err.startswith('inline-topo: warning: queue.on_error "accept"')


def test_a_wrong_key_is_one_line_and_78(command: Command, gw: Path) -> None:
    gw.write_text(gw.read_text() + 'codec = "aes"\n')
    line = f'inline-topo: {gw}: topoh.codec: "aes" is not one of aes-siv, kamailio\n'
    assert command("check", "-c", gw) == (78, "", line)


def test_a_missing_file_is_78(command: Command, tmp_path: Path) -> None:
    line = f"inline-topo: {tmp_path / 'no.toml'}: No such file or directory\n"
    assert command("check", "-c", tmp_path / "no.toml") == (78, "", line)


def test_an_unknown_variable_is_78(
    command: Command, gw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INLINE_TOPO_PORT", "5062")
    line = "inline-topo: INLINE_TOPO_PORT: port: unknown key; did you mean ports?\n"
    assert command("check", "-c", gw) == (78, "", line)


def test_a_key_ring_that_others_can_read_is_78(command: Command, gw: Path) -> None:
    ring = gw.with_name("mask.key")
    ring.chmod(0o644)
    line = (
        f"inline-topo: topoh.mask_key_file: {ring}: open to other users (mode 0644); chmod 600 it\n"
    )
    assert command("check", "-c", gw) == (78, "", line)


def test_a_missing_key_ring_is_78(command: Command, gw: Path) -> None:
    gw.with_name("mask.key").unlink()
    line = (
        f"inline-topo: topoh.mask_key_file: {gw.with_name('mask.key')}: No such file or directory\n"
    )
    assert command("check", "-c", gw) == (78, "", line)


def test_a_line_break_in_a_name_does_not_break_the_line(command: Command, tmp_path: Path) -> None:
    status, _, err = command("check", "-c", tmp_path / "a\nb\x1b[2J.toml")
    assert status == 78
    assert err.endswith("/a\\nb\\x1b[2J.toml: No such file or directory\n")
    assert err.count("\n") == 1


def test_run_refuses_strict_without_a_media_relay(command: Command, gw: Path) -> None:
    status, out, err = command("run", "-c", gw, "--set", "profile=strict")
    assert (status, out) == (78, "")
    assert err.startswith('inline-topo: --set: profile: "strict" needs a media relay')
