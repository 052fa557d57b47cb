"""Kills processes at random moments of their work, and counts the states that are lost.

    python tests/faults/kill.py save update batches serve --times 200 --seed 0

The signals are SIGKILL, SIGINT and SIGTERM in turn: a third of the kills each. A state is lost if
what is left is neither the old nor the new state, if the next run fails, or if it leaves temporary
files.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from batches import Batches
from harness import SIGNALS, killed
from saves import Save
from serving import Serve
from updates import Update

WORKS = {work.name: work for work in (Save, Update, Batches, Serve)}


def main(argv=None):
    """Kill each work, print a table, and return the number of losses."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("works", nargs="*", metavar="work", help=", ".join(WORKS))
    parser.add_argument("--times", type=int, default=200, help="kills for each work")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if unknown := set(options.works) - set(WORKS):
        parser.error(f"no such work: {', '.join(unknown)}; expected {', '.join(WORKS)}")
    names = [own.name for own in SIGNALS]
    heads = ["kills", *names, "in a write", "compared", "lost", "seconds"]
    print(f"{'work':10}" + "".join(f"{head:>11}" for head in heads))
    n_lost = 0
    for name in options.works or WORKS:
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            kills = killed(WORKS[name](Path(folder)), options.times, options.seed)
        counts = [*kills.by_signal.values(), kills.while_writing, kills.checked]
        seconds = time.monotonic() - start
        row = [kills.times, *counts, len(kills.losses), round(seconds)]
        print(f"{name:10}" + "".join(f"{number:11}" for number in row), flush=True)
        for loss in kills.losses:
            print(f"  {loss}", file=sys.stderr)
        n_lost += len(kills.losses)
    return n_lost


if __name__ == "__main__":
    sys.exit(bool(main()))
