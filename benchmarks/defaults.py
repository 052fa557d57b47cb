"""NDCG of each model with default parameters, compared with the best parameters of a grid.

The data are the HetRec 2011 Last.fm counts (log-weighted, all artists, a fifth of each user's
artists held out), MovieLens-1M and Gowalla (`train.npz` and `test.npz`, 0 or 1). The best
parameters are chosen on the same hidden items that measure the NDCG. The defaults are not tuned.

- `ShallowAutoEncoder()`, three seeds, and the exact solution for each regularization: NDCG@100 on
  Last.fm and MovieLens-1M.
- `SparseShallowAutoEncoder()`, `LowRankAutoEncoder()` and the sum of both without weights, and the
  best of a grid each: NDCG@100, on Gowalla NDCG@20. The grid of the sum is the weight of the best
  low-rank model, added to the best nearest model.
- `regularization="auto"` of the nearest, the exact and the gradient descent model, compared with a
  grid of multiples of the value found, from 1/8 to 8. The counts of Last.fm are also fitted as they
  are, and as zeros and ones. Gradient descent is fitted to the 4,000 items with the most users, and
  on Gowalla the exact model to the 10,000 items with the most users. The multiples go from 1/4 to 4
  on Gowalla and for gradient descent. With --auto-only, the program compares nothing else.
- With --candidates, the values of other rules for the regularization, and the NDCG of the nearest
  model with the automatic value for several values of `dropout`.
- With --made-up, the same for log counts of made-up listens of several shapes, with multiples from
  1/16 to 32.

    python benchmarks/defaults.py --lastfm FOLDER --ml-1m FOLDER --gowalla FOLDER \
        [--auto-only] [--candidates]
    python benchmarks/defaults.py --made-up
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
from shallow_ae._objective.regularization import regularization_for
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae.datasets import fetch_lastfm, make_listens

K = 100
DROPOUTS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.7)
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
FINE, COARSE = np.arange(-3, 3.5, 0.5), np.arange(-2.0, 3)  # base-2 logarithms of the multiples
FACTORS = {  # of the value that "auto" finds
    "nearest": (SparseShallowAutoEncoder(), FINE, None),
    "exact": (ShallowAutoEncoder(solver="exact"), FINE, None),
    "sgd": (ShallowAutoEncoder(random_state=0), COARSE, 4_000),
}
GOWALLA_FACTORS = {
    name: (model, COARSE, 10_000 if name == "exact" else n_items)
    for name, (model, _, n_items) in FACTORS.items()
}
MADE_UP: dict[str, dict[str, Any]] = {
    "as they come": {},
    "few users": {"n_users": 200, "n_items": 3000},
    "few items": {"n_users": 10_000, "n_items": 100, "items_per_user": 10},
    "dense": {"n_users": 1000, "n_items": 300, "items_per_user": 120},
    "short rows": {"n_users": 5000, "n_items": 1000, "items_per_user": 8},
    "many groups": {"n_users": 3000, "n_items": 1000, "n_groups": 100},
    "one group": {"n_users": 2000, "n_items": 1000, "n_groups": 1},
}
MADE_UP_FACTORS = {
    name: (FACTORS[name][0], np.arange(-4.0, 6), None) for name in ("nearest", "exact")
}
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.5, 2.0)


def lastfm(folder: str) -> tuple[sp.csr_array, sp.csr_array, sp.csr_array]:
    """Return log-weighted listens, the artists held out of them, and the visible counts."""
    counts = IdMapper().fit_transform(fetch_lastfm(folder).listens)
    visible, hidden = hold_out_items(counts, random_state=0)
    return LogCountTransformer().fit_transform(visible), hidden, visible


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


def compare_auto(
    title: str, X: sp.csr_array, hidden: sp.csr_array, k: int, settings: dict[str, Any]
) -> None:
    """Print each model with `regularization="auto"`, the best of a grid, and the times."""
    print(f"\n{title}, regularization='auto', NDCG@{k}")
    for name, (model, exponents, n_items) in settings.items():
        rows, truth = (X, hidden) if n_items is None else most_popular(X, hidden, n_items)
        scores, times = {}, []
        for exponent in exponents:
            began = time.perf_counter()
            value = regularization_for(TrainingRows(rows, np.ones(rows.shape[0])), 0.0)
            of_rule = time.perf_counter() - began
            trial = clone(model).set_params(
                regularization=value * 2.0**exponent if exponent else "auto"
            )
            began = time.perf_counter()
            trial.fit(rows)
            times.append(time.perf_counter() - began)
            scores[exponent] = ndcg_score(truth, trial.recommend(rows, k=k), k=k)
        best = max(scores, key=lambda exponent: scores[exponent])
        print(
            f"  {name:<8}{rows.shape[1]:>7,} items  auto {value:<9.3g}{scores[0]:.4f}  "
            f"best of {len(scores)} {value * 2.0**best:<9.3g}{scores[best]:.4f}  "
            f"ratio {scores[0] / scores[best]:.3f}  fit {np.median(times):.2f} s  "
            f"rule {of_rule:.3f} s",
            flush=True,
        )


def show_candidates(title: str, X: sp.csr_array, hidden: sp.csr_array, k: int) -> None:
    """Print the values of several rules, and the NDCG of the nearest model by its dropout."""
    gram = sp.csr_array(X.T.astype(np.float64) @ X) / X.shape[0]
    d, m = gram.diagonal(), np.diff(sp.csc_array(X).indptr)
    rows = TrainingRows(X, np.ones(X.shape[0]))
    print(f"\n{title}; d is the diagonal of X'WX/n")
    for name, value in (
        ("mean of d over items", d.mean()),
        ("median of d over interactions", np.median(np.repeat(d, m))),
        ("sum of d^2 / sum of d", d @ d / d.sum()),
        ("sum of the squares of X'WX/n / sum of d", (gram.data @ gram.data) / d.sum()),
        ("mean of d over interactions", m @ d / m.sum()),
        ("mean squared length times Simpson's index", regularization_for(rows, 0.0)),
    ):
        print(f"  {name:<44}{value:.3g}")
    for dropout in DROPOUTS:
        model = SparseShallowAutoEncoder("auto", dropout=dropout).fit(X)
        score = ndcg_score(hidden, model.recommend(X, k=k), k=k)
        print(f"  nearest, dropout {dropout:<4g}{score:.4f}", flush=True)


def most_popular(
    X: sp.csr_array, hidden: sp.csr_array, n_items: int
) -> tuple[sp.csr_array, sp.csr_array]:
    """Return the columns of the items with the most users, and the rows that are not empty."""
    counts = np.bincount(X.indices, minlength=X.shape[1])
    items = np.sort(np.argsort(-counts, kind="stable")[:n_items])
    X = sp.csr_array(X[:, items])
    users = np.diff(X.indptr) > 0
    return sp.csr_array(X[users]), sp.csr_array(sp.csr_array(hidden[:, items])[users])


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


def data_sets(args: argparse.Namespace) -> dict[str, tuple[sp.csr_array, sp.csr_array, int]]:
    """Return the data sets that the command line names, each with the number of items to rank."""
    found = {}
    if args.ml_1m:
        found["MovieLens-1M"] = (*as_they_come(args.ml_1m), K)
    if args.lastfm:
        logarithms, hidden, counts = lastfm(args.lastfm)
        found["Last.fm, log counts"] = logarithms, hidden, K
        found["Last.fm, counts"] = counts.astype(np.float32), hidden, K
        found["Last.fm, 0 or 1"] = (counts != 0).astype(np.float32), hidden, K
    if args.gowalla:
        found["Gowalla"] = (*as_they_come(args.gowalla), 20)
    return found


def main() -> None:
    """Compare on each data set that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lastfm", metavar="FOLDER", help="of the HetRec 2011 files")
    parser.add_argument("--ml-1m", metavar="FOLDER", help="of train.npz and test.npz")
    parser.add_argument("--gowalla", metavar="FOLDER", help="of train.npz and test.npz")
    parser.add_argument("--made-up", action="store_true", help="made-up listens")
    parser.add_argument("--auto-only", action="store_true", help="no other defaults")
    parser.add_argument("--candidates", action="store_true", help="other rules, and dropout")
    args = parser.parse_args()
    for title, shape in MADE_UP.items() if args.made_up else ():
        counts = IdMapper().fit_transform(make_listens(random_state=0, **shape)[0])
        visible, hidden = hold_out_items(counts, random_state=0)
        X = LogCountTransformer().fit_transform(visible).astype(np.float32)
        compare_auto(f"Made-up listens, {title}", X, hidden, K, MADE_UP_FACTORS)
    for title, parts in data_sets(args).items():
        if args.candidates:
            show_candidates(title, *parts)
            continue
        compare_auto(title, *parts, GOWALLA_FACTORS if title == "Gowalla" else FACTORS)
        if not args.auto_only:
            compare_defaults(title, *parts)


def compare_defaults(title: str, X: sp.csr_array, hidden: sp.csr_array, k: int) -> None:
    """Compare the default models, on the data sets for which there are grids."""
    if title == "Gowalla":
        print("\nGowalla, NDCG@20")
        compare_sum(X, hidden, k, GOWALLA_NEAR_GRID, GOWALLA_LOW_RANK_GRID)
    elif title in ("MovieLens-1M", "Last.fm, log counts"):
        compare(title, X, hidden)
        compare_sum(X, hidden, k, NEAR_GRID, LOW_RANK_GRID)


if __name__ == "__main__":
    main()
