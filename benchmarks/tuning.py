"""A search over regularizations: `ShallowAutoEncoderCV` beside the same `GridSearchCV`.

Eight regularizations of the exact solution on MovieLens-1M, folds of users, NDCG@100 of a fifth of
each user's items, in float32, the final fit included. Each search runs in a child process of its
own, on as many threads as it takes by itself, with rows in memory and a compiled kernel when the
clock starts; the least time of the rounds. "apart" is the largest difference of a mean score.

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
ROUNDS = 2
SEARCHES = ("ShallowAutoEncoderCV", "GridSearchCV", "GridSearchCV(n_jobs=2)")


def search_for(name: str, grid: dict, n_folds: int):
    """Return a search by its name."""
    from sklearn.model_selection import GridSearchCV

    from shallow_ae import ShallowAutoEncoder, ShallowAutoEncoderCV

    if name == "ShallowAutoEncoderCV":
        variants = {key: values for key, values in grid.items() if key != "regularization"}
        return ShallowAutoEncoderCV(grid["regularization"], **variants, cv=n_folds)
    n_jobs = 2 if "n_jobs" in name else None
    return GridSearchCV(ShallowAutoEncoder(solver="exact"), grid, cv=n_folds, n_jobs=n_jobs)


def child(name: str, path: str, n_folds: str, with_variants: str) -> None:
    """Leave seconds, MiB, the choice and the mean scores of a search."""
    from shallow_ae import ShallowAutoEncoder

    X = sp.csr_array(sp.load_npz(path)).astype(np.float32)
    ShallowAutoEncoder(solver="exact").fit(X[:500]).score(X[:500])
    grid = {"regularization": REGULARIZATIONS, **(VARIANTS if with_variants == "True" else {})}
    forget_peak()
    before, seconds = memory_mib("VmRSS"), []
    for _ in range(ROUNDS):
        search = search_for(name, grid, int(n_folds))
        start = time.perf_counter()
        search.fit(X)
        seconds.append(time.perf_counter() - start)
    answer = (min(seconds), memory_mib() - before, search.best_params_, search.cv_results_)
    sys.stdout.buffer.write(pickle.dumps(answer))


def main() -> None:
    """Print a table for each number of folds, and one with variants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of MovieLens-1M's train.npz")
    path = str(Path(parser.parse_args().folder, "train.npz"))
    print(f"{os.cpu_count()} cores")
    for n_folds, with_variants in ((5, False), (10, False), (5, True)):
        title = f"{n_folds} folds x {len(REGULARIZATIONS)} regularizations"
        print(f"\n{title}{' x 6 variants' if with_variants else ''}")
        print(f"{'':<24}{'seconds':>9}{'ratio':>8}{'MiB':>8}{'apart':>9}  chosen")
        answers = {}
        for name in SEARCHES[::-1]:
            command = [sys.executable, __file__, "child", name, path, str(n_folds)]
            command.append(str(with_variants))
            answers[name] = pickle.loads(
                subprocess.run(command, capture_output=True, check=True).stdout
            )
        of_grid = answers["GridSearchCV"]
        for name in SEARCHES:
            seconds, mib, chosen, results = answers[name]
            apart = np.abs(results["mean_test_score"] - of_grid[3]["mean_test_score"]).max()
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
