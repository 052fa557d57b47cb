"""Row blocks that fit in cache and memory, and work on them shared among threads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shallow_ae._runtime.progress import progress_bar
from shallow_ae._runtime.threads import Workers, n_threads, with_workers

# Scores in one block: 2**22 float32 scores take 16 MiB and fit in a server's last-level cache.
_SCORES_PER_BLOCK = 2**22

_TASKS_PER_THREAD = 8  # several, so that all threads finish at about the same time
_ROWS_PER_TASK = 16  # at least: starting a task takes as long as ranking a few rows

ENTRIES_PER_BLOCK = 2**18  # stored entries in a block of sparse rows, for sums over entries


def block_rows(n_rows: int, n_columns: int) -> int:
    """Return how many rows of `n_columns` numbers a block has: at least one."""
    return max(1, min(n_rows, _SCORES_PER_BLOCK // max(1, n_columns)))


def blocks(end: int, size: int, *, start: int = 0) -> list[slice]:
    """Return consecutive slices of `range(start, end)`, `size` long; the last may be shorter."""
    return [slice(first, min(first + size, end)) for first in range(start, end, size)]


def entry_blocks(indptr: NDArray[np.integer]) -> list[tuple[slice, slice]]:
    """Return consecutive slices of the rows of a csr matrix, each with the slice of its entries."""
    n_entries = int(indptr[-1])
    cuts = np.searchsorted(indptr, np.arange(ENTRIES_PER_BLOCK, n_entries, ENTRIES_PER_BLOCK))
    edges = np.unique([0, *cuts, len(indptr) - 1]).tolist()
    return [
        (slice(first, last), slice(int(indptr[first]), int(indptr[last])))
        for first, last in pairwise(edges)
    ]


def share_rows(
    n_rows: int,
    task: Callable[[slice], None],
    *,
    most: int | None = None,
    verbose: int = 0,
    label: tuple[str, str] = ("rank", "user"),
) -> None:
    """Call `task` on slices of at most `most` rows, on all threads.

    `label` holds the operation and the name of a row, which the progress bar shows.
    """
    if n_rows == 1 and not verbose:  # a single request would wait for the threads to start
        task(slice(0, 1))
        return
    size = _ROWS_PER_TASK
    if n_rows > size:
        size = max(size, -(-n_rows // (_TASKS_PER_THREAD * n_threads())))
    slices = blocks(n_rows, min(size, most or size))
    with progress_bar(n_rows, *label, verbose=verbose) as bar:
        if len(slices) == 1:
            task(slices[0])
            bar.advance(n_rows)
        else:
            _share(slices, task, bar.advance)


@with_workers
def _share(
    workers: Workers,
    slices: list[slice],
    task: Callable[[slice], None],
    done: Callable[[int], object],
) -> None:
    for rows, _ in zip(slices, workers.map(task, slices), strict=True):
        done(rows.stop - rows.start)
