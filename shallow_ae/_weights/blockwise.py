"""Weights that are not stored: ranking by blocks of scores, and P computed in blocks of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._runtime.blocks import block_rows, blocks, share_rows
from shallow_ae._runtime.threads import map_on_threads
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.item_weights import DenseWeights, WeightMatrix, check_dense_fits

COLUMNS_AT_ONCE = 256
_SCORES = 2**23  # in a block of products, 32 MiB in float32
_LEAST_ROWS = 64


def rank_blocks(
    weights: WeightMatrix,
    X: sp.csr_array[Any],
    allowed: CandidateFilter,
    items: Array,
    scores: Array,
    *,
    most: int | None = None,
    verbose: int = 0,
) -> None:
    """Write the best items of each row, from the scores of a block of `most` rows on each thread.

    By default, the scores of a block fit in cache.
    """
    from shallow_ae._weights.top_k import rank_given

    def rank(part: slice) -> None:
        table = weights.block_scores(X[part])
        rank_given(table, allowed, part.start, items[part], scores[part])

    share_rows(X.shape[0], rank, most=most or block_rows(*X.shape), verbose=verbose)


def product_rows(n_rows: int, n_items: int) -> int:
    """Return the number of rows in a block whose scores are products with all items' vectors.

    All vectors are read for each block. In small blocks, reading them takes longer than the
    multiplications; a block is therefore larger than the cache.
    """
    return min(n_rows, max(_LEAST_ROWS, _SCORES // n_items))


def dense_of(weights: WeightMatrix, n_bytes: int) -> DenseWeights:
    """Return P as an array, computed in blocks of `COLUMNS_AT_ONCE` columns on each thread.

    Raises
    ------
    MemoryError
        If less than `n_bytes`, the memory that the computation needs, is free.
    """
    n_items = weights.n_inputs
    check_dense_fits(n_bytes, n_items)
    P = np.empty((n_items, n_items), weights.dtype)

    def fill(block: slice) -> None:
        P[:, block] = weights.columns(block)

    map_on_threads(fill, blocks(n_items, COLUMNS_AT_ONCE))
    return DenseWeights(P)


def subtract_diagonal(scores: Array, X: sp.csr_array[Any], diagonal: Array) -> None:
    """Subtract from the scores the amount that each item of a row adds to its own score."""
    scores[X.tocoo().coords] -= X.data * diagonal[X.indices]
