"""Log lines: fields, and never too many."""

import logging

import pytest

from inline_topo.edges.live import log


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> object:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield capsys
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one."""
    now = [100.0]
    monkeypatch.setattr("inline_topo.edges.live.log.time.monotonic", lambda: now[0])
    return now


def said(lines: object) -> list[str]:
    assert isinstance(lines, pytest.CaptureFixture)
    err: str = lines.readouterr().err
    return err.splitlines()


def test_a_line_has_fields(lines: object, second: list[float]) -> None:
    log.to_stderr()
    log.Limited(logging.getLogger("x")).warning("cut", queue=3, note='two words "quoted"\n')
    assert said(lines) == [
        r'level=warning event=cut queue=3 note="two words \"quoted\"\n"',
    ]


def test_more_than_five_a_second_are_counted(lines: object, second: list[float]) -> None:
    log.to_stderr()
    limited = log.Limited(logging.getLogger("x"))
    for _ in range(1000):
        limited.warning("cut")
    for _ in range(5):
        limited.warning("fragment")
    limited.flush()
    assert said(lines) == ["level=warning event=cut"] * 5 + ["level=warning event=fragment"] * 5
    second[0] += 1
    limited.flush()
    limited.flush()
    assert said(lines) == ["level=warning event=cut more=995"]


def test_an_exception_tells_its_place_and_not_its_text(lines: object) -> None:
    log.to_stderr()
    try:
        raise ValueError("sip:alice@10.0.0.7")
    except ValueError:
        logging.getLogger("x").exception("a packet could not be judged")
    [line] = said(lines)
    assert "10.0.0.7" not in line
    assert "ValueError at " in line
    assert "test_log.py:" in line
