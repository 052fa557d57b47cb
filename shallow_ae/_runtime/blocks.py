"""The one way to walk over something large: slices small enough for cache and memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# Scores of one block: 2**22 float32 are 16 MiB, which fits the last-level cache of a server core.
_SCORES_PER_BLOCK = 2**22

ENTRIES_PER_BLOCK = 2**18  # of sparse rows, for sums over entries


def block_rows(n_rows: int, n_columns: int) -> int:
    """Return how many rows of `n_columns` numbers a block holds; at least one."""
    return max(1, min(n_rows, _SCORES_PER_BLOCK // max(1, n_columns)))


def blocks(end: int, size: int, *, start: int = 0) -> list[slice]:
    """Return slices that cover `range(start, end)` in order; the last may be shorter."""
    return [slice(first, min(first + size, end)) for first in range(start, end, size)]


def entry_blocks(indptr: NDArray[np.integer]) -> list[tuple[slice, slice]]:
    """Return slices of the rows of a csr matrix, in order, each with the slice of its entries."""
    n_entries = int(indptr[-1])
    cuts = np.searchsorted(indptr, np.arange(ENTRIES_PER_BLOCK, n_entries, ENTRIES_PER_BLOCK))
    edges = np.unique([0, *cuts, len(indptr) - 1]).tolist()
    return [
        (slice(first, last), slice(int(indptr[first]), int(indptr[last])))
        for first, last in pairwise(edges)
    ]
