"""`replay --anonymise`: a capture fit for sharing."""

from pathlib import Path
from typing import NamedTuple

import click

from inline_topo.cli.options import Given, say


class Wanted(NamedTuple):
    """What the options of --anonymise say."""

    zero: bool
    key: Path | None
    rebase: bool


def share(
    given: Given, source: str, target: str, wanted: Wanted, *, strict: bool, as_json: bool
) -> int:
    """Anonymise a capture, say what was done; the exit status."""
    import json
    import secrets
    from functools import partial

    from inline_topo import assemble
    from inline_topo.anonymise.run import Wishes, anonymise
    from inline_topo.edges.capture import open_capture
    from inline_topo.masking import effects
    from inline_topo.masking.codecs.keyring import KEY_BYTES, KeyRing
    from inline_topo.report import shared
    from inline_topo.report.progress import progress_of

    config, ring = given.load_with_ring("outside", for_sharing=True)
    given.spare(config, target, wanted.key)
    # What masking leaves in clear (media) is replaced behind it, and all is searched in the end.
    config = config.model_copy(update={"audit": 0.0})
    if config.topos.store is not None:  # nobody comes back to it
        topos = config.topos.model_copy(update={"store": "memory:"})
        config = config.model_copy(update={"topos": topos})
    key = secrets.token_bytes(KEY_BYTES)
    if wanted.key:
        names = KeyRing.load(wanted.key)
        key = names.keys[names.stable]
    gateway = assemble.gateway(config, assemble.Leg.OUTSIDE, ring=ring, is_veiled=True)
    performers = assemble.performers(config)
    wishes = Wishes(
        key,
        zero=wanted.zero,
        products=config.hide.user_agent == "keep",
        rebase=wanted.rebase,
    )
    with (
        open_capture(source) as capture,
        progress_of(source) as progress,
        effects.closing(performers),
    ):
        report, more = anonymise(
            capture,
            target,
            gateway,
            assemble.hosts(config).is_inside,
            wishes,
            progress=progress,
            perform=partial(effects.perform, performers),
        )
    if as_json:
        click.echo(json.dumps(report.as_dict() | {"anonymised": more.as_dict()}, indent=2))
    else:
        for line in shared.lines(report, more):
            click.echo(line)
    for warning in shared.warnings(report, more):
        say(f"warning: {warning}")
    return 1 if strict and report.refused else 0
