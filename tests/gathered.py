"""Checks that are all made before a test fails."""

from collections.abc import Callable


def gathered(*checks: Callable[[], object]) -> None:
    """Make every check, then raise all that failed as one ExceptionGroup."""
    failures: list[Exception] = []
    for check in checks:
        try:
            check()
        except Exception as failure:
            failures.append(failure)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(checks)} checks failed", failures)
