"""`check`: the effective configuration, and what a capture proposes for it."""

from typing import TYPE_CHECKING

import click

from inline_topo.cli.options import CAPTURE, Given, config_options, say
from inline_topo.errors import InlineTopoError

if TYPE_CHECKING:
    from inline_topo.config import Config
    from inline_topo.masking.codecs.base import Codec
    from inline_topo.report.proposal import Proposal


@click.command()
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
        assemble.performers(config)  # reads URLs
        click.echo(config.to_toml(), nl=False)
        for warning in config.without_own():
            say(f"warning: {warning}")
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
    strategy = assemble.tokens(config, assemble.Leg.GATEWAY, codec, hosts, policy)
    for warning in warnings(messages, tally, config, flows, strategy):
        say(f"warning: {warning}")


def _as_proposed(proposal: "Proposal") -> "tuple[Config, Codec]":
    from inline_topo import assemble
    from inline_topo.config import load
    from inline_topo.masking.codecs.keyring import KeyRing

    config = load(None, env={}, overrides=proposal.settings(), key_ring_given=True)
    return config, assemble.codec(config, KeyRing.generate())
