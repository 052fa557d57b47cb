"""The minimum for weights between each item and its nearest only, by one small system an item.

With A = G + diag(Lambda), N are the `n_neighbors` items i that share a user with item j and have
the largest |G_ij| / sqrt(A_ii). With w the solution of A[N, N] w = G[N, j], the inverse for N and j
has C_jj = 1 / (A_jj - G[j, N] w), and P[N, j] = w s_j C_jj. With all other items for N it is the
closed form.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._blocks import blocks
from shallow_ae._history import Rows as History
from shallow_ae._minimum import (
    Minimum,
    Parameters,
    Scales,
    check_has_minimum,
    indefinite,
    penalty_of,
    scales_of,
)
from shallow_ae._rows import rows_of, share_rows
from shallow_ae._threads import workers
from shallow_ae._validation import Array
from shallow_ae._weighting import check_item_exponent, column_squares
from shallow_ae._weights import SparseWeights

_PER_TASK = 4096  # items; a thread's scratch arrays, of the size of the catalogue, are new for each
_ROWS_PER_TASK = 2048

# An array is looked into faster than a list is searched: it may be so many times as large.
_ARRAY_BYTES = 4


class Layout(NamedTuple):
    """How the lower triangle of G is kept, a number for each place."""

    is_dense: Array
    lengths: Array  # of lists, at most

    def bytes(self, itemsize: int) -> int:
        """Return what it takes."""
        n_dense = np.flatnonzero(self.is_dense).sum()
        return int(n_dense * itemsize + self.lengths[~self.is_dense].sum() * (4 + itemsize))


def minimize_nearest(
    history: History, parameters: Parameters, n_neighbors: int, *, verbose: int = 0
) -> Minimum:
    """Return the minimum for what was learned from.

    Raises
    ------
    ValueError
        If there is none, or none that the type of the data can tell.
    """
    check_has_minimum(parameters)
    item_counts = history.item_counts
    check_item_exponent(item_counts, parameters.item_exponent, history.dtype)
    X, user_weights = history.weighted(parameters.user_exponent)
    n = float(user_weights.sum(dtype=np.float64))
    gram_diagonal = column_squares(X, user_weights)
    penalty = penalty_of(gram_diagonal, n, parameters)
    diagonal = (gram_diagonal + penalty).astype(X.dtype)
    n_neighbors = min(n_neighbors, X.shape[1] - 1)
    solutions = _solve(_systems(X, user_weights, diagonal), n_neighbors, verbose)
    unexplained = diagonal - solutions.explained  # 1 / C_jj
    if (solutions.n_neighbors < 0).any() or not (unexplained > 0).all():
        raise ValueError(indefinite(parameters.regularization, history.dtype))
    scales = scales_of(1 / unexplained, penalty, item_counts, parameters)
    missed, sought = solutions.missed.sum(), solutions.sought.sum()
    residual = float(np.sqrt(missed / sought)) if sought else 0.0
    _scale(solutions, scales)
    return scales.minimum(SparseWeights(_as_csr(solutions)), n, residual)


def by_popularity(X: sp.csr_array[Any]) -> tuple[Array, sp.csr_array[Any]]:
    """Return the items by falling number of users, and X with its columns in that order."""
    n_items = X.shape[1]
    item_at = np.argsort(-np.bincount(X.indices, minlength=n_items), kind="stable")
    place_of = _inverse(item_at)
    ordered = sp.csr_array((X.data.copy(), place_of[X.indices], X.indptr), shape=X.shape)
    ordered.sort_indices()
    return item_at.astype(np.int32), ordered


def lay_out(X: sp.csr_array[Any]) -> Layout:
    """Choose a form for each row of the triangle, for columns of X by falling popularity."""
    n_items, itemsize = X.shape[1], X.dtype.itemsize
    index = np.arange(n_items)
    before = np.arange(X.nnz) - np.repeat(X.indptr[:-1], np.diff(X.indptr))
    lengths = np.minimum(np.bincount(X.indices, before, minlength=n_items), index).astype(np.int64)
    return Layout(index * itemsize <= _ARRAY_BYTES * lengths * (4 + itemsize), lengths)


def _systems(X: sp.csr_array[Any], user_weights: Array, diagonal: Array) -> Any:
    """Return what all systems are taken from, with the triangle filled."""
    from shallow_ae._neighborhood import Systems
    from shallow_ae._triangle import Triangle, fill_triangle

    item_at, ordered = by_popularity(X)
    layout = lay_out(ordered)
    users = rows_of(ordered, X.dtype)
    ordered.data = ordered.data * np.repeat(user_weights, np.diff(ordered.indptr))
    places = rows_of(ordered.T.tocsr(), X.dtype)
    is_dense, lengths = layout
    starts = np.zeros(len(is_dense), np.int64)
    for chosen, size in ((is_dense, np.arange(len(is_dense))), (~is_dense, lengths)):
        ends = np.cumsum(size[chosen])
        starts[chosen] = ends - size[chosen]
    dense = np.zeros(np.flatnonzero(is_dense).sum(), X.dtype)
    n_listed = lengths[~is_dense].sum()
    listed, values = np.empty(n_listed, np.int32), np.empty(n_listed, X.dtype)
    triangle = Triangle(is_dense, starts, lengths, dense, listed, values)

    def fill(rows: slice) -> None:
        fill_triangle(users, places, triangle, rows.start, rows.stop)

    with workers() as pool:
        list(pool.map(fill, blocks(len(is_dense), _ROWS_PER_TASK)))
    own = diagonal[item_at]
    nearness = (1 / np.sqrt(own)).astype(own.dtype)
    place_of = _inverse(item_at)
    return Systems(users, places, triangle, own, nearness, place_of, item_at)


def _solve(systems: Any, n_neighbors: int, verbose: int) -> Any:
    from shallow_ae._neighborhood import Solutions, solve

    n_items = len(systems.diagonal)
    solutions = Solutions(
        np.zeros((n_items, n_neighbors), np.int32),
        np.zeros((n_items, n_neighbors), systems.diagonal.dtype),
        np.empty(n_items, np.int64),
        *np.empty((3, n_items)),
    )

    def task(part: slice) -> None:
        solve(systems, part.start, Solutions._make(array[part] for array in solutions))

    share_rows(n_items, task, most=_PER_TASK, verbose=verbose, label=("fit", "item"))
    return solutions


def _scale(solutions: Any, scales: Scales) -> None:
    """Turn the solutions into weights, in place."""
    own = scales.columns * scales.inverse_diagonal * scales.counts
    scales_rows = (scales.counts != 1).any()
    for part in blocks(len(own), _PER_TASK):
        weights = solutions.weights[part]
        weights *= own[part, None]
        if scales_rows:
            weights /= scales.counts[solutions.neighbors[part]]


def _as_csr(solutions: Any) -> sp.csr_array[Any]:
    """Return P: the solutions are its columns."""
    n_items, most = solutions.neighbors.shape
    indptr = np.concatenate([[0], np.cumsum(solutions.n_neighbors)])
    if indptr[-1] <= np.iinfo(np.int32).max:  # scipy would make all indices int64
        indptr = indptr.astype(np.int32)
    neighbors, weights = solutions.neighbors, solutions.weights
    if indptr[-1] < neighbors.size:
        is_there = np.arange(most) < solutions.n_neighbors[:, None]
        neighbors, weights = neighbors[is_there], weights[is_there]
    columns = (weights.ravel(), neighbors.ravel(), indptr)
    P = sp.csr_array(sp.csc_array(columns, shape=(n_items, n_items)))
    P.eliminate_zeros()
    return P


def _inverse(permutation: Array) -> Array:
    inverse = np.empty(len(permutation), np.int32)
    inverse[permutation] = np.arange(len(permutation))
    return inverse
