"""Arrays that hold the linear systems of items, and their solutions.

Items are ranked by popularity: rank 0 is the item with the most users.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._linalg.csr import CsrArrays
from shallow_ae._typing import Array

SIEVE = 2**14 - 1  # mask of a rank's last bits; unlike `position`, `sieve` fits in level-1 cache


class Triangle(NamedTuple):
    """The lower triangle of G by rank. A row is an array or, if most of it is 0, a list."""

    is_dense: NDArray[np.bool_]
    starts: NDArray[np.int64]  # start of each row in `dense`, or in `ranks` and `values`
    lengths: NDArray[np.int64]  # of the lists
    dense: Array
    ranks: NDArray[np.int32]
    values: Array


class Ranking(NamedTuple):
    """The items by rank, and the numbers of each item that do not depend on other items."""

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


class Workspace(NamedTuple):
    """Scratch arrays of a thread."""

    row: Array  # column j of G; reset to zeros after each item
    is_reached: NDArray[np.bool_]
    reached: NDArray[np.int32]
    items: NDArray[np.int32]
    values: Array
    best: NDArray[np.int64]
    best_values: Array
    maxima: Array
    nearest: NDArray[np.int32]  # ranks of the items in N, by rising popularity
    given: Array
    solution: Array
    position: NDArray[np.int32]  # index of a rank in `nearest`; -1 for other ranks
    sieve: NDArray[np.bool_]  # whether a rank in `nearest` has these last bits
    matrix: Array  # upper triangle of A[N, N], then its factor R; a further column for G[N, j]
    upper: Array  # upper triangle of A[N, N]


def workspace_for(ranking: Ranking, most: int) -> Workspace:
    """Return scratch arrays for systems of at most `most` items.

    They are made here because the compiler takes long for functions that make arrays.
    """
    from shallow_ae._weights.selection import n_groups  # imports Numba

    n_items, dtype = len(ranking.diagonal), ranking.diagonal.dtype
    return Workspace(
        row=np.zeros(n_items, dtype),
        is_reached=np.zeros(n_items, np.bool_),
        reached=np.empty(n_items, np.int32),
        items=np.empty(n_items, np.int32),
        values=np.empty(n_items, dtype),
        best=np.empty(most, np.int64),
        best_values=np.empty(most, dtype),
        maxima=np.empty(n_groups(most), dtype),
        nearest=np.empty(most, np.int32),
        given=np.empty(most, dtype),
        solution=np.empty(most, dtype),
        position=np.full(n_items, -1, np.int32),
        sieve=np.zeros(SIEVE + 1, np.bool_),
        matrix=np.empty((most, most + 1), dtype),
        upper=np.empty((most, most), dtype),
    )


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
