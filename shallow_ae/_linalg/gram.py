"""Weighted Gram matrices X'WX of sparse rows, added to a dense lower triangle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import scale_columns
from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.speed import COST_SPARSE_DENSE, COST_SPARSE_SPARSE
from shallow_ae._runtime.threads import Workers, map_on_threads, n_threads, with_workers
from shallow_ae._typing import Array

Way: TypeAlias = "Callable[[sp.csr_array[Any], Array, Array], None]"

# A dense block of X has `_WIDTH` columns and at most `_BLOCK_BYTES` bytes. It stays in cache while
# a sparse block of X' is multiplied by it.
_WIDTH = 128
_BLOCK_BYTES = 2**22
_DENSE_WIDTH = 512  # rows and columns of a block if both factors are dense
_ENTRIES = 2**20  # entries in a block of a sparse x sparse product, some 12 MiB with their indices


class Work(NamedTuple):
    """A number of multiplications, and the number of dense multiplications of equal duration."""

    multiplications: int
    as_dense: int


def add_gram(X: sp.csr_array[Any], weights: Array, gram: Array) -> None:
    """Add X' diag(weights) X to the lower triangle of `gram`.

    The function multiplies two sparse factors, a sparse and a dense factor, or two dense factors,
    whichever is fastest. The entries above the diagonal are undefined afterwards.

    Parameters
    ----------
    X : csr_array of shape (m, n)
    weights : ndarray of shape (m,)
    gram : C-contiguous ndarray of shape (n, n)
    """
    ways = _ways(len(gram), np.diff(X.indptr))
    min(ways, key=lambda add: ways[add].as_dense)(X, weights, gram)


def gram_work(n: int, lengths: Array) -> Work:
    """Return the work of `add_gram` for n columns and rows with `lengths` entries."""
    return min(_ways(n, lengths).values(), key=lambda work: work.as_dense)


def gram_bytes(n: int, itemsize: int) -> int:
    """Return how many bytes `add_gram` allocates at most."""
    of_products = _BLOCK_BYTES + 2 * n * _WIDTH * itemsize
    return n_threads() * max(min(_ENTRIES, n**2) * (2 * itemsize + 4), of_products)


def _ways(n: int, lengths: Array) -> dict[Way, Work]:
    n_entries, n_pairs = int(lengths.sum()), int(np.square(lengths.astype(np.int64)).sum())
    half = n_entries * n // 2
    dense = len(lengths) * n**2 // 2
    return {
        _add_sparse: Work(n_pairs, COST_SPARSE_SPARSE * n_pairs),
        _add_half_sparse: Work(half, COST_SPARSE_DENSE * half),
        _add_dense: Work(dense, dense),
    }


def _add_sparse(X: sp.csr_array[Any], weights: Array, gram: Array) -> None:
    left = scale_columns(X.T.tocsr(), weights)

    def add(block: slice) -> None:
        gram[block] += (left[block] @ X).toarray()

    map_on_threads(add, blocks(len(gram), max(1, _ENTRIES // len(gram))))


@with_workers
def _add_half_sparse(workers: Workers, X: sp.csr_array[Any], weights: Array, gram: Array) -> None:
    n_rows = max(1, _BLOCK_BYTES // (_WIDTH * X.dtype.itemsize))
    for taken in blocks(len(weights), n_rows):
        part = X[taken].T.tocsr()
        left = scale_columns(part, weights[taken])

        def add(block: slice, part: Any = part, left: Any = left) -> None:
            gram[block.start :, block] += left[block.start :] @ part[block].T.toarray("C")

        list(workers.map(add, blocks(len(gram), _WIDTH)))


@with_workers
def _add_dense(workers: Workers, X: sp.csr_array[Any], weights: Array, gram: Array) -> None:
    for taken in blocks(len(weights), _DENSE_WIDTH):
        part = X[taken].toarray()
        left = part * weights[taken, None]

        def add(block: slice, part: Any = part, left: Any = left) -> None:
            gram[block, : block.stop] += left[:, block].T @ part[:, : block.stop]

        list(workers.map(add, blocks(len(gram), _DENSE_WIDTH)[::-1]))
