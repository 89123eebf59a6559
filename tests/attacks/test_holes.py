"""The list of holes: what is new and what is stale are both told, and what was not tried is neither."""

from pathlib import Path

from attacks.holes import Hole, compare, read, write

KNOWN = Hole("matrix", "default/aes-siv/topoh/router", "stray / Via below / own")
OTHER = Hole("guesses", "default/kamailio/topoh/router", 'relayed "INVITE" / Contact')


def test_what_is_new_or_stale_is_told(tmp_path: Path) -> None:
    assert list(compare({KNOWN}, {(*KNOWN,)}, {KNOWN})) == []
    [new] = compare({KNOWN}, {(*KNOWN,)}, set())
    assert new.startswith("opens, and is not listed: matrix")
    [stale] = compare(set(), {(*KNOWN,)}, {KNOWN})
    assert stale.startswith("listed, and no longer opens: matrix")
    assert list(compare(set(), set(), {KNOWN})) == []


def test_the_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    holes = {KNOWN, OTHER, KNOWN._replace(setting="strict/aes-siv/topoh/nat")}
    write(holes, tmp_path / "holes.toml")
    assert read(tmp_path / "holes.toml") == holes
    assert OTHER.is_documented
    assert not KNOWN.is_documented
