"""The one way to walk over something large: slices small enough for cache and memory."""

from __future__ import annotations

# Scores of one block: 2**22 float32 are 16 MiB, which fits the last-level cache of a server core.
_SCORES_PER_BLOCK = 2**22


def block_rows(n_rows: int, n_columns: int) -> int:
    """Return how many rows of `n_columns` numbers a block holds; at least one."""
    return max(1, min(n_rows, _SCORES_PER_BLOCK // max(1, n_columns)))


def blocks(end: int, size: int, *, start: int = 0) -> list[slice]:
    """Return slices that cover `range(start, end)` in order; the last may be shorter."""
    return [slice(first, min(first + size, end)) for first in range(start, end, size)]
