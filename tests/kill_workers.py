"""Kills a Dask worker in the middle of a fit, and another in the middle of `recommend`.

As a program, it does so many times for each model, at random moments, and compares the results with
those of an undisturbed run:

    python tests/kill_workers.py --times 10
"""

import argparse
import os
import signal
import threading
import time
from contextlib import contextmanager

import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster
from sklearn.base import clone

from shallow_ae import (
    LogCountTransformer,
    LowRankAutoEncoder,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    make_recommender,
)

MODELS = {
    "exact": ShallowAutoEncoder(0.05, solver="exact"),
    "nearest": SparseShallowAutoEncoder(0.05, n_neighbors=20),
    "sgd": ShallowAutoEncoder(max_iter=60, batch_size=256, random_state=0),
    "low rank": LowRankAutoEncoder(16, random_state=0),
}


class Kill:
    """A kill: the process, and whether it came before the end of the work."""

    def __init__(self, pid):
        self.pid = pid
        self.in_time = False


def pids_of_workers(client):
    """Return the process ids of the workers, without asking them."""
    return [nanny.pid for nanny in client.cluster.workers.values() if nanny.pid]


@contextmanager
def killed_after(client, seconds):
    """Kill one worker process after some seconds, unless the `with` block ends before."""
    pids = pids_of_workers(client)
    kill, ended = Kill(pids[0]), threading.Event()

    def wait():
        if not ended.wait(seconds):
            kill.in_time = True
            os.kill(kill.pid, signal.SIGKILL)

    killer = threading.Thread(target=wait)
    killer.start()
    try:
        yield kill
    finally:
        ended.set()
        killer.join()
        if kill.in_time:
            await_workers(client, len(pids), kill.pid)


def await_workers(client, n, killed, timeout=20):
    """Wait until there are `n` workers without the killed one."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        pids = pids_of_workers(client)
        if killed not in pids and len(pids) >= n <= len(client.scheduler_info()["workers"]):
            return
        time.sleep(0.2)
    # Dask does not always start a worker again that is killed soon after its start.
    client.cluster.scale(len(client.cluster.workers) + 1)
    client.wait_for_workers(n, timeout=60)


def recommendations(recommender, frame):
    """Return the recommendations for all users, by user."""
    found = recommender.recommend(frame, k=5).compute()
    return found.sort_values(["user", "rank"]).reset_index(drop=True)


def made_up_listens(n, seed=0):
    """Return a DataFrame of n interactions of n / 20 users with n / 100 items."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, n // 20, n), (n / 100 * rng.random(n) ** 2).astype(int)
    return pd.DataFrame({"user": users, "item": items, "count": rng.random(n) + 0.1})


def disturbed(client, pipeline, frame, fit_after, recommend_after):
    """Return recommendations with a kill in the fit and one in `recommend`, and both kills."""
    with killed_after(client, fit_after) as in_fit:
        fitted = clone(pipeline).fit(frame)
    with killed_after(client, recommend_after) as in_recommend:
        found = recommendations(fitted, frame)
    return found, in_fit, in_recommend


def timed(work):
    """Return the result of `work` and its seconds."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def main():
    """Compare disturbed runs with an undisturbed run, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--interactions", type=int, default=100_000)
    options = parser.parse_args()
    rng = np.random.default_rng()
    frame = dd.from_pandas(made_up_listens(options.interactions), npartitions=8)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        for name in options.models:
            pipeline = make_recommender(LogCountTransformer(), MODELS[name])
            clone(pipeline).fit(frame)  # compiles what the models need
            fitted, of_fit = timed(lambda pipeline=pipeline: clone(pipeline).fit(frame))
            expected, of_recommend = timed(lambda fitted=fitted: recommendations(fitted, frame))
            n_equal = n_killed = 0
            while n_killed < options.times:
                moments = rng.uniform(0.1, 0.9, 2) * (of_fit, of_recommend)
                found, *kills = disturbed(client, pipeline, frame, *moments)
                if all(kill.in_time for kill in kills):
                    n_killed += 1
                    pd.testing.assert_frame_equal(found, expected, rtol=1e-5)
                    n_equal += 1
            print(f"{name}: {n_equal} of {n_killed} disturbed runs equal", flush=True)


if __name__ == "__main__":
    main()
