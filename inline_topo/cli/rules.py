"""`rules`: the firewall's."""

import click

from inline_topo.cli.options import Given, config_options, print_json, say


@click.group()
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
