"""The command line. Each command is thin: it reads its options, calls one function, prints.

A command returns its exit status (None is 0). Results go to standard output, all else to standard
error. What a command needs is imported inside it, so that `--help` and the shell's completion
are quick.
"""

import os
import sys
from typing import NoReturn

import click

from inline_topo.cli.check import check
from inline_topo.cli.dialogs import dialogs
from inline_topo.cli.keys import keygen, reveal
from inline_topo.cli.live import run, status
from inline_topo.cli.options import say
from inline_topo.cli.replay import replay
from inline_topo.cli.reports import audit, diff
from inline_topo.cli.rules import rules
from inline_topo.cli.trace import trace
from inline_topo.errors import InlineTopoError

INTERRUPTED = 130  # 128 + SIGINT, as a shell counts
BROKEN_PIPE = 141  # 128 + SIGPIPE


def _show_version(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    """Print the version, in which form the program runs, and end."""
    if not value or ctx.resilient_parsing:
        return
    from inline_topo import build_info

    click.echo(f"inline-topo {build_info.text(build_info.find().as_dict())}")
    ctx.exit()


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
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version, and whether the program runs compiled.",
)
def cli() -> None:
    """Hides the topology of a SIP network from the wire, packet by packet."""


for command in (audit, check, dialogs, diff, keygen, replay, reveal, rules, run, status, trace):
    cli.add_command(command)


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
