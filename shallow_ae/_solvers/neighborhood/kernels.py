"""One ridge regression for each item on its nearest items, compiled.

For an item j, the products of its column with all others are summed up from its users' rows, the
nearest are chosen among them, and with N for these the system

    A[N, N] w = G[N, j],    A = G + diag(Lambda),

is solved by a Cholesky factorization. The entries of G come from a lower triangle over items by
falling popularity: the row of an item holds its products with the more popular ones, so that an
entry is looked for where there are fewest. A row is an array or, where most of it would be 0, a
list, of which those in N are picked.

Nothing of the size of the catalogue is touched for an item: a thread's scratch arrays are cleared
by undoing what was written to them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._runtime.compiled import compiled
from shallow_ae._solvers.neighborhood.cholesky import (
    correct,
    dot,
    factorize,
    largest_of,
    squared,
    substitute_back,
    write_residual,
)
from shallow_ae._solvers.neighborhood.systems import Solutions, Systems, Triangle
from shallow_ae._typing import Array
from shallow_ae._weights.top_k import keep_best, sum_sparse

_LINE = 16  # numbers of four bytes in a cache line
_SIEVE = 2**14 - 1  # fits in the first-level cache, unlike `position`


class _Workspace(NamedTuple):
    """Scratch arrays of a thread."""

    row: Array  # products of an item with all others; zeros in between
    is_reached: NDArray[np.bool_]
    reached: NDArray[np.int32]
    items: NDArray[np.int32]
    values: Array
    best: NDArray[np.int64]
    best_values: Array
    nearest: NDArray[np.int32]  # ranks, by rising popularity
    given: Array
    solution: Array
    position: NDArray[np.int32]  # of a rank among the nearest; -1 for others
    sieve: NDArray[np.bool_]  # for a rank's last bits, whether one of the nearest has them
    matrix: Array  # A[N, N] from the diagonal on, then its factor; one more column at its right
    upper: Array  # A[N, N] again


@compiled
def solve(systems: Systems, first: int, solutions: Solutions) -> None:
    """Write a solution into each row of `solutions`, for the items from `first` on."""
    most = solutions.neighbors.shape[1]
    space = _space_for(len(systems.diagonal), most, systems.diagonal.dtype)
    for row in range(len(solutions.neighbors)):
        rank = systems.rank_of[first + row]
        m = _choose(systems, rank, most, space)
        _fill_matrix(systems, m, space)
        _copy_upper(space.matrix, space.upper, m)
        if not factorize(space.matrix, m):
            solutions.n_neighbors[row] = -1
            continue
        given, solution = space.given[:m], space.solution[:m]
        substitute_back(space.matrix, m, solution)
        for index in range(m):
            solutions.weights[row, index] = solution[index]
            solutions.neighbors[row, index] = systems.item_of[space.nearest[index]]
        solutions.n_neighbors[row] = m
        solutions.explained[row] = dot(given, solution)
        solutions.rhs_sq[row] = squared(given)
        residual = space.values[:m]
        solutions.residual_sq[row] = write_residual(space.upper, given, solution, residual)
        solutions.largest[row] = largest_of(solution)
        solutions.correction_max[row] = correct(space.matrix, m, residual, space.best_values[:m])


@compiled
def _space_for(n_items: int, most: int, dtype: Any) -> _Workspace:
    return _Workspace(
        np.zeros(n_items, dtype),
        np.zeros(n_items, np.bool_),
        np.empty(n_items, np.int32),
        np.empty(n_items, np.int32),
        np.empty(n_items, dtype),
        np.empty(most, np.int64),
        np.empty(most, dtype),
        np.empty(most, np.int32),
        np.empty(most, dtype),
        np.empty(most, dtype),
        np.full(n_items, -1, np.int32),
        np.zeros(_SIEVE + 1, np.bool_),
        np.empty((most, most + 1), dtype),
        np.empty((most, most), dtype),
    )


@compiled
def _choose(systems: Systems, rank: int, most: int, space: _Workspace) -> int:
    """Write the ranks of the nearest items and their products; return their number."""
    row, reached = space.row, space.reached
    n = sum_sparse(systems.items, rank, systems.users, row, reached, space.is_reached)
    if most >= len(row) - 1:
        m = _take_all(rank, len(row), space.nearest)
    else:
        m = _take_nearest(systems, rank, n, space)
    for index in range(m):
        space.given[index] = row[space.nearest[index]]
    for index in range(n):
        row[reached[index]] = 0
        space.is_reached[reached[index]] = False
    return m


@compiled
def _take_all(rank: int, n: int, nearest: Array) -> int:
    m = 0
    for other in range(n - 1, -1, -1):
        if other != rank:
            nearest[m] = other
            m += 1
    return m


@compiled
def _take_nearest(systems: Systems, rank: int, n: int, space: _Workspace) -> int:
    n_others = 0
    for index in range(n):
        other = space.reached[index]
        if other != rank:
            space.items[n_others] = systems.item_of[other]
            space.values[n_others] = abs(space.row[other]) * systems.nearness[other]
            n_others += 1
    m = keep_best(space.values, space.items, n_others, space.best, space.best_values)
    for index in range(m):
        space.nearest[index] = systems.rank_of[space.best[index]]
    _sort_falling(space.nearest, m)
    return m


@compiled
def _sort_falling(ranks: Array, n: int) -> None:
    """Sort the first `n` by shellsort: Numba takes seconds to compile NumPy's sort."""
    gap = 1
    while gap < n:
        gap = 3 * gap + 1
    while gap > 0:
        for index in range(gap, n):
            moved, place = ranks[index], index
            while place >= gap and ranks[place - gap] < moved:
                ranks[place] = ranks[place - gap]
                place -= gap
            ranks[place] = moved
        gap //= 3


@compiled
def _fill_matrix(systems: Systems, m: int, space: _Workspace) -> None:
    """Write A[N, N] from the diagonal on, and G[N, j] at its right.

    The nearest are in order of rising popularity: what a row of the triangle holds, the products
    with the more popular, belongs to the right of the diagonal.
    """
    triangle, nearest, position, may_be_near = (
        systems.triangle,
        space.nearest,
        space.position,
        space.sieve,
    )
    space.values[0] = _touch_lists(triangle, nearest, m)
    for index in range(m):
        position[nearest[index]] = index
        may_be_near[nearest[index] & _SIEVE] = True
    for index in range(m):
        rank, row = nearest[index], space.matrix[index]
        start = triangle.starts[rank]
        if triangle.is_dense[rank]:
            for column in range(index + 1, m):
                row[column] = triangle.dense[start + nearest[column]]
        else:
            row[index:m] = 0
            for entry in range(start, start + triangle.lengths[rank]):
                other = triangle.ranks[entry]
                if may_be_near[other & _SIEVE] and position[other] >= 0:
                    row[position[other]] = triangle.values[entry]
        row[index], row[m] = systems.diagonal[rank], space.given[index]
    for index in range(m):
        position[nearest[index]] = -1
        may_be_near[nearest[index] & _SIEVE] = False


@compiled
def _touch_lists(triangle: Triangle, nearest: Array, m: int) -> Any:
    """Read one number of each cache line of the lists, only to load them into cache.

    Reads that do not wait for one another let memory answer many at once.
    """
    total = triangle.values.dtype.type(0)
    for index in range(m):
        rank = nearest[index]
        if not triangle.is_dense[rank]:
            start = triangle.starts[rank]
            for entry in range(start, start + triangle.lengths[rank], _LINE):
                total += triangle.values[entry] + triangle.ranks[entry]
    return total


@compiled
def _copy_upper(matrix: Array, upper: Array, m: int) -> None:
    for index in range(m):
        row, copy = matrix[index], upper[index]
        for column in range(index, m):
            copy[column] = row[column]
