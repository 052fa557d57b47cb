"""Arrays that hold the linear systems of items, and their solutions.

Items are ranked by popularity: rank 0 is the item with the most users.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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


class Ranking(NamedTuple):
    """The items by rank, and what of each item does not depend on other items."""

    diagonal: Array  # of A, by rank
    nearness: Array  # 1 / sqrt(A_ii) by rank; the nearest items have the largest |G_ij| times it
    rank_of: NDArray[np.int32]
    item_of: NDArray[np.int32]


class Systems(NamedTuple):
    """The systems A[N, N] w = G[N, j] of all items."""

    users: CsrArrays  # the ranks of each user's items, in rising order, and their values
    items: CsrArrays  # the users of the item of each rank, and their values times user weights
    triangle: Triangle
    ranking: Ranking


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


def ranking_of(diagonal: Array, item_of: Array) -> Ranking:
    """Return the ranking of the items whose diagonal of A is given, by item."""
    own, rank_of = diagonal[item_of], np.empty(len(item_of), np.int32)
    rank_of[item_of] = np.arange(len(item_of))
    nearness = (1 / np.sqrt(own)).astype(own.dtype)
    return Ranking(own, nearness, rank_of, item_of.astype(np.int32))


def no_solutions(n: int, n_neighbors: int, dtype: np.dtype[Any]) -> Solutions:
    """Return room for the solutions of `n` items."""
    return Solutions(
        np.zeros((n, n_neighbors), np.int32),
        np.zeros((n, n_neighbors), dtype),
        np.empty(n, np.int64),
        *np.zeros((5, n)),
    )
