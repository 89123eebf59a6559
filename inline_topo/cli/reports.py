"""`diff` and `audit`: what changed, and what leaks."""

import click

from inline_topo.cli.options import CAPTURE, Given, config_options, print_json
from inline_topo.errors import InlineTopoError
from inline_topo.report import json_help


@click.command(epilog=json_help.DIFF)
@click.argument("before", type=CAPTURE)
@click.argument("after", type=CAPTURE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object (below), for programs.")
@click.option("--ladder", is_flag=True, help="The flow of each call, an arrow a message.")
def diff(before: str, after: str, as_json: bool, ladder: bool) -> int:
    """Show what differs between the SIP messages of two captures, header by header.

    Messages are paired by method or status, CSeq, the tags of From and To, and time. A capture may
    be `-`, standard input. What is not SIP over UDP is not compared.

    Exit status: 0 no message differs, 1 some do, 2 trouble.
    """
    from inline_topo.report import diff as report
    from inline_topo.report.messages import Tally, load
    from inline_topo.report.pairs import pair

    if as_json and ladder:
        raise click.UsageError("--json and --ladder do not go together")
    if before == after == "-":
        raise click.UsageError("only one of BEFORE and AFTER can be standard input")
    differences = report.compare(pair(load(before, Tally()), load(after, Tally())))
    if not differences:
        raise InlineTopoError(f"no SIP over UDP, neither in {before} nor in {after}")
    summary = report.summarize(differences)
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
def audit(given: Given, source: str, as_json: bool) -> int:
    """Find what shows of the inside in the messages that leave.

    Judges the header fields that mode topoh masks; what this version does not mask (SDP, From, To,
    other fields) is counted beside them. Without a file --inside is enough.

    Exit status: 0 nothing shows, 1 something does, 2 trouble, or no message to judge.
    """
    from inline_topo import assemble
    from inline_topo.edges.capture import open_capture
    from inline_topo.report import audit as report
    from inline_topo.report.messages import Tally, read

    config, codec = given.load_to_read()
    flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))
    tally = Tally()
    with open_capture(source) as capture:
        messages = read(capture, tally)
        found = report.audit(messages, tally, config, flows, codec)
    report.check_judged(found, source)
    if as_json:
        print_json(report.as_dict(source, found))
    else:
        from inline_topo.report.show_audit import show
        from inline_topo.report.texts import console

        show(console(), source, found)
    return 1 if found.leaks else 0
