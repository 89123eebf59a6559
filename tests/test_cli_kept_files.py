"""No output takes the place of the configuration, of a key ring or of a dialog store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ran

Command = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path, command: Command, captures: Path) -> Path:
    command("keygen", "-o", tmp_path / "mask.key")
    (tmp_path / "call.pcap").write_bytes((captures / "basic.pcap").read_bytes())
    (tmp_path / "gateway.toml").write_text(
        'mode = "topos"\ninside = ["192.168.178.10"]\ntopoh.mask_key_file = "mask.key"\n'
        f'topos.store = "sqlite:///{tmp_path}/dialogs.db"\n'
    )
    status, _, err = command(
        *("replay", "-r", tmp_path / "call.pcap", "-w", tmp_path / "out.pcap"),
        *("-c", tmp_path / "gateway.toml"),
    )
    assert (status, err) == (0, "")
    return tmp_path


@pytest.mark.parametrize("name", ["gateway.toml", "mask.key", "dialogs.db"])
@pytest.mark.parametrize(
    "words",
    [
        ("replay", "-r", "call.pcap", "-w"),
        ("replay", "--anonymise", "-r", "call.pcap", "-w"),
        ("audit", "-r", "call.pcap", "--html"),
        ("diff", "call.pcap", "out.pcap", "--html"),
    ],
    ids=["replay", "anonymise", "audit", "diff"],
)
def test_an_output_spares_what_the_gateway_needs(
    command: Command, folder: Path, words: tuple[str, ...], name: str
) -> None:
    before = (folder / name).read_bytes()
    paths = [folder / word if word.endswith(".pcap") else word for word in words]
    status, out, err = command(*paths, folder / name, "-c", folder / "gateway.toml")
    assert (status, out) == (2, "")
    assert err == (
        f"inline-topo: {folder / name}: the configuration needs this file, "
        "give the output another name\n"
    )
    assert (folder / name).read_bytes() == before


def test_the_key_of_pseudonyms_is_spared_too(command: Command, folder: Path) -> None:
    key = folder / "names.key"
    command("keygen", "-o", key)
    before = key.read_bytes()
    status, _, err = command(
        *("replay", "--anonymise", "--inside", "192.168.178.10", "--pseudonym-key", key),
        *("-r", folder / "call.pcap", "-w", key),
    )
    assert status == 2
    assert "give the output another name" in err
    assert key.read_bytes() == before
