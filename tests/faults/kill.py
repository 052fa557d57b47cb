"""Kills processes at random moments of their work, and counts the states that are lost.

    python tests/faults/kill.py save update batches serve --times 200 --seed 0

The signals are SIGKILL, SIGINT and SIGTERM in turn: a third of the kills each. A state is lost if
what is left is neither the old nor the new state, if the next run fails, or if it leaves temporary
files. The column "ended" counts further runs that came to their end before the kill, and "ignored"
counts signals that did not end the process within 20 seconds.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from batches import Batches
from fits import Fit
from harness import SIGNALS, killed
from saves import Save
from serving import Serve
from updates import Update

WORKS = {work.name: work for work in (Fit, Save, Update, Batches, Serve)}


def main(argv=None):
    """Kill each work, print a table, and return the number of losses."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("works", nargs="*", metavar="work", help=", ".join(WORKS))
    parser.add_argument("--times", type=int, default=200, help="kills for each work")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if unknown := set(options.works) - set(WORKS):
        parser.error(f"no such work: {', '.join(unknown)}; expected {', '.join(WORKS)}")
    heads = ["kills", *(own.name for own in SIGNALS), "in a write", "ended", "ignored"]
    heads += ["compared", "lost"]
    print(f"{'work':10}" + "".join(f"{head:>11}" for head in [*heads, "seconds"]))
    n_lost = 0
    for name in options.works or WORKS:
        with tempfile.TemporaryDirectory() as folder:
            start, work = time.monotonic(), WORKS[name](Path(folder))
            kills = killed(work, options.times, options.seed)
        counts = [kills.while_writing, kills.ended, kills.ignored, kills.checked, len(kills.losses)]
        row = [kills.times, *kills.by_signal.values(), *counts, round(time.monotonic() - start)]
        print(f"{name:10}" + "".join(f"{number:11}" for number in row), flush=True)
        for line in filter(None, [work.note(), *kills.losses]):
            print(f"  {line}", flush=True)
        n_lost += len(kills.losses)
    return n_lost


if __name__ == "__main__":
    sys.exit(bool(main()))
