"""Weighted Gram matrices of sparse rows, added up in the lower triangle of a dense buffer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._blocks import blocks
from shallow_ae._speed import BOTH_SPARSE, SPARSE
from shallow_ae._threads import workers
from shallow_ae._validation import Array

Product = Callable[[sp.csr_array[Any], Array, Array], None]


class Work(NamedTuple):
    """Multiplications, and how many of dense matrices take as long."""

    multiplications: int
    as_dense: int


# Columns taken at a time: a dense block of them stays in the last-level cache.
_COLUMNS = 16384
_WIDTH = 128
_DENSE_WIDTH = 512
_ENTRIES = 2**20  # of a product of sparse matrices, which take some 12 MiB with their indices


def add_gram(rows: sp.csr_array[Any], weights: Array, gram: Array) -> None:
    """Add rows diag(weights) rows' to the lower triangle of `gram`.

    Both factors stay sparse, or one, or none, as is cheapest. What is above the diagonal is of no
    use afterwards.

    Parameters
    ----------
    rows : csr_array of shape (n, m)
    weights : ndarray of shape (m,)
    gram : C-contiguous ndarray of shape (n, n)
    """
    ways = _ways(len(gram), np.bincount(rows.indices, minlength=rows.shape[1]))
    min(ways, key=lambda add: ways[add].as_dense)(rows, weights, gram)


def gram_work(n: int, lengths: Array) -> Work:
    """Return what `add_gram` takes for n rows, with so many entries in each column."""
    return min(_ways(n, lengths).values(), key=lambda work: work.as_dense)


def _ways(n: int, lengths: Array) -> dict[Product, Work]:
    n_entries, n_pairs = int(lengths.sum()), int(np.square(lengths.astype(np.int64)).sum())
    half = n_entries * n // 2
    dense = len(lengths) * n**2 // 2
    return {
        _add_sparse: Work(n_pairs, BOTH_SPARSE * n_pairs),
        _add_half_sparse: Work(half, SPARSE * half),
        _add_dense: Work(dense, dense),
    }


def _add_sparse(rows: sp.csr_array[Any], weights: Array, gram: Array) -> None:
    left, columns = _weighted(rows, weights), rows.T.tocsr()

    def add(block: slice) -> None:
        gram[block] += (left[block] @ columns).toarray()

    with workers() as pool:
        list(pool.map(add, blocks(len(gram), max(1, _ENTRIES // len(gram)))))


def _add_half_sparse(rows: sp.csr_array[Any], weights: Array, gram: Array) -> None:
    columns = rows.T.tocsr()
    with workers() as pool:
        for taken in blocks(len(weights), _COLUMNS):
            part = columns[taken].T.tocsr()
            left = _weighted(part, weights[taken])

            def add(block: slice, part: Any = part, left: Any = left) -> None:
                gram[block.start :, block] += left[block.start :] @ part[block].T.toarray("C")

            list(pool.map(add, blocks(len(gram), _WIDTH)))


def _add_dense(rows: sp.csr_array[Any], weights: Array, gram: Array) -> None:
    columns = rows.T.tocsr()
    with workers() as pool:
        for taken in blocks(len(weights), _DENSE_WIDTH):
            part = columns[taken].toarray()
            left = part * weights[taken, None]

            def add(block: slice, part: Any = part, left: Any = left) -> None:
                gram[block, : block.stop] += left[:, block].T @ part[:, : block.stop]

            list(pool.map(add, blocks(len(gram), _DENSE_WIDTH)[::-1]))


def _weighted(rows: sp.csr_array[Any], weights: Array) -> sp.csr_array[Any]:
    data = rows.data * weights[rows.indices]
    return sp.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)
