"""The steps of the solution on the nearest items, when no process holds all sums over users.

The users are cut into groups and the items into blocks. A sum over all users goes from group to
group: each step returns the sum so far plus the share of one group. The last group uses its sum
without storing it, so that one group for all users stores no sums.

No step changes an argument, and each runs on one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import CsrArrays, column_squares, csr_arrays, sum_by_item
from shallow_ae._objective.objective import Objective
from shallow_ae._solvers.neighborhood.assembly import diagonal_of
from shallow_ae._solvers.neighborhood.fit import weighted_items
from shallow_ae._solvers.neighborhood.systems import (
    Ranking,
    Solutions,
    no_solutions,
    ranking_of,
)
from shallow_ae._typing import Array

if TYPE_CHECKING:
    from shallow_ae._solvers.neighborhood.partial_kernels import Nearest


class ItemStatistics(NamedTuple):
    """Sums over users for each item, in float64."""

    n_users: Array
    squares: Array  # the diagonal of G
    pairs: Array  # number of all items of its users: an upper bound on the entries of a column of G

    def plus(self, other: ItemStatistics) -> ItemStatistics:
        """Return the sums over the users of both."""
        return ItemStatistics(*(a + b for a, b in zip(self, other, strict=True)))

    def gram_diagonal(self, dtype: Any) -> Array:
        """Return the diagonal of G; it is infinite where it is too large for `dtype`."""
        with np.errstate(over="ignore"):
            return self.squares.astype(dtype)


class Group(NamedTuple):
    """The rows of some users, and the transpose, as in `Systems`."""

    users: CsrArrays
    items: CsrArrays


def statistics_of(X: sp.csr_array[Any], weights: Array) -> ItemStatistics:
    """Return the sums over the users of some rows."""
    n_items = np.diff(X.indptr)
    return ItemStatistics(
        sum_by_item(X, np.ones(len(n_items))),
        column_squares(X, weights).astype(np.float64),
        sum_by_item(X, n_items),
    )


def add_statistics(some: Sequence[ItemStatistics]) -> ItemStatistics:
    """Return the sums over the users of all."""
    total, *others = some
    for other in others:
        total = total.plus(other)
    return total


def rank(statistics: ItemStatistics, objective: Objective, n: float, dtype: Any) -> Ranking:
    """Return the items by falling number of users."""
    gram_diagonal = statistics.gram_diagonal(dtype)
    diagonal = diagonal_of(gram_diagonal, objective.penalty(gram_diagonal, n))
    return ranking_of(diagonal, np.argsort(-statistics.n_users, kind="stable"))


def stack(parts: Sequence[tuple[sp.csr_array[Any], Array]], ranking: Ranking) -> Group:
    """Return the rows of several parts, with items by rank."""
    lengths = np.concatenate([np.diff(X.indptr) for X, _ in parts])
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    data, ranks = np.concatenate([X.data for X, _ in parts]), np.empty(indptr[-1], np.int32)
    end = 0
    for X, _ in parts:
        ranks[end : end + X.nnz] = ranking.rank_of[X.indices]
        end += X.nnz
    rows = sp.csr_array((data, ranks, indptr), shape=(len(lengths), len(ranking.item_of)))
    rows.sort_indices()
    items = weighted_items(rows, np.concatenate([weights for _, weights in parts]))
    return Group(csr_arrays(rows, data.dtype), csr_arrays(items, data.dtype))


def sum_columns(group: Group, ranks: range, before: CsrArrays | None = None) -> CsrArrays:
    """Return columns of G, a row for each rank: the sums so far plus the share of a group."""
    from shallow_ae._solvers.neighborhood.partial_kernels import add_columns, bound_columns

    start = _or_nothing(before, len(ranks), group)
    bounds, n_items = np.empty(len(ranks), np.int64), len(group.items.indptr) - 1
    bound_columns(*group, ranks.start, bounds)
    most = int(np.minimum(bounds + np.diff(start.indptr), n_items).sum())
    after = CsrArrays(
        np.zeros(len(ranks) + 1, np.int64),
        np.empty(most, np.int32),
        np.empty(most, start.data.dtype),
    )
    add_columns(*group, ranks.start, start, after)
    n = after.indptr[-1]
    return CsrArrays(after.indptr, after.indices[:n].copy(), after.data[:n].copy())


def find_nearest(
    group: Group,
    ranking: Ranking,
    ranks: range,
    n_neighbors: int,
    before: CsrArrays | None = None,
) -> Nearest:
    """Return the nearest items of a block of ranks, given the sums over all groups but this one."""
    from shallow_ae._solvers.neighborhood.partial_kernels import Nearest, choose_nearest

    nearest = Nearest(
        np.zeros((len(ranks), n_neighbors), np.int32),
        np.zeros((len(ranks), n_neighbors), ranking.diagonal.dtype),
        np.zeros(len(ranks), np.int64),
    )
    before = _or_nothing(before, len(ranks), group)
    choose_nearest(*group, ranking, ranks.start, before, nearest)
    return nearest


def join(some: Sequence[Nearest]) -> Nearest:
    """Return the nearest items of several blocks as those of one block."""
    if len(some) == 1:
        return some[0]
    return type(some[0])(*(np.concatenate(arrays) for arrays in zip(*some, strict=True)))


def sum_entries(group: Group, nearest: Nearest, before: Array | None = None) -> Array:
    """Return the entries of the systems of a block: the sums so far plus the share of a group."""
    from shallow_ae._solvers.neighborhood.partial_kernels import add_entries

    counts, n_items = nearest.counts, len(group.items.indptr) - 1
    ends = np.cumsum(counts * (counts - 1) // 2)
    starts = ends - counts * (counts - 1) // 2
    entries = np.zeros(ends[-1], nearest.given.dtype) if before is None else before.copy()
    add_entries(*group, nearest, _uses(nearest, n_items), starts, entries)
    return entries


def solve_block(
    group: Group, ranking: Ranking, nearest: Nearest, before: Array | None = None
) -> Solutions:
    """Return the solutions of a block, given the entries over all groups but this one."""
    from shallow_ae._solvers.neighborhood.partial_kernels import solve_stored

    entries = sum_entries(group, nearest, before)
    n, n_neighbors = nearest.ranks.shape
    solutions = no_solutions(n, n_neighbors, nearest.given.dtype)
    solve_stored(ranking, nearest, entries, solutions)
    return solutions


def _uses(nearest: Nearest, n_items: int) -> CsrArrays:
    """Return, for each rank, the systems with this rank among the nearest items, and its index."""
    counts, most = nearest.counts, nearest.ranks.shape[1]
    is_there = np.arange(most) < counts[:, None]
    indices = np.broadcast_to(np.arange(most, dtype=np.int32), is_there.shape)[is_there]
    indptr = np.concatenate([[0], np.cumsum(counts)])
    shape = (len(counts), n_items)
    systems = sp.csr_array((indices, nearest.ranks[is_there], indptr), shape=shape)
    return csr_arrays(systems.T.tocsr(), np.int32)


def _or_nothing(sums: CsrArrays | None, n: int, group: Group) -> CsrArrays:
    """Return the sums so far, or `n` empty columns."""
    if sums is not None:
        return sums
    return CsrArrays(
        np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0, group.users.data.dtype)
    )
