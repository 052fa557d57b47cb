"""Time of `partial_fit` and `forget`, compared with a fit, of models that equal a fit afterwards.

The listens are made up, with skewed popularity and 60 items for each user, in float32.

- Estimators with solver="exact": 100 users are added and removed. With many users and few items,
  the model keeps the Gram matrix, and an update computes products of its own rows only. Otherwise
  the model keeps the rows. Each update computes the inverse again, because n * regularization
  changes with the number n of users. A low-rank correction would not be exact.
- Pipelines with `keep_interactions=True`: 1 % of the users get new interactions, a third of them in
  new items, and 1 % are erased, on 200,000 x 2,048 made-up listens with the exact model, and on
  Gowalla (`train.npz` in a folder) with the nearest weights.

    python benchmarks/exact_updates.py --gowalla FOLDER
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from exact_fit import made_up

from shallow_ae import ShallowAutoEncoder, SparseShallowAutoEncoder, make_recommender

SHAPES = ((400_000, 1_024), (200_000, 2_048), (50_000, 4_096), (16_384, 8_192), (2_000, 16_384))
CHANGED = 100
ROUNDS = 2


def least_seconds(action) -> float:
    """Return the least time of some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def print_row(name: str, kept: str, fit: float, more: float, less: float) -> None:
    """Print the times of a fit, a partial_fit and a forget."""
    print(
        f"{name:>20}{kept:>14}{fit:>8.2f}"
        f"{more:>9.2f}{fit / more:>7.1f}x{less:>9.2f}{fit / less:>7.1f}x",
        flush=True,
    )


def kept_by(model: object) -> str:
    """Return the name of what a model keeps."""
    return type(model._fitted.training_data).__name__.removeprefix("Training").lower()


def estimators() -> None:
    """Print a row for each shape."""
    for n_users, n_items in SHAPES:
        X = made_up(n_users, n_items, 60).astype(np.float32)
        few = X[:CHANGED]
        model = ShallowAutoEncoder(solver="exact")
        fit = least_seconds(lambda model=model, X=X: model.fit(X))
        more = least_seconds(lambda model=model, few=few: model.partial_fit(few))
        less = least_seconds(lambda model=model, few=few: model.forget(few))
        print_row(f"{n_users:,} x {n_items:,}", kept_by(model), fit, more, less)


def pipeline(name: str, X: sp.coo_array, model: object) -> None:
    """Print a row for a pipeline that is fitted to the entries of X."""
    listens = pd.DataFrame({"user": X.coords[0], "item": X.coords[1], "count": 1})
    n_users, n_items = X.shape
    rng = np.random.default_rng(0)
    chosen = rng.choice(n_users, n_users // 100, replace=False)
    frames = []
    for round_number in range(ROUNDS):  # an item is new only once
        items = rng.integers(n_items, size=len(chosen))
        items[::3] = n_items + 20 * round_number + np.arange(len(items[::3])) % 20
        frames.append(pd.DataFrame({"user": chosen, "item": items, "count": 1}))
    erased = rng.choice(n_users, (ROUNDS, n_users // 100), replace=False)
    recommender = make_recommender(model, keep_interactions=True)
    fit = least_seconds(lambda: recommender.fit(listens))
    additions, removals = iter(frames), iter(erased)
    more = least_seconds(lambda: recommender.partial_fit(next(additions)))
    less = least_seconds(lambda: recommender.forget(users=next(removals)))
    print_row(name, kept_by(recommender[-1]), fit, more, less)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gowalla", metavar="FOLDER", help="of train.npz")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores; seconds, and how many times an update is cheaper than a fit")
    print(f"{'users x items':>20}{'kept':>14}{'fit':>8}{'partial_fit':>17}{'forget':>17}")
    estimators()
    print("pipelines that keep their interactions, 1 % of the users")
    exact = ShallowAutoEncoder(solver="exact")
    pipeline("200,000 x 2,048", made_up(200_000, 2_048, 60).tocoo(), exact)
    if args.gowalla:
        X = sp.coo_array(sp.load_npz(Path(args.gowalla, "train.npz")))
        pipeline("Gowalla", X, SparseShallowAutoEncoder())


if __name__ == "__main__":
    main()
