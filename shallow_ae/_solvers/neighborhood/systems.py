"""Arrays that hold the linear systems of all items, and their solutions.

Items stand by popularity: rank 0 is the item with most users. Numba's cache on disk does not notice
a change of these fields: remove `__pycache__` after one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._linalg.csr import CsrArrays
from shallow_ae._typing import Array


class Triangle(NamedTuple):
    """The lower triangle of G over ranks: each row an array or, where most of it is 0, a list."""

    is_dense: NDArray[np.bool_]
    starts: NDArray[np.int64]  # of a row in `dense`, or in `ranks` and `values`
    lengths: NDArray[np.int64]  # of a list
    dense: Array
    ranks: NDArray[np.int32]
    values: Array


class Systems(NamedTuple):
    """The systems A[N, N] w = G[N, j] of all items."""

    users: CsrArrays  # the ranks of each user's items, rising, and their values
    items: CsrArrays  # the users of the item of each rank, and their values times their weights
    triangle: Triangle
    diagonal: Array  # of A, by rank
    nearness: Array  # by rank: |G_ij| is multiplied by it to compare the i
    rank_of: NDArray[np.int32]
    item_of: NDArray[np.int32]


class Solutions(NamedTuple):
    """The solutions of some items, a row each."""

    neighbors: NDArray[np.int32]  # items
    weights: Array
    n_neighbors: NDArray[np.int64]  # how many of a row there are; -1 for no solution
    explained: NDArray[np.float64]  # G[j, N] w
    residual_sq: NDArray[np.float64]  # ||A[N, N] w - G[N, j]||^2
    rhs_sq: NDArray[np.float64]  # ||G[N, j]||^2
    largest: NDArray[np.float64]  # of the weights
    correction_max: NDArray[np.float64]  # the largest entry of A^-1 times the residual
