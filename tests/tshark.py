"""What tshark reads in captures: several in one run, for a start of it costs more than they do."""

import subprocess
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

Packet = dict[str, str]
"""The fields of a packet by their names; several values of one are joined."""


def read(
    paths: Sequence[Path], fields: Sequence[str], *options: str, aggregator: str = ","
) -> list[list[Packet]]:
    """Read these fields of every packet of each capture.

    `options` are tshark's own; `aggregator` joins several values of one field. tshark knows the
    packets before: the captures must not hold fragments or streams that go on in the next.
    """
    with tempfile.TemporaryDirectory() as folder:
        joined = Path(folder) / "joined.pcapng"
        merge = ["mergecap", "-I", "none", "-a", "-w", str(joined), *map(str, paths)]
        subprocess.run(merge, check=True)
        words = ["tshark", "-n", "-r", str(joined), *options, "-T", "fields"]
        words += ["-E", "separator=/t", "-E", f"aggregator={aggregator}"]
        for field in fields:
            words += ["-e", field]
        out = subprocess.run(words, capture_output=True, check=True).stdout
    lines = iter(out.decode("utf-8", "replace").split("\n"))
    packets = (dict(zip(fields, line.split("\t"), strict=True)) for line in lines if line)
    found = [list(islice(packets, count)) for count in counts(paths)]
    assert next(packets, None) is None
    return found


def counts(paths: Sequence[Path]) -> list[int]:
    """Count the packets of each capture."""
    words = ["capinfos", "-T", "-M", "-r", "-c", *map(str, paths)]
    out = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    return [int(line.rpartition("\t")[2]) for line in out.splitlines()]
