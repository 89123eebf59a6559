"""Writes to the store of a URL until it is killed, and says each key that was acknowledged.

python writer.py URL BATCH
"""

import itertools
import sys
import time

from inline_topo.masking.effects import Exchange, Record
from inline_topo.stores.urls import open_store


def main(url: str, batch: int) -> None:
    """No end: the test kills it."""
    store = open_store(url, 10.0)
    for first in itertools.count(step=batch):
        keys = [b"%d" % number for number in range(first, first + batch)]
        now = time.time()
        answers = store.perform([Exchange(now, (Record(key, key * 50, 3600.0),)) for key in keys])
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, dict):
                sys.stdout.write(f"{key.decode()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
