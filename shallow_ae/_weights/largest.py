"""The largest weights of each item, as a sparse matrix, from every form of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import CsrArrays
from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.threads import map_on_threads, n_threads
from shallow_ae._weights.candidates import candidate_filter
from shallow_ae._weights.item_weights import SparseWeights, WeightMatrix
from shallow_ae._weights.ranking import best_of_rows

_COLUMNS = 128  # columns in a block, if P is not sparse
_STORED_COLUMNS = 1024  # columns in a block of a sparse P


def bytes_needed(weights: WeightMatrix, n_neighbors: int) -> int:
    """Return how many bytes `largest_weights` allocates, including the result."""
    n_items, itemsize = weights.n_inputs, weights.dtype.itemsize
    entry, n_kept = itemsize + 4, n_items * n_neighbors
    if isinstance(weights, SparseWeights):
        n_stored = weights.P.nnz
        # P by columns, and blocks of it, which may keep their size; the blocks joined, and csr.
        return 2 * (n_stored + min(n_stored, n_kept)) * entry + 32 * n_items
    a_column = 4 * n_items * itemsize + 2 * n_neighbors * (8 + itemsize)
    return 3 * n_kept * entry + n_threads() * _COLUMNS * a_column


def largest_weights(weights: WeightMatrix, n_neighbors: int) -> sp.csr_array[Any]:
    """Return the `n_neighbors` largest entries of each column of P, without explicit zeros.

    Entries are compared by absolute value, ties by ascending index. A P that is not stored is
    computed in blocks of columns.
    """
    if isinstance(weights, SparseWeights):
        return _largest_stored(weights.P, n_neighbors)
    n_items = weights.n_inputs

    def largest(block: slice) -> sp.csc_array[Any]:
        columns = weights.columns(block)
        width = columns.shape[1]
        empty = sp.csr_array((width, n_items), dtype=columns.dtype)
        sizes = np.ascontiguousarray(np.abs(columns).T)
        items, _ = best_of_rows(sizes, n_neighbors, candidate_filter(empty, exclude_seen=False))
        values = np.take_along_axis(columns.T, items, axis=1)
        indptr = np.arange(width + 1, dtype=np.int32) * n_neighbors
        indices = items.ravel().astype(np.int32)
        kept = sp.csc_array((values.ravel(), indices, indptr), shape=(n_items, width))
        kept.eliminate_zeros()
        return kept

    return _joined(map_on_threads(largest, blocks(n_items, _COLUMNS)))


def _largest_stored(P: sp.csr_array[Any], n_neighbors: int) -> sp.csr_array[Any]:
    """Return the largest entries of each column of a sparse P, from its stored entries only."""
    from shallow_ae._weights.top_k import rank_stored

    by_column = sp.csc_array(P)
    most = max(1, min(n_neighbors, int(np.diff(by_column.indptr).max(initial=0))))

    def largest(block: slice) -> sp.csc_array[Any]:
        columns = sp.csc_array(by_column[:, block])
        sizes, places = np.abs(columns.data), np.arange(columns.nnz, dtype=np.int32)
        kept = np.empty((columns.shape[1], most), np.int64)
        stored = CsrArrays(columns.indptr.astype(np.int64), places, sizes)
        rank_stored(stored, kept, np.empty(kept.shape, sizes.dtype))
        is_kept = np.zeros(columns.nnz, np.bool_)
        is_kept[kept[kept >= 0]] = True
        columns.data[~is_kept] = 0
        columns.eliminate_zeros()
        return columns

    return _joined(map_on_threads(largest, blocks(P.shape[1], _STORED_COLUMNS)))


def _joined(parts: list[sp.csc_array[Any]]) -> sp.csr_array[Any]:
    return sp.csr_array(sp.hstack(parts, format="csc"))  # a csr_array at once takes more memory
