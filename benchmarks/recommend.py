"""Users for whom items are ranked in a second, and peak memory, compared with NumPy and implicit.

Each implementation ranks the unseen items for all users of a data set in a separate child process.
The weights and the compiled functions are in memory before the time is measured. The figures are
the least time of three, in float32. Two threads are available, of which the NumPy and SciPy
implementations use one.

- dense weights, from the exact solution: MovieLens-1M (lambda 300), Last.fm (log counts, all
  artists, lambda 4,730);
- sparse weights on Gowalla: the 100 nearest neighbours of each item by cosine, as implicit's
  `CosineRecommender(K=100)` fits them, in both; and as many weights at random.

NumPy's form is a sparse product, a mask, `argpartition` and a sort, for 1,024 users at a time. MiB
beside the weights are of the whole process at its peak, Python and its libraries included; "added"
is what ranking has added, its answer included. "same" is the share of places that hold the same
item as ours: implicit breaks ties otherwise.

    python benchmarks/recommend.py --ml-1m FOLDER --lastfm FOLDER --gowalla FOLDER [--peers FOLDER]
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from processes import environment, forget_peak, memory_mib

CUTOFFS = (20, 100)
ROUNDS = 3
N_NEIGHBORS = 100
THREADS = "2"
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def ours(folder: Path, X: sp.csr_array):
    """Rank with the pickled model."""
    model = pickle.loads((folder / "model.pkl").read_bytes())
    return lambda users, k: model.recommend(X[users], k=k), weight_bytes(model.item_weights_)


def numpy_form(folder: Path, X: sp.csr_array):
    """Rank as it is commonly written."""
    dense = folder / "P.npy"
    P = np.load(dense) if dense.exists() else sp.csr_array(sp.load_npz(folder / "P.npz"))

    def rank(users, k):
        answer = []
        for start in range(users.start, users.stop, 1024):
            rows = X[start : min(start + 1024, users.stop)]
            scores = rows @ P
            scores = scores.toarray() if sp.issparse(scores) else scores
            scores[rows.nonzero()] = -np.inf
            best = np.argpartition(-scores, k, axis=1)[:, :k]
            order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
            answer.append(np.take_along_axis(best, order, axis=1))
        return np.concatenate(answer)

    return rank, weight_bytes(P)


def implicit(folder: Path, X: sp.csr_array):
    """Rank with implicit's recommender, fitted to the same rows."""
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=N_NEIGHBORS, num_threads=int(THREADS))
    model.fit(sp.csr_matrix(X), show_progress=False)
    sp.save_npz(folder / "P.npz", sp.csr_matrix(model.similarity))
    rows = sp.csr_matrix(X)

    def rank(users, k):
        items, _ = model.recommend(np.arange(X.shape[0])[users], rows[users], N=k)
        return items

    return rank, weight_bytes(model.similarity)


FORMS = {"shallow_ae": ours, "NumPy": numpy_form, "implicit": implicit}


def weight_bytes(P) -> int:
    """Return what weights take in memory."""
    return P.nbytes if isinstance(P, np.ndarray) else P.data.nbytes + P.indices.nbytes


def child(form: str, folder: str) -> None:
    """Print seconds and memory for each cutoff, and leave the items."""
    # pyarrow, which pandas imports where it finds it, is none of the library's requirements.
    sys.modules["pyarrow"] = None
    X = sp.csr_array(sp.load_npz(Path(folder, "X.npz")))
    rank, n_bytes = FORMS[form](Path(folder), X)
    rank(slice(0, 50), CUTOFFS[0])
    forget_peak()
    before = memory_mib("VmRSS")
    for k in CUTOFFS:
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            items = rank(slice(0, X.shape[0]), k)
            seconds.append(time.perf_counter() - start)
        np.save(Path(folder, f"{form} {k}.npy"), items)
        print(min(seconds), memory_mib() - n_bytes / 2**20, memory_mib() - before)


def measured(python: str, form: str, folder: str) -> np.ndarray:
    """Return a row of seconds and MiB for each cutoff, of a child process."""
    threads = dict.fromkeys(THREAD_SETTINGS, THREADS)
    command = [python, __file__, "child", form, folder]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **threads}
    )
    lines = done.stdout.splitlines()[-len(CUTOFFS) :]
    return np.array([line.split() for line in lines], dtype=float)


def prepare_dense(folder: Path, X: sp.csr_array, penalty: float) -> None:
    """Leave the exact solution as a model with its weights formed, and as an array."""
    from shallow_ae import ShallowAutoEncoder

    model = ShallowAutoEncoder(penalty / X.shape[0], solver="exact").fit(X)
    np.save(folder / "P.npy", model.item_weights_)
    (folder / "model.pkl").write_bytes(pickle.dumps(model))


def prepare_sparse(folder: Path, X: sp.csr_array) -> None:
    """Leave a model with the weights that are there, or with random ones."""
    from shallow_ae import ShallowAutoEncoder
    from shallow_ae._weights.item_weights import ItemWeights, SparseWeights

    n_items = X.shape[1]
    if not (folder / "P.npz").exists():
        rng = np.random.default_rng(0)
        items = [np.sort(rng.choice(n_items, N_NEIGHBORS, replace=False)) for _ in range(n_items)]
        values = rng.random(n_items * N_NEIGHBORS, dtype=np.float32)
        indptr = np.arange(n_items + 1) * N_NEIGHBORS
        P = sp.csr_matrix((values, np.concatenate(items), indptr), shape=(n_items, n_items))
        sp.save_npz(folder / "P.npz", P)
    P = sp.csr_array(sp.load_npz(folder / "P.npz")).astype(np.float32)
    P.sort_indices()
    model = ShallowAutoEncoder(max_iter=1).fit(np.eye(2, dtype=np.float32))
    model._fitted = replace(model._fitted, weights=ItemWeights(SparseWeights(P)))
    model.n_features_in_ = n_items
    (folder / "model.pkl").write_bytes(pickle.dumps(model))


def report(title: str, X: sp.csr_array, prepare, forms: dict[str, str]) -> None:
    """Print a table of the forms, each with its Python."""
    print(f"\n{title}: {X.shape[0]:,} x {X.shape[1]:,}, {X.nnz:,} entries")
    header = ("k", "seconds", "users/s", "ratio", "MiB beside", "added", "same")
    print(f"{'':<12}" + "".join(f"{name:>12}" for name in header))
    with tempfile.TemporaryDirectory() as folder:
        sp.save_npz(Path(folder, "X.npz"), sp.csr_matrix(X))
        figures = {}
        for form in sorted(forms, key="implicit".__ne__):  # whose weights the others take over
            if form != "implicit" and not Path(folder, "model.pkl").exists():
                prepare(Path(folder))
            figures[form] = measured(forms[form], form, folder)
        for place, k in enumerate(CUTOFFS):
            items = {form: np.load(Path(folder, f"{form} {k}.npy")) for form in forms}
            for form in forms:
                seconds, beside, added = figures[form][place]
                ratio = seconds / figures["shallow_ae"][place][0]
                same = (items[form] == items["shallow_ae"]).mean()
                print(
                    f"{form:<12}{k:>12}{seconds:>12.3f}{X.shape[0] / seconds:>12,.0f}"
                    f"{ratio:>12.1f}{beside:>12.0f}{added:>12.0f}{same:>12.4f}",
                    flush=True,
                )


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--ml-1m", "--lastfm", "--gowalla"):
        parser.add_argument(name, metavar="FOLDER")
    parser.add_argument("--peers", metavar="FOLDER", type=Path, default=Path("build", "peers"))
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {THREADS} threads")
    both = dict.fromkeys(("shallow_ae", "NumPy"), sys.executable)

    def rows(folder: str) -> sp.csr_array:
        return sp.csr_array(sp.load_npz(Path(folder, "train.npz"))).astype(np.float32)

    if arguments.ml_1m:
        X = rows(arguments.ml_1m)
        report("MovieLens-1M, dense", X, lambda folder: prepare_dense(folder, X, 300.0), both)
    if arguments.lastfm:
        from shallow_ae import IdMapper, LogCountTransformer
        from shallow_ae.datasets import fetch_lastfm

        counts = IdMapper().fit_transform(fetch_lastfm(arguments.lastfm).listens)
        Y = LogCountTransformer().fit_transform(counts)
        report("Last.fm, dense", Y, lambda folder: prepare_dense(folder, Y, 4730.0), both)
    if arguments.gowalla:
        Z = rows(arguments.gowalla)
        peer = environment(arguments.peers, "implicit")
        if peer:
            with_peer = both | {"implicit": peer}
            report("Gowalla, cosine", Z, lambda folder: prepare_sparse(folder, Z), with_peer)
        report("Gowalla, random", Z, lambda folder: prepare_sparse(folder, Z), both)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    else:
        main()
