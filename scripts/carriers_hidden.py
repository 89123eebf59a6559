"""Counts the carriers of addresses that are hidden: by a real Kamailio with topoh and with topos, and by
the gateway's profiles.

The same messages go through each, requests and responses, with an inside address of its own in every
carrier (scripts/lab/carriers.py), and what of them reaches a peer outside is searched for those
addresses. A carrier is hidden where it never shows, and refused where its message does not leave.
"""

import argparse
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping

from lab.carriers import groups
from lab.hiding import GATEWAY, HIDDEN, REFUSED, SHOWN, Seen, by_gateway, by_kamailio, missing
from lab.net import LabError

THEIRS = ("topoh", "topos")
HEADINGS = {
    "topoh": "Kamailio's topoh",
    "topos": "Kamailio's topos",
    "profile topoh": "profile `topoh`",
    "default": "`default`",
    "strict": "`strict`",
    "mode topos": "`default` in mode topos",
}


def fate(seen: Seen, carrier: str) -> str:
    """What becomes of a carrier in requests and responses: the worst of the two."""
    found = {way[carrier] for way in seen.values() if carrier in way}
    return next(word for word in (SHOWN, REFUSED, HIDDEN) if word in found)


def rows(seen: Mapping[str, Seen]) -> list[list[str]]:
    """A group of carriers a row, with how many there are and how many each column hides; the sum
    last."""
    named = groups()
    table = [_row(group, names, seen) for group, names in named.items()]
    return [*table, _row("all", [name for names in named.values() for name in names], seen)]


def _row(group: str, names: list[str], seen: Mapping[str, Seen]) -> list[str]:
    cells = []
    for column in seen.values():
        count = Counter(fate(column, name) for name in names)
        refused = f"{count[REFUSED]} refused" if count[REFUSED] else ""
        hidden = str(count[HIDDEN]) if count[HIDDEN] or not refused else ""
        cells.append(" + ".join(filter(None, (hidden, refused))))
    return [group, str(len(names)), *cells]


def markdown(seen: Mapping[str, Seen]) -> str:
    """The README's table."""
    lines = [["carriers", "", *(HEADINGS[column] for column in seen)], ["---"] * (len(seen) + 2)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [*lines, *rows(seen)])


def _text(table: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def _each(seen: Mapping[str, Seen]) -> list[list[str]]:
    return [
        [name, *(fate(column, name) for column in seen.values())]
        for names in groups().values()
        for name in names
    ]


def main() -> None:
    summary, _, about = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="carriers", description=summary, epilog=about)
    parser.add_argument("--ours", action="store_true", help="the gateway alone; needs no root")
    parser.add_argument("--all", action="store_true", help="a line for each carrier")
    parser.add_argument("--json", action="store_true", help="one JSON object, by carrier")
    parser.add_argument("--markdown", action="store_true", help="the table of README.md")
    given = parser.parse_args()
    theirs = () if given.ours else THEIRS
    if theirs and os.geteuid() != 0:
        parser.error("Kamailio runs in network namespaces, which needs root; or use --ours")
    if theirs and (lacking := missing()):
        parser.error(f"not installed: {', '.join(lacking)}; or use --ours")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that namespaces are removed
    try:
        seen = {kind: by_kamailio(kind) for kind in theirs}
    except LabError as error:
        sys.exit(f"carriers: {error}")
    seen |= {kind: by_gateway(kind) for kind in GATEWAY}
    if given.json:
        print(json.dumps(seen, indent=2))
    elif given.markdown:
        print(markdown(seen))
    elif given.all:
        print(_text([["", *seen], *_each(seen)]))
    else:
        print(_text([["", "of", *seen], *rows(seen)]))


if __name__ == "__main__":
    main()
