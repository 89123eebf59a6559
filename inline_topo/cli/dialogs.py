"""`dialogs`: what the store of mode topos keeps."""

import click

from inline_topo.cli.options import Given, config_options, print_json
from inline_topo.errors import InlineTopoError


@click.command()
@config_options
@click.option("--prune", is_flag=True, help="First remove what has expired.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def dialogs(given: Given, prune: bool, as_json: bool) -> int:
    """Show what the dialog store keeps: Contacts by the id that the outside sees, Routes, counts.

    The gateway may run meanwhile. A Redis removes what has expired by itself, and knows no ages.

    Exit status: 0, also where nothing is kept; 1 where records do not open with this key; 2 trouble
    with the store; 78 a bad configuration.
    """
    import time

    from inline_topo import assemble
    from inline_topo.report import dialogs as report
    from inline_topo.stores.urls import shown

    config = given.load()
    if (config.topos.store or "").startswith("memory:"):
        raise InlineTopoError("topos.store is memory: nobody but its gateway can look into it")
    store, seal = assemble.store(config), assemble.seal(config)
    now = time.time()
    removed = store.prune(now) if prune else None
    found = report.inspect(store.records(now), seal.open)
    name = shown(config.topos.store or "")
    if as_json:
        print_json(report.as_dict(name, found, removed))
    else:
        for line in report.lines(name, found, removed):
            click.echo(line)
    return 1 if found.shares[report.UNREADABLE].records else 0
