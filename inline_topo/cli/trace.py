"""`trace`: why did this call fail?"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from inline_topo.cli.options import CAPTURE, Given, config_options, print_json, say
from inline_topo.errors import CaptureError, InlineTopoError
from inline_topo.report import json_help

if TYPE_CHECKING:
    from inline_topo.report.trace import Tracer

_JOURNAL = ("journalctl", "--unit=inline-topo", "--output=short-iso-precise", "--no-pager")


@click.command(epilog=json_help.TRACE)
@click.argument("call_id", metavar="CALL-ID")
@config_options
@click.option(
    "-r", "captures", type=CAPTURE, multiple=True, metavar="FILE", help="A capture (several)."
)
@click.option(
    "--log",
    "logs",
    type=click.File(encoding="utf-8", errors="backslashreplace"),
    multiple=True,
    metavar="FILE",
    help="A log (- is stdin).",
)
@click.option("--journal", is_flag=True, help="The journal of the unit inline-topo.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object (below), for programs.")
def trace(
    given: Given,
    call_id: str,
    captures: tuple[str, ...],
    logs: tuple[TextIO, ...],
    journal: bool,
    as_json: bool,
) -> int:
    """Follow one call through captures and log: what the gateway does with each message, and why.

    CALL-ID is the inside's or the outside's, masked or not. Captures may be of either side; what the
    live gateway refused and kept (queue.refused_folder) is looked at too, with its reasons. The log
    names calls by a mark that only the key can make.

    Exit status: 0 found, 1 not found, 2 trouble, 78 a bad configuration.
    """
    from inline_topo.edges.capture import open_capture
    from inline_topo.report import trace as report

    config = given.load()
    kept = list(_kept(config.queue.refused_folder))
    if not (captures or kept or logs or journal):
        raise click.UsageError(
            "nothing to look at: -r, --log or --journal (or queue.refused_folder)"
        )
    tracer = report.Tracer(config, os.fsencode(call_id.strip()))
    for path in captures:
        with open_capture(path) as capture:
            tracer.capture(capture)
    for path in kept:
        _read_kept(tracer, path)
    for log in logs:
        tracer.log(log.name, log)
    if journal:
        tracer.log("journal", _journal())
    found = tracer.finish()
    if as_json:
        print_json(report.as_dict(found))
    else:
        from inline_topo.report.show_trace import show
        from inline_topo.report.texts import console

        show(console(), found)
    if not found.steps:
        say("nothing of this call is there")
        return 1
    return 0


def _kept(folder: Path | None) -> Iterator[str]:
    if folder is not None and folder.is_dir():
        yield from sorted(map(str, folder.glob("refused-*.pcapng*")))


def _read_kept(tracer: "Tracer", path: str) -> None:
    """A capture that is being written may end within a block."""
    from inline_topo.edges.capture import open_capture

    try:
        with open_capture(path) as capture:
            tracer.capture(capture)
    except CaptureError as error:
        say(f"warning: {error}")


def _journal() -> Iterable[str]:
    import subprocess

    try:
        done = subprocess.run(_JOURNAL, capture_output=True, check=False)
    except OSError as error:
        raise InlineTopoError(f"journalctl: {error.strerror}") from None
    if done.returncode:
        raise InlineTopoError(f"journalctl: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode("utf-8", "backslashreplace").splitlines()
