"""`diff` and `audit`: what changed, and what leaks."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from inline_topo.cli.options import CAPTURE, Given, config_options, print_json
from inline_topo.errors import InlineTopoError
from inline_topo.report import json_help

if TYPE_CHECKING:
    from inline_topo.report.html.leaks import Leaks
    from inline_topo.report.messages import Seen

_Command = TypeVar("_Command", bound=Callable[..., int | None])


def _page_options(command: _Command) -> _Command:
    for option in (
        click.option(
            "--max",
            "most",
            type=click.IntRange(min=1),
            default=500,
            show_default=True,
            metavar="N",
            help="With --html: at most N messages in the page.",
        ),
        click.option(
            "--html",
            "page_path",
            metavar="FILE",
            type=click.Path(),
            help="A page for a browser too, complete in one file: no script, no network.",
        ),
    ):
        command = option(command)
    return command


@click.command(epilog=json_help.DIFF)
@click.argument("before", type=CAPTURE)
@click.argument("after", type=CAPTURE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object (below), for programs.")
@click.option("--ladder", is_flag=True, help="The flow of each call, an arrow a message.")
@_page_options
@config_options
def diff(
    given: Given,
    before: str,
    after: str,
    as_json: bool,
    ladder: bool,
    page_path: str | None,
    most: int,
) -> int:
    """Show what differs between the SIP messages of two captures, header by header.

    Messages are paired by method or status, CSeq, the tags of From and To, the hop and time: also
    where the captures were taken at two points, with different clocks. A capture may be `-`,
    standard input. What is not SIP over UDP is not compared. With a configuration (or --inside) the
    page of --html marks what leaks in AFTER.

    Exit status: 0 the same messages in the same order, 1 they differ, 2 trouble.
    """
    from inline_topo.report import diff as report
    from inline_topo.report.messages import Tally, load
    from inline_topo.report.pairs import pair

    if as_json and ladder:
        raise click.UsageError("--json and --ladder do not go together")
    if (given.path or given.sets or given.inside) and not page_path:
        raise click.UsageError("-c, --set and --inside are for the page of --html")
    if before == after == "-":
        raise click.UsageError("only one of BEFORE and AFTER can be standard input")
    left, right = load(before, Tally()), load(after, Tally())
    differences = report.compare(pair(left, right))
    if not differences:
        raise InlineTopoError(f"no SIP over UDP, neither in {before} nor in {after}")
    summary = report.summarize(differences)
    if page_path:
        from inline_topo.report.html import diff as page_of
        from inline_topo.report.html import render

        _check_target(page_path, before, after)
        leaks = None if given.is_empty else _leaks(given, page_path, after, right)
        render.write(page_of.page(before, after, differences, summary, most, leaks), page_path)
    if as_json:
        print_json(report.as_dict(before, after, differences))
    else:
        from inline_topo.report import ladder as flow
        from inline_topo.report import show_diff
        from inline_topo.report.texts import console

        if ladder:
            flow.show(console(), differences)
            show_diff.show_summary(console(), summary)
        else:
            show_diff.show(console(), differences, summary)
    return 0 if summary.is_same else 1


@click.command(epilog=json_help.AUDIT)
@click.option("-r", "source", type=CAPTURE, required=True, metavar="FILE", help="The capture.")
@config_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object (below), for programs.")
@_page_options
def audit(given: Given, source: str, as_json: bool, page_path: str | None, most: int) -> int:
    """Find what shows of the inside in the messages that leave.

    Reads every byte of them. What a rule or the configuration leaves clear, what the receiver said
    first, and media addresses without a relay, are counted beside the leaks. What leaves and cannot
    be read (SIP over TCP or TLS, tunnels, packets that are broken or not whole, bodies that do not
    decode) is listed. Without a file --inside is enough.

    Exit status: 0 nothing shows, 1 something does, 2 trouble, or no message to judge, 3 nothing
    shows in what was read, but something was not read.
    """
    from inline_topo import assemble
    from inline_topo.edges.capture import open_capture
    from inline_topo.report import audit as report
    from inline_topo.report.messages import Tally, read

    config, codec = given.load_to_read()
    flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))
    tally = Tally()
    auditor = report.Auditor(config, flows, codec, tally)
    with open_capture(source) as capture:
        messages = read(capture, tally, auditor.miss)
        kept = list(messages) if page_path else []
        found = auditor.look_at_all(kept or messages)
    report.check_judged(found, source)
    if page_path:
        from inline_topo.report.html import audit as page_of
        from inline_topo.report.html import render

        _check_target(page_path, source)
        given.spare(config, page_path)
        render.write(page_of.page(source, kept, found, flows, most), page_path)
    if as_json:
        print_json(report.as_dict(source, found))
    else:
        from inline_topo.report.show_audit import show
        from inline_topo.report.texts import console

        show(console(), source, found)
    return found.status


def _check_target(target: str, *sources: str) -> None:
    if target == "-":
        raise click.UsageError("--html needs the name of a file: results go to standard output")
    for source in sources:
        if source != "-" and os.path.exists(target) and os.path.samefile(source, target):
            raise InlineTopoError(f"{target}: is an input too, give the page another name")


def _leaks(given: Given, page_path: str, name: str, messages: "list[Seen]") -> "Leaks":
    """What shows in messages that leave, by packet; InlineTopoError where none does leave."""
    from inline_topo import assemble
    from inline_topo.report import audit as report
    from inline_topo.report.html.leaks import by_packet
    from inline_topo.report.messages import Tally

    config, codec = given.load_to_read()
    given.spare(config, page_path)
    flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))
    found = report.audit(messages, Tally(), config, flows, codec)
    report.check_judged(found, name)
    return by_packet(found)
