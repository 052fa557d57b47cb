"""Gradient descent with weights larger than a worker: the columns of P on two Dask workers.

The memory limit of each worker, the process included, is a share of the size of P. The fit and the
recommendations are compared with those of one process that holds all of P.

    python benchmarks/spread_weights.py [--items N] [--share S]
"""

import argparse
import os
import time

import dask
import dask.array as da
import numpy as np
import scipy.sparse as sp
from catalogue_growth import make_listens
from dask.distributed import Client, LocalCluster
from processes import memory_mib
from sklearn.base import clone

from shallow_ae import ShallowAutoEncoder

ASKED = 1000
K = 20
N_BLOCKS = 8  # of rows


def in_blocks(X: sp.csr_array) -> da.Array:
    """Return the rows as a Dask array of csr blocks."""
    rows = np.array_split(np.arange(X.shape[0]), N_BLOCKS)
    arrays = [
        da.from_delayed(
            dask.delayed(X[own], traverse=False), (len(own), X.shape[1]), X.dtype, X[:0]
        )
        for own in rows
    ]
    return da.concatenate(arrays)


def main() -> None:
    """Fit on two workers and in one process, and print how the results differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=30_000)
    parser.add_argument("--share", type=float, default=0.6)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    X = make_listens(options.items)
    size = options.items**2 * X.dtype.itemsize
    limit = int(options.share * size)
    print(
        f"P of {options.items:,} items: {size / 2**30:.2f} GiB; each of two workers is limited to "
        f"{limit / 2**30:.2f} GiB, its process included."
    )
    model = ShallowAutoEncoder(max_iter=options.steps, random_state=0)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=limit, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        pids = client.run(os.getpid)
        start = time.perf_counter()
        spread = clone(model).fit(in_blocks(X))
        fit = time.perf_counter() - start
        start = time.perf_counter()
        items, scores = spread.recommend(X[:ASKED], k=K, return_scores=True)
        recommend = time.perf_counter() - start
        peaks = [f"{peak / 1024:.2f}" for peak in client.run(memory_mib).values()]
        columns = spread._fitted.weights.form.columns(slice(0, 200))
        assert client.run(os.getpid) == pids, "a worker was restarted"
    print(
        f"two workers: fit {fit:.0f} s, {ASKED:,} users ranked in {recommend:.1f} s, peaks "
        f"{' and '.join(peaks)} GiB"
    )
    start = time.perf_counter()
    whole = clone(model).fit(X)
    print(f"one process: fit {time.perf_counter() - start:.0f} s, {memory_mib() / 1024:.2f} GiB")
    expected, others = whole.recommend(X[:ASKED], k=K, return_scores=True)
    P = whole.item_weights_[:, :200]
    print(
        f"equal items: {np.mean(items == expected):.4%}; largest difference of a score "
        f"{np.abs(scores - others).max():.1e} (scores up to {np.abs(others).max():.2f}), of 200 "
        f"columns of P {np.abs(columns - P).max():.1e} (weights up to {np.abs(P).max():.2f})"
    )


if __name__ == "__main__":
    main()
