"""How good the default fit is beside the best exact solution that a grid can find.

On the HetRec 2011 Last.fm counts (log-weighted, all artists, a fifth of each user's artists held
out) and on MovieLens-1M (`train.npz` and `test.npz`, 0 or 1): NDCG@100 of `ShallowAutoEncoder()`
as it comes, three seeds, and of the exact solution for each regularization. The grid is judged by
the very items it is chosen on, the default is not chosen at all.

    python benchmarks/defaults.py --lastfm FOLDER --ml-1m FOLDER
"""

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from shallow_ae import IdMapper, LogCountTransformer, ShallowAutoEncoder, hold_out_items, ndcg_score
from shallow_ae.datasets import fetch_lastfm

K = 100
GRID = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 2.5, 3.0, 5.0)
SEEDS = (0, 1, 2)


def lastfm(folder: str) -> tuple[sp.csr_array, sp.csr_array]:
    """Return log-weighted listens and the artists held out of them."""
    counts = IdMapper().fit_transform(fetch_lastfm(folder).listens)
    visible, hidden = hold_out_items(counts, random_state=0)
    return LogCountTransformer().fit_transform(visible), hidden


def movielens(folder: str) -> tuple[sp.csr_array, sp.csr_array]:
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


def main() -> None:
    """Compare on each data set that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lastfm", metavar="FOLDER", help="of the HetRec 2011 files")
    parser.add_argument("--ml-1m", metavar="FOLDER", help="of train.npz and test.npz")
    args = parser.parse_args()
    if args.ml_1m:
        compare("MovieLens-1M", *movielens(args.ml_1m))
    if args.lastfm:
        compare("Last.fm", *lastfm(args.lastfm))


if __name__ == "__main__":
    main()
