"""Structured log lines (`key=value`), and a limit on how many a second."""

import logging
import sys
import time
from collections import Counter

A_SECOND = 5
"""Lines of one kind in a second; what is more is counted, and the count said."""


def to_stderr() -> None:
    """Log lines go to standard error, where the journal takes them from."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Logfmt())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class Limited:
    """Says the same kind of thing so many times a second at most."""

    def __init__(self, log: logging.Logger, most: int = A_SECOND) -> None:
        self._log = log
        self._most = most
        self._second = 0
        self._said: Counter[str] = Counter()

    def warning(self, event: str, **fields: object) -> None:
        """One event; its fields are told with it."""
        second = int(time.monotonic())
        if second != self._second:
            self._forget()
            self._second = second
        self._said[event] += 1
        if self._said[event] <= self._most:
            self._log.warning(event, extra={"fields": fields})

    def flush(self) -> None:
        """Say what was held back, once its second is over."""
        if int(time.monotonic()) != self._second:
            self._forget()

    def _forget(self) -> None:
        for event, count in self._said.items():
            if count > self._most:
                self._log.warning(event, extra={"fields": {"more": count - self._most}})
        self._said.clear()


class _Logfmt(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {"level": record.levelname.lower()}
        fields["event"] = record.getMessage()
        fields |= getattr(record, "fields", {})
        if record.exc_info:
            fields["error"] = _error(record)
        return " ".join(f"{key}={_value(value)}" for key, value in fields.items())


def _error(record: logging.LogRecord) -> str:
    """Kind and place of an exception: its text may quote what a message said."""
    kind, _, trace = record.exc_info or (None, None, None)
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    return f"{kind.__name__ if kind else 'Exception'} at {where}"


def _value(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not set(text) & set(' "='):
        return text
    return '"' + text.encode("unicode_escape").decode().replace('"', '\\"') + '"'
