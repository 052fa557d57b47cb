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
from shallow_ae._objective.solution import Solution
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._runtime.blocks import ENTRIES_PER_BLOCK, blocks, entry_blocks, share_rows
from shallow_ae._runtime.threads import map_on_threads, n_threads
from shallow_ae._solvers.neighborhood.assembly import assemble, diagonal_of
from shallow_ae._typing import Array

if TYPE_CHECKING:
    from shallow_ae._solvers.neighborhood.systems import Solutions, Systems

_PER_TASK = 4096  # items in a task; each task allocates scratch arrays of n_items numbers
_ROWS_PER_TASK = 2048  # rows of the lower triangle of G in a task

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
        objective, n, gram_diagonal = self._problem.objective, self._n, self._gram_diagonal
        diagonal = diagonal_of(gram_diagonal, objective.penalty(gram_diagonal, n))
        systems = _systems(self.rows, self._user_weights, diagonal)
        solutions = _solve_systems(systems, min(n_neighbors, len(diagonal) - 1), verbose)
        del self.rows, systems  # they may be larger than the weights
        return assemble(solutions, objective, self._problem.item_counts, n, gram_diagonal)


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
    from shallow_ae._solvers.neighborhood.systems import Systems, Triangle, ranking_of

    dtype, (is_dense, lengths) = diagonal.dtype, rows.layout
    lengths = lengths.copy()
    users, items = (
        csr_arrays(rows.X, dtype),
        csr_arrays(weighted_items(rows.X, user_weights), dtype),
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
        row, is_reached = np.zeros(part.stop, dtype), np.zeros(part.stop, np.bool_)
        fill_triangle(users, items, triangle, part.start, row, is_reached)

    map_on_threads(fill, blocks(len(is_dense), _ROWS_PER_TASK))
    return Systems(users, items, triangle, ranking_of(diagonal, rows.item_of))


def weighted_items(X: sp.csr_array[Any], user_weights: Array) -> sp.csr_array[Any]:
    """Return the transpose of X after each row is multiplied by the weight of its user."""
    data = np.repeat(user_weights, np.diff(X.indptr))
    data *= X.data
    return sp.csr_array((data, X.indices, X.indptr), X.shape).T.tocsr()


def _solve_systems(systems: Systems, n_neighbors: int, verbose: int) -> Solutions:
    from shallow_ae._solvers.neighborhood.kernels import solve
    from shallow_ae._solvers.neighborhood.systems import Solutions, no_solutions, workspace_for

    n_items = len(systems.ranking.diagonal)
    solutions = no_solutions(n_items, n_neighbors, systems.ranking.diagonal.dtype)

    def task(part: slice) -> None:
        own = Solutions._make(array[part] for array in solutions)
        solve(systems, part.start, own, workspace_for(systems.ranking, n_neighbors))

    share_rows(n_items, task, most=_PER_TASK, verbose=verbose, label=("fit", "item"))
    return solutions


def _inverse(permutation: Array) -> Array:
    inverse = np.empty(len(permutation), np.int32)
    inverse[permutation] = np.arange(len(permutation))
    return inverse
