"""Time, peak memory and quality of three solvers for the components of a low-rank model.

Each solver computes the leading singular vectors of `train.npz` in a child process, in float32,
with users and items scaled as in GF-CF. The solvers are scikit-learn's `randomized_svd`, and
scipy's `svds` by "arpack" and "lobpcg". "share" is the sum of the squared singular values of the
computed subspace, relative to "arpack".

    python benchmarks/svd.py FOLDER [--components N]
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from processes import memory_mib

SOLVERS = ("arpack", "lobpcg", "randomized_svd")


def child(folder: str, solver: str, n_components: int) -> None:
    """Print the figures of one solver."""
    from scipy.sparse.linalg import svds
    from sklearn.utils.extmath import randomized_svd

    X = sp.csr_array(sp.load_npz(Path(folder, "train.npz"))).astype(np.float32)
    users = np.maximum(np.diff(X.indptr), 1)
    items = np.maximum(np.bincount(X.indices, minlength=X.shape[1]), 1)
    X.data /= np.sqrt(np.repeat(users, np.diff(X.indptr)) * items[X.indices]).astype(np.float32)
    start = time.perf_counter()
    if solver == "randomized_svd":
        _, _, vectors = randomized_svd(X, n_components, random_state=0)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lobpcg says that it has not converged
            _, _, vectors = svds(
                X, n_components, solver=solver, return_singular_vectors="vh", rng=0
            )
    seconds = time.perf_counter() - start
    held = float(np.square(X @ np.ascontiguousarray(vectors.T)).sum(dtype=np.float64))
    print(json.dumps({"seconds": seconds, "gib": memory_mib() / 2**10, "held": held}))


def main() -> None:
    """Print a row for each solver."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--components", type=int, default=512)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.folder, arguments.child, arguments.components)
        return
    print(f"{os.cpu_count()} cores\n{'':<16}{'seconds':>9}{'GiB':>7}{'share':>8}")
    best = 0.0
    for solver in SOLVERS:
        command = [sys.executable, __file__, arguments.folder, "--child", solver]
        command += ["--components", str(arguments.components)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(done.stdout.splitlines()[-1])
        best = best or row["held"]
        print(
            f"{solver:<16}{row['seconds']:>9.1f}{row['gib']:>7.2f}{row['held'] / best:>8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
