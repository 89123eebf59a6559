"""The command line. Each command is thin: it reads its options, calls one function, prints.

A command returns its exit status (None is 0). Results go to standard output, all else to standard
error. What a command needs is imported inside it, so that `--help` and the shell's completion
are quick.
"""

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from inline_topo import __version__
from inline_topo.errors import ConfigError, InlineTopoError
from inline_topo.report import json_help

if TYPE_CHECKING:
    from inline_topo.config import Config
    from inline_topo.masking.codecs.base import Codec
    from inline_topo.masking.codecs.keyring import KeyRing
    from inline_topo.report.proposal import Proposal

INTERRUPTED = 130  # 128 + SIGINT, as a shell counts
BROKEN_PIPE = 141  # 128 + SIGPIPE

FILE = click.Path(path_type=Path)
CAPTURE = click.Path(allow_dash=True)


@dataclass(frozen=True)
class Given:
    """What the command line says about the configuration."""

    path: Path | None
    sets: tuple[str, ...]
    inside: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said at all, in the environment neither."""
        from inline_topo.settings import PREFIX

        said = self.path or self.sets or self.inside
        return not said and not any(name.startswith(PREFIX) for name in os.environ)

    def load(self, *, key_ring_given: bool = False) -> "Config":
        """The configuration, its warnings said; ConfigError as `inline_topo.config.load`."""
        from inline_topo.config import load

        config = load(
            self.path,
            env=os.environ,
            sets=self.sets,
            overrides={"inside": self.inside} if self.inside else {},
            key_ring_given=key_ring_given,
        )
        for warning in config.warnings():
            say(f"warning: {warning}")
        return config

    def load_with_ring(self, leg: str) -> "tuple[Config, KeyRing | None]":
        """The configuration for a replay; without a file that names a key, with a key ring made for
        this run. ConfigError where the leg has nothing to open without the right key."""
        from inline_topo.masking.codecs.keyring import KeyRing

        config = self.load(key_ring_given=self.path is None)
        if config.topoh.codec != "aes-siv" or config.topoh.mask_key_file is not None:
            return config, None
        if leg == "inside":
            raise ConfigError(
                "topoh.mask_key_file: --leg inside needs the key that masked (-c, --set)"
            )
        say("a key made for this run masks: no other run opens it (-c or --set name a key ring)")
        return config, KeyRing.generate()

    def load_to_read(self) -> "tuple[Config, Codec]":
        """The configuration for a report, and a codec to tell tokens by: without a file that names
        a key, one that opens none (tokens of aes-siv never read as addresses)."""
        from inline_topo import assemble
        from inline_topo.masking.codecs.keyring import KeyRing

        config = self.load(key_ring_given=self.path is None)
        has_key = config.topoh.codec != "aes-siv" or config.topoh.mask_key_file is not None
        return config, assemble.codec(config, None if has_key else KeyRing.generate())


def config_options(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """-c, --set and --inside; the command gets them as its first argument, a `Given`."""

    @click.option("-c", "--config", "path", type=FILE, metavar="FILE", help="The configuration.")
    @click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Overrides one key (several)."
    )
    @click.option(
        "--inside", multiple=True, metavar="NET", help="An address or network inside (several)."
    )
    @functools.wraps(command)
    def with_given(
        path: Path | None, sets: tuple[str, ...], inside: tuple[str, ...], **options: object
    ) -> int | None:
        return command(Given(path, sets, inside), **options)

    return with_given


def say(text: str) -> None:
    """A line for the person, beside the results; line breaks in a file's name don't break it."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    click.echo(f"inline-topo: {line}", err=True)


def print_json(tree: object) -> None:
    """A result for programs."""
    import json

    click.echo(json.dumps(tree, indent=2, ensure_ascii=False))


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        status = cli.main(prog_name="inline-topo", standalone_mode=False)
    except InlineTopoError as error:
        say(str(error))
        status = error.exit_code
    except click.Abort:
        status = INTERRUPTED
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except OSError as error:
        say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        status = InlineTopoError.exit_code
    sys.exit(status)


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            result = super().invoke(ctx)
            if sys.stdout:  # none where the caller closed it
                sys.stdout.flush()
        except BrokenPipeError:
            # the reader has gone: nothing to say, and nothing to flush at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(BROKEN_PIPE)
        return result


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="inline-topo %(version)s")
def cli() -> None:
    """Hides the topology of a SIP network from the wire, packet by packet."""


@cli.command()
@config_options
@click.option("--pcap", type=CAPTURE, metavar="FILE", help="Look at a capture, too.")
def check(given: Given, pcap: str | None) -> None:
    """Show the effective configuration, secrets hidden, and where each value comes from.

    With --pcap: propose `inside`, `own` and `ports` from what a capture shows, and warn of what a
    gateway would have trouble with there: by the configuration, or without one by the proposal.

    Exit status: 0; 2 a capture that cannot be read or has no SIP; 78 a bad configuration.
    """
    from inline_topo import assemble

    if pcap is None:
        config = given.load()
        assemble.codec(config)  # reads the key
        click.echo(config.to_toml(), nl=False)
        return

    from inline_topo.report.messages import Tally
    from inline_topo.report.messages import load as load_messages
    from inline_topo.report.proposal import propose
    from inline_topo.report.survey import warnings

    tally = Tally()
    messages = load_messages(pcap, tally)
    proposal = propose(messages)
    if proposal is None:
        over_tcp = f" ({tally.tcp} messages over TCP)" if tally.tcp else ""
        raise InlineTopoError(f"{pcap}: no SIP over UDP in it{over_tcp}")
    proposed = proposal.toml(pcap, len(messages))
    if given.is_empty:
        config, codec = _as_proposed(proposal)
        click.echo("\n".join(proposed))
    else:
        config, codec = given.load_to_read()
        click.echo(config.to_toml())
        click.echo("\n".join(line if line.startswith("#") else f"# {line}" for line in proposed))
    hosts, policy = assemble.hosts(config), assemble.policy(config)
    flows = assemble.flows(config, hosts, policy)
    strategy = assemble.strategy(config, assemble.Leg.GATEWAY, codec, hosts, policy)
    for warning in warnings(messages, tally, config, flows, strategy):
        say(f"warning: {warning}")


def _as_proposed(proposal: "Proposal") -> "tuple[Config, Codec]":
    from inline_topo import assemble
    from inline_topo.config import load
    from inline_topo.masking.codecs.keyring import KeyRing

    config = load(None, env={}, overrides=proposal.settings(), key_ring_given=True)
    return config, assemble.codec(config, KeyRing.generate())


@cli.command()
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
@click.option("--strict", is_flag=True, help="Exit with 1 where a packet was refused.")
@click.option("--json", "as_json", is_flag=True, help="Say what was done as one JSON object.")
def replay(
    given: Given,
    source: str,
    target: str,
    leg: str,
    only_outside: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Put every packet of a capture through the rewriter.

    All other packets, timestamps, link layers and interfaces stay byte for byte. Without a
    configuration --inside is enough: a key is then made for this run, and no other run opens what
    it masks. Exits with 0; with --strict with 1 where a packet was refused (left out of the output).
    """
    import json

    from inline_topo import assemble
    from inline_topo.edges.capture import create_capture, open_capture
    from inline_topo.edges.replay import replay as run
    from inline_topo.report import replayed
    from inline_topo.report.progress import progress_of

    config, ring = given.load_with_ring(leg)
    gateway = assemble.gateway(config, assemble.Leg(leg), ring=ring)
    with (
        open_capture(source) as capture,
        create_capture(target, capture) as writer,
        progress_of(source) as progress,
    ):
        report = run(capture, writer, gateway, only_outside=only_outside, progress=progress)
    results_to_stderr = target == "-"
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2), err=results_to_stderr)
    else:
        for line in replayed.lines(report):
            click.echo(line, err=results_to_stderr)
    for warning in replayed.warnings(report, only_outside=only_outside):
        say(f"warning: {warning}")
    return 1 if strict and report.refused else 0


@cli.command()
@config_options
@click.option("--dry-run", is_flag=True, help="Count what would be done, and send the original.")
@click.option("--drain", is_flag=True, help="Open tokens, and mask no more.")
def run(given: Given, dry_run: bool, drain: bool) -> None:
    """Serve the kernel's queues: the live gateway. It stays in the foreground.

    Needs CAP_NET_ADMIN, and rules that send SIP to the queues (`inline-topo rules`). SIGHUP reads
    configuration and keys anew (bad ones are refused, and the old ones stay); SIGTERM ends it when
    what waits is judged.
    """
    from inline_topo.edges.live import log, service
    from inline_topo.edges.live.worker import Mode
    from inline_topo.rules import preflight

    if dry_run and drain:
        raise click.UsageError("--dry-run and --drain do not go together")
    config = given.load()
    for finding in preflight.findings(config):
        if finding.fatal:
            raise InlineTopoError(finding.text)
        say(f"warning: {finding.text}")
    log.to_stderr()
    mode = Mode.DRY_RUN if dry_run else Mode.DRAIN if drain else Mode.LIVE
    service.serve(config, given.load, mode)


@cli.command()
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


@cli.command()
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


@cli.command(epilog=json_help.DIFF)
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


@cli.command()
@click.argument("value")
@config_options
def reveal(given: Given, value: str) -> int:
    """Open the tokens in VALUE: a masked URI, a Via, a Call-ID, a bare token, a whole header field.

    Says which kind each is and which key sealed it. A clear Call-ID is traced instead: what the
    outside sees of it (with topoh.mask_callid).

    Exit status: 0 something opened or is traced, 1 nothing, 78 a bad configuration.
    """
    from inline_topo import assemble
    from inline_topo.masking.callid import CallIds
    from inline_topo.report.reveal import lines
    from inline_topo.report.reveal import reveal as find

    config = given.load()
    codec = assemble.codec(config)
    call_ids = None
    if config.topoh.mask_callid:
        call_ids = CallIds(codec, assemble.hosts(config), config.topoh.callid_prefix.encode())
    findings = find(os.fsencode(value.strip()), codec, call_ids)
    if findings.is_empty:
        say("nothing in it opens, and as a Call-ID it is the same inside and outside")
        return 1
    for line in lines(findings):
        click.echo(line)
    return 0


@cli.command(epilog=json_help.AUDIT)
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


@cli.group()
def rules() -> None:
    """The firewall rules that bring SIP to the queues: chains of our own, IPv4 and IPv6."""


@rules.command("show")
@config_options
@click.option("-6", "--ipv6", is_flag=True, help="For ip6tables-restore.")
@click.option("--nft", is_flag=True, help="For nft -f: both families (not tested with a queue).")
def show_rules(given: Given, ipv6: bool, nft: bool) -> None:
    """Print the rules of the configuration, for iptables-restore --noflush."""
    from inline_topo.rules import iptables, nftables
    from inline_topo.rules.plan import Family, plan

    if ipv6 and nft:
        raise click.UsageError("--ipv6 and --nft do not go together: nft has both families")
    wanted = plan(given.load())
    family = Family.IPV6 if ipv6 else Family.IPV4
    click.echo(nftables.text(wanted) if nft else iptables.text(wanted, family), nl=False)


@rules.command("apply")
@config_options
def apply_rules(given: Given) -> None:
    """Bring the kernel's rules to those of the configuration; again changes nothing.

    Only chains of our own are made, and jumps to them. Until the gateway runs, SIP is dropped.
    """
    from inline_topo.rules import firewall, iptables
    from inline_topo.rules.plan import plan

    wanted = plan(given.load())
    texts = {family: iptables.text(wanted, family) for family in firewall.families()}
    firewall.change(texts)
    say(f"rules for shape {wanted.shape.value} are in place: {' and '.join(map(str, texts))}")


@rules.command("remove")
def remove_rules() -> None:
    """Take our chains away, and nothing else. SIP then passes in clear."""
    from inline_topo.rules import firewall

    firewall.change(dict.fromkeys(firewall.families(), ""))
    say("no rules of ours are left: SIP passes in clear")


@rules.command("status")
@config_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def rules_status(given: Given, as_json: bool) -> int:
    """Say whether the kernel's rules are those of the configuration, and who listens.

    Exit status: 0 they are, and nothing would keep the gateway from working; 1 they are not, or
    something would; 2 they cannot be read.
    """
    from inline_topo.report import rules as report
    from inline_topo.rules import preflight, status
    from inline_topo.rules.plan import plan

    config = given.load()
    wanted = plan(config)
    seen = report.Seen(
        wanted, status.status(wanted), status.listeners(), preflight.rule_findings(config)
    )
    if as_json:
        print_json(seen.as_dict())
    else:
        for line in seen.lines():
            click.echo(line)
    return 0 if seen.is_good else 1
