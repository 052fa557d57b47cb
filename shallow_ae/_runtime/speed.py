"""The speed of matrix products on this machine, and the relative cost of other operations."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from shallow_ae._runtime.threads import Workers, with_workers

# The time of a multiplication in a sparse x dense and in a sparse x sparse product, in units of one
# in a dense x dense product. Measured on two cores in float32, on matrices of 1,892 to 29,858 rows.
COST_SPARSE_DENSE = 11
COST_SPARSE_SPARSE = 700

# In the same units: a multiplication in a linear system of about 100 unknowns, and an entry of a
# list that is searched for them. Measured on Gowalla (40,981 items) and on generated data with
# 62,500 and a million items.
COST_SMALL_SYSTEM = 12
COST_LIST_LOOKUP = 150

_SIZE = 512


@with_workers
def multiplications_per_second(workers: Workers, dtype: Any) -> float:
    """Return the dense multiplications per second of all threads, from a trial of milliseconds."""
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
