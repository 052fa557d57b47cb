"""NDCG of each model with default parameters, compared with the best parameters of a grid.

The data are the HetRec 2011 Last.fm counts (log-weighted, all artists, a fifth of each user's
artists held out), MovieLens-1M and Gowalla (`train.npz` and `test.npz`, 0 or 1). The best
parameters are chosen on the same hidden items that measure the NDCG. The defaults are not tuned.

- `ShallowAutoEncoder()`, three seeds, and the exact solution for each regularization: NDCG@100 on
  Last.fm and MovieLens-1M.
- `SparseShallowAutoEncoder()`, `LowRankAutoEncoder()` and the sum of both without weights, and the
  best of a grid each: NDCG@100, on Gowalla NDCG@20. The grid of the sum is the weight of the best
  low-rank model, added to the best nearest model.

    python benchmarks/defaults.py --lastfm FOLDER --ml-1m FOLDER --gowalla FOLDER
"""

import argparse
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from shallow_ae import (
    BlendedRecommender,
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    hold_out_items,
    ndcg_score,
)
from shallow_ae.datasets import fetch_lastfm

K = 100
GRID = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 2.5, 3.0, 5.0)
SEEDS = (0, 1, 2)

NEAR_GRID = {"regularization": GRID}
LOW_RANK_GRID = {
    "item_normalization": (0.25, 0.4, 0.5),
    "regularization": (0.0, 0.05, 0.1, 0.2),
    "item_exponent": (0.0, 0.25, 0.4, 0.5),
}
# Gowalla's fits take 10 times as long: the settings that are compared in gowalla.py.
N_GOWALLA = 29_858
GOWALLA_NEAR_GRID = {
    "regularization": (20 / N_GOWALLA, 80 / N_GOWALLA),
    "dropout": (0.7,),
    "user_exponent": (0.5,),
    "item_exponent": (0.0, 0.2),
    "n_neighbors": (200,),
}
GOWALLA_LOW_RANK_GRID = {
    "item_normalization": (0.4, 0.5),
    "regularization": (0.02, 0.1),
    "user_exponent": (0.8, 1.0),
    "item_exponent": (0.4, 0.5),
}
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.5, 2.0)


def lastfm(folder: str) -> tuple[sp.csr_array, sp.csr_array]:
    """Return log-weighted listens and the artists held out of them."""
    counts = IdMapper().fit_transform(fetch_lastfm(folder).listens)
    visible, hidden = hold_out_items(counts, random_state=0)
    return LogCountTransformer().fit_transform(visible), hidden


def as_they_come(folder: str) -> tuple[sp.csr_array, sp.csr_array]:
    """Return the training and the test part as they come."""
    train, test = (sp.load_npz(Path(folder, f"{part}.npz")) for part in ("train", "test"))
    return sp.csr_array(train).astype(np.float32), sp.csr_array(test)


def compare(title: str, X: sp.csr_array, hidden: sp.csr_array) -> None:
    """Print the grid, the default and how far they are apart."""
    print(f"\n{title}: {X.shape[0]:,} users, {X.shape[1]:,} items, {X.nnz:,} interactions")
    grid = {}
    for regularization in GRID:
        exact = ShallowAutoEncoder(regularization, solver="exact").fit(X)
        grid[regularization] = ndcg_score(hidden, exact.recommend(X, k=K), k=K)
        print(
            f"  exact, regularization {regularization:<5g} {grid[regularization]:.4f}", flush=True
        )
    best = max(grid.values())
    for seed in SEEDS:
        began = time.perf_counter()
        model = ShallowAutoEncoder(random_state=seed).fit(X)
        seconds = time.perf_counter() - began
        score = ndcg_score(hidden, model.recommend(X, k=K), k=K)
        print(
            f"  default, seed {seed}: {score:.4f}, {score / best - 1:+.2%} of the best exact one; "
            f"fit in {seconds:.0f} s"
        )


def compare_sum(
    X: sp.csr_array, hidden: sp.csr_array, k: int, near_grid: dict, low_rank_grid: dict
) -> None:
    """Print both parts of a sum and the sum, as they come and the best of a grid each."""

    def judged(model: Any) -> float:
        return ndcg_score(hidden, model.recommend(X, k=k), k=k)

    def show(title: str, score: float, settings: object = "") -> None:
        print(f"  {title:<22}{score:.4f}  {settings}", flush=True)

    parts: dict[str, Any] = {
        "near": SparseShallowAutoEncoder(),
        "tastes": LowRankAutoEncoder(random_state=0),
    }
    plain = BlendedRecommender(list(parts.items())).fit(X)
    for name, grid in (("near", near_grid), ("tastes", low_rank_grid)):
        show(f"{name}, default", judged(plain.named_estimators_[name]))
        scores = {}
        for values in product(*grid.values()):
            settings = tuple(zip(grid, values, strict=True))
            scores[settings] = judged(clone(parts[name]).set_params(**dict(settings)).fit(X))
        best = max(scores, key=lambda settings: scores[settings])
        show(f"{name}, best of {len(scores)}", scores[best], dict(best))
        parts[name].set_params(**dict(best))
    show("sum, default", judged(plain))
    tuned = BlendedRecommender(list(parts.items())).fit(X)
    by_weight = {w: judged(tuned.set_params(weights=[1.0, w])) for w in WEIGHTS}
    best_weight = max(by_weight, key=lambda weight: by_weight[weight])
    show(f"sum, best of {len(WEIGHTS)}", by_weight[best_weight], {"weights": [1.0, best_weight]})


def main() -> None:
    """Compare on each data set that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lastfm", metavar="FOLDER", help="of the HetRec 2011 files")
    parser.add_argument("--ml-1m", metavar="FOLDER", help="of train.npz and test.npz")
    parser.add_argument("--gowalla", metavar="FOLDER", help="of train.npz and test.npz")
    args = parser.parse_args()
    if args.ml_1m:
        parts = as_they_come(args.ml_1m)
        compare("MovieLens-1M", *parts)
        compare_sum(*parts, K, NEAR_GRID, LOW_RANK_GRID)
    if args.lastfm:
        parts = lastfm(args.lastfm)
        compare("Last.fm", *parts)
        compare_sum(*parts, K, NEAR_GRID, LOW_RANK_GRID)
    if args.gowalla:
        print("\nGowalla, NDCG@20")
        compare_sum(*as_they_come(args.gowalla), 20, GOWALLA_NEAR_GRID, GOWALLA_LOW_RANK_GRID)


if __name__ == "__main__":
    main()
