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

# A dense block of X stays in cache while a sparse one of X' runs over it.
_WIDTH = 128
_BLOCK_BYTES = 2**22
_DENSE_WIDTH = 512
_ENTRIES = 2**20  # of a product of sparse matrices, which take some 12 MiB with their indices


class Work(NamedTuple):
    """A number of multiplications, and the dense multiplications that take as much time."""

    multiplications: int
    as_dense: int


def add_gram(X: sp.csr_array[Any], weights: Array, gram: Array) -> None:
    """Add X' diag(weights) X to the lower triangle of `gram`.

    Both factors stay sparse, or one, or none, as is cheapest. What is above the diagonal is of no
    use afterwards.

    Parameters
    ----------
    X : csr_array of shape (m, n)
    weights : ndarray of shape (m,)
    gram : C-contiguous ndarray of shape (n, n)
    """
    ways = _ways(len(gram), np.diff(X.indptr))
    min(ways, key=lambda add: ways[add].as_dense)(X, weights, gram)


def gram_work(n: int, lengths: Array) -> Work:
    """Return the work of `add_gram` for n columns and rows of the given numbers of entries."""
    return min(_ways(n, lengths).values(), key=lambda work: work.as_dense)


def gram_bytes(n: int, itemsize: int) -> int:
    """Return the most memory that `add_gram` allocates."""
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
