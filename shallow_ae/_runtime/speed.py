"""The speed of matrix products on this machine, and the relative cost of other operations."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from shallow_ae._runtime.threads import Workers, with_workers

# A multiplication of a sparse with a dense matrix takes as long as so many of dense matrices, and
# one in a product of two sparse matrices so many. Measured on two cores in float32, over matrices
# of 1,892 to 29,858 rows.
COST_SPARSE_DENSE = 11
COST_SPARSE_SPARSE = 700

# A multiplication in a system of some 100 unknowns, and an entry of a list that is searched for
# them, measured on Gowalla's 40,981 items and on made-up ones of 62,500 and a million.
COST_SMALL_SYSTEM = 12
COST_LIST_LOOKUP = 150

_SIZE = 512


@with_workers
def multiplications_per_second(workers: Workers, dtype: Any) -> float:
    """Return how many of dense matrices all threads together do, by a trial of milliseconds."""
    tile = np.ones((_SIZE, _SIZE), dtype)

    def multiply(n_times: int) -> None:
        product = np.empty_like(tile)
        for _ in range(n_times):
            np.matmul(tile, tile, out=product)

    n_threads = workers.n_threads
    list(workers.map(multiply, [1] * n_threads))
    start = time.perf_counter()
    list(workers.map(multiply, [2] * n_threads))
    return n_threads * 2 * _SIZE**3 / (time.perf_counter() - start)
