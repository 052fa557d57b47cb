"""Time of compilation: seconds of the first recommendation and of the first fit in a process.

Each figure is one run in a separate child process with two threads. "cold" has an empty folder
NUMBA_CACHE_DIR, and "warm" is the next process with the same folder. "import" is the time to import
the classes, which is not part of the other figures.

- recommend: a fitted RecommenderPipeline for one user with known items and one without.
- fit: `SparseShallowAutoEncoder().fit` on a small matrix.

A checkout of another version is measured by `PYTHONPATH=FOLDER`.

    python benchmarks/cold_start.py
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp

THREADS = "2"
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TASKS = {
    "recommend, nearest items": "recommend nearest",
    "recommend, exact": "recommend exact",
    "fit, nearest items, float32": "fit float32",
    "fit, nearest items, float64": "fit float64",
}


def interactions() -> sp.csr_array:
    """Return a small matrix of zeros and ones."""
    rng = np.random.default_rng(0)
    X = sp.csr_array(sp.random_array((300, 200), density=0.1, rng=rng))
    X.data[:] = 1
    return X


def prepare(folder: Path) -> None:
    """Leave fitted pipelines."""
    import pandas as pd

    from shallow_ae import ShallowAutoEncoder, SparseShallowAutoEncoder, make_recommender

    users, items = interactions().nonzero()
    table = pd.DataFrame({"user": users, "item": items})
    models = {"nearest": SparseShallowAutoEncoder(), "exact": ShallowAutoEncoder(solver="exact")}
    for name, model in models.items():
        fitted = make_recommender(model).fit(table)
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(fitted))


def child(folder: str, kind: str, name: str) -> None:
    """Print the seconds of the import and of the task."""
    start = time.perf_counter()
    from shallow_ae import RecommenderPipeline, SparseShallowAutoEncoder

    imported = time.perf_counter()
    if kind == "recommend":
        import pandas as pd

        fitted: RecommenderPipeline = pickle.loads(Path(folder, f"{name}.pkl").read_bytes())
        asked = pd.DataFrame({"user": [1, 1, 2], "item": [1, 2, -1]})  # nobody has the item -1
        warnings.simplefilter("ignore")
        begun = time.perf_counter()
        fitted.recommend(asked, k=10)
    else:
        X = interactions().astype(name)
        begun = time.perf_counter()
        SparseShallowAutoEncoder().fit(X)
    print(imported - start, time.perf_counter() - begun)


def measured(folder: str, cache: str, *task: str) -> list[float]:
    """Return the seconds of a child process."""
    environment = os.environ | dict.fromkeys(THREAD_SETTINGS, THREADS) | {"NUMBA_CACHE_DIR": cache}
    command = [sys.executable, __file__, "--child", folder, *task]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [float(seconds) for seconds in done.stdout.splitlines()[-1].split()]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        if arguments.child[1] == "prepare":
            prepare(Path(arguments.child[0]))
            print(0)
        else:
            child(*arguments.child)
        return
    print(f"{os.cpu_count()} cores, {THREADS} threads")
    print(f"{'seconds':<30}{'import':>10}{'cold':>10}{'warm':>10}")
    with tempfile.TemporaryDirectory() as folder:
        measured(folder, str(Path(folder, "prepared")), "prepare")
        for number, (label, task) in enumerate(TASKS.items()):
            cache = str(Path(folder, f"cache {number}"))
            cold, warm = (measured(folder, cache, *task.split()) for _ in range(2))
            print(f"{label:<30}{warm[0]:>10.2f}{cold[1]:>10.2f}{warm[1]:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
