"""Dask arrays of users x items whose blocks are ndarrays or csr matrices: their blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._runtime.dask_graphs import Task, constant, in_partition, is_dask, task
from shallow_ae._typing import Array


def row_blocks(X: Any) -> list[Task]:
    """Return tasks whose results are the blocks of rows of a Dask array.

    Raises
    ------
    TypeError, ValueError
        If X is not a Dask array with two axes whose blocks hold all columns.
    """
    import dask.array

    if not isinstance(X, dask.array.Array):
        raise TypeError(
            f"Expected a Dask array of users x items, got a Dask {type(X).__name__}. Interactions "
            "with raw ids need an IdMapper as the first step: see `make_recommender`."
        )
    if X.ndim != 2:
        raise ValueError(f"Expected a users x items array, got a Dask array of shape {X.shape}.")
    if np.isnan(X.shape[1]):
        raise ValueError("The Dask array has an unknown number of columns, one for each item.")
    if X.numblocks[1] != 1:
        raise ValueError(
            f"The Dask array has {X.numblocks[1]} blocks of columns, expected 1: a row must lie in "
            "one block. Call X.rechunk({1: -1})."
        )
    return list(X.to_delayed(optimize_graph=False).ravel())


def array_of(blocks: Sequence[Task], heights: Sequence[float], n_columns: int, meta: Any) -> Any:
    """Return a Dask array from tasks whose results are blocks of rows.

    `heights` are their numbers of rows, NaN where unknown. `meta` is an empty block of the type of
    the blocks.
    """
    import dask.array

    arrays = [
        dask.array.from_delayed(block, shape=(height, n_columns), dtype=meta.dtype, meta=meta)
        for block, height in zip(blocks, heights, strict=True)
    ]
    return dask.array.concatenate(arrays, allow_unknown_chunksizes=True)


def map_rows(function: Callable[[Any], Any], X: Any) -> Any:
    """Return `function(block)` for each block of rows as a Dask array.

    The result has the shape of X, in float32 or float64. An error because of the data names the
    block.
    """
    call, given = constant(function), enumerate(row_blocks(X))
    blocks = [task(_call_on_block, place, call, block) for place, block in given]
    meta: Any = np.empty((0, X.shape[1]), np.float64 if X.dtype == np.float64 else np.float32)
    if not isinstance(X._meta, np.ndarray):
        meta = sp.csr_array(meta)
    return array_of(blocks, X.chunks[0], X.shape[1], meta)


def split_like(name: str, values: Any, heights: Sequence[float]) -> list[Any]:
    """Return one array for each block of rows: the part of `values` that belongs to its rows.

    A Dask array must have blocks of the same rows. An array in memory is cut, which needs the
    numbers of rows.
    """
    if is_dask(values):
        blocks = list(values.to_delayed(optimize_graph=False).ravel())
        known = not np.isnan(heights).any() and not np.isnan(values.shape).any()
        if (
            values.ndim != 1
            or len(blocks) != len(heights)
            or (known and tuple(values.chunks[0]) != tuple(heights))
        ):
            raise ValueError(
                f"`{name}` must be one-dimensional, with blocks of the same rows as X."
            )
        return blocks
    array: Array = np.asarray(values)
    if np.isnan(heights).any():
        raise ValueError(
            f"`{name}` is an array in memory, and the numbers of rows in the blocks of X are not "
            "known. Pass a Dask array with the same blocks, or call X.compute_chunk_sizes()."
        )
    n_rows = int(sum(heights))
    if array.shape != (n_rows,):
        raise ValueError(
            f"`{name}` has shape {array.shape}, expected ({n_rows},): one number for each row of X."
        )
    return np.split(array, np.cumsum(np.asarray(heights, np.int64))[:-1])


def _call_on_block(place: int, function: Callable[[Any], Any], block: Any) -> Any:
    if not block.shape[0]:
        dtype = np.float64 if block.dtype == np.float64 else np.float32
        return block.astype(dtype)
    return in_partition(place, "X", function, block)
