"""Arrays that hold the linear systems of all items, and their solutions.

Items are ranked by popularity: rank 0 is the item with the most users. Numba's cache on disk does
not notice a change of the fields below. Remove `__pycache__` after such a change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._linalg.csr import CsrArrays
from shallow_ae._typing import Array


class Triangle(NamedTuple):
    """The lower triangle of G by rank. A row is an array or, if most of it is 0, a list."""

    is_dense: NDArray[np.bool_]
    starts: NDArray[np.int64]  # start of each row in `dense`, or in `ranks` and `values`
    lengths: NDArray[np.int64]  # of the lists
    dense: Array
    ranks: NDArray[np.int32]
    values: Array


class Systems(NamedTuple):
    """The systems A[N, N] w = G[N, j] of all items."""

    users: CsrArrays  # the ranks of each user's items, in rising order, and their values
    items: CsrArrays  # the users of the item of each rank, and their values times user weights
    triangle: Triangle
    diagonal: Array  # of A, by rank
    nearness: Array  # 1 / sqrt(A_ii) by rank; the nearest items have the largest |G_ij| times it
    rank_of: NDArray[np.int32]
    item_of: NDArray[np.int32]


class Solutions(NamedTuple):
    """The solutions of some items, one row for each item."""

    neighbors: NDArray[np.int32]  # items
    weights: Array
    n_neighbors: NDArray[np.int64]  # neighbors in each row; -1 if there is no solution
    explained: NDArray[np.float64]  # G[j, N] w
    residual_sq: NDArray[np.float64]  # ||A[N, N] w - G[N, j]||^2
    rhs_sq: NDArray[np.float64]  # ||G[N, j]||^2
    largest: NDArray[np.float64]  # largest absolute weight
    correction_max: NDArray[np.float64]  # largest absolute entry of A^-1 times the residual
