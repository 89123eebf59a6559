"""Each message of the table `field.CASES` in each setting: out, and back byte for byte.

What leaves is searched by code that knows nothing of the package (`attacks.search`).
"""

import re
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import NO_SHARED, SHARED
from tests.corpus.field import CASES, SETTINGS, Case, Setting
from tests.corpus.passed import Passed, hidden_lines, passed, secrets
from tests.gathered import gathered

FIELD = SHARED / "field"
_LINE_END = re.compile(rb"\n(?![ \t])")


@pytest.fixture(scope="module")
def field() -> Path:
    if not FIELD.is_dir():
        pytest.skip(NO_SHARED)
    return FIELD


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_leaves_and_comes_back(field: Path, case: Case) -> None:
    gathered(*[partial(_check, field, case, setting) for setting in SETTINGS])


def _check(field: Path, case: Case, setting: Setting) -> None:
    config = setting.config(field / f"{case.name}.toml")
    messages = list(passed(field / f"{case.name}.pcap", config))
    assert messages, "the capture has no message"
    names = secrets(config, messages)
    refused = {one.seen.number: one.verdict.outcome for one in messages if one.is_refused}
    assert refused == case.outcomes(setting), setting
    shown: set[str] = set()
    changed: set[str] = set()
    for one in messages:
        if one.is_refused:
            continue
        changed |= unlike(one)
        if one.leaves:
            left = one.payload
            shown |= {name for name, line in hidden_lines(left) if names.shown(line)}
    assert shown == case.shown(setting), setting
    assert changed == case.changed(setting), setting


def unlike(one: Passed) -> set[str]:
    """The fields in which a message that came back is unlike what it was."""
    if one.back == one.seen.data:
        return set()
    before, after = _lines(one.seen.data), _lines(one.back)
    names = {name for name, _ in {*before} ^ {*after}}
    return names or {"order"}


def _lines(message: bytes) -> list[tuple[str, bytes]]:
    head, _, body = message.partition(b"\r\n\r\n")
    first, *lines = _LINE_END.split(head)
    named = [(line.partition(b":")[0].strip().lower().decode("latin-1"), line) for line in lines]
    return [("first line", first), *named, ("body", body)]
