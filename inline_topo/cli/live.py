"""`run` and `status`: the live gateway."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inline_topo.cli.options import Given, config_options, print_json, say
from inline_topo.errors import InlineTopoError

if TYPE_CHECKING:
    from inline_topo.config import Config


@click.command()
@config_options
@click.option(
    "--dry-run",
    is_flag=True,
    help="Count what would be done, audit it, and send the original.",
)
@click.option(
    "--diff-folder",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    metavar="DIR",
    help="With --dry-run: keep SIP there, before-N.pcapng and after-N.pcapng, 64 MiB a queue at most.",
)
@click.option("--drain", is_flag=True, help="Open tokens, and mask no more.")
@click.option(
    "--fill",
    is_flag=True,
    help="The first step of a start, for one registration period: mask, and let clear Request-URIs "
    "and Routes leave.",
)
def run(given: Given, dry_run: bool, diff_folder: Path | None, drain: bool, fill: bool) -> None:
    """Serve the kernel's queues: the live gateway. It stays in the foreground.

    Needs CAP_NET_ADMIN (and CAP_NET_RAW, so that senders of IPv6 messages that outgrow the MTU are
    told), and rules that send SIP to the queues (`inline-topo rules`). SIGHUP reads
    configuration and keys anew (bad ones are refused, and the old ones stay); SIGTERM ends it when
    what waits is judged. Where phones outside may have addresses of the inside's range, start it with
    --fill, until each has registered anew, and then without. A dry run audits every message, unless
    `audit` is configured; `inline-topo diff DIR/before-0.pcapng DIR/after-0.pcapng` shows what it
    would change.
    """
    from inline_topo.edges.live import log, service
    from inline_topo.edges.live.worker import Mode
    from inline_topo.rules import preflight

    if dry_run + drain + fill > 1:
        raise click.UsageError("--dry-run, --drain and --fill do not go together")
    if diff_folder and not dry_run:
        raise click.UsageError("--diff-folder goes with --dry-run")
    mode = Mode.DRY_RUN if dry_run else Mode.DRAIN if drain else Mode.FILL if fill else Mode.LIVE

    def load() -> "Config":
        config = given.load()
        if mode in (Mode.LIVE, Mode.FILL):
            config.check_live()
        return config

    config = load()
    findings = preflight.findings(config)
    for finding in findings:
        if finding.fatal:
            raise InlineTopoError(finding.text)
    log.to_stderr()
    service.tell_start()
    for finding in findings:
        say(f"warning: {finding.text}")
    for warning in config.live_warnings():
        say(f"warning: {warning}")
    if dry_run and config.queue.on_tcp == "reset":
        say('warning: queue.on_tcp "reset": the rules reset SIP over TCP in a dry run, too')
    if drain:
        say(
            "warning: a drain masks nothing: tokens open where requests are routed by them, and "
            "whoever keeps one can have it read out"
        )
    service.serve(config, load, mode, diff_folder)


@click.command()
@config_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def status(given: Given, as_json: bool) -> int:
    """Ask the running gateway how it fares.

    Exit status, as keepalived's track_script wants it: 0 every queue is served, 1 one is not, 2 no
    gateway answers.
    """
    from inline_topo.edges.live.ask import ask
    from inline_topo.report import running

    config = given.load()
    if not config.metrics.listen_port:
        raise InlineTopoError("metrics.listen_port is 0: the gateway answers nobody")
    state = ask(config.metrics.listen_port)
    if as_json:
        print_json(state)
    else:
        for line in running.lines(state):
            click.echo(line)
    return 0 if state["state"] == "ok" else 1
