"""Time of a search over regularizations by `ShallowAutoEncoderCV` and by `GridSearchCV`.

The search compares eight regularizations of the exact solution on five folds of users, by NDCG@100
of a fifth of each user's items, in float32. The time includes the final fit. The data are:

- MovieLens-1M, where a fit is mostly the inverse;
- made-up rows of many users, where it is mostly the Gram matrix;
- MovieLens-1M with six variants each, which share an inverse.

Each search runs in a child process of its own, on as many threads as it takes by itself, with rows
in memory and compiled kernels when the clock starts; the least time of two rounds. MiB are what the
search has added to the process, without those of its children. "apart" is the largest difference of
a mean score.

    python benchmarks/tuning.py FOLDER
"""

import argparse
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from processes import forget_peak, memory_mib

REGULARIZATIONS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0)
VARIANTS = {"item_exponent": (-0.1, 0.0, 0.1), "diagonal_slack": (0.0, 0.1)}
FOLDS = 5
ROUNDS = 2
SEARCHES = ("ShallowAutoEncoderCV", "GridSearchCV", "GridSearchCV, n_jobs=2")
CASES = ("MovieLens-1M", "many users", "MovieLens-1M, variants")


def rows(case: str, folder: str) -> sp.csr_array:
    """Return the rows of a case."""
    if case == "many users":
        rng = np.random.default_rng(0)
        n_users, n_items, n_each = 50_000, 2_048, 60
        items = (n_items * rng.random(n_users * n_each) ** 2).astype(np.int64)
        pairs = (np.ones(len(items)), (np.repeat(np.arange(n_users), n_each), items))
        X = sp.csr_array(sp.coo_array(pairs, shape=(n_users, n_items)))
        return X.minimum(1).astype(np.float32)
    return sp.csr_array(sp.load_npz(Path(folder, "train.npz"))).astype(np.float32)


def search_for(name: str, case: str):
    """Return a search by its name."""
    from sklearn.model_selection import GridSearchCV

    from shallow_ae import ShallowAutoEncoder, ShallowAutoEncoderCV

    variants = VARIANTS if case.endswith("variants") else {}
    if name == "ShallowAutoEncoderCV":
        return ShallowAutoEncoderCV(REGULARIZATIONS, **variants, cv=FOLDS)
    grid = {"regularization": REGULARIZATIONS, **variants}
    n_jobs = 2 if "n_jobs" in name else None
    return GridSearchCV(ShallowAutoEncoder(solver="exact"), grid, cv=FOLDS, n_jobs=n_jobs)


def child(name: str, case: str, folder: str) -> None:
    """Leave seconds, MiB, the choice and the mean scores of a search."""
    from shallow_ae import ShallowAutoEncoder

    X = rows(case, folder)
    ShallowAutoEncoder(solver="exact").fit(X[:500]).score(X[:500])
    forget_peak()
    before, seconds = memory_mib("VmRSS"), []
    for _ in range(ROUNDS):
        search = search_for(name, case)
        start = time.perf_counter()
        search.fit(X)
        seconds.append(time.perf_counter() - start)
    scores = search.cv_results_["mean_test_score"]
    answer = (min(seconds), memory_mib() - before, search.best_params_, scores)
    sys.stdout.buffer.write(pickle.dumps(answer))


def main() -> None:
    """Print a table for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of MovieLens-1M's train.npz")
    folder = parser.parse_args().folder
    print(f"{os.cpu_count()} cores")
    for case in CASES:
        X = rows(case, folder)
        print(f"\n{case}: {X.shape[0]:,} x {X.shape[1]:,}, {X.nnz:,} entries")
        print(f"{'':<24}{'seconds':>9}{'ratio':>8}{'MiB':>8}{'apart':>9}  chosen")
        answers = {}
        for name in SEARCHES:
            command = [sys.executable, __file__, "child", name, case, folder]
            done = subprocess.run(command, capture_output=True, check=True)
            answers[name] = pickle.loads(done.stdout)
        of_grid = answers["GridSearchCV"]
        for name, (seconds, mib, chosen, scores) in answers.items():
            apart = np.abs(scores - of_grid[3]).max()
            print(
                f"{name:<24}{seconds:>9.2f}{seconds / of_grid[0]:>8.2f}{mib:>8.0f}{apart:>9.0e}  "
                f"{chosen}",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    else:
        main()
