"""The solution on the nearest items, for rows in partitions on Dask workers.

The tasks call the functions of `_solvers.neighborhood.partial`. The rows are stacked into groups,
as few as memory allows, and each worker gets a copy of each group. The items are cut into blocks.
After the nearest items of all blocks are known, the triangle of G is computed in strips of rows,
each of them once. A strip keeps only the entries that the systems need, an array for each block.
The entries of all strips exist at the same time, and Dask moves them to disk if necessary.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import getitem
from typing import Any

import numpy as np

from shallow_ae._cluster.parts import add_tuples
from shallow_ae._cluster.workers import n_worker_threads
from shallow_ae._objective.objective import Objective
from shallow_ae._objective.solution import Solution
from shallow_ae._runtime.dask_graphs import Task, computed, persisted, task, tree_sum
from shallow_ae._solvers.neighborhood import partial
from shallow_ae._solvers.neighborhood.assembly import assemble
from shallow_ae._solvers.neighborhood.systems import Ranking, no_solutions
from shallow_ae._typing import Array

# Cuts of the items and of the triangle: a few for each thread. There is a task for each pair of a
# cut of the items and a cut of the triangle, and Dask's scheduler takes a millisecond for each.
_LEAST_CUTS, _MOST_CUTS, _CUTS_PER_THREAD = 16, 256, 4

# Shares of the memory of a task. A group holds its rows twice, and stacking them takes 3.5 times
# the memory of the rows. Sums that go from group to group exist before and after a task.
_OF_ROWS = 1 / 4
_OF_COLUMNS = 1 / 8
_OF_STRIP = 1 / 8
_OF_BLOCK = 1 / 4


def solve_neighborhoods(
    parts: Sequence[Task],
    part_bytes: Sequence[int],
    objective: Objective,
    item_counts: Array,
    n: float,
    dtype: np.dtype[Any],
    n_neighbors: int,
    task_bytes: int,
) -> Solution:
    """Return the solution on the nearest items, as `NeighborhoodSolver` does for the stacked rows.

    Parameters
    ----------
    parts : sequence of Task
        Tasks whose results are a `Part`, kept by the workers.
    part_bytes : sequence of int
        Memory of the rows of each part.
    objective : Objective
        The objective, checked against the data by `problem_of`.
    item_counts : ndarray of shape (n_items,)
        Sum of the sample weights of each item's users.
    n : float
        Sum of the weights of all rows.
    dtype : dtype
        Type of the rows.
    n_neighbors : int
        Largest number of neighbors of an item.
    task_bytes : int
        How much memory a task may use, including its arguments and its result. A single part, or
        the entries of a single system, may exceed it.

    Raises
    ------
    ValueError
        If the precision of `dtype` is too low for the problem.
    """
    dtype, n_items = np.dtype(dtype), len(item_counts)
    n_neighbors = min(n_neighbors, n_items - 1)
    (summed,) = persisted([tree_sum([task(_statistics, part) for part in parts], add_tuples)])
    (statistics,) = computed([summed])
    ranking = partial.rank(statistics, objective, n, dtype)  # before other tasks: it may raise
    shared = task(partial.rank, summed, objective, n, dtype)
    groups = [
        task(partial.stack, parts[members.start : members.stop], shared)
        for members in _cut(np.asarray(part_bytes) / (task_bytes * _OF_ROWS))
    ]
    blocks = _cut(_block_loads(statistics, ranking, n_neighbors, task_bytes, len(groups)))
    shared, *groups = persisted([shared, *groups])
    nearest = [_find_nearest(groups, shared, block, n_neighbors) for block in blocks]
    *nearest, every, needed = persisted(
        [*nearest, task(partial.join, nearest), _entries_by_rank(nearest, n_items)]
    )
    (needed,) = computed([needed])
    strips = _cut(_strip_loads(needed, statistics, ranking, task_bytes))[::-1]
    entries = _entries(groups, every, [len(block) for block in blocks], strips)
    solved = computed(_solve(shared, nearest, strips, entries))
    solutions = no_solutions(n_items, n_neighbors, dtype)
    for block, solution in zip(blocks, solved, strict=True):
        for name, values in solution._asdict().items():
            getattr(solutions, name)[ranking.item_of[block.start : block.stop]] = values
    del solved, solution, values  # as large as the weights
    return assemble(solutions, objective, item_counts, n, statistics.gram_diagonal(dtype))


def _statistics(part: tuple[Any, Array]) -> partial.ItemStatistics:
    return partial.statistics_of(*part)


def _block_loads(
    statistics: partial.ItemStatistics,
    ranking: Ranking,
    n_neighbors: int,
    task_bytes: int,
    n_groups: int,
) -> Array:
    """Return the share of a block that each rank may be."""
    n_items, itemsize = len(ranking.item_of), ranking.diagonal.dtype.itemsize
    pairs = statistics.pairs[ranking.item_of]
    reached = np.minimum(pairs, n_items)
    counts = np.minimum(reached, n_neighbors) if n_neighbors < n_items - 1 else n_neighbors
    entries = counts * (counts - 1) / 2 + 4 * n_neighbors + np.zeros(n_items)
    loads = entries * itemsize / (task_bytes * _OF_BLOCK)
    if n_groups > 1:
        loads += reached * (itemsize + 4) / (task_bytes * _OF_COLUMNS)
    return loads + _shares(entries, pairs)


def _strip_loads(
    needed: Array, statistics: partial.ItemStatistics, ranking: Ranking, task_bytes: int
) -> Array:
    """Return the share of a strip that each rank is, given the number of its needed entries."""
    loads = needed * ranking.diagonal.dtype.itemsize / (task_bytes * _OF_STRIP)
    return loads + _shares(needed, statistics.pairs[ranking.item_of])


def _shares(*work: Array) -> Array:
    """Return loads that make enough cuts for all threads, with about the same work in each."""
    n_cuts = min(_MOST_CUTS, max(_LEAST_CUTS, _CUTS_PER_THREAD * n_worker_threads()))
    shares = [values * (n_cuts / len(work) / max(values.sum(), 1)) for values in work]
    return np.asarray(sum(shares))


def _cut(loads: Array) -> list[range]:
    """Return consecutive ranges whose loads sum to at most 1, unless one load alone is larger."""
    ends, ranges, start = np.cumsum(loads), [], 0
    while start < len(loads):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + 1, side="right")))
        ranges.append(range(start, stop))
        start = stop
    return ranges


def _find_nearest(groups: list[Task], ranking: Task, ranks: range, n_neighbors: int) -> Task:
    """Return the task for the nearest items of a block."""
    *others, last = groups
    columns = None
    for group in others:
        columns = task(partial.sum_columns, group, ranks, columns)
    return task(partial.find_nearest, last, ranking, ranks, n_neighbors, columns)


def _entries_by_rank(nearest: list[Task], n_items: int) -> Task:
    return tree_sum([task(partial.entries_by_rank, block, n_items) for block in nearest], np.add)


def _entries(
    groups: list[Task], nearest: Task, lengths: list[int], strips: list[range]
) -> list[list[Task]]:
    """Return a task for the entries that each block of systems needs from each strip."""
    pieces = []
    for strip in strips:
        entries = None
        for group in groups:
            entries = task(partial.sum_entries, group, nearest, lengths, strip, entries)
        pieces.append([task(getitem, entries, index) for index in range(len(lengths))])
    return pieces


def _solve(
    ranking: Task, nearest: list[Task], strips: list[range], entries: list[list[Task]]
) -> list[Task]:
    """Return the task for the solutions of each block of systems."""
    return [
        task(partial.solve_block, ranking, block, strips, list(of_block))
        for block, of_block in zip(nearest, zip(*entries, strict=True), strict=True)
    ]
