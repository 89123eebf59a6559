"""`replay`: a capture through the rewriter."""

from pathlib import Path

import click

from inline_topo.cli.options import FILE, Given, config_options, heard_store, refuse_live_store, say


@click.command()
@click.option(
    "-r", "source", required=True, metavar="FILE", help="The capture to read; - is stdin."
)
@click.option("-w", "target", required=True, metavar="FILE", help="The one to write; - is stdout.")
@config_options
@click.option(
    "--leg",
    type=click.Choice(["gateway", "outside", "inside"]),
    default="gateway",
    show_default=True,
    help="gateway: each packet as live; outside, inside: what that side would have seen.",
)
@click.option("--only-outside", is_flag=True, help="Leave out packets between insiders.")
@click.option(
    "--anonymise",
    is_flag=True,
    help="Make a capture fit for sharing: only what the outside would see (--leg outside "
    "--only-outside; profile strict where none is said), names and addresses replaced, payloads "
    "dropped. Exits with 1, and writes nothing, where a name of the original shows in the result.",
)
@click.option(
    "--payloads",
    type=click.Choice(["drop", "zero"]),
    default="drop",
    show_default=True,
    help="--anonymise: what is no SIP, and bodies of unknown type: cut off, or zeros.",
)
@click.option(
    "--pseudonym-key",
    type=FILE,
    metavar="FILE",
    help="--anonymise: a key ring (keygen) by which names have the same pseudonyms in each run.",
)
@click.option("--rebase-time", is_flag=True, help="--anonymise: the first packet is at time 0.")
@click.option("--strict", is_flag=True, help="Exit with 1 where a packet was refused or not read.")
@click.option("--json", "as_json", is_flag=True, help="Say what was done as one JSON object.")
def replay(
    given: Given,
    source: str,
    target: str,
    leg: str,
    only_outside: bool,
    anonymise: bool,
    payloads: str,
    pseudonym_key: Path | None,
    rebase_time: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Put every packet of a capture through the rewriter.

    All other packets, timestamps, link layers and interfaces stay byte for byte. Without a
    configuration --inside is enough: a key is then made for this run, and no other run opens what
    it masks. Exits with 0; with 1 where the capture ends in the middle of a packet (the whole ones
    are written), and with --strict where a packet was refused (left out of the output) or was not
    read: SIP over TCP, TLS on 5061, tunnels.
    """
    if anonymise:
        from inline_topo.cli.sharing import Wanted, share

        if leg == "inside":
            raise click.UsageError(
                "--anonymise shows the outside: --leg inside does not go with it"
            )
        wanted = Wanted(payloads == "zero", pseudonym_key, rebase_time)
        return share(given, source, target, wanted, strict=strict, as_json=as_json)
    if pseudonym_key or rebase_time or payloads != "drop":
        raise click.UsageError("--payloads, --pseudonym-key and --rebase-time go with --anonymise")

    import json
    from functools import partial

    from inline_topo import assemble
    from inline_topo.edges.capture import create_capture, open_capture
    from inline_topo.edges.replay import replay as run
    from inline_topo.masking import effects
    from inline_topo.report import replayed
    from inline_topo.report.progress import progress_of
    from inline_topo.wire.ip import MAX_PACKET

    config, ring = given.load_with_ring(leg)
    given.spare(config, target)
    if config.mode == "topos" and leg == "outside":
        refuse_live_store(config)
    gateway = assemble.gateway(config, assemble.Leg(leg), ring=ring, refuses_unread=strict)
    performers = assemble.performers(config)
    with (
        heard_store(config),
        open_capture(source) as capture,
        create_capture(target, capture) as writer,
        progress_of(source) as progress,
        effects.closing(performers),
    ):
        report = run(
            capture,
            writer,
            gateway,
            only_outside=only_outside,
            progress=progress,
            mtu=config.mtu if leg == "gateway" else MAX_PACKET,
            perform=partial(effects.perform, performers),
            unread=assemble.unread(config),
        )
    results_to_stderr = target == "-"
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2), err=results_to_stderr)
    else:
        for line in replayed.lines(report):
            click.echo(line, err=results_to_stderr)
    for warning in replayed.warnings(report, only_outside=only_outside):
        say(f"warning: {warning}")
    if config.media.relay != "none" and leg != "inside":
        say(
            "warning: no media relay is asked in a replay: SDP shows where media goes (strict: refused)"
        )
    is_unsure = bool(report.refused or report.not_read)
    return 1 if report.is_cut or (strict and is_unsure) else 0
