"""Exact fits of this library and of others: seconds, peak memory and difference of the weights.

Each fit runs in a separate child process with its default number of threads. The figures are the
least time and memory of two rounds, or of one round if a round takes a minute. The data are in
memory before the time is measured.

- NumPy: EASE as it is commonly written (sparse Gram matrix made dense, `numpy.linalg.inv`, divided
  by its diagonal), in both types.
- irspack `DenseSLIMRecommender` and RecTools `EASEModel`, float32, from the package index, each
  in an environment that is made in the folder `--peers` where it is not there yet.
- MiB are those of the whole process at its peak, and what the fit has added to it.
- Errors are the largest difference from our float64 weights, in units of the largest weight, in
  some columns.

Data: MovieLens-1M (`train.npz`), lambda 300; log-weighted counts of all artists of HetRec 2011
Last.fm, lambda 4,730; two made-up sets of skewed popularity.

    python benchmarks/exact_fit.py [--ml-1m FOLDER] [--lastfm FOLDER] [--peers FOLDER]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from processes import environment, memory_mib

ROUNDS, LONG = 2, 60
COLUMNS = 50
PEERS = {"irspack": "irspack", "RecTools": "rectools"}


def ours(X, penalty):
    """Fit `ShallowAutoEncoder`; where the inverse is the dual one, without the dense weights."""
    from shallow_ae import ShallowAutoEncoder

    model = ShallowAutoEncoder(penalty / X.shape[0], solver="exact")
    return lambda: model.fit(X), lambda: model.item_weights_


def numpy_form(X, penalty):
    """EASE as it is commonly written."""
    result = []

    def fit():
        G = (X.T @ X).toarray()
        G[np.diag_indices_from(G)] += penalty
        C = np.linalg.inv(G)
        P = C / -np.diag(C)
        np.fill_diagonal(P, 0)
        result.append(P)

    return fit, lambda: result[0]


def irspack(X, penalty):
    """Fit irspack's EASE."""
    from irspack.recommenders import DenseSLIMRecommender

    model = DenseSLIMRecommender(sp.csr_matrix(X), reg=penalty)
    return model.learn, lambda: np.asarray(model._W)


def rectools(X, penalty):
    """Fit RecTools' EASE, and put its items into our order."""
    import pandas as pd
    from rectools.dataset import Dataset
    from rectools.models import EASEModel

    entries = X.tocoo()
    frame = {"user_id": entries.row, "item_id": entries.col, "weight": entries.data}
    dataset = Dataset.construct(pd.DataFrame(frame).assign(datetime="2020-01-01"))
    model = EASEModel(regularization=penalty)
    places = dataset.item_id_map.convert_to_internal(np.arange(X.shape[1]))
    return lambda: model.fit(dataset), lambda: model.weight[np.ix_(places, places)]


FITS = {"shallow_ae": ours, "NumPy": numpy_form, "irspack": irspack, "RecTools": rectools}


def child(name: str, data: str, dtype: str, penalty: str, columns: str) -> None:
    """Print seconds, peak and what of it the fit added; save some columns of the weights."""
    if name == "shallow_ae":
        sys.modules["pyarrow"] = None  # pandas imports it where it is; the library asks for none
    X = sp.csr_array(sp.load_npz(data)).astype(dtype)
    fit, weights = FITS[name](X, float(penalty))
    before = memory_mib()
    start = time.perf_counter()
    fit()
    seconds, peak = time.perf_counter() - start, memory_mib()
    np.save(columns, weights()[:, :: max(1, X.shape[1] // COLUMNS)])
    print(f"{seconds} {peak} {peak - before}")


def measured(python, name, data, dtype, penalty, columns):
    """Return the least of each figure over the rounds, or None where the child failed."""
    command = [python, __file__, "child", name, data, dtype, str(penalty), columns]
    figures = []
    for _ in range(ROUNDS):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr.strip().splitlines()[-1])
            return None
        figures.append(list(map(float, done.stdout.split()[-3:])))
        if figures[-1][0] > LONG:
            break
    return np.min(figures, axis=0)


def made_up(n_users: int, n_items: int, items_per_user: int) -> sp.csr_array:
    """Return listens of items of skewed popularity, each item with one user at least."""
    rng = np.random.default_rng(0)
    popularity = 1 / np.arange(1, n_items + 1) ** 0.7
    popularity = np.cumsum(popularity / popularity.sum())
    drawn = np.searchsorted(popularity, rng.random((n_users, items_per_user)))
    drawn[:, 0] = np.arange(n_users) % n_items
    users = np.repeat(np.arange(n_users), items_per_user)
    counts = rng.integers(1, 300, size=drawn.size)
    X = sp.coo_array((counts, (users, drawn.ravel())), shape=(n_users, n_items)).tocsr()
    X.data = 1 + np.log1p(X.data)
    return X


def data_sets(arguments) -> dict[str, tuple[sp.csr_array, float]]:
    """Return each set with its lambda."""
    sets = {}
    if arguments.ml_1m:
        sets["MovieLens-1M"] = (sp.load_npz(Path(arguments.ml_1m, "train.npz")), 300.0)
    sets["made up"] = (made_up(16_384, 8_192, 60), 328.0)
    sets["many users"] = (made_up(200_000, 2_048, 60), 4000.0)
    if arguments.lastfm:
        from shallow_ae import IdMapper, LogCountTransformer
        from shallow_ae.datasets import fetch_lastfm

        counts = IdMapper().fit_transform(fetch_lastfm(arguments.lastfm).listens)
        sets["Last.fm"] = (LogCountTransformer().fit_transform(counts), 4730.0)
    return {
        name: (sp.csr_array(X)[:, np.bincount(X.nonzero()[1], minlength=X.shape[1]) > 0], penalty)
        for name, (X, penalty) in sets.items()
    }


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--ml-1m", "--lastfm"):
        parser.add_argument(name, metavar="FOLDER")
    parser.add_argument("--peers", metavar="FOLDER", type=Path, default=Path("build", "peers"))
    arguments = parser.parse_args()
    pythons = {name: environment(arguments.peers, package) for name, package in PEERS.items()}
    here = {"shallow_ae": sys.executable, "NumPy": sys.executable}
    runs = [("shallow_ae", "float64"), ("shallow_ae", "float32")]
    runs += [("NumPy", "float64"), ("NumPy", "float32")]
    runs += [(name, "float32") for name, python in pythons.items() if python]
    print(f"{os.cpu_count()} cores; the threads that each takes by itself")
    with tempfile.TemporaryDirectory() as folder:
        for title, (X, penalty) in data_sets(arguments).items():
            data = str(Path(folder, "X.npz"))
            sp.save_npz(data, X)
            print(f"\n{title}: {X.shape[0]:,} x {X.shape[1]:,}, {X.nnz:,} entries")
            print(
                f"{'':<12}{'type':<9}{'seconds':>9}{'ratio':>8}{'MiB':>8}{'added':>8}{'error':>9}"
            )
            rows = []
            for name, dtype in runs:
                columns = str(Path(folder, f"{name} {dtype}.npy"))
                python = here.get(name) or pythons[name]
                figures = measured(python, name, data, dtype, penalty, columns)
                if figures is not None:
                    rows.append((name, dtype, *figures, np.load(columns)))
            expected, best = rows[0][-1], rows[1][2]
            for name, dtype, seconds, peak, added, weights in rows:
                error = np.abs(weights - expected).max() / np.abs(expected).max()
                print(
                    f"{name:<12}{dtype:<9}{seconds:>9.2f}{seconds / best:>8.1f}{peak:>8.0f}"
                    f"{added:>8.0f}{error:>9.0e}"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    else:
        main()
