"""What the log says of a store in trouble."""

import pytest

from inline_topo.stores.health import Health


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [500.0]
    monkeypatch.setattr("inline_topo.stores.health.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def health(caplog: pytest.LogCaptureFixture) -> Health:
    caplog.set_level("INFO", "inline_topo.stores")
    return Health("memory:")


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    lines = [(record.getMessage(), vars(record)["fields"]) for record in caplog.records]
    caplog.clear()
    return lines


def test_a_failure_and_its_end(
    clock: list[float], health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    health.failed("full", 3, saving=True)
    clock[0] += 2
    health.failed("full", 4, saving=True)
    clock[0] += 2.25
    health.worked(saving=True)
    health.worked(saving=True)
    assert said(caplog) == [
        ("store failed", {"store": "memory:", "reason": "full", "exchanges_failed": 3}),
        ("store works again", {"store": "memory:", "seconds": "4.2", "exchanges_failed": 7}),
    ]


def test_what_lasts_is_said_every_ten_seconds(
    clock: list[float], health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(250):
        health.failed("full", 1, saving=True)
        clock[0] += 0.125
    counts = [fields["exchanges_failed"] for _, fields in said(caplog)]
    assert counts == [1, 81, 161, 241]


def test_what_comes_and_goes_is_said_every_ten_seconds(
    clock: list[float], health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(250):
        health.failed("full", 1, saving=True)
        health.worked(saving=True)
        clock[0] += 0.125
    events = [event for event, _ in said(caplog)]
    assert events == ["store failed", "store works again"] * 4


def test_another_reason_is_said_after_a_second(
    clock: list[float], health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    for step in range(16):
        health.failed("full" if step % 2 else "locked", 1, saving=True)
        clock[0] += 0.25
    assert [fields["reason"] for _, fields in said(caplog)][:2] == ["locked", "full"]
    clock[0] += 1
    health.failed("gone", 1, saving=False)
    assert [fields["reason"] for _, fields in said(caplog)] == ["gone"]


def test_reading_does_not_prove_that_it_can_write(
    clock: list[float], health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    health.failed("full", 1, saving=True)
    health.worked(saving=False)
    assert health.is_failing
    assert [event for event, _ in said(caplog)] == ["store failed"]
