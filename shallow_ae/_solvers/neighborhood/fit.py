"""The solution on the nearest items: one small linear system for each item.

Let A = G + diag(Lambda). For an item j, N are the `n_neighbors` items i that share a user with j
and have the largest |G_ij| / sqrt(A_ii). Let w be the solution of A[N, N] w = G[N, j]. The inverse
C of A restricted to N and j has C_jj = 1 / (A_jj - G[j, N] w), and P[N, j] = w s_j C_jj. If N are
all other items, this is the closed form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import column_squares, csr_arrays, sum_by_item
from shallow_ae._objective.problem import Problem
from shallow_ae._objective.solution import ColumnScaling, Solution
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._runtime.blocks import ENTRIES_PER_BLOCK, blocks, entry_blocks, share_rows
from shallow_ae._runtime.threads import map_on_threads, n_threads
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import SparseWeights

if TYPE_CHECKING:
    from shallow_ae._solvers.neighborhood.systems import Solutions, Systems

_PER_TASK = 4096  # items; each task allocates scratch arrays of the size of the catalogue
_ROWS_PER_TASK = 2048  # of the lower triangle of G

# Reading the entries of an array is faster than searching a list. A row is therefore an array if
# the array takes at most this many times the memory of the list.
_ARRAY_BYTES = 4


class Layout(NamedTuple):
    """The form of each row of the lower triangle of G, with items by falling popularity."""

    is_dense: Array
    lengths: Array  # upper bounds on the lengths of the lists

    def bytes(self, itemsize: int) -> int:
        """Return the memory of the triangle, in bytes."""
        n_dense = np.flatnonzero(self.is_dense).sum()
        return int(n_dense * itemsize + self.lengths[~self.is_dense].sum() * (4 + itemsize))


class SortedRows(NamedTuple):
    """Rows with their columns by falling popularity: rank 0 is the item with the most users."""

    X: sp.csr_array[Any]
    item_of: Array  # the item of each rank
    layout: Layout

    def solver_bytes(self, n_neighbors: int) -> int:
        """Return the peak memory of a solution in bytes, without the caller's rows.

        It includes these sorted rows and the rows that the model keeps.
        """
        (n_users, n_items), itemsize, n_entries = self.X.shape, self.X.dtype.itemsize, self.X.nnz
        n_neighbors = min(n_neighbors, n_items - 1)
        rows = n_entries * (itemsize + 4) + 4 * n_users
        weights = n_items * (n_neighbors * (itemsize + 4) + 8)
        scratch = n_items * (2 * itemsize + 13) + 2 * n_neighbors**2 * itemsize
        arranging = 2 * rows + max(n_entries * itemsize, 40 * min(n_entries, ENTRIES_PER_BLOCK))
        fitting = 2 * rows + self.layout.bytes(itemsize) + weights + n_threads() * scratch
        vectors = 160 * n_items + 40 * n_users  # some twenty vectors
        return rows + vectors + max(arranging, fitting, 3 * weights)


class NeighborhoodSolver:
    """Solver of one problem. It first sorts the rows, so that `solve` can follow a memory check."""

    def __init__(self, problem: Problem[TrainingRows]) -> None:
        X, self._user_weights = problem.data.weighted(problem.objective.user_exponent)
        self._problem = problem
        self._n = float(self._user_weights.sum(dtype=np.float64))
        self._gram_diagonal = column_squares(X, self._user_weights)
        self.rows = by_popularity(X)

    def solve(self, n_neighbors: int, *, verbose: int = 0) -> Solution:
        """Return the solution. It deletes the sorted rows, so it can be called only once.

        Raises
        ------
        ValueError
            If the precision of the data's dtype is too low for the problem.
        """
        objective, dtype = self._problem.objective, self._problem.dtype
        n, gram_diagonal = self._n, self._gram_diagonal
        penalty = objective.penalty(gram_diagonal, n)
        diagonal = (gram_diagonal + penalty).astype(dtype)
        systems = _systems(self.rows, self._user_weights, diagonal)
        solutions = _solve_systems(systems, min(n_neighbors, len(diagonal) - 1), verbose)
        del self.rows, systems  # they may be larger than the weights
        unexplained = diagonal - solutions.explained  # 1 / C_jj
        if (solutions.n_neighbors < 0).any() or not (unexplained > 0).all():
            raise objective.not_positive_definite(dtype)
        scaling = self._problem.scaling(1 / unexplained, penalty)
        rounding = _rounding(solutions, scaling)
        residual_sq, rhs_sq = solutions.residual_sq.sum(), solutions.rhs_sq.sum()
        residual = float(np.sqrt(residual_sq / rhs_sq)) if rhs_sq else 0.0
        _scale(solutions, scaling)
        left = np.maximum(gram_diagonal - solutions.explained, 0)
        solution = scaling.solution(SparseWeights(_as_csr(solutions)), n, residual, left)
        return solution._replace(rounding=rounding)


def by_popularity(X: sp.csr_array[Any]) -> SortedRows:
    """Return the rows with their items by falling number of users."""
    item_of = np.argsort(-sum_by_item(X, np.ones(X.shape[0])), kind="stable")
    rank_of, ranks = _inverse(item_of), np.empty(X.nnz, np.int32)
    for _, entries in entry_blocks(X.indptr):
        ranks[entries] = rank_of[X.indices[entries]]
    ordered = sp.csr_array((X.data.copy(), ranks, X.indptr), shape=X.shape)
    ordered.sort_indices()
    return SortedRows(ordered, item_of.astype(np.int32), _lay_out(ordered))


def _lay_out(X: sp.csr_array[Any]) -> Layout:
    """Choose a form, an array or a list, for each row of the triangle."""
    n_items, itemsize = X.shape[1], X.dtype.itemsize
    index, pairs = np.arange(n_items), np.zeros(n_items)
    for rows, entries in entry_blocks(X.indptr):
        starts = np.repeat(X.indptr[rows], np.diff(X.indptr[rows.start : rows.stop + 1]))
        before = np.arange(entries.start, entries.stop) - starts
        pairs += np.bincount(X.indices[entries], before, minlength=n_items)
    lengths = np.minimum(pairs, index).astype(np.int64)
    return Layout(index * itemsize <= _ARRAY_BYTES * lengths * (4 + itemsize), lengths)


def _systems(rows: SortedRows, user_weights: Array, diagonal: Array) -> Systems:
    """Return the systems of all items, with the triangle filled."""
    from shallow_ae._solvers.neighborhood.gram_triangle import fill_triangle
    from shallow_ae._solvers.neighborhood.systems import Systems, Triangle

    dtype, (is_dense, lengths) = diagonal.dtype, rows.layout
    lengths = lengths.copy()
    users, items = (
        csr_arrays(rows.X, dtype),
        csr_arrays(_weighted_items(rows.X, user_weights), dtype),
    )
    starts = np.zeros(len(is_dense), np.int64)
    for chosen, size in ((is_dense, np.arange(len(is_dense))), (~is_dense, lengths)):
        ends = np.cumsum(size[chosen])
        starts[chosen] = ends - size[chosen]
    dense = np.zeros(np.flatnonzero(is_dense).sum(), dtype)
    n_listed = lengths[~is_dense].sum()
    listed, values = np.empty(n_listed, np.int32), np.empty(n_listed, dtype)
    triangle = Triangle(is_dense, starts, lengths, dense, listed, values)

    def fill(part: slice) -> None:
        fill_triangle(users, items, triangle, part.start, part.stop)

    map_on_threads(fill, blocks(len(is_dense), _ROWS_PER_TASK))
    own = diagonal[rows.item_of]
    nearness = (1 / np.sqrt(own)).astype(own.dtype)
    return Systems(users, items, triangle, own, nearness, _inverse(rows.item_of), rows.item_of)


def _weighted_items(X: sp.csr_array[Any], user_weights: Array) -> sp.csr_array[Any]:
    """Return the transpose of X after each row is multiplied by the weight of its user."""
    data = np.repeat(user_weights, np.diff(X.indptr))
    data *= X.data
    return sp.csr_array((data, X.indices, X.indptr), X.shape).T.tocsr()


def _solve_systems(systems: Systems, n_neighbors: int, verbose: int) -> Solutions:
    from shallow_ae._solvers.neighborhood.kernels import solve
    from shallow_ae._solvers.neighborhood.systems import Solutions

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


def _rounding(solutions: Solutions, scaling: ColumnScaling) -> float:
    """Estimate the largest error of a weight by rounding, relative to the largest weight.

    The residual of a system, computed in its own precision, is of the size of the rounding errors,
    including the rounding errors of the system's entries. The correction, A^-1 times the residual,
    is therefore of the size of the errors of the weights.
    """
    own = scaling.multipliers * scaling.inverse_diagonal
    largest = (own * solutions.largest).max()
    return float((own * solutions.correction_max).max() / largest) if largest else 0.0


def _scale(solutions: Solutions, scaling: ColumnScaling) -> None:
    """Turn the solutions into weights, in place."""
    own = scaling.multipliers * scaling.inverse_diagonal * scaling.item_scale
    scales_rows = (scaling.item_scale != 1).any()
    for part in blocks(len(own), _PER_TASK):
        weights = solutions.weights[part]
        weights *= own[part, None]
        if scales_rows:
            weights /= scaling.item_scale[solutions.neighbors[part]]


def _as_csr(solutions: Solutions) -> sp.csr_array[Any]:
    """Return P, whose columns are the solutions."""
    n_items, most = solutions.neighbors.shape
    indptr = np.concatenate([[0], np.cumsum(solutions.n_neighbors)])
    if indptr[-1] <= np.iinfo(np.int32).max:  # otherwise scipy makes all indices int64
        indptr = indptr.astype(np.int32)
    neighbors, weights = solutions.neighbors, solutions.weights
    if indptr[-1] < neighbors.size:
        is_there = np.arange(most) < solutions.n_neighbors[:, None]
        neighbors, weights = neighbors[is_there], weights[is_there]
        del is_there  # a byte for each weight, before the weights are copied again
    columns = (weights.ravel(), neighbors.ravel(), indptr)
    P = sp.csr_array(sp.csc_array(columns, shape=(n_items, n_items)))
    P.eliminate_zeros()
    return P


def _inverse(permutation: Array) -> Array:
    inverse = np.empty(len(permutation), np.int32)
    inverse[permutation] = np.arange(len(permutation))
    return inverse
