"""The speed of matrix products on this machine, and the relative cost of other operations."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from shallow_ae._runtime.threads import Workers, with_workers

# Time of one multiplication in a sparse x dense and in a sparse x sparse matrix product. The unit
# is the time of one multiplication in a dense x dense product. Measured on two cores in float32, on
# matrices of 1,892 to 29,858 rows.
COST_SPARSE_DENSE = 11
COST_SPARSE_SPARSE = 700

# Times in the same unit: one multiplication in the solution of a linear system of about 100
# unknowns, and the check of one entry of a list that is searched for the entries of such a system.
# Measured on Gowalla (40,981 items) and on generated data with 62,500 and a million items.
COST_SMALL_SYSTEM = 12
COST_LIST_LOOKUP = 150

# Times in the same unit, each for matrices in cache and for larger ones: one multiplication in
# scipy's product, on one thread, of a sparse and a dense matrix; and one in the LU, QR and singular
# value decompositions of matrices with a few hundred columns. Measured on MovieLens-1M, on Gowalla
# and on generated data with a million items; between the last two they vary by a factor of three.
CACHE = 2**25  # size of the cache in bytes
COST_SPARSE_PRODUCT = (22, 120)
COST_DECOMPOSITION = (4, 8)

_SIZE = 512


@with_workers
def multiplications_per_second(workers: Workers, dtype: Any) -> float:
    """Measure the dense multiplications per second of all threads, in a few milliseconds."""
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
