"""Time of `IdMapper`, compared with `pandas.factorize` and the construction of a csr matrix.

The data are ten million interactions with string or integer ids. `fit_transform` and `transform`
are compared with `pandas.factorize` on both id columns plus the construction of the csr matrix.
Each runs in a separate child process on one thread. The figures are the best of three rounds.

    python benchmarks/id_mapper.py [n_interactions]
"""

import subprocess
import sys
import time

import numpy as np
import pandas as pd
import scipy.sparse as sp

from shallow_ae import IdMapper

N_USERS, N_ITEMS = 200_000, 100_000
ROUNDS = 3


def interactions(kind: str, n: int) -> pd.DataFrame:
    """Return a frame whose users are uniform and whose items have a heavy tail."""
    rng = np.random.default_rng(0)
    users = rng.integers(N_USERS, size=n)
    items = np.minimum(rng.zipf(1.2, size=n), N_ITEMS) - 1
    counts = rng.integers(1, 50, size=n)
    if kind == "integer ids":
        return pd.DataFrame({"user": users, "item": items, "count": counts})
    user_names = np.array([f"user_{u:06}" for u in range(N_USERS)], dtype=object)
    item_names = np.array([f"item_{i:06}" for i in range(N_ITEMS)], dtype=object)
    frame = pd.DataFrame({"user": user_names[users], "item": item_names[items], "count": counts})
    return frame if kind == "string ids" else frame.astype({"user": object, "item": object})


def least(frame: pd.DataFrame) -> float:
    """Return the seconds of two factorizations and a csr construction."""
    start = time.perf_counter()
    users, user_ids = pd.factorize(frame["user"])
    items, item_ids = pd.factorize(frame["item"])
    counts = frame["count"].to_numpy(np.float64)
    sp.coo_array((counts, (users, items)), shape=(len(user_ids), len(item_ids))).tocsr()
    return time.perf_counter() - start


def fit_transform(frame: pd.DataFrame) -> float:
    """Return the seconds of `IdMapper().fit_transform`."""
    mapper = IdMapper()
    start = time.perf_counter()
    mapper.fit_transform(frame)
    return time.perf_counter() - start


def transform(frame: pd.DataFrame) -> float:
    """Return the seconds of `transform` by a fitted mapper."""
    mapper = IdMapper().fit(frame)
    start = time.perf_counter()
    mapper.transform(frame)
    return time.perf_counter() - start


WORK = {work.__name__: work for work in (least, fit_transform, transform)}


def main() -> None:
    """Print a row for each kind of id."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    print(f"{n:,} interactions, {N_USERS:,} users, {N_ITEMS:,} items; seconds, one thread")
    print(f"{'':<16}{'least':>8}{'fit_transform':>15}{'ratio':>7}{'transform':>11}{'ratio':>7}")
    for kind in ("integer ids", "string ids", "object ids"):
        best = dict.fromkeys(WORK, np.inf)
        for _ in range(ROUNDS):
            for work in WORK:
                command = [sys.executable, __file__, str(n), kind, work]
                child = subprocess.run(command, check=True, capture_output=True, text=True)
                best[work] = min(best[work], float(child.stdout))
        floor, fitted, mapped = best.values()
        print(
            f"{kind:<16}{floor:>8.2f}{fitted:>15.2f}{fitted / floor:>7.2f}"
            f"{mapped:>11.2f}{mapped / floor:>7.2f}"
        )


if __name__ == "__main__":
    if len(sys.argv) == 4:
        n_interactions, id_kind, name = sys.argv[1:]
        print(WORK[name](interactions(id_kind, int(n_interactions))))
    else:
        main()
