"""Item weights in blocks of columns that lie on different Dask workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._runtime.dask_graphs import Task, computed, shared, task
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.item_weights import DenseWeights, WeightMatrix, check_dense_fits
from shallow_ae._weights.ranking import best_items, check_rows


class ColumnBlocks:
    """P as blocks of columns, each of which a worker keeps.

    The scores of a block of columns need no other block. The best items of a row are found by
    merging the best items of each block, so that no process holds all weights.

    Parameters
    ----------
    blocks : list of tasks
        Arrays of shape (n_items, width).
    starts : list of int
        The first column of each block.
    n_items : int
    dtype : dtype
    """

    def __init__(
        self, blocks: list[Task], starts: list[int], n_items: int, dtype: np.dtype[Any]
    ) -> None:
        self.blocks = blocks
        self.starts = starts
        self._n_items = n_items
        self._dtype = dtype

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle the weights themselves, because tasks have no meaning without their workers."""
        return DenseWeights, (self.materialized().P,)

    @property
    def slices(self) -> list[slice]:
        """Return the columns of each block."""
        ends = [*self.starts[1:], self._n_items]
        return [slice(start, end) for start, end in zip(self.starts, ends, strict=True)]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the weights."""
        return self._dtype

    @property
    def n_inputs(self) -> int:
        """Return the number of items."""
        return self._n_items

    def scores_of(self, X: Task) -> Task:
        """Return a task whose result is X P, for checked rows X."""
        return task(np.hstack, [task(_scores_in_block, block, X) for block in self.blocks])

    def best_of(self, rows: Task, k: int) -> Task:
        """Return a task whose results are the best items of `RankingRows`, and their scores."""
        parts = [
            task(_best_in_block, block, start, rows, k)
            for block, start in zip(self.blocks, self.starts, strict=True)
        ]
        return task(merge_best, parts, k)

    def block_scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P for rows in memory."""
        scores: Array = computed([self.scores_of(shared(X))])[0]
        return scores

    def rank(
        self,
        X: sp.csr_array[Any],
        allowed: CandidateFilter,
        items: Array,
        scores: Array,
        *,
        verbose: int = 0,
    ) -> None:
        """Write the best items of each row. The workers rank the items of their columns."""
        rows = shared((X, allowed))
        items[:], scores[:] = computed([self.best_of(rows, items.shape[1])])[0]

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return P_ij for each pair of an input i and an output j."""
        block_of = np.searchsorted(self.starts, outputs, side="right") - 1
        entries, places, tasks = np.empty(len(inputs), self.dtype), [], []
        for number in np.unique(block_of):
            place = np.flatnonzero(block_of == number)
            columns = outputs[place] - self.starts[number]
            places.append(place)
            tasks.append(task(_entries, self.blocks[number], inputs[place], columns))
        for place, values in zip(places, computed(tasks), strict=True):
            entries[place] = values
        return entries

    def columns(self, block: slice) -> Array:
        """Return a block of columns of P."""
        first, last = block.start or 0, self._n_items if block.stop is None else block.stop
        parts = [
            task(_columns, part, max(first - own.start, 0), min(last, own.stop) - own.start)
            for part, own in zip(self.blocks, self.slices, strict=True)
            if own.start < last and first < own.stop
        ]
        return np.hstack(computed(parts))

    def materialized(self) -> DenseWeights:
        """Return P as an array in the memory of this process.

        Raises
        ------
        MemoryError
            If P does not fit in the free memory.
        """
        n_items = self._n_items
        check_dense_fits(n_items**2 * self.dtype.itemsize, n_items)
        P = np.empty((n_items, n_items), self.dtype)
        for block, start in zip(self.blocks, self.starts, strict=True):
            columns = computed([block])[0]
            P[:, start : start + columns.shape[1]] = columns
        return DenseWeights(P)

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return these weights."""
        return self


def merge_best(
    parts: list[tuple[NDArray[np.int64], Array]], k: int
) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` best of several lists of items for each row, by the order of all rankings.

    Scores fall, equal scores have rising items, and empty places come last.
    """
    items = np.hstack([part[0] for part in parts])
    scores = np.hstack([part[1] for part in parts])
    is_empty = items < 0
    falling = np.where(is_empty, np.inf, -scores)
    order = np.lexsort((items, falling, is_empty), axis=-1)[:, :k]
    items, scores = (np.take_along_axis(table, order, axis=1) for table in (items, scores))
    missing = ((0, 0), (0, k - items.shape[1]))
    padded = np.pad(scores, missing, constant_values=np.nan)
    return np.pad(items, missing, constant_values=-1), padded


def _scores_in_block(block: Array, X: sp.csr_array[Any]) -> Array:
    weights = DenseWeights(block)
    check_rows(weights, X)
    return weights.block_scores(X)


def _best_in_block(
    block: Array, start: int, rows: tuple[sp.csr_array[Any], CandidateFilter], k: int
) -> tuple[NDArray[np.int64], Array]:
    X, allowed = rows
    width = block.shape[1]
    within = allowed.in_columns(start, start + width)
    items, scores = best_items(DenseWeights(block), X, min(k, width), within)
    return np.where(items < 0, -1, items + start), scores


def _entries(block: Array, inputs: Array, columns: Array) -> Array:
    return np.asarray(block[inputs, columns])


def _columns(block: Array, first: int, last: int) -> Array:
    return np.ascontiguousarray(block[:, first:last])
