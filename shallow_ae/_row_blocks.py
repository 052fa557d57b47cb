"""The one way to walk over users: slices of rows small enough for cache and memory."""

from __future__ import annotations

from collections.abc import Iterator

# Scores of one block: 2**22 float32 are 16 MiB, which fits the last-level cache of a server core.
_SCORES_PER_BLOCK = 2**22


def block_rows(n_rows: int, n_columns: int) -> int:
    """Return how many rows of `n_columns` numbers a block holds; at least one."""
    return max(1, min(n_rows, _SCORES_PER_BLOCK // max(1, n_columns)))


def row_blocks(n_rows: int, rows_per_block: int) -> Iterator[slice]:
    """Yield slices that cover `range(n_rows)` in order; the last may be shorter."""
    for start in range(0, n_rows, rows_per_block):
        yield slice(start, min(start + rows_per_block, n_rows))
