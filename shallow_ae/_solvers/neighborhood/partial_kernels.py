"""Sums over some of the users, and systems whose entries are stored, compiled.

The nearest items are solved without the triangle of G here. Only one row of G exists at a time. For
a block of systems, the kernel computes each row that any of these systems needs, and copies the
entries to all of them.

The strict upper triangle of a system of m items is stored as m (m - 1) / 2 consecutive numbers, row
by row. A sum over users can be continued with further users, in which case it is a new array.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._linalg.csr import CsrArrays
from shallow_ae._runtime.compiled import compiled
from shallow_ae._solvers.neighborhood.gram_triangle import list_row
from shallow_ae._solvers.neighborhood.kernels import choose, solve_filled, space_for
from shallow_ae._solvers.neighborhood.systems import Ranking, Solutions
from shallow_ae._typing import Array
from shallow_ae._weights.top_k import sum_sparse


class Nearest(NamedTuple):
    """The nearest items N of each item j of a block, and where its system is stored."""

    ranks: NDArray[np.int32]  # of the items in N, by rising popularity, one row for each j
    given: Array  # G[N, j]
    counts: NDArray[np.int64]  # number of items in N


@compiled
def bound_columns(users: CsrArrays, items: CsrArrays, first: int, bounds: Array) -> None:
    """Write upper bounds on the numbers of entries of columns of G, from the rank `first` on."""
    for index in range(len(bounds)):
        n = 0
        for entry in range(items.indptr[first + index], items.indptr[first + index + 1]):
            user = items.indices[entry]
            n += users.indptr[user + 1] - users.indptr[user]
        bounds[index] = n


@compiled
def add_columns(
    users: CsrArrays, items: CsrArrays, first: int, before: CsrArrays, after: CsrArrays
) -> None:
    """Write columns of G, from the rank `first` on: those in `before` plus these users' share."""
    n_items = len(items.indptr) - 1
    row, is_reached = np.zeros(n_items, after.data.dtype), np.zeros(n_items, np.bool_)
    reached, place = np.empty(n_items, np.int32), 0
    for index in range(len(after.indptr) - 1):
        n = _load_column(before, index, row, reached, is_reached)
        n += sum_sparse(items, first + index, users, row, reached[n:], is_reached)
        for other in reached[:n]:
            after.indices[place], after.data[place] = other, row[other]
            row[other], is_reached[other] = 0, False
            place += 1
        after.indptr[index + 1] = place


@compiled
def choose_nearest(
    users: CsrArrays,
    items: CsrArrays,
    ranking: Ranking,
    first: int,
    before: CsrArrays,
    nearest: Nearest,
) -> None:
    """Write the nearest items of each rank from `first` on, with the sums in `before` continued."""
    most = nearest.ranks.shape[1]
    space = space_for(ranking, most)
    row, reached, is_reached = space.row, space.reached, space.is_reached
    for index in range(len(nearest.counts)):
        n = _load_column(before, index, row, reached, is_reached)
        n += sum_sparse(items, first + index, users, row, reached[n:], is_reached)
        m = choose(ranking, first + index, most, n, space)
        nearest.counts[index] = m
        for place in range(m):
            nearest.ranks[index, place] = space.nearest[place]
            nearest.given[index, place] = space.given[place]


@compiled
def _load_column(
    before: CsrArrays, index: int, row: Array, reached: Array, is_reached: Array
) -> int:
    """Copy a stored column to `row`, list its entries, and return their number."""
    n = 0
    for place in range(before.indptr[index], before.indptr[index + 1]):
        other = before.indices[place]
        reached[n], row[other], is_reached[other] = other, before.data[place], True
        n += 1
    return n


@compiled
def add_entries(
    users: CsrArrays,
    items: CsrArrays,
    nearest: Nearest,
    uses: CsrArrays,
    starts: Array,
    entries: Array,
) -> None:
    """Add these users' share to the entries G[N, N] of the systems of a block.

    For each rank, `uses` lists the systems with this rank in N, and its index in N. The entries of
    a system begin at its start.
    """
    n_items = len(items.indptr) - 1
    row, is_reached = np.zeros(n_items, entries.dtype), np.zeros(n_items, np.bool_)
    reached = np.empty(n_items, np.int32)
    for rank in range(n_items):
        if uses.indptr[rank] == uses.indptr[rank + 1]:
            continue
        n = list_row(users, items, rank, row, is_reached, reached)
        if n == 0:
            continue
        for use in range(uses.indptr[rank], uses.indptr[rank + 1]):
            system, index = uses.indices[use], uses.data[use]
            m, others = nearest.counts[system], nearest.ranks[system]
            place = starts[system] + index * (2 * m - index - 1) // 2
            for column in range(index + 1, m):
                entries[place] += row[others[column]]
                place += 1
        for other in reached[:n]:
            row[other], is_reached[other] = 0, False


@compiled
def solve_stored(ranking: Ranking, nearest: Nearest, entries: Array, solutions: Solutions) -> None:
    """Solve the systems of a block, whose entries are stored one system after another."""
    space, place = space_for(ranking, nearest.ranks.shape[1]), 0
    for row in range(len(nearest.counts)):
        m = nearest.counts[row]
        for index in range(m):
            rank, target = nearest.ranks[row, index], space.matrix[index]
            space.nearest[index], space.given[index] = rank, nearest.given[row, index]
            target[index], target[m] = ranking.diagonal[rank], nearest.given[row, index]
            for column in range(index + 1, m):
                target[column] = entries[place]
                place += 1
        solve_filled(ranking, m, space, solutions, row)
