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

from shallow_ae._linalg.csr import column_squares, csr_arrays, sum_by_item
from shallow_ae._objective.objective import check_item_exponent
from shallow_ae._objective.solution import (
    ColumnScaling,
    Objective,
    Solution,
    check_has_minimum,
    column_scaling,
    indefinite,
    penalty_of,
)
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._runtime.blocks import blocks, entry_blocks, share_rows
from shallow_ae._runtime.threads import map_on_threads
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import SparseWeights

_PER_TASK = 4096  # items; a thread's scratch arrays, of the size of the catalogue, are new for each
_ROWS_PER_TASK = 2048

# An array is looked into faster than a list is searched: it may be so many times as large.
_ARRAY_BYTES = 4


class _Arranged(NamedTuple):
    """What counts of what was learned from, with the items by falling popularity."""

    item_at: Array
    users: sp.csr_array[Any]
    places: sp.csr_array[Any]  # the same by item, times the users' weights


class Layout(NamedTuple):
    """How the lower triangle of G is kept, a number for each place."""

    is_dense: Array
    lengths: Array  # of lists, at most

    def bytes(self, itemsize: int) -> int:
        """Return what it takes."""
        n_dense = np.flatnonzero(self.is_dense).sum()
        return int(n_dense * itemsize + self.lengths[~self.is_dense].sum() * (4 + itemsize))


def minimize_nearest(
    history: TrainingRows, parameters: Objective, n_neighbors: int, *, verbose: int = 0
) -> Solution:
    """Return the minimum for what was learned from.

    Raises
    ------
    ValueError
        If there is none, or none that the type of the data can tell.
    """
    check_has_minimum(parameters)
    item_counts = history.item_counts
    check_item_exponent(item_counts, parameters.item_exponent, history.dtype)
    arranged, n, gram_diagonal = _arrange(history, parameters.user_exponent)
    penalty = penalty_of(gram_diagonal, n, parameters)
    diagonal = (gram_diagonal + penalty).astype(history.dtype)
    systems = _systems(arranged, diagonal)
    solutions = _solve(systems, min(n_neighbors, len(diagonal) - 1), verbose)
    del arranged, systems  # which may be larger than the weights
    unexplained = diagonal - solutions.explained  # 1 / C_jj
    if (solutions.n_neighbors < 0).any() or not (unexplained > 0).all():
        raise ValueError(indefinite(parameters.regularization, history.dtype))
    scales = column_scaling(1 / unexplained, penalty, item_counts, parameters)
    rounding = _rounding(solutions, scales)
    missed, sought = solutions.missed.sum(), solutions.sought.sum()
    residual = float(np.sqrt(missed / sought)) if sought else 0.0
    _scale(solutions, scales)
    left = np.maximum(gram_diagonal - solutions.explained, 0)
    minimum = scales.minimum(SparseWeights(_as_csr(solutions)), n, residual, left)
    return minimum._replace(rounding=rounding)


def _arrange(history: TrainingRows, user_exponent: float) -> tuple[_Arranged, float, Array]:
    """Return it with the sum of the users' weights and the diagonal of G."""
    X, user_weights = history.weighted(user_exponent)
    n, gram_diagonal = float(user_weights.sum(dtype=np.float64)), column_squares(X, user_weights)
    item_at, users = by_popularity(X)
    del X  # a copy, where users of no weight are left out
    data = np.repeat(user_weights, np.diff(users.indptr))
    data *= users.data
    weighted = sp.csr_array((data, users.indices, users.indptr), users.shape)
    return _Arranged(item_at, users, weighted.T.tocsr()), n, gram_diagonal


def by_popularity(X: sp.csr_array[Any]) -> tuple[Array, sp.csr_array[Any]]:
    """Return the items by falling number of users, and X with its columns in that order."""
    item_at = np.argsort(-sum_by_item(X, np.ones(X.shape[0])), kind="stable")
    place_of, places = _inverse(item_at), np.empty(X.nnz, np.int32)
    for _, entries in entry_blocks(X.indptr):
        places[entries] = place_of[X.indices[entries]]
    ordered = sp.csr_array((X.data.copy(), places, X.indptr), shape=X.shape)
    ordered.sort_indices()
    return item_at.astype(np.int32), ordered


def lay_out(X: sp.csr_array[Any]) -> Layout:
    """Choose a form for each row of the triangle, for columns of X by falling popularity."""
    n_items, itemsize = X.shape[1], X.dtype.itemsize
    index, pairs = np.arange(n_items), np.zeros(n_items)
    for rows, entries in entry_blocks(X.indptr):
        starts = np.repeat(X.indptr[rows], np.diff(X.indptr[rows.start : rows.stop + 1]))
        before = np.arange(entries.start, entries.stop) - starts
        pairs += np.bincount(X.indices[entries], before, minlength=n_items)
    lengths = np.minimum(pairs, index).astype(np.int64)
    return Layout(index * itemsize <= _ARRAY_BYTES * lengths * (4 + itemsize), lengths)


def _systems(arranged: _Arranged, diagonal: Array) -> Any:
    """Return what all systems are taken from, with the triangle filled."""
    from shallow_ae._solvers.neighborhood.gram_triangle import Triangle, fill_triangle
    from shallow_ae._solvers.neighborhood.kernels import Systems

    item_at, dtype = arranged.item_at, diagonal.dtype
    users, places = csr_arrays(arranged.users, dtype), csr_arrays(arranged.places, dtype)
    is_dense, lengths = lay_out(arranged.users)
    starts = np.zeros(len(is_dense), np.int64)
    for chosen, size in ((is_dense, np.arange(len(is_dense))), (~is_dense, lengths)):
        ends = np.cumsum(size[chosen])
        starts[chosen] = ends - size[chosen]
    dense = np.zeros(np.flatnonzero(is_dense).sum(), dtype)
    n_listed = lengths[~is_dense].sum()
    listed, values = np.empty(n_listed, np.int32), np.empty(n_listed, dtype)
    triangle = Triangle(is_dense, starts, lengths, dense, listed, values)

    def fill(rows: slice) -> None:
        fill_triangle(users, places, triangle, rows.start, rows.stop)

    map_on_threads(fill, blocks(len(is_dense), _ROWS_PER_TASK))
    own = diagonal[item_at]
    nearness = (1 / np.sqrt(own)).astype(own.dtype)
    place_of = _inverse(item_at)
    return Systems(users, places, triangle, own, nearness, place_of, item_at)


def _solve(systems: Any, n_neighbors: int, verbose: int) -> Any:
    from shallow_ae._solvers.neighborhood.kernels import Solutions, solve

    n_items = len(systems.diagonal)
    solutions = Solutions(
        np.zeros((n_items, n_neighbors), np.int32),
        np.zeros((n_items, n_neighbors), systems.diagonal.dtype),
        np.empty(n_items, np.int64),
        *np.zeros((5, n_items)),
    )

    def task(part: slice) -> None:
        solve(systems, part.start, Solutions._make(array[part] for array in solutions))

    share_rows(n_items, task, most=_PER_TASK, verbose=verbose, label=("fit", "item"))
    return solutions


def _rounding(solutions: Any, scales: ColumnScaling) -> float:
    """Return how far rounding may move a weight, relative to the largest.

    What float arithmetic misses of a system is of the size of its rounding errors, those of its
    entries too, so that the correction it calls for is of the size of what these do to weights.
    """
    own = scales.columns * scales.inverse_diagonal
    largest = (own * solutions.largest).max()
    return float((own * solutions.moved).max() / largest) if largest else 0.0


def _scale(solutions: Any, scales: ColumnScaling) -> None:
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
