"""Sums over some of the users, and systems whose entries are stored, compiled.

No triangle of G is stored here. Only one row of it exists at a time: its entries are copied to all
systems that need them. A system of m items needs the m (m - 1) / 2 entries right of the diagonal of
G[N, N]. Row by row, they are in order of falling rank of the row's item, as the triangle is
computed from its last row to its first in as many strips as memory requires.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._linalg.csr import CsrArrays
from shallow_ae._runtime.compiled import callee, compiled
from shallow_ae._solvers.neighborhood.gram_triangle import list_row
from shallow_ae._solvers.neighborhood.kernels import choose, solve_filled
from shallow_ae._solvers.neighborhood.systems import Ranking, Solutions, Workspace
from shallow_ae._typing import Array
from shallow_ae._weights.top_k import sum_sparse


class Nearest(NamedTuple):
    """The nearest items N of each item j of a block."""

    ranks: NDArray[np.int32]  # of the items in N, by rising popularity, one row for each j
    given: Array  # G[N, j]
    counts: NDArray[np.int64]  # number of items in N


class Uses(NamedTuple):
    """The systems that need each row of a strip of the triangle of G."""

    indptr: NDArray[np.int64]  # start of the uses of each rank of the strip
    systems: NDArray[np.int32]
    columns: NDArray[np.int32]  # column of the first entry
    places: NDArray[np.int64]  # where the entries are stored


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
    """Write columns of G, from the rank `first` on: the columns `before` plus these users' sum."""
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
    space: Workspace,
) -> None:
    """Write the nearest items of each rank from `first` on, with the sums in `before` continued."""
    most = nearest.ranks.shape[1]
    row, reached, is_reached = space.row, space.reached, space.is_reached
    for index in range(len(nearest.counts)):
        n = _load_column(before, index, row, reached, is_reached)
        n += sum_sparse(items, first + index, users, row, reached[n:], is_reached)
        m = choose(ranking, first + index, most, n, space)
        nearest.counts[index] = m
        for place in range(m):
            nearest.ranks[index, place] = space.nearest[place]
            nearest.given[index, place] = space.given[place]


@callee
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
    first: int,
    uses: Uses,
    entries: Array,
) -> None:
    """Add these users' share to the entries from the strip that begins with the rank `first`."""
    n_items = len(items.indptr) - 1
    row, is_reached = np.zeros(n_items, entries.dtype), np.zeros(n_items, np.bool_)
    reached = np.empty(n_items, np.int32)
    for index in range(len(uses.indptr) - 1):
        if uses.indptr[index] == uses.indptr[index + 1]:
            continue
        n = list_row(users, items, first + index, row, is_reached, reached)
        for use in range(uses.indptr[index], uses.indptr[index + 1]):
            ranks, place = nearest.ranks[uses.systems[use]], uses.places[use]
            for column in range(uses.columns[use], nearest.counts[uses.systems[use]]):
                entries[place] += row[ranks[column]]
                place += 1
        for other in reached[:n]:
            row[other], is_reached[other] = 0, False


@compiled
def solve_stored(
    ranking: Ranking,
    nearest: Nearest,
    firsts: Array,
    places: Array,
    entries: Array,
    solutions: Solutions,
    space: Workspace,
) -> None:
    """Solve the systems of a block.

    The strips begin with the ranks `firsts`, which fall. In each strip, the entries of a system
    follow the previous system's entries. The entries of a strip begin at its place in `places`,
    which is then overwritten.
    """
    for row in range(len(nearest.counts)):
        m, strip = nearest.counts[row], 0
        for index in range(m):
            rank, target = nearest.ranks[row, index], space.matrix[index]
            while rank < firsts[strip]:
                strip += 1
            place = places[strip]
            for column in range(index + 1, m):
                target[column] = entries[place]
                place += 1
            places[strip] = place
            space.nearest[index], space.given[index] = rank, nearest.given[row, index]
            target[index], target[m] = ranking.diagonal[rank], nearest.given[row, index]
        solve_filled(ranking, m, space, solutions, row)
