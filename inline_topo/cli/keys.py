"""`keygen` and `reveal`: keys, and what they open."""

import os
import sys
from pathlib import Path

import click

from inline_topo.cli.options import CAPTURE, FILE, Given, config_options, say


@click.command()
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write a new key ring here.")
@click.option("--rotate", type=FILE, metavar="FILE", help="Add a key to this ring and activate it.")
def keygen(output: Path | None, rotate: Path | None) -> None:
    """Make a key ring (on standard output, or in a file that is new), or rotate one."""
    from inline_topo.masking.codecs.keyring import KeyRing

    if rotate and output:
        raise click.UsageError("-o and --rotate do not go together")
    if rotate:
        ring = KeyRing.load(rotate).rotate()
        ring.save(rotate)
        say(f"{rotate}: key {ring.active} is active now, key {ring.stable} stays stable")
    elif output:
        KeyRing.generate().save(output, overwrite=False)
        say(f"{output}: a new key ring; every gateway and every replay needs this one")
    else:
        click.echo(KeyRing.generate().dump(), nl=False)


@click.command()
@click.argument("value")
@click.option(
    "-r", "source", type=CAPTURE, metavar="FILE", help="Open VALUE in the messages of this capture."
)
@config_options
def reveal(given: Given, value: str, source: str | None) -> int:
    """Open the tokens in VALUE: a masked URI, a Call-ID, a bare token, a header field, a message.

    Says which kind each is and which key sealed it. A Via below the topmost opens in its message
    alone: give that as VALUE (`-`: it is read from standard input), or the capture that has it. A
    clear Call-ID is traced instead: what the outside sees of it (with topoh.mask_callid).

    Exit status: 0 something opened or is traced, 1 nothing, 78 a bad configuration.
    """
    from inline_topo import assemble
    from inline_topo.masking.callid import CallIds
    from inline_topo.report import reveal as report

    config = given.load()
    codec = assemble.codec(config)
    call_ids = None
    if config.topoh.mask_callid:
        call_ids = CallIds(codec, assemble.hosts(config), config.topoh.callid_prefix.encode())
    if value == source == "-":
        raise click.UsageError("only one of VALUE and FILE can be standard input")
    text = sys.stdin.buffer.read() if value == "-" else os.fsencode(value)
    if source:
        findings = report.reveal_in(source, text.strip(), codec, call_ids)
    else:
        findings = report.reveal(text.strip(), codec, call_ids)
    if findings.is_empty:
        say(
            "nothing in it opens, and as a Call-ID it is the same inside and outside"
            " (a Via opens with its whole message, or with -r)"
        )
        return 1
    for line in report.lines(findings):
        click.echo(line)
    return 0
