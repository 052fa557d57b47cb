"""One ridge regression for each item on its nearest items, compiled.

For an item j, the kernel computes column j of G from the rows of the item's users, chooses the
nearest items N by the entries of this column, and solves the system

    A[N, N] w = G[N, j],    A = G + diag(Lambda),

by a Cholesky factorization. The entries of A[N, N] come from the lower triangle of G, with items by
falling popularity. The row of an item holds its products with all more popular items, so that an
entry is looked up in the row of the less popular item, which has fewer nonzero entries. A row is an
array or, if most of it would be 0, a list. The kernel then searches the list for the items in N.

The kernel does not clear arrays of the size of the catalogue for each item: it resets a thread's
scratch arrays by undoing what was written to them.
"""

from __future__ import annotations

from typing import Any

from shallow_ae._runtime.compiled import callee, compiled, inlined
from shallow_ae._solvers.neighborhood.cholesky import (
    correct,
    dot,
    factorize,
    largest_of,
    squared,
    substitute_back,
    write_residual,
)
from shallow_ae._solvers.neighborhood.systems import (
    SIEVE,
    Ranking,
    Solutions,
    Systems,
    Triangle,
    Workspace,
)
from shallow_ae._typing import Array
from shallow_ae._weights.selection import keep_best
from shallow_ae._weights.top_k import sum_sparse

_LINE = 16  # numbers of four bytes in a cache line


@compiled
def solve(systems: Systems, first: int, solutions: Solutions, space: Workspace) -> None:
    """Write a solution into each row of `solutions`, starting with the item `first`."""
    ranking, most = systems.ranking, solutions.neighbors.shape[1]
    for row in range(len(solutions.neighbors)):
        rank = ranking.rank_of[first + row]
        n = sum_sparse(
            systems.items, rank, systems.users, space.row, space.reached, space.is_reached
        )
        m = choose(ranking, rank, most, n, space)
        nearest, given = space.nearest[:m], space.given[:m]
        space.values[0] = _touch_lists(systems.triangle, nearest)
        _fill_matrix(
            systems.triangle,
            ranking.diagonal,
            nearest,
            given,
            space.position,
            space.sieve,
            space.matrix,
        )
        solve_filled(ranking, m, space, solutions, row)


@inlined
def solve_filled(
    ranking: Ranking, m: int, space: Workspace, solutions: Solutions, row: int
) -> None:
    """Solve the system in `space.matrix`, and write its solution into a row of `solutions`."""
    _copy_upper(space.matrix, space.upper, m)
    if not factorize(space.matrix, m):
        solutions.n_neighbors[row] = -1
        return
    given, solution = space.given[:m], space.solution[:m]
    substitute_back(space.matrix, m, solution)
    for index in range(m):
        solutions.weights[row, index] = solution[index]
        solutions.neighbors[row, index] = ranking.item_of[space.nearest[index]]
    solutions.n_neighbors[row] = m
    solutions.explained[row] = dot(given, solution)
    solutions.rhs_sq[row] = squared(given)
    residual = space.values[:m]
    solutions.residual_sq[row] = write_residual(space.upper, given, solution, residual)
    solutions.largest[row] = largest_of(solution)
    solutions.correction_max[row] = correct(space.matrix, m, residual, space.best_values[:m])


@inlined
def choose(ranking: Ranking, rank: int, most: int, n: int, space: Workspace) -> int:
    """Write the ranks of the nearest items and their entries of G; return their number.

    `space.row` holds column `rank` of G, whose `n` stored entries `space.reached` lists. Both are
    reset.
    """
    row, reached = space.row, space.reached
    if most >= len(row) - 1:
        m = _take_all(rank, len(row), space.nearest)
    else:
        m = _take_nearest(ranking, rank, n, space)
    for index in range(m):
        space.given[index] = row[space.nearest[index]]
    for index in range(n):
        row[reached[index]] = 0
        space.is_reached[reached[index]] = False
    return m


@inlined
def _take_all(rank: int, n: int, nearest: Array) -> int:
    m = 0
    for other in range(n - 1, -1, -1):
        if other != rank:
            nearest[m] = other
            m += 1
    return m


@inlined
def _take_nearest(ranking: Ranking, rank: int, n: int, space: Workspace) -> int:
    n_others = 0
    for index in range(n):
        other = space.reached[index]
        if other != rank:
            space.items[n_others] = ranking.item_of[other]
            space.values[n_others] = abs(space.row[other]) * ranking.nearness[other]
            n_others += 1
    m = keep_best(space.values, space.items, n_others, space.best, space.best_values, space.maxima)
    for index in range(m):
        space.nearest[index] = ranking.rank_of[space.best[index]]
    _sort_falling(space.nearest, m)
    return m


@callee
def _sort_falling(ranks: Array, n: int) -> None:
    """Sort the first `n` ranks by shellsort: Numba takes seconds to compile NumPy's sort."""
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


@callee
def _fill_matrix(
    triangle: Triangle,
    diagonal: Array,
    nearest: Array,
    given: Array,
    position: Array,
    may_be_near: Array,
    matrix: Array,
) -> None:
    """Write the upper triangle of A[N, N], and G[N, j] into the column to its right.

    `nearest` is in order of rising popularity. A row of the triangle of G holds the products with
    more popular items, which therefore belong to the right of the diagonal. The arguments are
    arrays: a tuple of arrays as an argument takes long to compile.
    """
    m = len(nearest)
    for index in range(m):
        position[nearest[index]] = index
        may_be_near[nearest[index] & SIEVE] = True
    for index in range(m):
        rank, row = nearest[index], matrix[index]
        start = triangle.starts[rank]
        if triangle.is_dense[rank]:
            for column in range(index + 1, m):
                row[column] = triangle.dense[start + nearest[column]]
        else:
            row[index:m] = 0
            for entry in range(start, start + triangle.lengths[rank]):
                other = triangle.ranks[entry]
                if may_be_near[other & SIEVE] and position[other] >= 0:
                    row[position[other]] = triangle.values[entry]
        row[index], row[m] = diagonal[rank], given[index]
    for index in range(m):
        position[nearest[index]] = -1
        may_be_near[nearest[index] & SIEVE] = False


@inlined
def _touch_lists(triangle: Triangle, nearest: Array) -> Any:
    """Read one number of each cache line of the lists, only to load the lists into cache.

    The reads do not depend on each other, so that memory can answer many of them at the same time.
    """
    total = triangle.values.dtype.type(0)
    for rank in nearest:
        if not triangle.is_dense[rank]:
            start = triangle.starts[rank]
            for entry in range(start, start + triangle.lengths[rank], _LINE):
                total += triangle.values[entry] + triangle.ranks[entry]
    return total


@inlined
def _copy_upper(matrix: Array, upper: Array, m: int) -> None:
    for index in range(m):
        row, copy = matrix[index], upper[index]
        for column in range(index, m):
            copy[column] = row[column]
