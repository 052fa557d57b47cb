"""Random start weights in blocks of columns, with the same numbers as in memory."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.dask_graphs import Task, constant, task
from shallow_ae._solvers.gradient_descent.step import DRAWN_ROWS, draw_rows
from shallow_ae._typing import Array

_ROW_BYTES = 2**26  # maximum size of the rows that one task draws


def random_blocks(
    counts: Array,
    scale: float,
    dtype: np.dtype[Any],
    rng: np.random.Generator,
    columns: list[slice],
) -> list[Task]:
    """Return a task for each block of columns of the start weights.

    The weights are drawn by rows, as in memory. Dask cuts the rows into blocks of columns.
    """
    import dask.array

    n_items = len(counts)
    if not scale:
        return [task(_zeros, n_items, block.stop - block.start, dtype) for block in columns]
    generators = rng.spawn(-(-n_items // DRAWN_ROWS))
    is_missing = constant(counts == 0)
    per_task = max(1, _ROW_BYTES // (n_items * DRAWN_ROWS * 4))
    drawn = []
    for part in blocks(len(generators), per_task):
        first = part.start * DRAWN_ROWS
        height = min(part.stop * DRAWN_ROWS, n_items) - first
        rows = task(_draw, generators[part], first, height, is_missing, scale, dtype)
        drawn.append(dask.array.from_delayed(rows, (height, n_items), dtype=dtype))
    widths = tuple(block.stop - block.start for block in columns)
    start = dask.array.concatenate(drawn).rechunk(((n_items,), widths))
    return list(start.to_delayed().ravel())


def _zeros(n_items: int, width: int, dtype: np.dtype[Any]) -> Array:
    return np.zeros((n_items, width), dtype)


def _draw(
    generators: list[np.random.Generator],
    first: int,
    height: int,
    is_missing: Array,
    scale: float,
    dtype: np.dtype[Any],
) -> Array:
    """Return rows of the start weights, with a zero diagonal and zeros for items without users."""
    rows = np.empty((height, len(is_missing)), dtype)
    for part, generator in zip(blocks(height, DRAWN_ROWS), generators, strict=True):
        draw_rows(rows[part], deepcopy(generator))  # so that the task can run again
    rows *= np.asarray(scale, dtype)
    rows[is_missing[first : first + height]] = 0
    rows[:, is_missing] = 0
    own = np.arange(height)
    rows[own, first + own] = 0
    return rows
