"""The solution on the nearest items, for rows in partitions on Dask workers.

The tasks are those of `_solvers.neighborhood.partial`. The rows are stacked into groups, as few as
memory allows: each worker that solves needs a copy of each group. Items are cut into blocks. A
task solves the systems of a block, and stores only the entries of G that these systems need. A row
of G is therefore computed again for each block with an item that is near to it, but it is neither
kept nor sent to another worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shallow_ae._objective.objective import Objective
from shallow_ae._objective.solution import Solution
from shallow_ae._runtime.dask_graphs import Task, computed, persisted, task
from shallow_ae._solvers.neighborhood import partial
from shallow_ae._solvers.neighborhood.assembly import assemble
from shallow_ae._solvers.neighborhood.systems import Ranking, Solutions, no_solutions
from shallow_ae._typing import Array

_FAN_IN = 16  # statistics that one task adds
_MOST_BLOCKS_FOR_THREADS = 16  # blocks of items even if one would fit in memory

# Shares of the memory of a task. A group holds its rows twice, and stacking them takes 3.5 times
# the memory of the rows. Sums that go from group to group exist twice in a task, before and after.
_OF_ROWS = 1 / 4
_OF_ENTRIES = 3 / 8
_OF_COLUMNS = 1 / 8


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
    dtype, n_neighbors = np.dtype(dtype), min(n_neighbors, len(item_counts) - 1)
    (summed,) = persisted([_tree_sum([task(_statistics, part) for part in parts])])
    (statistics,) = computed([summed])
    ranking = partial.rank(statistics, objective, n, dtype)  # also before any other task: it checks
    shared = task(partial.rank, summed, objective, n, dtype)
    groups = [
        task(partial.stack, parts[members.start : members.stop], shared)
        for members in _cut(np.asarray(part_bytes), task_bytes * _OF_ROWS)
    ]
    blocks = _blocks(statistics, ranking, n_neighbors, task_bytes, len(groups))
    results = computed([_solve_block(groups, shared, block, n_neighbors) for block in blocks])
    solutions = no_solutions(len(item_counts), n_neighbors, dtype)
    for block, result in zip(blocks, results, strict=True):
        _place(result, ranking.item_of[block[0].start : block[-1].stop], solutions)
    del results, result
    return assemble(solutions, objective, item_counts, n, statistics.gram_diagonal(dtype))


def _statistics(part: tuple[Any, Array]) -> partial.ItemStatistics:
    return partial.statistics_of(*part)


def _tree_sum(tasks: list[Task]) -> Task:
    while len(tasks) > 1:
        tasks = [
            task(partial.add_statistics, tasks[start : start + _FAN_IN])
            for start in range(0, len(tasks), _FAN_IN)
        ]
    return tasks[0]


def _blocks(
    statistics: partial.ItemStatistics,
    ranking: Ranking,
    n_neighbors: int,
    task_bytes: int,
    n_groups: int,
) -> list[list[range]]:
    """Return the blocks of ranks, each cut into blocks whose columns of G are summed at a time."""
    n_items, itemsize = len(ranking.item_of), ranking.diagonal.dtype.itemsize
    pairs = np.minimum(statistics.pairs[ranking.item_of], n_items)
    counts = np.minimum(pairs, n_neighbors) if n_neighbors < n_items - 1 else n_neighbors
    sizes = (counts * (counts - 1) / 2 + 4 * n_neighbors) * itemsize + np.zeros(n_items)
    room = task_bytes * _OF_ENTRIES
    blocks = _cut(
        sizes, min(room if n_groups == 1 else room / 2, sizes.sum() / _MOST_BLOCKS_FOR_THREADS)
    )
    if n_groups == 1:
        return [[block] for block in blocks]
    return [
        _cut(pairs * (itemsize + 4), task_bytes * _OF_COLUMNS, block.start, block.stop)
        for block in blocks
    ]


def _cut(sizes: Array, most: float, start: int = 0, stop: int | None = None) -> list[range]:
    """Return consecutive ranges whose sizes sum to at most `most`, unless one alone is larger."""
    ends, stop = np.cumsum(sizes), len(sizes) if stop is None else stop
    ranges = []
    while start < stop:
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + most, side="right"))
        ranges.append(range(start, min(max(end, start + 1), stop)))
        start = ranges[-1].stop
    return ranges


def _solve_block(groups: list[Task], ranking: Task, block: list[range], n_neighbors: int) -> Task:
    """Return the task for the solutions of a block."""
    *others, last = groups
    found = []
    for ranks in block:
        columns = None
        for group in others:
            columns = task(partial.sum_columns, group, ranks, columns)
        found.append(task(partial.find_nearest, last, ranking, ranks, n_neighbors, columns))
    nearest, entries = task(partial.join, found), None
    for group in others:
        entries = task(partial.sum_entries, group, nearest, entries)
    return task(partial.solve_block, last, ranking, nearest, entries)


def _place(result: Solutions, items: Array, solutions: Solutions) -> None:
    """Copy the solutions of some items to their rows."""
    for name, values in result._asdict().items():
        getattr(solutions, name)[items] = values
