"""Fit and recommend on a local Dask cluster: tens of millions of interactions in Parquet files.

A Dask program writes made-up interactions. The rows of a user may be anywhere in the folder. There
is a taste for every thousand items. Seven in ten items are from a taste that users share, and the
others are from the whole catalogue. In both, the popularity of the item of rank r is proportional
to 1 / (r + 10). Then, for each number of workers, a child process starts a LocalCluster of workers
with one thread and 4 GiB each. It fits a pipeline with `SparseShallowAutoEncoder`, and the workers
write recommendations for all users. Times include the compilation of functions that are not yet
cached. The peaks are the memory of each process. The client's process also runs the scheduler.

A smaller cut, of 500,000 interactions, takes half a minute:

    python benchmarks/scale_out.py --interactions 500000 --users 20000 --items 5000 --workers 2

    python benchmarks/scale_out.py [--interactions N] [--users N] [--items N] [--workers N ...]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster
from processes import memory_mib

from shallow_ae import LogCountTransformer, SparseShallowAutoEncoder, make_recommender

ROWS_PER_FILE = 1_000_000
ITEMS_PER_TASTE = 1000
OF_TASTE = 0.7
N_NEIGHBORS = 100
PENALTY = 20.0
MEMORY = "4GiB"
K = 10


def cluster_of(n_workers: int) -> LocalCluster:
    """Return a cluster on this machine, with one thread for each worker."""
    return LocalCluster(
        n_workers=n_workers, threads_per_worker=1, memory_limit=MEMORY, dashboard_address=":0"
    )


def made_up(number: int, n_rows: int, n_users: int, n_items: int) -> pd.DataFrame:
    """Return the interactions of one file."""
    rng = np.random.default_rng(0)  # the same tastes in every file
    n_tastes = max(1, n_items // ITEMS_PER_TASTE)
    taste_of_rank = rng.integers(n_tastes, size=n_items)
    ids = rng.permutation(n_items)
    ranks = np.argsort(taste_of_rank, kind="stable")  # by taste, and by popularity within it
    starts = np.concatenate([[0], np.cumsum(np.bincount(taste_of_rank, minlength=n_tastes))])
    by_taste = np.concatenate([[0], np.cumsum(1 / (ranks + 10.0))])
    by_rank = np.cumsum(1 / (np.arange(n_items) + 10.0))
    rng = np.random.default_rng([1, number])
    users = (n_users * rng.random(n_rows) ** 1.3).astype(np.int64)
    taste = users % n_tastes
    low, high = by_taste[starts[taste]], by_taste[starts[taste + 1]]
    at = np.searchsorted(by_taste, low + rng.random(n_rows) * (high - low), side="right") - 1
    anywhere = np.searchsorted(by_rank, rng.random(n_rows) * by_rank[-1])
    last = n_items - 1
    chosen = np.where(
        rng.random(n_rows) < OF_TASTE, ranks[np.minimum(at, last)], np.minimum(anywhere, last)
    )
    counts = rng.geometric(0.5, n_rows)
    return pd.DataFrame({"user": users, "item": ids[chosen], "count": counts})


def write(folder: str, n_interactions: int, n_users: int, n_items: int) -> None:
    """Write the interactions as Parquet files, by the workers of a cluster."""
    n_files = -(-n_interactions // ROWS_PER_FILE)
    n_rows = n_interactions // n_files
    meta = made_up(0, 1, n_users, n_items)
    with cluster_of(os.cpu_count() or 1) as cluster, Client(cluster):
        frame = dd.from_map(
            made_up, range(n_files), n_rows=n_rows, n_users=n_users, n_items=n_items, meta=meta
        )
        frame.to_parquet(folder)


def seconds_by_task(dask_scheduler: Any = None) -> dict[str, float]:
    """Return the seconds that the workers computed, by kind of task. It runs on the scheduler."""
    return {
        name: prefix.all_durations.get("compute", 0.0)
        for name, prefix in dask_scheduler.task_prefixes.items()
    }


def child(folder: str, output: str, n_workers: int, n_users: int) -> None:
    """Print the figures of a fit and of recommendations for all users."""
    with cluster_of(n_workers) as cluster, Client(cluster) as client:
        frame = dd.read_parquet(folder)
        model = SparseShallowAutoEncoder(PENALTY / n_users, n_neighbors=N_NEIGHBORS)
        recommender = make_recommender(LogCountTransformer(), model)
        pids = client.run(os.getpid)
        start = time.perf_counter()
        recommender.fit(frame)
        fit = time.perf_counter() - start
        of_fit = client.run(memory_mib)
        start = time.perf_counter()
        recommender.recommend(frame, k=K).to_parquet(output)
        recommend = time.perf_counter() - start
        peaks = client.run(memory_mib)
        figures = {
            "workers": n_workers,
            "fit": fit,
            "recommend": recommend,
            "fit peak": max(of_fit.values()) / 1024,
            "peak": max(peaks.values()) / 1024,
            "client": memory_mib() / 1024,
            "weights": recommender[-1].item_weights_.nnz,
            "entries": recommender[-1]._fitted.training_data.n_entries,
            "pairs": sum(
                size.squared_lengths for size in recommender[-1]._fitted.training_data.sizes
            ),
            "users": recommender[-1].n_samples_seen_,
            "tasks": client.run_on_scheduler(seconds_by_task),
            "restarts": sum(client.run(os.getpid)[worker] != pid for worker, pid in pids.items()),
        }
    print(json.dumps(figures))


def main() -> None:
    """Write the interactions, and run a child process for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, default=50_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        folder, output, n_workers, n_users = options.child
        child(folder, output, int(n_workers), int(n_users))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = str(Path(place) / "interactions")
        start = time.perf_counter()
        write(folder, options.interactions, options.users, options.items)
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**30
        print(
            f"{options.interactions:,} interactions of {options.users:,} users with "
            f"{options.items:,} items: {size:.2f} GiB of Parquet, written in "
            f"{time.perf_counter() - start:.0f} s. Each worker has one thread and {MEMORY}."
        )
        print("| workers | fit s | recommend s | users/s | fit peak GiB | peak GiB | client GiB |")
        print("|---|---|---|---|---|---|---|", flush=True)
        for n_workers in options.workers:
            output = str(Path(place) / "recommendations")
            arguments = [folder, output, str(n_workers), str(options.users)]
            command = [sys.executable, __file__, "--child", *arguments]
            found = subprocess.run(command, check=True, capture_output=True, text=True)
            row = json.loads(found.stdout.splitlines()[-1])
            print(
                f"| {n_workers} | {row['fit']:.0f} | {row['recommend']:.0f} | "
                f"{row['users'] / row['recommend']:,.0f} | {row['fit peak']:.2f} | "
                f"{row['peak']:.2f} | {row['client']:.2f} |",
                flush=True,
            )
            print(
                f"  {row['entries']:,} pairs of a user and an item, {row['users']:,} users, "
                f"{row['pairs']:,.0f} pairs of items of a user, "
                f"{row['weights']:,} weights, {row['restarts']} workers restarted."
            )
            tasks = sorted(row["tasks"].items(), key=lambda pair: -pair[1])
            most = ", ".join(f"{name} {seconds:.0f}" for name, seconds in tasks if seconds >= 1)
            print(f"  Seconds by task, summed over the workers: {most}.", flush=True)
            shutil.rmtree(output)


if __name__ == "__main__":
    main()
